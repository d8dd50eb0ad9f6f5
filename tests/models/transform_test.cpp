#include "models/embeddings/transform.hpp"

#include <cmath>

#include "models/embeddings/dictionary.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/draw.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/use_threads.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

Matrix random_matrix(int64_t rows, int64_t columns, uint64_t seed) {
  Matrix a(rows, columns);
  for (size_t i = 0; i < a.values.size(); ++i) a.values[i] = draw_normal(seed, i);
  return a;
}

double largest_difference(const Matrix& a, const Matrix& b) {
  double largest = 0;
  for (size_t i = 0; i < a.values.size(); ++i)
    largest = std::max(largest, std::abs(a.values[i] - b.values[i]));
  return largest;
}

Matrix identity(int64_t n) {
  Matrix a(n, n);
  for (int64_t i = 0; i < n; ++i) a.at(i, i) = 1;
  return a;
}

// A rotation: the u of a random square matrix.
Matrix rotation(int64_t n, uint64_t seed) { return decompose(random_matrix(n, n, seed)).u; }

}  // namespace

TEST_CASE("a matrix is the product of its decomposition, whose columns are at right angles") {
  for (const auto& [rows, columns] :
       {std::pair<int64_t, int64_t>{1, 1}, {5, 3}, {7, 7}, {64, 33}, {50, 50}}) {
    const Matrix a = random_matrix(rows, columns, 3);
    const Decomposition found = decompose(a);
    INFO(rows << " × " << columns);
    Matrix us = found.u;
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < columns; ++c) us.at(r, c) *= found.singular[static_cast<size_t>(c)];
    }
    CHECK(largest_difference(multiply(us, transposed(found.v)), a) < 1e-12);
    CHECK(largest_difference(multiply(transposed(found.v), found.v), identity(columns)) < 1e-13);
    CHECK(largest_difference(multiply(transposed(found.u), found.u), identity(columns)) < 1e-12);
    for (size_t i = 1; i < found.singular.size(); ++i) CHECK(found.singular[i] <= found.singular[i - 1]);
    for (const int threads : {1, 2, 4}) {
      const UseThreads use(threads);
      const Decomposition again = decompose(a);
      CHECK(again.u.values == found.u.values);
      CHECK(again.v.values == found.v.values);
    }
  }
  // Of less than full rank: the rest of a square u completes it.
  Matrix a = random_matrix(6, 2, 4);
  a = multiply(a, transposed(a));
  const Decomposition found = decompose(a);
  CHECK((found.singular[1] > 0 && found.singular[2] == 0));
  CHECK(largest_difference(multiply(transposed(found.u), found.u), identity(6)) < 1e-12);
  CHECK(decompose(Matrix(3, 3)).singular == std::vector<double>{0, 0, 0});
  CHECK_THROWS_AS(decompose(Matrix(2, 3)), std::invalid_argument);
  a.at(0, 0) = NAN;
  CHECK_THROWS_WITH(decompose(a), ContainsSubstring("must be finite"));
}

TEST_CASE("principal components are the directions of the largest variance, from the mean") {
  // Points on a line through (3, -1, 2) with a little beside it.
  const double direction[] = {0.6, 0.0, -0.8};
  Tensor x = Tensor::empty({700, 3});
  for (int64_t r = 0; r < 700; ++r) {
    const double along = 5 * draw_normal(1, static_cast<uint64_t>(r));
    for (int64_t c = 0; c < 3; ++c)
      x.mutable_data<float>()[r * 3 + c] = static_cast<float>(
          (c == 0   ? 3
           : c == 1 ? -1
                    : 2) +
          along * direction[c] + 0.01 * draw_normal(2 + static_cast<uint64_t>(c), static_cast<uint64_t>(r)));
  }
  const Components found = components_of(x);
  // Its largest number, -0.8, is made positive.
  for (int64_t c = 0; c < 3; ++c) CHECK(found.directions.at(c, 0) == Approx(-direction[c]).margin(1e-3));
  const Tensor y = reduce_rows(x, 1, Reduction::pca);
  double mean = 0, square = 0;
  for (int64_t r = 0; r < 700; ++r) {
    mean += static_cast<double>(y.data<float>()[r]) / 700;
    square += static_cast<double>(y.data<float>()[r]) * static_cast<double>(y.data<float>()[r]);
  }
  CHECK(mean == Approx(0).margin(1e-5));
  CHECK(square / 699 == Approx(found.variance[0]).epsilon(1e-5));
  CHECK(same_bits(reduce_rows(x, 2, Reduction::truncate), x.view({700, 2}, {3, 1}, 0).clone()) == "");
  // Without the first direction nothing is left along it.
  const Tensor rest = reduce_rows(x, 3, Reduction::abtt);
  for (int64_t r = 0; r < 700; r += 50) {
    double along = 0;
    for (int64_t c = 0; c < 3; ++c)
      along += static_cast<double>(rest.data<float>()[r * 3 + c]) * direction[c];
    CHECK(std::abs(along) < 0.05);
  }
  for (const int threads : {1, 2, 4}) {
    const UseThreads use(threads);
    CHECK(same_bits(reduce_rows(x, 2, Reduction::pca), reduce_rows(x, 2, Reduction::pca)) == "");
    CHECK(same_bits(reduce_rows(x, 1, Reduction::pca), y) == "");
  }
  CHECK_THROWS_WITH(reduce_rows(x, 4, Reduction::pca),
                    "reduce: rows must be left with 1 to 3 numbers; 4 are asked for");
  CHECK_THROWS_WITH(components_of(Tensor::zeros({1, 3})), ContainsSubstring("two rows or more"));
  CHECK(reduce_rows(Tensor::full({9, 4}, 2), 2, Reduction::pca).to_vector<float>() ==
        std::vector<float>(18, 0));
  CHECK_THROWS_WITH(parse_reduction("svd"),
                    "reduce: the method must be one of pca, abtt, truncate; it is 'svd'");
}

