#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "tensor/storage.hpp"
#include "tensor/tensor.hpp"

namespace gradus {

/// How a packed weight holds its numbers: f32 as they are, bf16 (half the memory), q8 (a byte each and a 16-bit scale for
/// every 32 inputs of an output: 17/64 of the memory).
enum class WeightFormat { f32, bf16, q8 };
/// "f32", "bf16", "q8".
std::string_view weight_format_name(WeightFormat format);
/// The format of a name; another name is an error that lists them.
WeightFormat parse_weight_format(std::string_view name);

/// A matrix (N,K) of a layer y = x · wᵀ in the form that inference reads: panels of 16 outputs. It cannot be trained or
/// changed. Copies share the memory.
/// note: bf16 rounds each number to nearest even. q8 takes for every output and 32 consecutive inputs the scale
///       max|w| / 127, rounded to f16, and stores w / scale rounded to the nearest integer in [-127, 127]. Either way a
///       packed weight is a set of f32 numbers, unpack(); products compute with exactly these, in the order that linear()
///       has for a dense f32 weight, whatever the number of rows.
class PackedWeight {
 public:
  PackedWeight() = default;
  /// note: `w` must be f32 of two axes; in bf16 and q8 all numbers must be finite, in q8 below 127 · 65504 in size.
  PackedWeight(const Tensor& w, WeightFormat format);

  bool defined() const { return panels_ != nullptr; }
  WeightFormat format() const { return format_; }
  int64_t rows() const { return rows_; }        ///< N
  int64_t columns() const { return columns_; }  ///< K
  uint64_t bytes() const;
  /// The numbers that products see, f32 (N,K).
  Tensor unpack() const;

  /// For the ops: the panels and, in q8, their scales.
  const std::shared_ptr<Storage>& panels() const { return panels_; }
  const std::shared_ptr<Storage>& scales() const { return scales_; }

 private:
  WeightFormat format_ = WeightFormat::f32;
  int64_t rows_ = 0;
  int64_t columns_ = 0;
  std::shared_ptr<Storage> panels_;
  std::shared_ptr<Storage> scales_;
};

}  // namespace gradus
