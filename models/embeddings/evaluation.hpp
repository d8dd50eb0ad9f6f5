#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/embeddings/analogy.hpp"
#include "models/embeddings/vectors.hpp"

/// How well vectors agree with what people say of words.

namespace gradus {

/// Two words and how alike people find them.
struct RatedPair {
  std::string a, b;
  double rating = 0;
};
/// A list of rated pairs as published: a line holds two words and a rating, with tabs, semicolons, commas or spaces between;
/// a part of speech may stand before the rating, anything behind it. A first line without a number is a heading.
/// note: read so are WordSim-353, SimLex-999, MEN, RG-65, RW and SimVerb. A line of another form is an error that names it.
std::vector<RatedPair> read_rated_pairs(std::string_view text, const std::string& source);

/// a : b = c : d.
struct AnalogyLine {
  std::string a, b, c, d;
  int64_t section = 0;
};
struct AnalogyList {
  std::vector<std::string> sections;
  std::vector<AnalogyLine> lines;
};
/// Google's format: lines of four words, below lines ": section". note: a line of another form is an error that names it.
AnalogyList read_analogies(std::string_view text, const std::string& source);
/// Whether a section is one of grammar, as Google's are called: its name begins with "gram".
bool is_syntactic(std::string_view section);

/// The row of a word: as it stands, or else in small letters.
std::optional<int64_t> find_word(const Names& names, std::string_view word);

/// Ranks from 1; equal values share the mean of theirs.
std::vector<double> ranks_of(std::span<const double> values);
/// ρ = the correlation of the ranks; NaN where one side has no two different values, or there are fewer than two.
/// ref: Spearman (1904), with ties averaged
double spearman(std::span<const double> x, std::span<const double> y);

struct Interval {
  double low = 0, high = 0;
};
/// The middle 95 % of a figure over 1000 resamples of `count` items with replacement; `figure` gets the items' numbers.
/// note: the draws depend on `count` alone. Resamples whose figure is NaN are left out; where all are, both ends are NaN.
Interval bootstrap(int64_t count, const std::function<double(std::span<const int64_t> items)>& figure);

/// What is done with pairs of which a word has no row.
enum class UnseenPolicy {
  drop,     ///< they are left out
  zero,     ///< they count as not alike at all: cosine 0
  subword,  ///< the word gets the vector of its pieces, see Vectors::unseen; left out where it has none
};
std::string_view name_of(UnseenPolicy policy);
/// An error lists the possible names.
UnseenPolicy parse_unseen_policy(std::string_view name);

/// The vectors that are judged: a layer of some, or its first columns.
struct Judged {
  const Vectors* vectors;
  Tensor rows;  ///< f32 (rows, C)
};

struct SimilarityResult {
  double spearman = 0;  ///< over the pairs that count by the policy
  Interval interval;
  double spearman_drop = 0, spearman_zero = 0;  ///< by either policy, of words that have rows
  int64_t pairs = 0, covered = 0;               ///< covered: both words have rows, or with subword vectors
  int64_t with_rows = 0;                        ///< pairs whose words both have rows
  std::vector<std::optional<double>> cosines;   ///< of each pair that is covered
};
SimilarityResult judge_similarity(const Judged& judged, std::span<const RatedPair> pairs,
                                  UnseenPolicy policy);

/// Of two results the figures on the pairs that both cover, and the interval of their difference.
struct SimilarityDifference {
  double first = 0, second = 0;
  Interval difference;  ///< of second - first
  int64_t pairs = 0;
};
SimilarityDifference compare_similarity(std::span<const RatedPair> pairs, const SimilarityResult& first,
                                        const SimilarityResult& second);

struct AnalogyScore {
  int64_t questions = 0, covered = 0, right = 0;
  double accuracy() const {
    return covered == 0 ? 0 : static_cast<double>(right) / static_cast<double>(covered);
  }
  double accuracy_all() const {
    return questions == 0 ? 0 : static_cast<double>(right) / static_cast<double>(questions);
  }
};
struct AnalogyResult {
  std::vector<AnalogyScore> sections;
  AnalogyScore semantic, syntactic, total;
  int64_t skipped = 0;  ///< rows with a NaN or an infinity
};
struct AnalogyJudging {
  AnalogyMethod method = AnalogyMethod::cos_add;
  int64_t restrict = 300000;  ///< words and answers are among the first so many rows; 0: all
  bool include_inputs = false;
  std::function<void()> on_step = {};  ///< called now and then; it may throw
};
/// A question is covered where all four words have rows; it is right where the answer's row is the nearest of all but the
/// three words'.
AnalogyResult judge_analogies(const Judged& judged, const AnalogyList& list, const AnalogyJudging& options);

}  // namespace gradus
