#include "models/embeddings/pooling.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "tensor/error.hpp"
#include "tensor/parallel.hpp"

namespace gradus {

std::string_view name_of(Pooling pooling) {
  switch (pooling) {
    case Pooling::mean: return "mean";
    case Pooling::last: return "last";
    case Pooling::max: return "max";
  }
  return "?";
}

Pooling parse_pooling(std::string_view name) {
  for (const Pooling pooling : {Pooling::mean, Pooling::last, Pooling::max}) {
    if (name_of(pooling) == name) return pooling;
  }
  fail("pooling: must be one of mean, last, max; it is '", name, "'");
}

Tensor pool_rows(const Tensor& x, std::span<const RowRange> ranges, Pooling pooling) {
  check(x.rank() == 2, "pool_rows: x must have two axes; its shape is ", x.shape());
  const int64_t n = x.size(0);
  const int64_t width = x.size(1);
  for (const RowRange& range : ranges) {
    check(range.begin >= 0 && range.begin < range.end && range.end <= n,
          "pool_rows: a range must hold at least one of ", n, " rows; it is [", range.begin, ", ", range.end,
          ")");
  }
  const auto count = static_cast<int64_t>(ranges.size());
  const Tensor dense = x.to_contiguous();
  Tensor y = Tensor::empty({count, width});
  const float* from = dense.data<float>();
  float* to = y.mutable_data<float>();
  constexpr int64_t kGrain = 64;
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const RowRange range = ranges[static_cast<size_t>(r)];
      float* row = to + r * width;
      for (int64_t c = 0; c < width; ++c) {
        switch (pooling) {
          case Pooling::last: row[c] = from[(range.end - 1) * width + c]; break;
          case Pooling::max: {
            float best = from[range.begin * width + c];
            for (int64_t i = range.begin + 1; i < range.end; ++i) best = std::max(best, from[i * width + c]);
            row[c] = best;
            break;
          }
          case Pooling::mean: {
            double sum = 0;
            for (int64_t i = range.begin; i < range.end; ++i) sum += static_cast<double>(from[i * width + c]);
            row[c] = static_cast<float>(sum / static_cast<double>(range.end - range.begin));
            break;
          }
        }
      }
    }
  });
  return y;
}

}  // namespace gradus
