#include "models/files/gguf_file.hpp"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <map>
#include <optional>
#include <utility>

#include "tensor/error.hpp"
#include "tensor/io/bounds.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/json.hpp"
#include "tensor/io/raw.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr std::string_view kAlignmentKey = "general.alignment";
constexpr uint64_t kDefaultAlignment = 32;
constexpr uint64_t kMinAlignment = 8;
constexpr uint64_t kMaxAlignment = 1 << 20;
constexpr uint64_t kMaxKeyBytes = 65535;
constexpr uint64_t kMaxNameBytes = 63;
constexpr uint32_t kMaxDimensions = 4;
// The least that an entry can take: a length, one byte of key, a type, one byte of value; a length, one byte of name, the
// number of dimensions (of which there may be none), a type, an offset.
constexpr uint64_t kLeastValueBytes = 8 + 1 + 4 + 1;
constexpr uint64_t kLeastTensorBytes = 8 + 1 + 4 + 4 + 8;

struct TypeInfo {
  std::string_view name;
  uint64_t bytes;  // 0 where they vary
};
constexpr TypeInfo kTypes[] = {{"u8", 1},  {"i8", 1},  {"u16", 2},     {"i16", 2},    {"u32", 4},
                               {"i32", 4}, {"f32", 4}, {"boolean", 1}, {"string", 0}, {"array", 0},
                               {"u64", 8}, {"i64", 8}, {"f64", 8}};

const TypeInfo& info_of(GgufType type) { return kTypes[static_cast<std::size_t>(type)]; }

bool is_boolean(GgufType type) { return type == GgufType::boolean; }
bool is_string(GgufType type) { return type == GgufType::string; }
bool is_number(GgufType type) { return !is_boolean(type) && !is_string(type); }
bool is_integer(GgufType type) { return is_number(type) && type != GgufType::f32 && type != GgufType::f64; }

/// The number at an address of any alignment, which then is behind it.
template <class T>
T take(const std::byte*& at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  at += sizeof value;
  return value;
}

std::string_view take_string(const std::byte*& at) {
  const auto length = static_cast<std::size_t>(take<uint64_t>(at));
  const auto* first = reinterpret_cast<const char*>(at);
  at += length;
  return {first, length};
}

std::string hex_byte(char byte) {
  const auto value = static_cast<unsigned char>(byte);
  return std::string("0x") + "0123456789abcdef"[value >> 4] + "0123456789abcdef"[value & 15];
}

/// The first multiple of a power of two from `value` on.
std::optional<uint64_t> align(uint64_t value, uint64_t alignment) {
  const auto raised = checked_add(static_cast<int64_t>(value), static_cast<int64_t>(alignment - 1));
  if (!raised) return std::nullopt;
  return static_cast<uint64_t>(*raised) & ~(alignment - 1);
}

}  // namespace

std::string_view gguf_type_name(GgufType type) { return info_of(type).name; }

// ------------------------------------------------------------------------------------------------ values

void GgufValue::refuse(std::string_view wanted) const {
  fail_world(*path_, ": key ", key_, " at byte ", place_, " must have ", wanted, "; it has ",
             is_array_ ? "an array of type " : "a value of type ", gguf_type_name(type_));
}

const std::byte* GgufValue::begin_as(bool array, bool (*fits)(GgufType), std::string_view wanted) const {
  if (is_array_ != array || !fits(type_)) refuse(wanted);
  return data_;
}

int64_t GgufValue::integer_at(const std::byte*& at) const {
  if (type_ == GgufType::u8) return take<uint8_t>(at);
  if (type_ == GgufType::i8) return take<int8_t>(at);
  if (type_ == GgufType::u16) return take<uint16_t>(at);
  if (type_ == GgufType::i16) return take<int16_t>(at);
  if (type_ == GgufType::u32) return take<uint32_t>(at);
  if (type_ == GgufType::i32) return take<int32_t>(at);
  const auto value = take<int64_t>(at);
  check_world(value >= 0 || type_ == GgufType::i64, *path_, ": key ", key_, " at byte ", place_,
              " must have integers of at most 63 bits; it has ", static_cast<uint64_t>(value));
  return value;
}

