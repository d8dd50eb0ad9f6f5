#include "tokenizer/training/unigram_trainer.hpp"
#include "tokenizer/subword/unigram_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <numeric>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tensor/parallel.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/use_threads.hpp"
#include "tokenizer/training/suffix_array.hpp"
#include "tokenizer/training/training_text.hpp"
#include "tokenizer/training/unigram_em.hpp"
#include "tokenizer/training/unigram_seeds.hpp"

using namespace gradus;
using Catch::Matchers::ContainsSubstring;
using gradus::testing::UseThreads;

namespace {

const std::string kMark = "\xE2\x96\x81";
constexpr double kInfinity = std::numeric_limits<double>::infinity();

using Words = std::vector<std::pair<std::string, int64_t>>;
using Codes = std::vector<int32_t>;

std::vector<CountedWord> counted(const Words& words) {
  std::vector<CountedWord> out;
  for (const auto& [bytes, count] : words) out.push_back({bytes, count});
  return out;
}

TrainingText text_of(const Words& words) { return make_training_text(counted(words), {}, 1.0, "test"); }

PieceTraining train(const Words& words, const UnigramTrainingOptions& options,
                    const ProgressFn& progress = {}) {
  return train_unigram(counted(words), options, progress);
}

UnigramTrainingOptions options_for(int64_t places) {
  UnigramTrainingOptions options;
  options.places = places;
  options.character_coverage = 1;
  return options;
}

std::string random_letters(std::mt19937& random, size_t length, uint32_t letters) {
  std::string out;
  while (out.size() < length) out += static_cast<char>('a' + static_cast<char>(random() % letters));
  return out;
}

Words random_words(uint32_t seed, uint32_t letters, size_t count, size_t longest) {
  std::mt19937 random(seed);
  std::map<std::string, int64_t> words;
  while (words.size() < count) {
    const std::string word = kMark + random_letters(random, 1 + random() % longest, letters);
    words[word] = 1 + static_cast<int64_t>(random() % 9);
  }
  return {words.begin(), words.end()};
}

Codes codes_of(const TrainingText& text, const PieceRef& piece) {
  const auto begin = text.codes.begin() + piece.begin;
  return Codes(begin, begin + piece.length);
}

// Some of the strings of a text, with any scores.
UnigramPieces random_model(const TrainingText& text, std::mt19937& random) {
  std::map<Codes, PieceRef> strings;
  for (size_t segment = 0; segment < text.segments(); ++segment) {
    for (int32_t begin = text.begins[segment]; begin < text.begins[segment + 1] - 1; ++begin) {
      for (int32_t end = begin + 1; end < std::min(begin + 5, text.begins[segment + 1]); ++end) {
        const PieceRef piece{begin, end - begin};
        if (random() % 3 != 0) strings.emplace(codes_of(text, piece), piece);
      }
    }
  }
  UnigramPieces model;
  for (const auto& [codes, piece] : strings) {
    model.pieces.push_back(piece);
    model.scores.push_back(-1 - static_cast<double>(random()) / 4e8);
  }
  return model;
}

// A segmentation: its score, and the pieces, -1 for characters that are none.
struct Path {
  double score = 0;
  std::vector<int32_t> pieces;
};

void all_paths(const Codes& codes, size_t at, const std::map<Codes, int32_t>& numbers,
               const UnigramPieces& model, const Path& path, std::vector<Path>& out) {
  if (at == codes.size()) {
    out.push_back(path);
    return;
  }
  const auto begin = codes.begin() + static_cast<std::ptrdiff_t>(at);
  for (size_t length = 1; at + length <= codes.size(); ++length) {
    const auto found = numbers.find(Codes(begin, begin + static_cast<std::ptrdiff_t>(length)));
    if (found == numbers.end() && length > 1) continue;
    Path longer = path;
    longer.pieces.push_back(found == numbers.end() ? -1 : found->second);
    longer.score += found == numbers.end() ? *std::min_element(model.scores.begin(), model.scores.end()) -
                                                 double{UnigramModel::kUnknownPenalty}
                                           : model.scores[static_cast<size_t>(found->second)];
    all_paths(codes, at + length, numbers, model, longer, out);
  }
}

std::vector<Path> all_paths(const Codes& codes, const TrainingText& text, const UnigramPieces& model) {
  std::map<Codes, int32_t> numbers;
  for (size_t at = 0; at < model.size(); ++at) {
    numbers[codes_of(text, model.pieces[at])] = static_cast<int32_t>(at);
  }
  std::vector<Path> out;
  all_paths(codes, 0, numbers, model, {}, out);
  return out;
}

const Path& best_of(const std::vector<Path>& paths) {
  return *std::max_element(paths.begin(), paths.end(),
                           [](const Path& a, const Path& b) { return a.score < b.score; });
}

Codes segment_codes(const TrainingText& text, size_t segment) {
  const auto codes = text.segment(segment);
  return Codes(codes.begin(), codes.end());
}

bool has_piece(const PieceTraining& training, const std::string& text) {
  return std::any_of(training.pieces.begin(), training.pieces.end(),
                     [&](const ScoredPiece& piece) { return piece.text == text; });
}

}  // namespace

