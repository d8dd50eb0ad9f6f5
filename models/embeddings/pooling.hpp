#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "tensor/tensor.hpp"

namespace gradus {

/// How the vectors of several tokens become one.
enum class Pooling {
  mean,  ///< their average
  last,  ///< that of the last token, the only one that has seen all the others
  max,   ///< the largest value of each channel
};
std::string_view name_of(Pooling pooling);
/// An error lists the possible names.
Pooling parse_pooling(std::string_view name);

/// Rows begin … end-1 of a tensor.
struct RowRange {
  int64_t begin;
  int64_t end;
  bool operator==(const RowRange&) const = default;
};

/// One row for each range: y_r = pooled x[begin_r … end_r - 1].   shape: x (N,C) f32 -> (ranges, C). No gradient.
/// note: sums run in ascending order in f64, so a row depends on its range alone. An empty range is an error.
Tensor pool_rows(const Tensor& x, std::span<const RowRange> ranges, Pooling pooling);

}  // namespace gradus
