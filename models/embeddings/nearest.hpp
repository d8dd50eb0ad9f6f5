#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string_view>
#include <vector>

#include "tensor/tensor.hpp"

namespace gradus {

/// How alike two vectors are (cosine, dot: the more, the nearer) or how far apart (euclidean, manhattan: the less, the nearer).
enum class Metric {
  cosine,     ///< a · b / (|a| |b|); 0 where one of them is zero
  euclidean,  ///< |a − b| = √Σ (a_i − b_i)²
  manhattan,  ///< Σ |a_i − b_i|
  dot,        ///< a · b = Σ a_i b_i
};
std::string_view name_of(Metric metric);
/// An error lists the possible names.
Metric parse_metric(std::string_view name);
/// Whether more is nearer.
bool is_similarity(Metric metric);

/// The metric of two vectors, its sums in ascending order in f64.
double measure(Metric metric, std::span<const float> a, std::span<const float> b);
inline double cosine(std::span<const float> a, std::span<const float> b) {
  return measure(Metric::cosine, a, b);
}
/// L1: Σ |a_i|. L2: √Σ a_i².
double norm_l1(std::span<const float> a);
double norm_l2(std::span<const float> a);

struct Neighbor {
  int64_t row;
  double value;  ///< the metric
  bool operator==(const Neighbor&) const = default;
};

struct NearestOptions {
  int64_t k = 10;
  Metric metric = Metric::cosine;
  /// Only the first so many rows compete; 0: all.
  int64_t restrict = 0;
  std::function<void()> on_step = {};  ///< called now and then; it may throw
};

struct Nearest {
  std::vector<std::vector<Neighbor>> of;  ///< each query's, best first, of equals the lower row first
  int64_t skipped = 0;  ///< rows that hold a NaN or an infinity: they are nobody's neighbours
};

/// The k rows of a table nearest to each query, exactly: the same for one query and for a thousand.
/// shape: table f32 (V,C), queries f32 (Q,C). `leave_out`: of each query the rows that do not compete, such as its own;
/// empty: all compete.
/// note: products in f32 find the rows that can be among the nearest, whose metric is then computed in f64, see measure().
///       The bound of their rounding is (C + 16) · 2^-23 of the product of the lengths, so that none is passed over.
/// note: a query with a NaN or an infinity is an error.
Nearest nearest(const Tensor& table, const Tensor& queries, const NearestOptions& options,
                std::span<const std::vector<int64_t>> leave_out = {});

}  // namespace gradus