TEST_CASE("a suffix array is the order of the sorted suffixes") {
  std::mt19937 random(1);
  const auto check_text = [](const Codes& text, int32_t symbols) {
    Codes expected(text.size());
    std::iota(expected.begin(), expected.end(), 0);
    std::sort(expected.begin(), expected.end(), [&](int32_t a, int32_t b) {
      return std::lexicographical_compare(text.begin() + a, text.end(), text.begin() + b, text.end());
    });
    REQUIRE(suffix_array(text, symbols) == expected);
  };
  check_text({}, 1);
  for (int round = 0; round < 600; ++round) {
    const auto symbols = static_cast<int32_t>(1 + random() % 5);
    Codes text(1 + random() % 70);
    for (int32_t& symbol : text) symbol = static_cast<int32_t>(random() % static_cast<uint32_t>(symbols));
    check_text(text, symbols);
  }
  Codes fibonacci = {0};
  Codes next = {0, 1};
  while (fibonacci.size() < 1500) {
    Codes longer = next;
    longer.insert(longer.end(), fibonacci.begin(), fibonacci.end());
    fibonacci = std::exchange(next, longer);
  }
  check_text(fibonacci, 2);
}

TEST_CASE("the training text holds each segment once, cut where no piece can reach across") {
  const TrainingText text =
      text_of({{kMark + "ab,cd", 2}, {kMark + "ab.", 3}, {"cd\xD0\xB1", 5}, {kMark, 1}, {"", 4}});
  std::map<std::string, int64_t> segments;
  for (size_t at = 0; at < text.segments(); ++at) segments[text.utf8(text.segment(at))] = text.counts[at];
  CHECK(segments == std::map<std::string, int64_t>{
                        {kMark + "ab", 5}, {",", 2}, {"cd", 7}, {".", 3}, {"\xD0\xB1", 5}, {kMark, 1}});
}

