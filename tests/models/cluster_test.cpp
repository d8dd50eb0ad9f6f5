#include "models/embeddings/cluster.hpp"

#include <cmath>

#include "tests/support/catch.hpp"
#include "tests/support/draw.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/use_threads.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

// Rows around directions of their own, of lengths that do not matter: row i belongs to group i mod groups.
Tensor around(int64_t rows, int64_t groups, int64_t width, double spread) {
  Tensor x = Tensor::empty({rows, width});
  for (int64_t r = 0; r < rows; ++r) {
    const double length = 0.1 + 3 * draw_uniform(9, static_cast<uint64_t>(r));
    for (int64_t c = 0; c < width; ++c) {
      const double direction = draw_normal(1, static_cast<uint64_t>((r % groups) * width + c));
      x.mutable_data<float>()[r * width + c] = static_cast<float>(
          length * (direction + spread * draw_normal(2, static_cast<uint64_t>(r * width + c))));
    }
  }
  return x;
}

std::vector<int64_t> groups_of(int64_t rows, int64_t groups) {
  std::vector<int64_t> labels;
  for (int64_t r = 0; r < rows; ++r) labels.push_back(r % groups);
  return labels;
}

}  // namespace

TEST_CASE("rows around a few directions are divided by them, whatever their lengths") {
  for (const auto& [rows, groups, width] :
       {std::tuple<int64_t, int64_t, int64_t>{60, 3, 8}, {1003, 7, 20}, {40, 20, 33}}) {
    const Tensor x = around(rows, groups, width, 0.2);
    const Clustering found = cluster_rows(x, {.k = groups});
    INFO(rows << " rows of " << groups << " groups");
    const Agreement agrees = agreement(found.of, groups_of(rows, groups));
    CHECK(agrees.purity == 1);
    CHECK(agrees.v_measure == Approx(1));
    CHECK(agrees.ari == Approx(1));
    CHECK(found.centers.shape() == Shape{groups, width});
    for (const int threads : {1, 2, 4}) {
      const UseThreads use(threads);
      const Clustering again = cluster_rows(x, {.k = groups});
      CHECK(again.of == found.of);
      CHECK(same_bits(again.centers, found.centers) == "");
      CHECK(again.objective == found.objective);
    }
  }
}

TEST_CASE("the number of groups is the one with the largest silhouette") {
  const Tensor x = around(120, 5, 16, 0.25);
  std::vector<int64_t> tried;
  const Clustering found = cluster_rows_auto(x, {}, [&](int64_t k, double) { tried.push_back(k); });
  CHECK(tried == std::vector<int64_t>{2, 3, 4, 5, 6, 7, 8, 9, 10});
  CHECK(found.centers.size(0) == 5);
  CHECK_THROWS_WITH(cluster_rows_auto(around(3, 1, 4, 1), {}),
                    ContainsSubstring("four rows or more; there are 3"));
}

TEST_CASE("a silhouette is the mean over rows, each held against every other") {
  const int64_t rows = 50, width = 6;
  const Tensor x = around(rows, 4, width, 0.9);
  std::vector<int64_t> of = groups_of(rows, 4);
  of[7] = 4;  // alone
  const std::vector<float> values = x.to_vector<float>();
  const auto distance = [&](int64_t a, int64_t b) {
    double ab = 0, aa = 0, bb = 0;
    for (int64_t c = 0; c < width; ++c) {
      const auto p = static_cast<double>(values[static_cast<size_t>(a * width + c)]),
                 q = static_cast<double>(values[static_cast<size_t>(b * width + c)]);
      ab += p * q, aa += p * p, bb += q * q;
    }
    return 1 - ab / std::sqrt(aa * bb);
  };
  double total = 0;
  for (int64_t r = 0; r < rows; ++r) {
    double sums[5] = {}, counts[5] = {};
    for (int64_t other = 0; other < rows; ++other) {
      if (other == r) continue;
      sums[of[static_cast<size_t>(other)]] += distance(r, other);
      ++counts[of[static_cast<size_t>(other)]];
    }
    const int64_t own = of[static_cast<size_t>(r)];
    if (counts[own] == 0) continue;
    double nearest = 10;
    for (int64_t k = 0; k < 5; ++k) {
      if (k != own && counts[k] > 0) nearest = std::min(nearest, sums[k] / counts[k]);
    }
    const double a = sums[own] / counts[own];
    total += (nearest - a) / std::max(a, nearest);
  }
  CHECK(silhouette(x, of) == Approx(total / static_cast<double>(rows)).epsilon(1e-6));
}

TEST_CASE("agreement of two divisions, with the values of scikit-learn") {
  const std::vector<int64_t> labels = {0, 0, 1, 1}, finer = {0, 0, 1, 2}, crossed = {0, 1, 0, 1},
                             one = {0, 0, 0, 0};
  CHECK(agreement(finer, labels).ari == Approx(0.5714285714285714));
  CHECK(agreement(finer, labels).homogeneity == Approx(1));
  CHECK(agreement(finer, labels).completeness == Approx(2.0 / 3));
  CHECK(agreement(finer, labels).v_measure == Approx(0.8));
  CHECK(agreement(finer, labels).purity == 1);
  CHECK(agreement(crossed, labels).ari == Approx(-0.5));
  CHECK(agreement(crossed, labels).v_measure == Approx(0).margin(1e-12));
  CHECK(agreement(crossed, labels).purity == 0.5);
  CHECK(agreement(one, labels).ari == Approx(0));
  CHECK(agreement(labels, labels).ari == 1);
  CHECK(agreement(one, one).v_measure == 1);
  CHECK(agreement({}, {}).purity == 0);
  CHECK_THROWS_AS(agreement(one, std::vector<int64_t>{1}), std::invalid_argument);
}

TEST_CASE("equal rows, as many groups as rows, and what cannot be divided") {
  const Tensor equal = Tensor::full({10, 3}, 2);
  const Clustering found = cluster_rows(equal, {.k = 3});
  std::vector<int64_t> sizes(3);
  for (const int64_t k : found.of) ++sizes[static_cast<size_t>(k)];
  CHECK(sizes == std::vector<int64_t>{8, 1, 1});  // none is empty
  CHECK(cluster_rows(around(5, 5, 4, 0), {.k = 5}).of.size() == 5);
  CHECK(cluster_rows(Tensor::zeros({4, 3}), {.k = 2}).of.size() == 4);
  CHECK_THROWS_WITH(cluster_rows(equal, {.k = 11}), ContainsSubstring("1 to 10 clusters"));
  CHECK_THROWS_WITH(cluster_rows(Tensor::full({3, 2}, NAN), {.k = 2}),
                    ContainsSubstring("rows must be finite; row 0"));
}