TEST_CASE("a space that was rotated is turned back, and its dictionary found") {
  const int64_t width = 12;
  const Tensor source = random_tensor({300, width}, 8);
  const Matrix turn = rotation(width, 9);
  const Tensor target = transform_rows(source, turn);
  const Tensor some_source = source.view({40, width}, {width, 1}, 0),
               some_target = target.view({40, width}, {width, 1}, 0);
  const Matrix found = procrustes(some_source, some_target);
  CHECK(largest_difference(found, turn) < 1e-5);
  CHECK(largest_difference(multiply(transposed(found), found), identity(width)) < 1e-12);

  Names words, others;
  Dictionary dictionary;
  for (int i = 0; i < 300; ++i) {
    words.add("a" + std::to_string(i));
    others.add("b" + std::to_string(i));
    if (i >= 40) dictionary.emplace_back("a" + std::to_string(i), "b" + std::to_string(i));
  }
  dictionary.emplace_back("a50", "b0");
  dictionary.emplace_back("a999", "b0");
  dictionary.emplace_back("a1", "b999");
  const Tensor aligned = transform_rows(source, found);
  const DictionaryScore score = judge_dictionary(dictionary, {words, aligned}, {others, target}, 0);
  CHECK((score.words == 262 && score.covered == 260));
  CHECK(score.p_at_1() == 1);
  CHECK(score.p_at_1_csls() == 1);
  CHECK(judge_dictionary(dictionary, {words, source}, {others, target}, 0).p_at_1() < 0.5);
  CHECK(judge_dictionary(dictionary, {words, aligned}, {others, target}, 100).covered == 60);
  CHECK(find_pairs(dictionary, {words, source}, {others, target}).source.size() == 261);
  // A row with a NaN that no pair names is nobody's neighbour; one that is named is an error.
  const Tensor holed = target.clone();
  holed.mutable_data<float>()[299 * 12] = std::numeric_limits<float>::quiet_NaN();
  CHECK(judge_dictionary(dictionary, {words, aligned}, {others, holed}, 0).right_csls ==
        259);  // all but its own
  const Dictionary named = {{"a1", "b299"}};
  CHECK_THROWS_WITH(find_pairs(named, {words, source}, {others, holed}),
                    ContainsSubstring("that of 'b299' holds a NaN"));
  CHECK_THROWS_WITH(judge_dictionary(dictionary, {words, aligned}, {others, Tensor::zeros({300, 3})}, 0),
                    ContainsSubstring("they are 12 and 3 wide"));
}

TEST_CASE("CSLS does not take a row that is near to all for everybody's translation") {
  // The hub lies between all; each word's own translation is a little further.
  const Tensor source =
      Tensor::from(std::vector<float>{1, 0.2f, 0, 1, 0, 0.2f, 1, -0.2f, 0, 1, 0, -0.2f}, {4, 3});
  const Tensor target =
      Tensor::from(std::vector<float>{1, 0.45f, 0, 1, 0, 0.45f, 1, -0.45f, 0, 1, 0, -0.45f, 1, 0, 0}, {5, 3});
  const Names words{"a", "b", "c", "d"}, others{"A", "B", "C", "D", "hub"};
  const DictionaryScore score = judge_dictionary({{"a", "A"}, {"b", "B"}, {"c", "C"}, {"d", "D"}},
                                                 {words, source}, {others, target}, 0);
  CHECK(score.right == 0);
  CHECK(score.right_csls == 4);
}

TEST_CASE("a dictionary's lines are pairs") {
  CHECK(read_dictionary("a\tb c\nd  e\r\n\n", "list") == Dictionary{{"a", "b c"}, {"d", "e"}});
  CHECK_THROWS_WITH(read_dictionary("a b c\n", "list"),
                    ContainsSubstring("list:1: a line must hold a word and a translation"));
  CHECK_THROWS_WITH(read_dictionary("a\n", "list"), ContainsSubstring("list:1: "));
  CHECK_THROWS_WITH(read_dictionary("", "list"), ContainsSubstring("it has none"));
}
