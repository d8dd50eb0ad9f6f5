#include "models/embeddings/senses.hpp"

#include <algorithm>
#include <limits>
#include <map>

#include "models/embeddings/cluster.hpp"
#include "models/embeddings/nearest.hpp"
#include "models/embeddings/pooling.hpp"
#include "tensor/error.hpp"

namespace gradus {
namespace {

// Σ over pairs of two different rows of their cosine, and how many pairs there are: |Σ x|² = Σ |x|² + 2 Σ pairs.
struct PairSum {
  double sum = 0;
  double pairs = 0;
  double mean() const { return pairs == 0 ? 0 : sum / pairs; }
};

PairSum pairs_of(const Tensor& unit, const std::vector<int64_t>& rows) {
  const int64_t width = unit.size(1);
  std::vector<double> total(static_cast<std::size_t>(width), 0.0);
  double squares = 0;
  for (const int64_t r : rows) {
    for (int64_t c = 0; c < width; ++c) {
      const auto x = static_cast<double>(unit.data<float>()[r * width + c]);
      total[static_cast<std::size_t>(c)] += x;
      squares += x * x;
    }
  }
  double length = 0;
  for (const double x : total) length += x * x;
  const auto n = static_cast<double>(rows.size());
  return {(length - squares) / 2, n * (n - 1) / 2};
}

}  // namespace

SenseFigures judge_senses(const Tensor& x, std::span<const int64_t> senses, const Tensor& others) {
  check(x.rank() == 2 && std::ssize(senses) == x.size(0), "senses: there must be one for each of ",
        x.rank() == 2 ? x.size(0) : 0, " occurrences; there are ", senses.size());
  const Tensor unit = normalize_rows(x).to_contiguous();
  std::map<int64_t, std::vector<int64_t>> rows_of;
  std::vector<int64_t> all;
  for (int64_t r = 0; r < unit.size(0); ++r) {
    rows_of[senses[static_cast<std::size_t>(r)]].push_back(r);
    all.push_back(r);
  }
  SenseFigures figures;
  const PairSum any = pairs_of(unit, all);
  PairSum within;
  std::size_t largest = 0;
  for (const auto& [sense, rows] : rows_of) {
    const PairSum own = pairs_of(unit, rows);
    within.sum += own.sum;
    within.pairs += own.pairs;
    largest = std::max(largest, rows.size());
  }
  figures.self_similarity = any.mean();
  figures.within = within.mean();
  figures.between = PairSum{any.sum - within.sum, any.pairs - within.pairs}.mean();
  figures.most_frequent = all.empty() ? 0 : static_cast<double>(largest) / static_cast<double>(all.size());
  if (others.size(0) > 1) {
    const Tensor other_unit = normalize_rows(others).to_contiguous();
    std::vector<int64_t> other_rows;
    for (int64_t r = 0; r < other_unit.size(0); ++r) other_rows.push_back(r);
    figures.anisotropy = pairs_of(other_unit, other_rows).mean();
  }
  constexpr double kUndefined = std::numeric_limits<double>::quiet_NaN();
  if (within.pairs == 0) figures.within = kUndefined;
  if (rows_of.size() < 2) figures.between = figures.silhouette = kUndefined;
  if (rows_of.size() > 1) figures.silhouette = silhouette(unit, senses);
  if (all.size() > 1) {
    std::vector<std::vector<int64_t>> own;
    for (const int64_t r : all) own.push_back({r});
    const Nearest nearest_rows = nearest(unit, unit, {.k = 1}, own);
    int64_t right = 0;
    for (const int64_t r : all) {
      const auto& found = nearest_rows.of[static_cast<std::size_t>(r)];
      right += !found.empty() &&
                       senses[static_cast<std::size_t>(found[0].row)] == senses[static_cast<std::size_t>(r)]
                   ? 1
                   : 0;
    }
    figures.nearest_accuracy = static_cast<double>(right) / static_cast<double>(all.size());
  }
  return figures;
}

}  // namespace gradus