double GgufValue::number_at(const std::byte*& at) const {
  if (type_ == GgufType::f32) return static_cast<double>(take<float>(at));
  if (type_ == GgufType::f64) return take<double>(at);
  if (type_ == GgufType::u64) return static_cast<double>(take<uint64_t>(at));
  return static_cast<double>(integer_at(at));
}

bool GgufValue::as_boolean() const {
  const std::byte* at = begin_as(false, is_boolean, "a boolean");
  return take<uint8_t>(at) != 0;
}

int64_t GgufValue::as_integer() const {
  const std::byte* at = begin_as(false, is_integer, "an integer");
  return integer_at(at);
}

double GgufValue::as_decimal() const {
  const double number = as_number();
  return type_ == GgufType::f32 ? shortest_decimal(static_cast<float>(number)) : number;
}

double GgufValue::as_number() const {
  const std::byte* at = begin_as(false, is_number, "a number");
  return number_at(at);
}

std::string_view GgufValue::as_string() const {
  const std::byte* at = begin_as(false, is_string, "a string");
  return take_string(at);
}

std::vector<bool> GgufValue::as_booleans() const {
  const std::byte* at = begin_as(true, is_boolean, "an array of booleans");
  std::vector<bool> all(static_cast<std::size_t>(size_));
  for (auto&& value : all) value = take<uint8_t>(at) != 0;
  return all;
}

std::vector<int64_t> GgufValue::as_integers() const {
  const std::byte* at = begin_as(true, is_integer, "an array of integers");
  std::vector<int64_t> all(static_cast<std::size_t>(size_));
  for (int64_t& value : all) value = integer_at(at);
  return all;
}

std::vector<double> GgufValue::as_numbers() const {
  const std::byte* at = begin_as(true, is_number, "an array of numbers");
  std::vector<double> all(static_cast<std::size_t>(size_));
  for (double& value : all) value = number_at(at);
  return all;
}

std::vector<std::string_view> GgufValue::as_strings() const {
  const std::byte* at = begin_as(true, is_string, "an array of strings");
  std::vector<std::string_view> all(static_cast<std::size_t>(size_));
  for (std::string_view& value : all) value = take_string(at);
  return all;
}

// ------------------------------------------------------------------------------------------------ parsing

struct GgufFile::Contents {
  std::string path;
  std::optional<MappedFile> file;
  std::string_view bytes;
  uint32_t version = 0;
  uint64_t alignment = kDefaultAlignment;
  std::vector<std::string_view> keys;
  std::map<std::string_view, GgufValue> values;
  std::vector<GgufTensor> tensors;
  std::map<std::string, std::size_t, std::less<>> places;  // of tensors, by name
};

/// Reads a file from its first byte to its last, and nothing that has not been found to be there.
class GgufParser {
 public:
  explicit GgufParser(GgufFile::Contents& file) : file_(file), bytes_(file.bytes) {}

  void parse() {
    const auto [tensors, values] = header();
    for (uint64_t i = 0; i < values; ++i) value(i);
    alignment();
    file_.tensors.reserve(tensors);
    for (uint64_t i = 0; i < tensors; ++i) tensor(i);
    layout();
  }

 private:
  template <class... Parts>
  void require(bool holds, const Parts&... parts) const {
    check_world(holds, file_.path, ": ", parts...);
  }

  uint64_t left() const { return bytes_.size() - at_; }

  const std::byte* here() const { return reinterpret_cast<const std::byte*>(bytes_.data()) + at_; }

  /// Steps over bytes that must be there, and returns where they are.
  const std::byte* step(uint64_t bytes, std::string_view what, std::string_view name) {
    require(bytes <= left(), "the file is truncated: ", what, name, " takes ", bytes, " bytes from byte ",
            at_, " on, but only ", left(), " are there");
    const std::byte* first = here();
    at_ += bytes;
    return first;
  }

