#include "models/embeddings/evaluation.hpp"
#include "models/embeddings/baskets.hpp"

#include <algorithm>
#include <cmath>
#include <limits>

#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/use_threads.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

Vectors named(int64_t rows, int64_t width) {
  Vectors vectors;
  for (int64_t i = 0; i < rows; ++i) vectors.names.add("w" + std::to_string(i));
  vectors.layer_names = {"vectors"};
  vectors.layers = {random_tensor({rows, width}, 1)};
  return vectors;
}

double cosine_of(const Tensor& x, int64_t a, int64_t b) {
  const std::vector<float> values = x.to_vector<float>();
  const int64_t width = x.size(1);
  double ab = 0, aa = 0, bb = 0;
  for (int64_t c = 0; c < width; ++c) {
    const double p = static_cast<double>(values[static_cast<size_t>(a * width + c)]);
    const double q = static_cast<double>(values[static_cast<size_t>(b * width + c)]);
    ab += p * q;
    aa += p * p;
    bb += q * q;
  }
  return ab / std::sqrt(aa * bb);
}

}  // namespace

TEST_CASE("lists of rated pairs are read in each form that they are published in") {
  const auto first = [](std::string_view text) {
    const RatedPair pair = read_rated_pairs(text, "list").at(0);
    return pair.a + " " + pair.b + " " + std::to_string(pair.rating);
  };
  CHECK(first("Word 1,Word 2,Human (mean)\nlove,sex,6.77\n") == "love sex 6.770000");  // WordSim-353
  CHECK(first("love\tsex\t6.77\r\n") == "love sex 6.770000");
  CHECK(first("word1\tword2\tPOS\tSimLex999\tconc(w1)\nold\tnew\tA\t1.58\t2.72\n") == "old new 1.580000");
  CHECK(first("sun sunlight 50.000000\n") == "sun sunlight 50.000000");            // MEN
  CHECK(first("gem;jewel;3.94\n") == "gem jewel 3.940000");                        // RG-65
  CHECK(first("squishing\tsquirt\t5.88\t7\t5\n") == "squishing squirt 5.880000");  // RW
  CHECK(first("take\tremove\tV\t6.81\tSYNONYMS\n") == "take remove 6.810000");     // SimVerb
  CHECK(read_rated_pairs("# a comment\na\tb\t1\n\nc\td\t2\n", "list").size() == 2);
  CHECK_THROWS_WITH(read_rated_pairs("a\tb\t1\na\tb\n", "list"),
                    "list:2: a line must hold two words and a rating; it is \"a\\x09b\"");
  for (const char* rating : {"nan", "inf", "-inf", "1e999"})
    CHECK_THROWS_WITH(read_rated_pairs("a\tb\t1\na\tb\t" + std::string(rating) + "\n", "list"),
                      ContainsSubstring("list:2: a line must hold two words and a rating"));
  CHECK(ranks_of(std::vector<double>{NAN, 1, NAN}).size() == 3);
  CHECK_THROWS_WITH(read_rated_pairs("x\ty\tz\n", "list"),
                    "list: must hold rated pairs of words, one a line; it has none");
}

TEST_CASE("lists of analogies are read with their sections") {
  const AnalogyList list =
      read_analogies(": capital\nAthens Greece Oslo Norway\n: gram1\na b c d\r\ne f g h\n", "list");
  CHECK(list.sections == std::vector<std::string>{"capital", "gram1"});
  REQUIRE(list.lines.size() == 3);
  CHECK(list.lines[0].d == "Norway");
  CHECK(list.lines[2].section == 1);
  CHECK(read_analogies("a b c d\n", "list").sections == std::vector<std::string>{"all"});
  CHECK_THROWS_WITH(read_analogies("a b c\n", "list"),
                    "list:1: a line must hold four words, or be \": section\"; it is \"a b c\"");
  CHECK_THROWS_WITH(read_analogies(": x\n", "list"), ContainsSubstring("it has none"));
}

TEST_CASE("ranks share the mean of equal values, and their correlation is Spearman's") {
  CHECK(ranks_of(std::vector<double>{3, 1, 3, 2}) == std::vector<double>{3.5, 1, 3.5, 2});
  const std::vector<double> x = {1, 2, 3, 4, 5}, y = {5, 6, 7, 8, 7};
  CHECK(spearman(x, y) == Approx(0.8207826816681233).epsilon(1e-14));  // SciPy's own example
  CHECK(spearman(x, std::vector<double>{5, 4, 3, 2, 1}) == -1);
  CHECK(std::isnan(spearman(x, std::vector<double>{2, 2, 2, 2, 2})));
  CHECK(std::isnan(spearman(std::vector<double>{}, std::vector<double>{})));
  CHECK_THROWS_AS(spearman(x, std::vector<double>{1}), std::invalid_argument);
}