TEST_CASE("seeds are the characters and the repeated strings that branch or end, by count times length") {
  for (uint32_t seed = 0; seed < 6; ++seed) {
    const TrainingText text = text_of(random_words(seed, 2 + seed % 2, 40, 8));
    struct Uses {
      int64_t count = 0;
      int64_t places = 0;
      std::set<int32_t> next;
      bool ends = false;
      bool whole = false;
    };
    std::map<Codes, Uses> uses;
    for (size_t segment = 0; segment < text.segments(); ++segment) {
      const Codes codes = segment_codes(text, segment);
      for (size_t begin = 0; begin < codes.size(); ++begin) {
        for (size_t end = begin + 1; end <= codes.size(); ++end) {
          Uses& string = uses[Codes(codes.begin() + static_cast<std::ptrdiff_t>(begin),
                                    codes.begin() + static_cast<std::ptrdiff_t>(end))];
          string.count += text.counts[segment];
          ++string.places;
          if (end < codes.size()) string.next.insert(codes[end]);
          string.ends |= end == codes.size();
          string.whole |= end - begin == codes.size();
        }
      }
    }
    PieceRules rules;
    rules.max_length = seed % 2 == 0 ? 16 : 4;
    std::vector<std::pair<int64_t, Codes>> expected;
    std::map<Codes, double> values;
    for (const auto& [codes, string] : uses) {
      const bool node = string.places > 1 ? string.next.size() > 1 || string.ends : string.whole;
      if (codes.size() == 1) values[codes] = static_cast<double>(string.count);
      if (codes.size() < 2 || codes.size() > static_cast<size_t>(rules.max_length)) continue;
      if (node && string.count > 1) {
        expected.push_back({-string.count * static_cast<int64_t>(codes.size()), codes});
      }
    }
    std::sort(expected.begin(), expected.end());
    const size_t most = seed < 3 ? 1000 : 25;
    expected.resize(std::min(expected.size(), most));
    for (const auto& [value, codes] : expected) values[codes] = -static_cast<double>(value);
    double sum = 0;
    for (const auto& [codes, value] : values) sum += value;

    const UnigramPieces model = unigram_seeds(text, rules, static_cast<int64_t>(most));
    REQUIRE(model.size() == values.size());
    size_t at = 0;
    for (const auto& [codes, value] : values) {
      REQUIRE(codes_of(text, model.pieces[at]) == codes);
      REQUIRE(model.scores[at] == Approx(std::log(value / sum)).epsilon(1e-12));
      ++at;
    }
  }
}

TEST_CASE("expected counts, best paths and losses are those of all segmentations") {
  for (uint32_t seed = 0; seed < 8; ++seed) {
    std::mt19937 random(seed);
    const TrainingText text = text_of(random_words(seed, 3, 30, 9));
    const UnigramPieces model = random_model(text, random);
    const PieceTrie trie(text, model.pieces);
    std::vector<double> expected(model.size(), 0.0);
    std::vector<double> best(model.size(), 0.0);
    for (size_t segment = 0; segment < text.segments(); ++segment) {
      const std::vector<Path> paths = all_paths(segment_codes(text, segment), text, model);
      const auto count = static_cast<double>(text.counts[segment]);
      double whole = 0;
      for (const Path& path : paths) whole += std::exp(path.score);
      for (const Path& path : paths) {
        for (const int32_t piece : path.pieces) {
          if (piece >= 0) expected[static_cast<size_t>(piece)] += count * std::exp(path.score) / whole;
        }
      }
      for (const int32_t piece : best_of(paths).pieces) {
        if (piece >= 0) best[static_cast<size_t>(piece)] += count;
      }
    }
    const std::vector<double> counts = best_path_counts(text, trie, model.scores);
    const std::vector<double> found = expected_counts(text, trie, model.scores);
    const std::vector<double> losses = removal_losses(text, model.pieces, trie, model.scores, counts);
    const double sum = std::accumulate(best.begin(), best.end(), 0.0);
    const double unknown =
        *std::min_element(model.scores.begin(), model.scores.end()) - double{UnigramModel::kUnknownPenalty};
    for (size_t at = 0; at < model.size(); ++at) {
      CAPTURE(seed, text.utf8(codes_of(text, model.pieces[at])));
      REQUIRE(std::abs(found[at] - expected[at]) < 1e-9);
      REQUIRE(counts[at] == best[at]);
      std::vector<Path> others = all_paths(codes_of(text, model.pieces[at]), text, model);
      std::erase_if(others, [&](const Path& path) { return path.pieces[0] == static_cast<int32_t>(at); });
      double loss = kInfinity;
      if (best[at] == 0 || (model.pieces[at].length > 1 && best_of(others).score > model.scores[at])) {
        loss = -kInfinity;
      } else if (model.pieces[at].length > 1) {
        const std::vector<int32_t>& other = best_of(others).pieces;
        loss = std::log(best[at] / sum);
        for (const int32_t piece : other) {
          loss -= piece < 0 ? unknown
                            : std::log((best[static_cast<size_t>(piece)] + best[at]) /
                                       (sum + best[at] * (static_cast<double>(other.size()) - 1)));
        }
        loss *= best[at];
      }
      if (std::isinf(loss)) {
        REQUIRE(losses[at] == loss);
      } else {
        REQUIRE(losses[at] == Approx(loss).epsilon(1e-9).margin(1e-9));
      }
    }
  }
}

