#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/files/block_types.hpp"
#include "tensor/shape.hpp"
#include "tensor/tensor.hpp"

/// GGUF, the file of llama.cpp: metadata (keys with values of a type, the tokenizer among them), the list of tensors, and
/// their bytes, each tensor at a multiple of the alignment.
/// ref: ggml-org/ggml, docs/gguf.md, and what its reader (src/gguf.cpp) and llama.cpp's loader accept

namespace gradus {

/// Types of metadata, by their numbers in the file.
enum class GgufType : uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };

/// "u8", "string".
std::string_view gguf_type_name(GgufType type);

/// A value of the metadata: one, or an array. It is valid as long as its file, and so are the strings in it.
class GgufValue {
 public:
  /// The type of the value, or of the elements of an array.
  GgufType type() const { return type_; }
  bool is_array() const { return is_array_; }
  /// Elements of an array; 1 otherwise.
  int64_t size() const { return size_; }

  /// The value as the named kind; an error naming the file, the key and its byte, and both kinds otherwise.
  /// note: as_integer takes every integer type, as_number these and both floating ones; f32 and f64 alone are exact, as are
  ///       integers up to 2⁵³. A u64 beyond 63 bits is no integer.
  bool as_boolean() const;
  int64_t as_integer() const;
  double as_number() const;
  /// The same, of an f32 its shortest_decimal().
  double as_decimal() const;
  std::string_view as_string() const;
  /// The elements of an array, alike.
  std::vector<bool> as_booleans() const;
  std::vector<int64_t> as_integers() const;
  std::vector<double> as_numbers() const;
  std::vector<std::string_view> as_strings() const;

 private:
  friend class GgufParser;
  [[noreturn]] void refuse(std::string_view wanted) const;
  const std::byte* begin_as(bool array, bool (*fits)(GgufType), std::string_view wanted) const;
  int64_t integer_at(const std::byte*& at) const;
  double number_at(const std::byte*& at) const;

  const std::string* path_ = nullptr;
  std::string_view key_;
  uint64_t place_ = 0;  // byte of the file at which the key's entry begins
  GgufType type_ = GgufType::u8;
  bool is_array_ = false;
  int64_t size_ = 1;
  const std::byte* data_ = nullptr;
};

/// What the file says of a tensor.
struct GgufTensor {
  std::string name;
  const BlockType* type = nullptr;
  Shape shape;         ///< outermost size first, the other way round than in the file
  uint64_t begin = 0;  ///< byte of the file
  uint64_t bytes = 0;
};

/// A GGUF file of version 2 or 3, little-endian, mapped into memory and checked: every rule of the format below holds,
/// whatever the file's origin, before anything is taken for as large as the file says.
/// note: refused: counts and lengths that the bytes left cannot hold; keys that are empty, not ASCII or there twice; types
///       without a meaning, arrays of arrays, booleans beside 0 and 1; an alignment that is no power of two from 8 to 1 MiB;
///       names that are empty, not UTF-8, of 64 bytes or more, or there twice; more than 4 dimensions; sizes beyond 63
///       bits; rows that are not whole blocks; a tensor that does not begin where the padding of the one before it ends, or
///       that the file does not hold whole; and bytes behind the last one's padding.
/// note: not asked, as llama.cpp does not: that the padding behind the last tensor is there, that padding is zero, that
///       keys are in lower case. Strings are bytes: tokens of some writers are not UTF-8.
/// note: copies share the map, which lives as long as the last of them and the tensors taken from it.
class GgufFile {
 public:
  static GgufFile open(const std::string& path);
  /// The same of bytes that outlive it and its tensors; `name` stands for the path.
  static GgufFile parse(std::string_view bytes, const std::string& name);

  const std::string& path() const;
  uint32_t version() const;
  uint64_t alignment() const;

  /// The keys of the metadata, in the order of the file.
  const std::vector<std::string_view>& keys() const;
  /// The value of a key, or null where there is none.
  const GgufValue* find(std::string_view key) const;
  /// The value of a key; an error naming the file and the key where there is none.
  const GgufValue& at(std::string_view key) const;

  /// The tensors, in the order of the file.
  const std::vector<GgufTensor>& tensors() const;
  /// The values: over the file's bytes, read-only, of a plain type; of blocks, a dequantised copy in f32.
  Tensor tensor(std::string_view name) const;

 private:
  struct Contents;
  friend class GgufParser;
  explicit GgufFile(std::shared_ptr<const Contents> contents) : contents_(std::move(contents)) {}
  std::shared_ptr<const Contents> contents_;
};

}  // namespace gradus
