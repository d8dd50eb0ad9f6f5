// Rows of tokens become rows of words and texts, against plain loops in double precision.

#include "models/embeddings/pooling.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

#include "tensor/ops.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/use_threads.hpp"

using namespace gradus;
using namespace gradus::testing;

namespace {

constexpr Pooling kAll[] = {Pooling::mean, Pooling::cls,          Pooling::max,
                            Pooling::last, Pooling::weightedmean, Pooling::mean_sqrt_len_tokens};

double reference(const std::vector<float>& x, int64_t width, const RowRange& range, Pooling pooling,
                 int64_t c) {
  std::vector<double> values;
  for (int64_t i = range.begin; i < range.end; ++i)
    values.push_back(static_cast<double>(x[static_cast<size_t>(i * width + c)]));
  double sum = 0;
  double weighted = 0;
  double weights = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    const auto position = static_cast<double>(range.skipped) + static_cast<double>(i) + 1;
    sum += values[i];
    weighted += position * values[i];
    weights += position;
  }
  const auto n = static_cast<double>(values.size());
  switch (pooling) {
    case Pooling::mean: return sum / n;
    case Pooling::cls: return values.front();
    case Pooling::max: return *std::max_element(values.begin(), values.end());
    case Pooling::last: return values.back();
    case Pooling::mean_sqrt_len_tokens: return sum / std::sqrt(n);
    case Pooling::weightedmean: return weighted / weights;
  }
  return 0;
}

}  // namespace

TEST_CASE("every pooling is the nearest float to what double precision gives, at any number of threads") {
  const int64_t width = 7;
  const Tensor x = random_tensor({211, width}, 5);
  const std::vector<float> values = x.to_vector<float>();
  std::vector<RowRange> ranges = {{0, 211}, {3, 4}, {17, 90, 5}};
  for (int64_t i = 0; i < 200; ++i) ranges.push_back({i, i + 1 + i % 11, i % 3});
  for (const Pooling pooling : kAll) {
    INFO(name_of(pooling));
    const UseThreads one(1);
    const Tensor pooled = pool_rows(x, ranges, pooling);
    const std::vector<float> y = pooled.to_vector<float>();
    size_t wrong = 0;
    for (size_t r = 0; r < ranges.size(); ++r) {
      for (int64_t c = 0; c < width; ++c)
        wrong += y[r * width + static_cast<size_t>(c)] !=
                 static_cast<float>(reference(values, width, ranges[r], pooling, c));
    }
    CHECK(wrong == 0);
    for (const int threads : {2, 4}) {
      const UseThreads several(threads);
      CHECK(same_bits(pool_rows(x, ranges, pooling), pooled) == "");
    }
    CHECK(same_bits(pool_rows(x, std::vector<RowRange>{ranges[2]}, pooling), slice(pooled, 0, 2, 3)) == "");
  }
}

TEST_CASE("weights of positions go on behind rows that are left out") {
  const Tensor x = Tensor::from(std::vector<float>{1, 10, 100}, {3, 1});
  const std::vector<RowRange> ranges = {{0, 3}, {1, 3}, {1, 3, 1}};
  const std::vector<float> y = pool_rows(x, ranges, Pooling::weightedmean).to_vector<float>();
  CHECK(y == std::vector<float>{321.0F / 6, 210.0F / 3, 320.0F / 5});
}

TEST_CASE("several ways to pool stand side by side in the order in which they were given") {
  const Tensor x = Tensor::from(std::vector<float>{1, 5, 3, -2, 8, 0}, {3, 2});
  const std::vector<RowRange> ranges = {{0, 3}, {1, 2}};
  const std::vector<Pooling> ways = {Pooling::last, Pooling::cls, Pooling::mean};
  CHECK(pool_rows(x, ranges, ways).to_vector<float>() ==
        std::vector<float>{8, 0, 1, 5, 4, 1, 3, -2, 3, -2, 3, -2});
  CHECK(names_of(ways) == "last,cls,mean");
  CHECK_THROWS_WITH(pool_rows(x, ranges, std::vector<Pooling>{}),
                    "pool_rows: there must be a way to pool; none was given");
}

TEST_CASE("every pooling has a name that is read again, and the last token's has two") {
  for (const Pooling pooling : kAll) CHECK(parse_pooling(name_of(pooling)) == pooling);
  CHECK(parse_pooling("lasttoken") == Pooling::last);
}

TEST_CASE("rows are normalised to length 1, but not those that are too short to have a direction") {
  const Tensor x = Tensor::from(std::vector<float>{3, 4, 0, 0, 3e-20F, 4e-20F, 3e30F, -4e30F}, {4, 2});
  const std::vector<float> y = normalize_rows(x).to_vector<float>();
  CHECK(y[0] == 0.6F);
  CHECK(y[1] == 0.8F);
  CHECK(y[2] == 0.0F);
  CHECK(y[3] == 0.0F);
  CHECK(y[4] == Approx(3e-8));
  CHECK(y[5] == Approx(4e-8));
  CHECK(y[6] == Approx(0.6));
  CHECK(y[7] == Approx(-0.8));
  const Tensor many = random_tensor({301, 13}, 9);
  const UseThreads one(1);
  const Tensor normal = normalize_rows(many);
  const UseThreads four(4);
  CHECK(same_bits(normalize_rows(many), normal) == "");
  CHECK(same_bits(normalize_rows(slice(many, 0, 200, 201)), slice(normal, 0, 200, 201)) == "");
}