  template <class T>
  T number(std::string_view what, std::string_view name = {}) {
    const std::byte* first = step(sizeof(T), what, name);
    return take<T>(first);
  }

  std::string_view string(std::string_view what, std::string_view name = {}) {
    const auto length = number<uint64_t>(what, name);
    const std::byte* first = step(length, what, name);
    return {reinterpret_cast<const char*>(first), static_cast<std::size_t>(length)};
  }

  std::pair<uint64_t, uint64_t> header() {
    require(bytes_.starts_with(kMagic), "a GGUF file begins with the bytes GGUF; this one does not");
    step(kMagic.size(), "the header", {});
    file_.version = number<uint32_t>("the header");
    require((file_.version & 0xffff) != 0 || file_.version == 0,
            "must be little-endian; its version at byte 4, ", file_.version,
            ", reads as that of a big-endian file; convert it (gguf-convert-endian of Python's gguf)");
    require(file_.version == 2 || file_.version == 3,
            "must be GGUF of version 2 or 3; byte 4 gives it version ", file_.version,
            file_.version == 1 ? "; convert the model again" : "");
    const auto count = [&](std::string_view of, uint64_t least) {
      const uint64_t place = at_;
      const auto claimed = number<uint64_t>("the header");
      require(claimed <= left() / least, "the header gives it ", claimed, of, " at byte ", place,
              ", which take at least ", least, " bytes each; only ", left(), " bytes follow");
      return claimed;
    };
    const uint64_t tensors = count(" tensors", kLeastTensorBytes);
    const uint64_t values = count(" values of metadata", kLeastValueBytes);
    return {tensors, values};
  }

  GgufType type(std::string_view key) {
    const uint64_t place = at_;
    const auto type = number<uint32_t>("the type of key ", key);
    require(type < std::size(kTypes), "key ", key, " must have a type from 0 to ", std::size(kTypes) - 1,
            "; byte ", place, " gives it ", type);
    return static_cast<GgufType>(type);
  }

  void value(uint64_t index) {
    GgufValue value;
    value.path_ = &file_.path;
    value.place_ = at_;
    const std::string_view key = string("a key of the metadata, number ", std::to_string(index));
    require(!key.empty() && key.size() <= kMaxKeyBytes, "a key must have 1 to ", kMaxKeyBytes,
            " bytes; the one at byte ", value.place_, " has ", key.size());
    const auto odd = std::find_if(key.begin(), key.end(), [](char c) { return c <= ' ' || c > '~'; });
    require(odd == key.end(), "a key must be printable ASCII; the one at byte ", value.place_,
            " has the byte ", odd == key.end() ? "" : hex_byte(*odd));
    const auto before = file_.values.find(key);
    require(before == file_.values.end(), "key ", key,
            " must stand in the metadata once; it stands at bytes ",
            before == file_.values.end() ? 0 : before->second.place_, " and ", value.place_);
    value.key_ = key;
    value.type_ = type(key);
    if (value.type_ == GgufType::array) {
      value.is_array_ = true;
      value.type_ = type(key);
      require(value.type_ != GgufType::array, "key ", key, " at byte ", value.place_,
              " must not have an array of arrays, which nobody reads; it has");
      const auto size = number<uint64_t>("the array of key ", key);
      const uint64_t least = std::max<uint64_t>(info_of(value.type_).bytes, is_string(value.type_) ? 8 : 1);
      require(size <= left() / least, "the file is truncated: the array of key ", key, " has ", size,
              " elements of at least ", least, " bytes from byte ", at_, " on, but only ", left(),
              " bytes are there");
      value.size_ = static_cast<int64_t>(size);
    }
    value.data_ = here();
    skip(value);
    file_.keys.push_back(key);
    file_.values.emplace(key, value);
  }

