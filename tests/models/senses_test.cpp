#include "models/embeddings/senses.hpp"

#include <cmath>

#include "tests/support/catch.hpp"
#include "tests/support/tensors.hpp"

using namespace gradus;
using namespace gradus::testing;

TEST_CASE("a word's occurrences are held against each other by sense, pair by pair") {
  const int64_t rows = 23, width = 5;
  const Tensor x = random_tensor({rows, width}, 1), others = random_tensor({9, width}, 2);
  std::vector<int64_t> senses;
  for (int64_t r = 0; r < rows; ++r) senses.push_back(r % 3 == 0 ? 1 : 0);
  const auto cos = [&](const Tensor& t, int64_t a, int64_t b) {
    double ab = 0, aa = 0, bb = 0;
    for (int64_t c = 0; c < width; ++c) {
      const auto p = static_cast<double>(t.data<float>()[a * width + c]);
      const auto q = static_cast<double>(t.data<float>()[b * width + c]);
      ab += p * q, aa += p * p, bb += q * q;
    }
    return ab / std::sqrt(aa * bb);
  };
  double within = 0, between = 0, all = 0, apart = 0;
  int64_t within_pairs = 0, between_pairs = 0, right = 0;
  for (int64_t a = 0; a < rows; ++a) {
    int64_t best = -1;
    for (int64_t b = 0; b < rows; ++b) {
      if (b == a) continue;
      if (best < 0 || cos(x, a, b) > cos(x, a, best)) best = b;
      if (b < a) continue;
      const bool same = senses[static_cast<size_t>(a)] == senses[static_cast<size_t>(b)];
      (same ? within : between) += cos(x, a, b);
      (same ? within_pairs : between_pairs) += 1;
      all += cos(x, a, b);
    }
    right += senses[static_cast<size_t>(best)] == senses[static_cast<size_t>(a)];
  }
  for (int64_t a = 0; a < 9; ++a) {
    for (int64_t b = a + 1; b < 9; ++b) apart += cos(others, a, b) / 36;
  }
  const SenseFigures found = judge_senses(x, senses, others);
  CHECK(found.within == Approx(within / static_cast<double>(within_pairs)).epsilon(1e-5));
  CHECK(found.between == Approx(between / static_cast<double>(between_pairs)).epsilon(1e-5));
  CHECK(found.self_similarity ==
        Approx(all / static_cast<double>(within_pairs + between_pairs)).epsilon(1e-5));
  CHECK(found.anisotropy == Approx(apart).epsilon(1e-5));
  CHECK(found.nearest_accuracy == Approx(static_cast<double>(right) / rows));
  CHECK(found.most_frequent == Approx(15.0 / 23));
  const SenseFigures one = judge_senses(x, std::vector<int64_t>(rows, 0), Tensor::zeros({0, width}));
  CHECK((std::isnan(one.silhouette) && std::isnan(one.between)));  // there is no other sense
  CHECK((one.anisotropy == 0 && one.nearest_accuracy == 1));
  CHECK_THROWS_AS(judge_senses(x, std::vector<int64_t>{1}, others), std::invalid_argument);
}
