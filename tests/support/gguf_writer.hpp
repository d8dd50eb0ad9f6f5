#pragma once

#include <bit>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace gradus::testing {

/// The bytes of a number, a type, a length: little-endian.
template <class T>
std::string le(T value) {
  std::string bytes;
  const auto add = [&](auto bits) {
    for (std::size_t i = 0; i < sizeof value; ++i) bytes += static_cast<char>(bits >> 8 * i & 0xff);
  };
  if constexpr (sizeof value == 8) {
    add(std::bit_cast<uint64_t>(value));
  } else if constexpr (sizeof value == 4) {
    add(std::bit_cast<uint32_t>(value));
  } else {
    add(static_cast<uint32_t>(value));
  }
  return bytes;
}

/// A GGUF file, right unless a member that a test has set says something else than what stands in it.
class GgufWriter {
 public:
  struct TensorEntry {
    std::string name;
    std::vector<int64_t> sizes;  // innermost first
    uint32_t type = 0;
    std::string data;
    std::optional<uint64_t> offset = {};
    std::optional<uint32_t> rank = {};
  };

  std::string magic = "GGUF";
  uint32_t version = 3;
  uint64_t alignment = 32;  // for padding alone: the key in the metadata is a value as others are
  std::optional<uint64_t> tensor_count, value_count;
  bool pad_last = true;
  std::vector<TensorEntry> tensors;

  static std::string text(std::string_view text) { return le(uint64_t{text.size()}) + std::string(text); }
  static std::string array(uint32_t type, uint64_t size, std::string_view elements) {
    return le(type) + le(size) + std::string(elements);
  }

  /// A value of the metadata: the number of its type, and its bytes.
  GgufWriter& value(std::string_view key, uint32_t type, std::string_view bytes) {
    values_ += text(key) + le(type) + std::string(bytes);
    ++count_;
    return *this;
  }
  GgufWriter& string(std::string_view key, std::string_view value_text) {
    return value(key, 8, text(value_text));
  }
  GgufWriter& u32(std::string_view key, uint32_t number) { return value(key, 4, le(number)); }
  GgufWriter& tensor(TensorEntry entry) {
    tensors.push_back(std::move(entry));
    return *this;
  }

  std::string bytes() const {
    std::string file = magic + le(version) + le(tensor_count.value_or(tensors.size())) +
                       le(value_count.value_or(count_)) + values_;
    std::string data;
    std::size_t last_padding = 0;
    for (const TensorEntry& entry : tensors) {
      file += text(entry.name) + le(entry.rank.value_or(static_cast<uint32_t>(entry.sizes.size())));
      for (const int64_t size : entry.sizes) file += le(size);
      file += le(entry.type) + le(entry.offset.value_or(data.size()));
      data += entry.data;
      last_padding = padding(data.size());
      data.append(last_padding, '\0');
    }
    if (!pad_last) data.resize(data.size() - last_padding);
    if (!tensors.empty()) file.append(padding(file.size()), '\0');
    return file + data;
  }

 private:
  std::size_t padding(std::size_t size) const { return (alignment - size % alignment) % alignment; }

  std::string values_;
  uint64_t count_ = 0;
};

}  // namespace gradus::testing
