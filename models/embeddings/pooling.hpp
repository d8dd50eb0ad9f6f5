#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "tensor/tensor.hpp"

namespace gradus {

/// How the vectors of several tokens become one.
enum class Pooling {
  mean,                  ///< their average
  cls,                   ///< that of the first token, as BERT's [CLS]
  max,                   ///< the largest value of each channel
  last,                  ///< that of the last token, the only one that has seen all the others
  mean_sqrt_len_tokens,  ///< their sum, divided by the root of how many they are
  weightedmean,          ///< their average, in which the i-th token of the text counts i times
};
std::string_view name_of(Pooling pooling);
/// An error lists the possible names. note: `lasttoken` is another name of `last`, that of sentence-transformers.
Pooling parse_pooling(std::string_view name);
/// The names with commas.
std::string names_of(std::span<const Pooling> poolings);

/// Rows begin … end-1 of a tensor.
struct RowRange {
  int64_t begin;
  int64_t end;
  /// Rows of the text before `begin` that are left out, as those of a prompt: weightedmean counts from the first of them.
  int64_t skipped = 0;
  bool operator==(const RowRange&) const = default;
};

/// One row for each range: y_r = pooled x[begin_r … end_r - 1].   shape: x (N,C) f32 -> (ranges, C). No gradient.
/// mean: Σ x_i / n;  mean_sqrt_len_tokens: Σ x_i / √n;  weightedmean: Σ w_i x_i / Σ w_i, w_i = skipped + 1, skipped + 2, …
/// ref: sentence-transformers, Pooling
/// note: sums run in ascending order in f64, so a row depends on its range alone. An empty range is an error.
Tensor pool_rows(const Tensor& x, std::span<const RowRange> ranges, Pooling pooling);
/// The same in several ways, side by side.   shape: x (N,C) f32 -> (ranges, ways · C).
Tensor pool_rows(const Tensor& x, std::span<const RowRange> ranges, std::span<const Pooling> poolings);

/// y = x / max(‖x‖, 1e-12), row by row.   shape: (N,C) f32 -> the same. No gradient.
/// ref: torch.nn.functional.normalize
/// note: the length is summed in ascending order in f64; a row of zeros stays one.
Tensor normalize_rows(const Tensor& x);

}  // namespace gradus