  /// Steps over the elements of a value, each of which must be one.
  void skip(const GgufValue& value) {
    if (is_string(value.type_)) {
      for (int64_t i = 0; i < value.size_; ++i) string("a string of key ", value.key_);
      return;
    }
    const uint64_t place = at_;
    const uint64_t bytes = static_cast<uint64_t>(value.size_) * info_of(value.type_).bytes;
    const std::byte* elements = step(bytes, "the value of key ", value.key_);
    if (!is_boolean(value.type_)) return;
    for (uint64_t i = 0; i < bytes; ++i) {
      require(elements[i] <= std::byte{1}, "key ", value.key_, " must have booleans that are 0 or 1; byte ",
              place + i, " is ", static_cast<int>(elements[i]));
    }
  }

  void alignment() {
    const auto found = file_.values.find(kAlignmentKey);
    if (found == file_.values.end()) return;
    const GgufValue& value = found->second;
    if (value.is_array() || value.type() != GgufType::u32) value.refuse("a value of type u32");
    file_.alignment = static_cast<uint64_t>(value.as_integer());
    require(file_.alignment >= kMinAlignment && file_.alignment <= kMaxAlignment &&
                (file_.alignment & (file_.alignment - 1)) == 0,
            "key ", kAlignmentKey, " at byte ", value.place_, " must be a power of two from ", kMinAlignment,
            " to ", kMaxAlignment, "; it is ", file_.alignment);
  }

  std::string tensor_name(uint64_t index) {
    const uint64_t place = at_;
    const std::string_view name = string("the name of a tensor, number ", std::to_string(index));
    require(!name.empty() && name.size() <= kMaxNameBytes, "the name of a tensor must have 1 to ",
            kMaxNameBytes, " bytes; the one at byte ", place, " has ", name.size());
    require(name.find('\0') == name.npos && replace_invalid_utf8(name) == name,
            "the name of a tensor must be UTF-8 without a zero byte; the one at byte ", place, " is not");
    const auto [before, added] = file_.places.emplace(name, index);
    require(added, "tensor ", name, " must stand in the file once; it is number ", before->second, " and ",
            index, ", at byte ", place);
    return std::string(name);
  }

  void tensor(uint64_t index) {
    GgufTensor tensor;
    tensor.name = tensor_name(index);
    const std::string& name = tensor.name;
    const uint64_t place = at_;
    const auto rank = number<uint32_t>("the shape of tensor ", name);
    require(rank <= kMaxDimensions, "tensor ", name, " must have at most ", kMaxDimensions,
            " dimensions; byte ", place, " gives it ", rank);
    // As if empty axes had one element: then no part of the product can be too large, whatever the order.
    std::optional<int64_t> most = 1;
    std::vector<int64_t> sizes(rank);
    for (int64_t& size : sizes) {
      size = number<int64_t>("the shape of tensor ", name);
      if (most) most = size < 0 ? std::nullopt : checked_multiply(*most, std::max<int64_t>(size, 1));
    }
    const uint64_t type_place = at_;
    const auto type = number<uint32_t>("the type of tensor ", name);
    tensor.type = find_block_type(type);
    require(tensor.type != nullptr, "tensor ", name, " must have a type that is known; byte ", type_place,
            " gives it ", type);
    if (most) most = checked_multiply(*most, tensor.type->bytes);
    const Shape as_stored{std::span<const int64_t>(sizes)};
    require(most.has_value(), "the size of tensor ", name, " must fit in 63 bits; byte ", place + 4,
            " gives it the shape ", as_stored, ", the innermost size first");
    const int64_t row = rank > 0 ? sizes[0] : 1;
    require(row % tensor.type->elements == 0, "tensor ", name, " of type ", tensor.type->name,
            " must have rows of whole blocks, each of ", tensor.type->elements, " elements; byte ", place + 4,
            " gives it rows of ", row);
    std::reverse(sizes.begin(), sizes.end());
    tensor.shape = Shape(std::span<const int64_t>(sizes));
    tensor.bytes = static_cast<uint64_t>(tensor.shape.numel() / tensor.type->elements * tensor.type->bytes);

    const uint64_t offset_place = at_;
    const auto offset = number<uint64_t>("the offset of tensor ", name);
    require(offset == reached_, "tensor ", name, " must begin at byte ", reached_,
            " of the data, where the padding of the one before it ends; byte ", offset_place, " gives it ",
            offset);
    tensor.begin = offset;
    const auto end = checked_add(static_cast<int64_t>(offset), static_cast<int64_t>(tensor.bytes));
    const auto padded = end ? align(static_cast<uint64_t>(*end), file_.alignment) : std::nullopt;
    require(padded.has_value(), "the sizes of all tensors up to ", name, ", at byte ", place,
            ", must fit in 63 bits together; they do not");
    reached_ = *padded;
    file_.tensors.push_back(std::move(tensor));
  }

