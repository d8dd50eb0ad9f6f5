#include "models/embeddings/neighbors.hpp"

#include <algorithm>

#include "tensor/error.hpp"
#include "tensor/math.hpp"
#include "tensor/parallel.hpp"

namespace gradus {

double cosine(std::span<const float> a, std::span<const float> b) {
  check(a.size() == b.size(), "cosine: both must have as many values; they have ", a.size(), " and ",
        b.size());
  double ab = 0;
  double aa = 0;
  double bb = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    const auto x = static_cast<double>(a[i]);
    const auto y = static_cast<double>(b[i]);
    ab += x * y;
    aa += x * x;
    bb += y * y;
  }
  // Two roots, not one of the product, which could overflow. The quotient can pass 1 by a rounding.
  const double lengths = math::sqrt(aa) * math::sqrt(bb);
  return lengths == 0 ? 0 : std::clamp(ab / lengths, -1.0, 1.0);
}

std::vector<Neighbor> nearest(const Tensor& table, std::span<const float> query, int64_t k,
                              int64_t leave_out) {
  check(table.rank() == 2 && table.size(1) == static_cast<int64_t>(query.size()),
        "nearest: the query must be as wide as the table's rows; the table is ", table.shape(),
        ", the query has ", query.size(), " values");
  check(k >= 1, "nearest: k must be at least 1; it is ", k);
  const Tensor dense = table.to_contiguous();
  const float* rows = dense.data<float>();
  const int64_t count = dense.size(0);
  const auto width = query.size();
  std::vector<Neighbor> all(static_cast<size_t>(count));
  constexpr int64_t kGrain = 256;
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      all[static_cast<size_t>(r)] = {r, cosine({rows + static_cast<size_t>(r) * width, width}, query)};
    }
  });
  for (const Neighbor& neighbor : all) {
    check_world(neighbor.similarity == neighbor.similarity, "nearest: vectors must be finite; with row ",
                neighbor.row, " the cosine is not a number; make the table again");
  }
  if (leave_out >= 0 && leave_out < count) all.erase(all.begin() + leave_out);
  const auto kept = static_cast<std::ptrdiff_t>(std::min<int64_t>(k, static_cast<int64_t>(all.size())));
  std::partial_sort(all.begin(), all.begin() + kept, all.end(), [](const Neighbor& a, const Neighbor& b) {
    return a.similarity != b.similarity ? a.similarity > b.similarity : a.row < b.row;
  });
  all.resize(static_cast<size_t>(kept));
  return all;
}

}  // namespace gradus