TEST_CASE("expected counts are right in segments whose probability no double can hold") {
  std::mt19937 random(3);
  const TrainingText text = text_of({{random_letters(random, 3000, 3), 2}});
  UnigramPieces model = random_model(text, random);
  // Some scores so low that a few characters already use up a double's exponent.
  for (double& score : model.scores) score *= random() % 4 == 0 ? 40 : 1;
  const PieceTrie trie(text, model.pieces);
  const double unknown =
      *std::min_element(model.scores.begin(), model.scores.end()) - double{UnigramModel::kUnknownPenalty};
  std::map<Codes, size_t> numbers;
  for (size_t at = 0; at < model.size(); ++at) numbers[codes_of(text, model.pieces[at])] = at;
  const Codes codes = segment_codes(text, 0);
  struct Edge {
    size_t begin;
    size_t end;
    size_t piece;
    double score;
  };
  std::vector<Edge> edges;
  for (size_t begin = 0; begin < codes.size(); ++begin) {
    const auto at = codes.begin() + static_cast<std::ptrdiff_t>(begin);
    for (size_t end = begin + 1; end <= std::min(codes.size(), begin + 5); ++end) {
      const auto found = numbers.find(Codes(at, codes.begin() + static_cast<std::ptrdiff_t>(end)));
      if (found != numbers.end()) edges.push_back({begin, end, found->second, model.scores[found->second]});
      if (found == numbers.end() && end == begin + 1) edges.push_back({begin, end, model.size(), unknown});
    }
  }
  const auto add_logs = [](double a, double b) {
    const double most = std::max(a, b);
    return most == -kInfinity ? most : most + std::log(std::exp(a - most) + std::exp(b - most));
  };
  std::vector<double> forward(codes.size() + 1, -kInfinity);
  std::vector<double> backward = forward;
  forward.front() = 0;
  backward.back() = 0;
  for (const Edge& edge : edges) {
    forward[edge.end] = add_logs(forward[edge.end], forward[edge.begin] + edge.score);
  }
  for (auto edge = edges.rbegin(); edge != edges.rend(); ++edge) {
    backward[edge->begin] = add_logs(backward[edge->begin], backward[edge->end] + edge->score);
  }
  std::vector<double> expected(model.size() + 1, 0.0);
  for (const Edge& edge : edges) {
    expected[edge.piece] +=
        2 * std::exp(forward[edge.begin] + edge.score + backward[edge.end] - forward.back());
  }
  REQUIRE(forward.back() < -2000);
  const std::vector<double> found = expected_counts(text, trie, model.scores);
  for (size_t at = 0; at < model.size(); ++at)
    REQUIRE(found[at] == Approx(expected[at]).epsilon(1e-8).margin(1e-9));
}

