#include "models/embeddings/nearest.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "models/embeddings/analogy.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/use_isa.hpp"
#include "tests/support/use_threads.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

std::vector<double> row_of(const Tensor& x, int64_t r) {
  const float* first = x.data<float>() + r * x.size(1);
  return {first, first + x.size(1)};
}

double reference(Metric metric, const std::vector<double>& a, const std::vector<double>& b) {
  double dot = 0, aa = 0, bb = 0, l1 = 0, l2 = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
    l1 += std::abs(a[i] - b[i]);
    l2 += (a[i] - b[i]) * (a[i] - b[i]);
  }
  switch (metric) {
    case Metric::cosine: return aa == 0 || bb == 0 ? 0 : dot / (std::sqrt(aa) * std::sqrt(bb));
    case Metric::dot: return dot;
    case Metric::euclidean: return std::sqrt(l2);
    case Metric::manhattan: return l1;
  }
  return 0;
}

constexpr Metric kMetrics[] = {Metric::cosine, Metric::euclidean, Metric::manhattan, Metric::dot};

// Every row measured, then sorted.
std::vector<Neighbor> all_sorted(Metric metric, const Tensor& table, const std::vector<double>& query) {
  std::vector<Neighbor> all;
  for (int64_t r = 0; r < table.size(0); ++r) all.push_back({r, reference(metric, row_of(table, r), query)});
  const double sign = metric == Metric::cosine || metric == Metric::dot ? -1 : 1;
  std::stable_sort(all.begin(), all.end(),
                   [&](const Neighbor& a, const Neighbor& b) { return sign * a.value < sign * b.value; });
  return all;
}

std::vector<int64_t> rows_of(const std::vector<Neighbor>& neighbors) {
  std::vector<int64_t> rows;
  for (const Neighbor& neighbor : neighbors) rows.push_back(neighbor.row);
  return rows;
}

}  // namespace

TEST_CASE("neighbours are those that measuring every row gives, whatever the metric and the sizes") {
  for (const auto& [rows, width] :
       {std::pair<int64_t, int64_t>{1, 1}, {7, 3}, {97, 17}, {700, 50}, {12400, 5}}) {
    for (const double scale : {1.0, 1e-6, 1e9}) {
      const Tensor table = random_tensor({rows, width}, 1, scale);
      const Tensor queries = random_tensor({5, width}, 2, scale);
      for (const Metric metric : kMetrics) {
        const Nearest found = nearest(table, queries, {.k = 9, .metric = metric});
        REQUIRE(found.of.size() == 5);
        for (int64_t q = 0; q < 5; ++q) {
          INFO(rows << " rows of " << width << " by " << scale << ", " << name_of(metric) << ", query " << q);
          std::vector<Neighbor> expected = all_sorted(metric, table, row_of(queries, q));
          expected.resize(static_cast<size_t>(std::min<int64_t>(9, rows)));
          CHECK(rows_of(found.of[static_cast<size_t>(q)]) == rows_of(expected));
          for (size_t i = 0; i < expected.size(); ++i)
            CHECK(found.of[static_cast<size_t>(q)][i].value == Approx(expected[i].value).epsilon(1e-12));
        }
      }
    }
  }
}

TEST_CASE(
    "a query's neighbours are the same alone and among a thousand, with any threads and instruction set") {
  const Tensor table = random_tensor({12500, 33}, 3);
  const Tensor queries = random_tensor({1000, 33}, 4);
  for (const Metric metric : {Metric::cosine, Metric::euclidean, Metric::dot}) {
    const NearestOptions options{.k = 5, .metric = metric};
    const Nearest together = nearest(table, queries, options);
    for (const int64_t q : {0, 15, 16, 511, 512, 999}) {
      const Tensor alone = queries.view({1, 33}, {33, 1}, q * 33);
      CHECK(nearest(table, alone, options).of[0] == together.of[static_cast<size_t>(q)]);
    }
    for (const int threads : {1, 2, 4}) {
      const UseThreads use(threads);
      CHECK(nearest(table, queries, options).of == together.of);
    }
    for (const std::string& isa : available_isas()) {
      const UseIsa use(isa);
      INFO(isa);
      const Tensor some = queries.view({20, 33}, {33, 1}, 0);
      CHECK(nearest(table, some, options).of == std::vector(together.of.begin(), together.of.begin() + 20));
    }
  }
}

