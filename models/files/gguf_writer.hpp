#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/files/block_types.hpp"
#include "tensor/io/file.hpp"

namespace gradus {

/// The metadata of a GGUF file that is to be written: keys with their values, in the order in which they are set.
/// note: a key may be set once.
class GgufFields {
 public:
  void boolean(std::string_view key, bool value);
  void u32(std::string_view key, int64_t value);  ///< an error unless it fits
  void f32(std::string_view key, double value);   ///< rounded to nearest
  void text(std::string_view key, std::string_view value);
  void texts(std::string_view key, const std::vector<std::string>& values);
  void i32s(std::string_view key, std::span<const int32_t> values);
  void f32s(std::string_view key, std::span<const float> values);
  void add(const GgufFields& others);

  bool contains(std::string_view key) const;
  int64_t size() const { return static_cast<int64_t>(keys_.size()); }
  /// As they stand in a file.
  const std::string& bytes() const { return bytes_; }

 private:
  void check_new(std::string_view key) const;
  void begin(std::string_view key, uint32_t type);

  std::vector<std::string> keys_;
  std::string bytes_;
};

/// A tensor to be written, and the type of its elements in the file: a plain one, or one with `quantise`.
struct GgufOutput {
  std::string name;
  Tensor tensor;  ///< f32, of rank 1 to 4, at any strides
  const BlockType* type = nullptr;
};

/// Everything of a GGUF file of version 3 that stands before the bytes of its tensors.
std::string gguf_head(const GgufFields& fields, std::span<const GgufOutput> tensors = {});
/// A GGUF file: its head and the tensors, each at a multiple of 32 bytes.
/// note: one tensor at a time is in memory as the file holds it.
void write_gguf(AtomicFile& file, const GgufFields& fields, std::span<const GgufOutput> tensors);

}  // namespace gradus