  /// Gives tensors their bytes of the file, which must be there, and be the last.
  void layout() {
    const uint64_t data = *align(at_, file_.alignment);  // no file is near 63 bits
    for (GgufTensor& tensor : file_.tensors) {
      tensor.begin += data;  // two sizes below 2⁶³
      require(lies_within(tensor.begin, tensor.bytes, bytes_.size()), "the file is truncated: tensor ",
              tensor.name, " takes bytes ", tensor.begin, " to ", tensor.begin + tensor.bytes,
              ", but the file ends at ", bytes_.size());
    }
    require(bytes_.size() <= data + reached_,
            "the file must end with its last tensor and its padding at byte ", data + reached_, "; it has ",
            bytes_.size(), " bytes");
  }

  GgufFile::Contents& file_;
  std::string_view bytes_;
  uint64_t at_ = 0;
  uint64_t reached_ = 0;  // of the data, by the tensors so far and their padding
};

// ------------------------------------------------------------------------------------------------ the file

GgufFile GgufFile::open(const std::string& path) {
  auto contents = std::make_shared<Contents>();
  contents->path = path;
  contents->file.emplace(path);
  contents->bytes = contents->file->text();
  GgufParser(*contents).parse();
  return GgufFile(std::move(contents));
}

GgufFile GgufFile::parse(std::string_view bytes, const std::string& name) {
  auto contents = std::make_shared<Contents>();
  contents->path = name;
  contents->bytes = bytes;
  GgufParser(*contents).parse();
  return GgufFile(std::move(contents));
}

const std::string& GgufFile::path() const { return contents_->path; }
uint32_t GgufFile::version() const { return contents_->version; }
uint64_t GgufFile::alignment() const { return contents_->alignment; }
const std::vector<std::string_view>& GgufFile::keys() const { return contents_->keys; }
const std::vector<GgufTensor>& GgufFile::tensors() const { return contents_->tensors; }

const GgufValue* GgufFile::find(std::string_view key) const {
  const auto found = contents_->values.find(key);
  return found == contents_->values.end() ? nullptr : &found->second;
}

const GgufValue& GgufFile::at(std::string_view key) const {
  const GgufValue* value = find(key);
  check_world(value != nullptr, path(), ": the metadata must have the key ", key, "; it has ", keys().size(),
              " others");
  return *value;
}

Tensor GgufFile::tensor(std::string_view name) const {
  const auto found = contents_->places.find(name);
  check_world(found != contents_->places.end(), path(), ": must have a tensor named ", name, "; it has ",
              tensors().size(), " others");
  const GgufTensor& tensor = tensors()[found->second];
  check_world(values_of(*tensor.type).has_value(), path(), ": tensor ", name,
              " must have a type that can be read; it is ", tensor.type->name);
  const auto* data = reinterpret_cast<const std::byte*>(contents_->bytes.data()) + tensor.begin;
  if (tensor.type->dequantise != nullptr) return dequantise(*tensor.type, data, tensor.shape);
  return tensor_over({tensor.name, std::string(tensor.type->name), tensor.shape, data,
                      static_cast<std::size_t>(tensor.bytes)},
                     path(), contents_);
}

}  // namespace gradus