namespace {

// The derivative of log gamma: the recurrence leads to where two terms of the series are enough.
double slope_of_log_gamma(double x) {
  double sum = 0;
  for (; x < 100; ++x) sum -= 1 / x;
  return sum + std::log(x) - 1 / (2 * x) - 1 / (12 * x * x);
}

// The rounds of training as Kudo 2018 describes them, upon the steps tested above.
std::map<std::string, double> plain_rounds(const TrainingText& text, size_t places) {
  UnigramPieces model = unigram_seeds(text, {}, 1000000);
  const auto keep_if = [&](const auto& keep) {
    UnigramPieces kept;
    for (size_t at = 0; at < model.size(); ++at) {
      if (!keep(at)) continue;
      kept.pieces.push_back(model.pieces[at]);
      kept.scores.push_back(model.scores[at]);
    }
    model = kept;
  };
  const auto target = static_cast<size_t>(1.1 * static_cast<double>(places));
  for (;;) {
    for (int step = 0; step < 2; ++step) {
      const auto expected = expected_counts(text, PieceTrie(text, model.pieces), model.scores);
      double sum = 0;
      for (const double count : expected) sum += count < 0.5 ? 0 : count;
      for (size_t at = 0; at < model.size(); ++at) {
        model.scores[at] = slope_of_log_gamma(expected[at]) - slope_of_log_gamma(sum);
      }
      keep_if([&](size_t at) { return expected[at] >= 0.5; });
    }
    if (model.size() <= target) break;
    const PieceTrie trie(text, model.pieces);
    const auto counts = best_path_counts(text, trie, model.scores);
    const auto losses = removal_losses(text, model.pieces, trie, model.scores, counts);
    std::vector<std::pair<double, size_t>> order;
    for (size_t at = 0; at < model.size(); ++at) {
      if (losses[at] > -kInfinity) order.push_back({-losses[at], at});
    }
    std::sort(order.begin(), order.end());
    order.resize(std::min(order.size(), std::max(target, model.size() * 3 / 4)));
    std::set<size_t> kept;
    for (const auto& [loss, at] : order) kept.insert(at);
    keep_if([&](size_t at) { return kept.contains(at); });
  }
  std::map<std::string, double> scores;
  for (size_t at = 0; at < model.size(); ++at) {
    scores[text.utf8(codes_of(text, model.pieces[at]))] = model.scores[at];
  }
  return scores;
}

}  // namespace

TEST_CASE("training a unigram model goes through the rounds and keeps the best, with all characters") {
  for (uint32_t seed = 20; seed < 23; ++seed) {
    const Words words = random_words(seed, 8, 700, 8);
    const std::map<std::string, double> rounds = plain_rounds(text_of(words), 100);
    const PieceTraining training = train(words, options_for(100));
    const auto is_char = [](const std::string& text) { return text.size() == 1 || text == kMark; };
    std::vector<double> others;
    for (const auto& [text, score] : rounds) {
      if (!is_char(text)) others.push_back(score);
    }
    std::sort(others.rbegin(), others.rend());
    size_t chars = 0;
    for (const ScoredPiece& piece : training.pieces) {
      CAPTURE(seed, piece.text);
      chars += is_char(piece.text);
      if (is_char(piece.text) && !rounds.contains(piece.text)) continue;
      REQUIRE(rounds.contains(piece.text));
      REQUIRE(static_cast<double>(piece.score) == Approx(rounds.at(piece.text)).epsilon(1e-5));
      if (!is_char(piece.text)) REQUIRE(static_cast<double>(piece.score) > others[100 - 9] - 1e-5);
    }
    CHECK(chars == 9);
  }
}

TEST_CASE(
    "training a unigram model gives as many pieces as asked, all characters among them, the best first") {
  const Words words = random_words(5, 6, 900, 9);
  const PieceTraining training = train(words, options_for(150));
  REQUIRE(training.pieces.size() == 150);
  CHECK(training.note.empty());
  CHECK(training.dropped.empty());
  std::set<std::string> different;
  double sum = 0;
  for (size_t at = 0; at < training.pieces.size(); ++at) {
    if (at > 0) CHECK(training.pieces[at - 1].score >= training.pieces[at].score);
    different.insert(training.pieces[at].text);
    sum += std::exp(static_cast<double>(training.pieces[at].score));
  }
  CHECK(different.size() == 150);
  CHECK(sum < 1);
  CHECK(sum > 0.5);
  for (const std::string character : {"a", "b", "c", "d", "e", "f"}) CHECK(has_piece(training, character));
  CHECK(has_piece(training, kMark));
}

TEST_CASE("training a unigram model finds the words that a text is made of") {
  std::mt19937 random(7);
  std::map<std::string, int64_t> words;
  const std::vector<std::string> parts = {"king", "dom", "free", "ship", "friend", "wis", "hard"};
  for (int at = 0; at < 3000; ++at) {
    std::string word = kMark;
    for (uint32_t count = 1 + random() % 3; count > 0; --count) word += parts[random() % parts.size()];
    ++words[word];
  }
  // 16 characters, and places for each part with and without the space before it.
  const PieceTraining training = train({words.begin(), words.end()}, options_for(16 + 14));
  size_t found = 0;
  for (const std::string& part : parts)
    found += has_piece(training, part) || has_piece(training, kMark + part);
  CHECK(found == parts.size());
}

