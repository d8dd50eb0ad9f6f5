#include "models/files/gguf_writer.hpp"

#include <algorithm>
#include <limits>

#include "models/files/gguf_file.hpp"
#include "tensor/error.hpp"

namespace gradus {
namespace {

constexpr uint32_t kVersion = 3;
constexpr uint64_t kAlignment = 32;  // what a file has that says nothing of it
constexpr size_t kLongestName = 63;

uint64_t padding(uint64_t size) { return (kAlignment - size % kAlignment) % kAlignment; }

// A number as its bytes: this library runs on little-endian machines alone.
template <class T>
void append(std::string& bytes, T value) {
  bytes.append(reinterpret_cast<const char*>(&value), sizeof value);
}

void append_text(std::string& bytes, std::string_view text) {
  append(bytes, uint64_t{text.size()});
  bytes.append(text);
}

template <class T>
void append_array(std::string& bytes, GgufType type, std::span<const T> values) {
  append(bytes, static_cast<uint32_t>(type));
  append(bytes, uint64_t{values.size()});
  bytes.append(reinterpret_cast<const char*>(values.data()), values.size_bytes());
}

uint64_t bytes_of(const GgufOutput& output) {
  return static_cast<uint64_t>(output.tensor.numel() / output.type->elements * output.type->bytes);
}

void check_output(const GgufOutput& output) {
  const Shape& shape = output.tensor.shape();
  check(!output.name.empty() && output.name.size() <= kLongestName,
        "write_gguf: a tensor's name must have 1 to ", kLongestName, " bytes; '", output.name, "' has ",
        output.name.size());
  check(shape.rank() >= 1 && shape.rank() <= 4 && shape.at(-1) % output.type->elements == 0,
        "write_gguf: a tensor must have 1 to 4 dimensions and rows of whole blocks; '", output.name, "' is ",
        shape, " and ", output.type->name, " has blocks of ", output.type->elements);
}

}  // namespace

bool GgufFields::contains(std::string_view key) const {
  return std::find(keys_.begin(), keys_.end(), key) != keys_.end();
}

void GgufFields::check_new(std::string_view key) const {
  check(!contains(key), "write_gguf: a key may be set once; '", key, "' is set twice");
}

void GgufFields::begin(std::string_view key, uint32_t type) {
  check_new(key);
  keys_.emplace_back(key);
  append_text(bytes_, key);
  append(bytes_, type);
}

void GgufFields::boolean(std::string_view key, bool value) {
  begin(key, static_cast<uint32_t>(GgufType::boolean));
  append(bytes_, static_cast<uint8_t>(value));
}

void GgufFields::u32(std::string_view key, int64_t value) {
  check(value >= 0 && value <= std::numeric_limits<uint32_t>::max(), "write_gguf: '", key,
        "' must fit in 32 bits; it is ", value);
  begin(key, static_cast<uint32_t>(GgufType::u32));
  append(bytes_, static_cast<uint32_t>(value));
}

void GgufFields::f32(std::string_view key, double value) {
  begin(key, static_cast<uint32_t>(GgufType::f32));
  append(bytes_, static_cast<float>(value));
}

void GgufFields::text(std::string_view key, std::string_view value) {
  begin(key, static_cast<uint32_t>(GgufType::string));
  append_text(bytes_, value);
}

void GgufFields::texts(std::string_view key, const std::vector<std::string>& values) {
  begin(key, static_cast<uint32_t>(GgufType::array));
  append(bytes_, static_cast<uint32_t>(GgufType::string));
  append(bytes_, uint64_t{values.size()});
  for (const std::string& value : values) append_text(bytes_, value);
}

void GgufFields::i32s(std::string_view key, std::span<const int32_t> values) {
  begin(key, static_cast<uint32_t>(GgufType::array));
  append_array(bytes_, GgufType::i32, values);
}

void GgufFields::f32s(std::string_view key, std::span<const float> values) {
  begin(key, static_cast<uint32_t>(GgufType::array));
  append_array(bytes_, GgufType::f32, values);
}

void GgufFields::add(const GgufFields& others) {
  for (const std::string& key : others.keys_) check_new(key);
  keys_.insert(keys_.end(), others.keys_.begin(), others.keys_.end());
  bytes_ += others.bytes_;
}

std::string gguf_head(const GgufFields& fields, std::span<const GgufOutput> tensors) {
  std::string head = "GGUF";
  append(head, kVersion);
  append(head, uint64_t{tensors.size()});
  append(head, static_cast<uint64_t>(fields.size()));
  head += fields.bytes();
  uint64_t reached = 0;
  for (const GgufOutput& output : tensors) {
    check_output(output);
    const Shape& shape = output.tensor.shape();
    append_text(head, output.name);
    append(head, static_cast<uint32_t>(shape.rank()));
    for (int axis = shape.rank(); axis-- > 0;) append(head, shape[axis]);  // innermost first
    append(head, output.type->number);
    append(head, reached);
    reached += bytes_of(output) + padding(bytes_of(output));
  }
  if (!tensors.empty()) head.append(padding(head.size()), '\0');
  return head;
}

void write_gguf(AtomicFile& file, const GgufFields& fields, std::span<const GgufOutput> tensors) {
  const std::string zeros(kAlignment, '\0');
  file.write(gguf_head(fields, tensors));
  for (const GgufOutput& output : tensors) {
    const std::vector<std::byte> bytes = quantise(*output.type, output.tensor);
    file.write(bytes.data(), bytes.size());
    file.write(zeros.data(), padding(bytes.size()));
  }
}

}  // namespace gradus
