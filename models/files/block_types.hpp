#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "tensor/dtype.hpp"
#include "tensor/shape.hpp"
#include "tensor/tensor.hpp"

/// The element types of GGUF: plain ones, and those of blocks, where some elements of a row share a scale or two.
/// ref: ggml-org/ggml, include/ggml.h (numbers), src/ggml-common.h (blocks), src/ggml-quants.c (formulas)

namespace gradus {

/// How a type stores the elements of a row: block after block, without gaps.
struct BlockType {
  uint32_t number;        ///< in a file
  std::string_view name;  ///< "Q4_K"
  int64_t elements;       ///< of a block: 1 of a plain type; a row has whole blocks
  int64_t bytes;          ///< of a block
  /// Writes the values of `count` blocks one after the other to y; null of a plain type and of one that cannot be read.
  void (*dequantise)(const std::byte* blocks, int64_t count, float* y) = nullptr;
  /// Writes the blocks of `count` times `elements` values; null of a plain type and of one that is not written here.
  void (*quantise)(const float* x, int64_t count, std::byte* blocks) = nullptr;
};

/// The type by its number in a file, or null where the reference has none of this number.
const BlockType* find_block_type(uint32_t number);

/// The type by its name; an error where there is none.
const BlockType& block_type(std::string_view name);

/// The type in which values are read: f32 of blocks, its own of a plain one; nothing where they cannot be read.
std::optional<DType> values_of(const BlockType& type);

/// The values of dense blocks.   y = d·q, or d·q + m: each product and sum rounded to f32 in the reference's order
/// shape: as given, f32; its last size is a multiple of type.elements
/// note: the type must have dequantise; the blocks lie at any address.
Tensor dequantise(const BlockType& type, const std::byte* blocks, const Shape& shape);

/// The bytes of a tensor in a file, dense: each element rounded to nearest, ties to even, of a plain type, or blocks.
///   Q8_0: d = max|x| / 127 in f32, q = x · (1/d) rounded, halves away from zero; d is stored as f16
/// shape: x of any, f32 or f64; its last size is a multiple of type.elements
/// note: the type must be plain or have quantise.
std::vector<std::byte> quantise(const BlockType& type, const Tensor& x);

}  // namespace gradus