TEST_CASE("similarity is held against ratings by either policy for words without a vector") {
  Vectors vectors = named(30, 9);
  std::vector<RatedPair> pairs;
  std::vector<double> ratings, cosines, cosines_zero;
  for (int64_t i = 0; i < 20; ++i) {
    pairs.push_back({"w" + std::to_string(i), "W" + std::to_string(i + 5),
                     static_cast<double>(i % 7)});  // small letters are tried
    ratings.push_back(static_cast<double>(i % 7));
    cosines.push_back(cosine_of(vectors.layers[0], i, i + 5));
  }
  const Judged judged{&vectors, vectors.layers[0]};
  const SimilarityResult all = judge_similarity(judged, pairs, UnseenPolicy::drop);
  CHECK(all.covered == 20);
  CHECK(all.spearman == Approx(spearman(ratings, cosines)).epsilon(1e-12));
  CHECK(all.interval.low < all.spearman);
  CHECK(all.interval.high > all.spearman);

  cosines_zero = cosines;
  for (int i = 0; i < 3; ++i) {
    pairs.push_back({"w1", "unknown", 9});
    ratings.push_back(9);
    cosines_zero.push_back(0);
  }
  const SimilarityResult dropped = judge_similarity(judged, pairs, UnseenPolicy::drop);
  CHECK((dropped.covered == 20 && dropped.pairs == 23));
  CHECK(dropped.spearman == all.spearman);
  CHECK(dropped.spearman_zero == Approx(spearman(ratings, cosines_zero)).epsilon(1e-12));
  CHECK(judge_similarity(judged, pairs, UnseenPolicy::zero).spearman == dropped.spearman_zero);
  vectors.unseen = [&](std::string_view) {
    return vectors.layers[0].to_vector<float>();
  };  // begins with the first row
  const SimilarityResult made = judge_similarity({&vectors, vectors.layers[0]}, pairs, UnseenPolicy::subword);
  CHECK(made.covered == 23);
  CHECK((made.spearman_drop == dropped.spearman_drop && made.spearman_zero == dropped.spearman_zero));
  CHECK(made.spearman != made.spearman_drop);
  CHECK(made.cosines[22].value() == Approx(cosine_of(vectors.layers[0], 0, 1)).epsilon(1e-12));

  const SimilarityDifference same = compare_similarity(pairs, dropped, made);
  CHECK(same.pairs == 20);
  CHECK(same.first == same.second);
  CHECK((same.difference.low == 0 && same.difference.high == 0));
  const Vectors none = named(0, 9);
  CHECK(judge_similarity({&none, none.layers[0]}, pairs, UnseenPolicy::drop).covered == 0);
  CHECK(std::isnan(judge_similarity({&none, none.layers[0]}, pairs, UnseenPolicy::drop).spearman));
}

TEST_CASE("analogies are right where the expected word is the nearest of all but the three of the question") {
  const Vectors vectors = named(200, 6);
  AnalogyList list;
  list.sections = {"capital", "gram1"};
  int64_t right = 0, right_with_inputs = 0;
  const auto best = [&](int64_t a, int64_t b, int64_t c, bool inputs) {
    int64_t found = -1;
    double most = -10;
    for (int64_t r = 0; r < 150; ++r) {
      if (!inputs && (r == a || r == b || r == c)) continue;
      const double score = cosine_of(vectors.layers[0], r, b) - cosine_of(vectors.layers[0], r, a) +
                           cosine_of(vectors.layers[0], r, c);
      if (score > most) most = score, found = r;
    }
    return found;
  };
  for (int64_t i = 0; i < 40; ++i) {
    const int64_t answer = best(i, i + 1, i + 2, false);
    const int64_t expected = i % 3 == 0 ? (answer + 1) % 150 : answer;
    list.lines.push_back({"w" + std::to_string(i), "W" + std::to_string(i + 1), "w" + std::to_string(i + 2),
                          "w" + std::to_string(expected), i % 2});
    right += expected == answer;
    right_with_inputs += expected == best(i, i + 1, i + 2, true);
  }
  list.lines.push_back({"w0", "w1", "w2", "unknown", 0});
  list.lines.push_back({"w0", "w1", "w2", "w170", 1});  // beyond those that count
  const AnalogyResult found = judge_analogies({&vectors, vectors.layers[0]}, list, {.restrict = 150});
  CHECK(found.total.questions == 42);
  CHECK(found.total.covered == 40);
  CHECK(found.total.right == right);
  CHECK(found.semantic.questions == 21);
  CHECK(found.syntactic.right + found.semantic.right == right);
  CHECK(found.total.accuracy() == Approx(static_cast<double>(right) / 40));
  CHECK(found.total.accuracy_all() == Approx(static_cast<double>(right) / 42));
  CHECK(judge_analogies({&vectors, vectors.layers[0]}, list, {.restrict = 150, .include_inputs = true})
            .total.right == right_with_inputs);
  for (const int threads : {1, 2, 4}) {
    const UseThreads use(threads);
    CHECK(judge_analogies({&vectors, vectors.layers[0]}, list, {.restrict = 150}).total.right == right);
  }
}

TEST_CASE("what is taken out of a basket is found where the others are near it, popular items beside it") {
  Vectors vectors;
  vectors.names = {"a", "b", "c", "d"};
  vectors.counts = {9, 1, 8, 7};
  vectors.layer_names = {"vectors"};
  const Tensor rows = Tensor::from(std::vector<float>{1, 0, 3, 0.1f, 0, 1, 0, 2}, {4, 2});
  vectors.layers = {rows};
  // a and b point the same way; nobody asks for what has no row, or for one item alone.
  const BasketScore score = judge_baskets({&vectors, rows}, "a b x\nc d c\nb\n\n", 1);
  CHECK(score.baskets == 2);
  CHECK(score.asked == 4);
  CHECK(score.missing == 1);
  CHECK(score.found == 4);
  CHECK(score.popular == 1);  // a, without b; never the item that is given
  CHECK(judge_baskets({&vectors, rows}, "a d\n", 3).found == 2);
  CHECK(judge_baskets({&vectors, rows}, "", 3).asked == 0);
}