TEST_CASE("of equal neighbours the lower row comes first; rows can be left out, and the table cut") {
  const Tensor table = Tensor::from(std::vector<float>{1, 0, 2, 0, 0, 3, 1, 1, -1, 0, 0, 0}, {6, 2});
  const Tensor query = Tensor::from(std::vector<float>{5, 0}, {1, 2});
  const std::vector<Neighbor> all = nearest(table, query, {}).of[0];
  const std::vector<int64_t> rows = {0, 1, 3, 2, 5, 4};
  CHECK(rows_of(all) == rows);
  CHECK(all[0].value == 1);
  CHECK(all[2].value == Approx(std::sqrt(0.5)));
  CHECK(all[4].value == 0);  // a zero row
  CHECK(all[5].value == -1);
  for (int64_t out = 0; out < 6; ++out) {
    std::vector<int64_t> expected = rows;
    std::erase(expected, out);
    const std::vector<std::vector<int64_t>> leave_out = {{out}};
    CHECK(rows_of(nearest(table, query, {.k = 6}, leave_out).of[0]) == expected);
    expected.resize(1);
    CHECK(rows_of(nearest(table, query, {.k = 1}, leave_out).of[0]) == expected);
  }
  CHECK(rows_of(nearest(table, query, {.restrict = 3}).of[0]) == std::vector<int64_t>{0, 1, 2});
  // As are all rows of a table without differences, for every query.
  const Tensor constant = Tensor::full({30000, 4}, 0.5);
  for (const Metric metric : kMetrics)
    CHECK(rows_of(nearest(constant, Tensor::full({1, 4}, -2), {.k = 3, .metric = metric}).of[0]) ==
          std::vector<int64_t>{0, 1, 2});
  CHECK(rows_of(nearest(Tensor::zeros({3, 4}), Tensor::zeros({1, 4}), {.k = 2}).of[0]) ==
        std::vector<int64_t>{0, 1});
  CHECK(nearest(Tensor::zeros({0, 4}), Tensor::zeros({1, 4}), {}).of[0].empty());
  CHECK(nearest(table, Tensor::zeros({0, 2}), {}).of.empty());
}

TEST_CASE(
    "rows with a NaN or an infinity are nobody's neighbours, and numbers at f32's ends are compared all the "
    "same") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN(),
                  kInf = std::numeric_limits<float>::infinity();
  const Tensor table = Tensor::from(
      std::vector<float>{1, 1, kNaN, 1, 3e38f, 3e38f, 1e-42f, 2e-42f, 0, kInf, 3e38f, -3e38f, 0, 0, -1, -1},
      {8, 2});
  const Tensor queries = Tensor::from(std::vector<float>{1, 1, 1e-44f, 3e-44f, 3e38f, 2e38f}, {3, 2});
  for (const Metric metric : kMetrics) {
    const Nearest found = nearest(table, queries, {.k = 8, .metric = metric});
    CHECK(found.skipped == 2);
    for (int64_t q = 0; q < 3; ++q) {
      std::vector<Neighbor> expected = all_sorted(metric, table, row_of(queries, q));
      std::erase_if(expected, [](const Neighbor& n) { return n.row == 1 || n.row == 4; });
      INFO(name_of(metric) << ", query " << q);
      // Those that are equal but for a rounding of the reference may stand either way.
      const auto& of = found.of[static_cast<size_t>(q)];
      REQUIRE(of.size() == expected.size());
      for (size_t i = 0; i < of.size(); ++i)
        CHECK(of[i].value == Approx(expected[i].value).epsilon(1e-9).margin(1e-15));
    }
  }
  CHECK_THROWS_WITH(nearest(table, Tensor::from(std::vector<float>{kNaN, 1}, {1, 2}), {}),
                    "nearest: queries must be finite; one holds a NaN or an infinity");
  CHECK_THROWS_WITH(nearest(table, Tensor::zeros({1, 3}), {}),
                    ContainsSubstring("the table is (8, 2), the queries are (1, 3)"));
  CHECK_THROWS_WITH(nearest(table, queries, {.k = 0}), ContainsSubstring("k must be at least 1; it is 0"));
  CHECK_THROWS_WITH(parse_metric("cos"),
                    "metric: must be one of cosine, euclidean, manhattan, dot; it is 'cos'");
}

