#include "models/embeddings/pooling.hpp"

#include <algorithm>
#include <string>
#include <vector>

#include "tensor/error.hpp"
#include "tensor/math.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

constexpr int64_t kGrain = 64;

/// y = Σ weight(i) x_i / divisor over the rows of a range; `sum` is scratch, one f64 a channel.
template <class Weight>
void pool_sum(const float* x, int64_t count, double divisor, Weight&& weight, std::span<double> sum,
              float* y) {
  std::fill(sum.begin(), sum.end(), 0.0);
  for (int64_t i = 0; i < count; ++i) {
    const double w = weight(i);
    for (double& s : sum) s += w * static_cast<double>(*x++);
  }
  for (const double s : sum) *y++ = static_cast<float>(s / divisor);
}

void pool_range(const float* x, const RowRange& range, Pooling pooling, std::span<double> sum, float* y) {
  const auto width = static_cast<int64_t>(sum.size());
  const int64_t count = range.end - range.begin;
  const auto n = static_cast<double>(count);
  const float* first = x + range.begin * width;
  const auto one = [](int64_t) { return 1.0; };
  switch (pooling) {
    case Pooling::mean: pool_sum(first, count, n, one, sum, y); break;
    case Pooling::mean_sqrt_len_tokens: pool_sum(first, count, math::sqrt(n), one, sum, y); break;
    case Pooling::weightedmean: {
      const auto skipped = static_cast<double>(range.skipped);
      const auto position = [&](int64_t i) { return skipped + static_cast<double>(i + 1); };
      pool_sum(first, count, n * skipped + n * (n + 1) / 2, position, sum, y);
      break;
    }
    case Pooling::cls: std::copy_n(first, width, y); break;
    case Pooling::last: std::copy_n(x + (range.end - 1) * width, width, y); break;
    case Pooling::max:
      std::copy_n(first, width, y);
      for (int64_t i = 1; i < count; ++i) {
        for (int64_t c = 0; c < width; ++c) y[c] = std::max(y[c], first[i * width + c]);
      }
      break;
  }
}

}  // namespace

std::string_view name_of(Pooling pooling) {
  switch (pooling) {
    case Pooling::mean: return "mean";
    case Pooling::cls: return "cls";
    case Pooling::max: return "max";
    case Pooling::last: return "last";
    case Pooling::mean_sqrt_len_tokens: return "mean_sqrt_len_tokens";
    case Pooling::weightedmean: return "weightedmean";
  }
  return "?";
}

Pooling parse_pooling(std::string_view name) {
  if (name == "lasttoken") return Pooling::last;
  for (const Pooling pooling : {Pooling::mean, Pooling::cls, Pooling::max, Pooling::last,
                                Pooling::mean_sqrt_len_tokens, Pooling::weightedmean}) {
    if (name_of(pooling) == name) return pooling;
  }
  fail("pooling: must be one of mean, cls, max, last, mean_sqrt_len_tokens, weightedmean; it is '", name,
       "'");
}

std::string names_of(std::span<const Pooling> poolings) {
  std::string names;
  for (const Pooling pooling : poolings) names += (names.empty() ? "" : ",") + std::string(name_of(pooling));
  return names;
}

Tensor pool_rows(const Tensor& x, std::span<const RowRange> ranges, Pooling pooling) {
  return pool_rows(x, ranges, {&pooling, 1});
}

Tensor pool_rows(const Tensor& x, std::span<const RowRange> ranges, std::span<const Pooling> poolings) {
  check(x.rank() == 2, "pool_rows: x must have two axes; its shape is ", x.shape());
  check(!poolings.empty(), "pool_rows: there must be a way to pool; none was given");
  const int64_t n = x.size(0);
  const int64_t width = x.size(1);
  for (const RowRange& range : ranges) {
    check(range.begin >= 0 && range.begin < range.end && range.end <= n,
          "pool_rows: a range must hold at least one of ", n, " rows; it is [", range.begin, ", ", range.end,
          ")");
  }
  const auto count = static_cast<int64_t>(ranges.size());
  const Tensor dense = x.to_contiguous();
  Tensor y = Tensor::empty({count, std::ssize(poolings) * width});
  const float* from = dense.data<float>();
  float* to = y.mutable_data<float>();
  parallel_ranges(count, kGrain, [&](int64_t begin, int64_t end) {
    std::vector<double> sum(static_cast<size_t>(width));
    float* row = to + begin * std::ssize(poolings) * width;
    for (int64_t r = begin; r < end; ++r) {
      for (const Pooling pooling : poolings) {
        pool_range(from, ranges[static_cast<size_t>(r)], pooling, sum, row);
        row += width;
      }
    }
  });
  return y;
}

Tensor normalize_rows(const Tensor& x) {
  check(x.rank() == 2, "normalize_rows: x must have two axes; its shape is ", x.shape());
  constexpr double kShortest = 1e-12;
  const Tensor dense = x.to_contiguous();
  const int64_t width = x.size(1);
  Tensor y = Tensor::empty(x.shape());
  const float* from = dense.data<float>();
  float* to = y.mutable_data<float>();
  parallel_ranges(x.size(0), kGrain, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      double squares = 0;
      for (int64_t i = r * width; i < (r + 1) * width; ++i) {
        const auto value = static_cast<double>(from[i]);
        squares += value * value;
      }
      const double length = std::max(math::sqrt(squares), kShortest);
      for (int64_t i = r * width; i < (r + 1) * width; ++i)
        to[i] = static_cast<float>(static_cast<double>(from[i]) / length);
    }
  });
  return y;
}

}  // namespace gradus
