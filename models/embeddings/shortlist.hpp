#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <span>
#include <vector>

#include "models/embeddings/nearest.hpp"
#include "tensor/kernels/kernels.hpp"

/// What exact searches over a table share: products in f32 choose the rows whose score is then computed in f64.

namespace gradus::detail {

inline std::size_t size(int64_t n) { return static_cast<std::size_t>(n); }

/// A row that may be among the nearest, and between which two numbers its score lies: the more, the nearer.
struct Candidate {
  int64_t row;
  double low, high;
};

/// The best candidates of one query so far: all whose score may be among the k largest.
class Shortlist {
 public:
  explicit Shortlist(int64_t k) : k_(size(k)) {}

  void add(const Candidate& candidate) {
    if (candidate.high < least_) return;
    rows_.push_back(candidate);
    if (rows_.size() >= limit_) cut();
  }
  /// What a score must reach for its row to count.
  double least() const { return least_; }
  void cut() {
    if (rows_.size() < k_) return;
    std::nth_element(rows_.begin(), rows_.begin() + static_cast<std::ptrdiff_t>(k_ - 1), rows_.end(),
                     [](const Candidate& a, const Candidate& b) { return a.low > b.low; });
    least_ = rows_[k_ - 1].low;
    std::erase_if(rows_, [&](const Candidate& c) { return c.high < least_; });
    // Of rows that are all alike none can go.
    limit_ = std::max(4 * k_ + 64, 2 * rows_.size());
  }
  const std::vector<Candidate>& rows() const { return rows_; }

 private:
  std::size_t k_;
  std::size_t limit_ = 4 * k_ + 64;
  std::vector<Candidate> rows_;
  double least_ = -std::numeric_limits<double>::infinity();
};

inline bool all_finite(std::span<const float> x) {
  return std::all_of(x.begin(), x.end(), [](float value) { return std::isfinite(value); });
}

/// Σ x² on 16 lanes in f32.
inline float squares_of(std::span<const float> x) {
  return kernels::table<float>().squares({x.data(), std::ssize(x)});
}
/// Where squares are out of f32's reach, so may be the products: such rows are computed exactly.
inline constexpr float kSmall = 1e-28f, kLarge = 1e28f;
inline bool is_plain(float squares) { return squares > kSmall && squares < kLarge; }
/// Of the product of two lengths, what their product in f32 can be off.
inline float bound_of(int64_t width) { return static_cast<float>(width + 16) * 0x1p-23f; }

/// Rows as products take them for their second factor, in panels of 16; those behind the last are zeros.
struct Panels {
  int64_t count = 0, width = 0;
  std::vector<float> values;

  Panels() = default;
  Panels(const float* rows, int64_t number, int64_t row_width) { assign(rows, number, row_width); }
  void assign(const float* rows, int64_t number, int64_t row_width) {
    count = number;
    width = row_width;
    values.resize(size(padded() * width));
    kernels::table<float>().pack({rows, 1, width, width, count, values.data(), panel()});
  }
  int64_t panel() const { return kernels::kLanes * width; }
  int64_t padded() const { return (count + kernels::kLanes - 1) / kernels::kLanes * kernels::kLanes; }
  /// y (m, padded()) = rows (m, width) times these.
  void multiply(const float* rows, int64_t m, float* y) const {
    kernels::table<float>().gemm({.a = rows,
                                  .a_row = width,
                                  .a_k = 1,
                                  .b = values.data(),
                                  .b_panel = panel(),
                                  .b_row = kernels::kLanes,
                                  .c = y,
                                  .c_row = padded(),
                                  .m = m,
                                  .n = padded(),
                                  .k = width});
  }
};

inline constexpr int64_t kBlockRows = 96;     ///< of a product: with it they stay in the second-level cache
inline constexpr int64_t kChunkRows = 12288;  ///< of a task

/// The k best rows of query q among the shortlists of all chunks, by their exact score: of equals the lower row first.
template <class Score>
std::vector<Neighbor> best_of(const std::vector<std::vector<Shortlist>>& lists, std::size_t q,
                              std::span<const int64_t> leave_out, int64_t k, const Score& score) {
  Shortlist all(k);
  for (const std::vector<Shortlist>& chunk : lists) {
    for (const Candidate& candidate : chunk[q].rows()) {
      if (std::find(leave_out.begin(), leave_out.end(), candidate.row) == leave_out.end()) all.add(candidate);
    }
  }
  all.cut();
  std::vector<Neighbor> found;
  for (const Candidate& candidate : all.rows()) found.push_back({candidate.row, score(candidate.row)});
  const auto kept = std::min(size(k), found.size());
  std::partial_sort(found.begin(), found.begin() + static_cast<std::ptrdiff_t>(kept), found.end(),
                    [](const Neighbor& a, const Neighbor& b) {
                      return a.value != b.value ? a.value > b.value : a.row < b.row;
                    });
  found.resize(kept);
  return found;
}

}  // namespace gradus::detail