TEST_CASE("training a unigram model gives the same at any thread count") {
  const Words words = random_words(9, 5, 3000, 12);
  std::vector<PieceTraining> results;
  for (const int threads : {1, 2, 4}) {
    const UseThreads set(threads);
    results.push_back(train(words, options_for(300)));
  }
  CHECK(results[0].pieces == results[1].pieces);
  CHECK(results[0].pieces == results[2].pieces);
}

TEST_CASE("training a unigram model drops rare characters and says which") {
  UnigramTrainingOptions options = options_for(8);
  options.character_coverage = 0.999;
  const PieceTraining training = train({{kMark + std::string(500, 'a'), 10},
                                        {kMark + "a\xC3\xA9"
                                                 "a",
                                         1},
                                        {kMark + "a\xE2\x96\x85", 2}},
                                       options);
  const std::vector<DroppedChar> dropped = {{U'\u2585', 2}, {U'\u00E9', 1}};
  REQUIRE(training.dropped == dropped);
  for (const ScoredPiece& piece : training.pieces) {
    CHECK(piece.text.find_first_not_of("a" + kMark) == std::string::npos);
  }
}

TEST_CASE("training a unigram model gives fewer pieces and a note where the text is too small") {
  const PieceTraining training = train({{kMark + "ab", 1}}, options_for(100));
  CHECK(training.pieces.size() == 3);
  CHECK_THAT(training.note, ContainsSubstring("100") && ContainsSubstring("3"));
}

TEST_CASE("training a unigram model refuses what it cannot use, and says why") {
  CHECK_THROWS_WITH(train({}, options_for(9)), ContainsSubstring("at least one usable character"));
  CHECK_THROWS_AS(train({{"\t", 3}}, options_for(9)), std::runtime_error);
  CHECK_THROWS_WITH(train({{kMark + "abcd", 1}}, options_for(4)),
                    ContainsSubstring("5 characters for 4 places"));
  CHECK_THROWS_WITH(train({{kMark + "\xFF", 1}}, options_for(4)), ContainsSubstring("byte 3 of word 0"));
  CHECK_THROWS_AS(train({{kMark, 0}}, options_for(9)), std::invalid_argument);
  const auto refuses = [](const UnigramTrainingOptions& options) {
    CHECK_THROWS_AS(train({{kMark, 1}}, options), std::invalid_argument);
  };
  refuses(options_for(0));
  UnigramTrainingOptions options = options_for(9);
  options.shrinking_factor = 1;
  refuses(options);
  options = options_for(9);
  options.sub_iterations = 0;
  refuses(options);
  options = options_for(9);
  options.seed_pieces = -1;
  refuses(options);
  options = options_for(9);
  options.rules.max_length = 513;
  refuses(options);
}

TEST_CASE("training a unigram model goes through a word of a megabyte") {
  std::mt19937 random(4);
  UnigramTrainingOptions options = options_for(200);
  options.seed_pieces = 500;
  options.shrinking_factor = 0.5;
  options.sub_iterations = 1;
  CHECK(train({{kMark + random_letters(random, 1000000, 4), 1}}, options).pieces.size() == 200);
  // Here the longest strings explain everything, so that few pieces are left.
  CHECK(train({{kMark + std::string(300000, 'a'), 1}}, options).pieces.size() < 18);
}

TEST_CASE("training a unigram model reports progress up to the end and stops when told to") {
  const Words words = random_words(1, 4, 200, 9);
  int64_t last = 0;
  train(words, options_for(60), [&](int64_t done, int64_t total) {
    CHECK(done >= last);
    CHECK(done <= total);
    last = done == total ? -done : done;
  });
  CHECK(last < 0);
  const auto stop = [](int64_t, int64_t) { throw std::domain_error("stop"); };
  CHECK_THROWS_AS(train(words, options_for(60), stop), std::domain_error);
}