TEST_CASE("an analogy is answered by the row with the largest score of all, by either method") {
  for (const auto& [rows, width] : {std::pair<int64_t, int64_t>{60, 7}, {500, 40}, {12700, 9}}) {
    const Tensor table = random_tensor({rows, width}, 5);
    const Tensor words = table.view({40, width}, {width, 1}, 0);
    std::vector<AnalogyQuestion> questions;
    for (int64_t i = 0; i < 30; ++i) questions.push_back({{i + 1, i + 2}, {i}, {i, i + 1, i + 2}});
    questions.push_back({{0, 1, 2}, {3, 4}});
    questions.push_back({{5}, {}});
    for (const AnalogyMethod method : {AnalogyMethod::cos_add, AnalogyMethod::cos_mul}) {
      const AnalogyOptions options{.method = method, .k = 4};
      const Nearest found = solve_analogies(table, words, questions, options);
      for (size_t q = 0; q < questions.size(); ++q) {
        std::vector<Neighbor> all;
        for (int64_t r = 0; r < rows; ++r) {
          const auto cos = [&](int64_t w) {
            return reference(Metric::cosine, row_of(table, r), row_of(words, w));
          };
          double sum = 0, product = 1;
          for (const int64_t w : questions[q].plus) sum += cos(w), product *= (1 + cos(w)) / 2;
          for (const int64_t w : questions[q].minus) sum -= cos(w), product /= (1 + cos(w)) / 2 + 1e-6;
          const auto& out = questions[q].leave_out;
          if (std::find(out.begin(), out.end(), r) == out.end())
            all.push_back({r, method == AnalogyMethod::cos_add ? sum : product});
        }
        std::stable_sort(all.begin(), all.end(),
                         [](const Neighbor& a, const Neighbor& b) { return a.value > b.value; });
        all.resize(4);
        INFO(rows << " rows of " << width << ", " << name_of(method) << ", question " << q);
        CHECK(rows_of(found.of[q]) == rows_of(all));
        for (size_t i = 0; i < 4; ++i) CHECK(found.of[q][i].value == Approx(all[i].value).epsilon(1e-12));
        CHECK(solve_analogies(table, words, std::vector{questions[q]}, options).of[0] == found.of[q]);
      }
      for (const int threads : {1, 2, 4}) {
        const UseThreads use(threads);
        CHECK(solve_analogies(table, words, questions, options).of == found.of);
      }
    }
  }
}

TEST_CASE("analogies in a table with rows of zeros, of NaN and of numbers at f32's ends") {
  constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();
  const Tensor table =
      Tensor::from(std::vector<float>{1, 0, 0, 1, 1, 1, kNaN, 0, 0, 0, 3e38f, 3e38f, 1e-43f, 0}, {7, 2});
  const Tensor words = table.view({3, 2}, {2, 1}, 0);
  for (const AnalogyMethod method : {AnalogyMethod::cos_add, AnalogyMethod::cos_mul}) {
    const Nearest found = solve_analogies(table, words, std::vector<AnalogyQuestion>{{{0, 1}, {}, {2}}},
                                          {.method = method, .k = 7});
    CHECK(found.skipped == 1);
    CHECK(rows_of(found.of[0]) == (method == AnalogyMethod::cos_add ? std::vector<int64_t>{5, 0, 1, 6, 4}
                                                                    : std::vector<int64_t>{5, 0, 1, 6, 4}));
  }
  CHECK_THROWS_WITH(solve_analogies(table, words, std::vector<AnalogyQuestion>{{{}, {1}}}, {}),
                    "analogy: a question must add a word; it adds none");
  CHECK_THROWS_WITH(solve_analogies(table, words, std::vector<AnalogyQuestion>{{{3}, {}}}, {}),
                    "analogy: words must be in [0, 2]; one is 3");
  CHECK_THROWS_WITH(parse_analogy_method("add"),
                    "analogy: the method must be one of 3cosadd, 3cosmul; it is 'add'");
}
