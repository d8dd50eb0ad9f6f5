#include "tokenizer/training/unigram_trainer.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <string>
#include <vector>

#include "tensor/error.hpp"
#include "tensor/math.hpp"
#include "tokenizer/training/training_text.hpp"
#include "tokenizer/training/unigram_em.hpp"
#include "tokenizer/training/unigram_seeds.hpp"

namespace gradus {
namespace {

constexpr const char* kName = "train_unigram";
constexpr double kLeastExpected = 0.5;  // pieces expected less often are dropped
constexpr double kOvershoot = 1.1;      // times the places: where the rounds end
constexpr int64_t kProgressSteps = 1000;

// The derivative of log gamma. ref: Abramowitz and Stegun 6.3.5 and 6.3.18
double digamma(double x) {
  double shift = 0;
  for (; x < 8; x += 1) shift -= 1 / x;
  const double y = 1 / (x * x);
  const double series = y * (1.0 / 12 - y * (1.0 / 120 - y * (1.0 / 252 - y * (1.0 / 240 - y / 132))));
  return shift + math::log(x) - 0.5 / x - series;
}

// Keeps the pieces that `keep` says; gives the new number of each, or kNone.
std::vector<int32_t> filter(UnigramPieces& model, const std::vector<char>& keep) {
  std::vector<int32_t> numbers(model.size(), PieceTrie::kNone);
  size_t kept = 0;
  for (size_t at = 0; at < model.size(); ++at) {
    if (!keep[at]) continue;
    model.pieces[kept] = model.pieces[at];
    model.scores[kept] = model.scores[at];
    numbers[at] = static_cast<int32_t>(kept++);
  }
  model.pieces.resize(kept);
  model.scores.resize(kept);
  return numbers;
}

// One step of expectation maximisation.
// y = digamma(expected) - digamma(sum of expected)   note: which favours few, frequent pieces over the plain
//     logarithm
void improve(const TrainingText& text, UnigramPieces& model, PieceTrie& trie) {
  const std::vector<double> expected = expected_counts(text, trie, model.scores);
  std::vector<char> keep(model.size());
  double sum = 0;
  for (size_t at = 0; at < model.size(); ++at) {
    keep[at] = expected[at] >= kLeastExpected;
    if (keep[at]) sum += expected[at];
  }
  const double whole = digamma(sum);
  for (size_t at = 0; at < model.size(); ++at) {
    if (keep[at]) model.scores[at] = digamma(expected[at]) - whole;
  }
  trie.renumber(filter(model, keep));
}

// Drops the pieces that are missed least until `target` are left, which is never less than the characters.
void prune(const TrainingText& text, UnigramPieces& model, const PieceTrie& trie, size_t target) {
  const std::vector<double> counts = best_path_counts(text, trie, model.scores);
  const std::vector<double> losses = removal_losses(text, model.pieces, trie, model.scores, counts);
  std::vector<char> keep(model.size(), 0);
  std::vector<size_t> candidates;
  size_t kept = 0;
  for (size_t at = 0; at < model.size(); ++at) {
    if (losses[at] == std::numeric_limits<double>::infinity()) {
      keep[at] = 1;
      ++kept;
    } else if (losses[at] > -std::numeric_limits<double>::infinity()) {
      candidates.push_back(at);
    }
  }
  std::sort(candidates.begin(), candidates.end(),
            [&](size_t a, size_t b) { return losses[a] != losses[b] ? losses[a] > losses[b] : a < b; });
  const size_t room = target > kept ? target - kept : 0;
  for (size_t index = 0; index < std::min(room, candidates.size()); ++index) keep[candidates[index]] = 1;
  filter(model, keep);
}

bool comes_first(const ScoredPiece& a, const ScoredPiece& b) {
  return a.score != b.score ? a.score > b.score : a.text < b.text;
}

// All characters and the best of the other pieces.
std::vector<ScoredPiece> final_pieces(const TrainingText& text, const UnigramPieces& model, size_t places) {
  std::vector<ScoredPiece> chars(text.alphabet.size());
  std::vector<char> has_score(text.alphabet.size(), 0);
  std::vector<ScoredPiece> others;
  float least = 0;
  for (size_t at = 0; at < model.size(); ++at) {
    const auto begin = static_cast<size_t>(model.pieces[at].begin);
    const auto length = static_cast<size_t>(model.pieces[at].length);
    const ScoredPiece piece{text.utf8({&text.codes[begin], length}), static_cast<float>(model.scores[at])};
    least = std::min(least, piece.score);
    if (length > 1) {
      others.push_back(piece);
      continue;
    }
    const auto code = static_cast<size_t>(text.codes[begin]) - 1;
    chars[code] = piece;
    has_score[code] = 1;
  }
  // Characters that lost their piece get scores about as low as any, the more frequent ones the lower, as in
  // SentencePiece.
  float step = 0;
  for (const int32_t code : codes_by_count(text)) {
    const auto at = static_cast<size_t>(code) - 1;
    if (has_score[at]) continue;
    chars[at] = {text.utf8({&code, 1}), least + step};
    step += 0.0001F;
  }
  std::sort(others.begin(), others.end(), comes_first);
  if (others.size() > places - chars.size()) others.resize(places - chars.size());
  chars.insert(chars.end(), others.begin(), others.end());
  std::sort(chars.begin(), chars.end(), comes_first);
  return chars;
}

void check_options(const UnigramTrainingOptions& options) {
  check(options.places >= 1 && options.places <= std::numeric_limits<int32_t>::max() / 2, kName,
        ": places must be 1 to 2^30; they are ", options.places);
  check(options.seed_pieces >= 0 && options.seed_pieces <= std::numeric_limits<int32_t>::max() / 2, kName,
        ": seed_pieces must be 0 to 2^30; they are ", options.seed_pieces, "; 1000000 is usual");
  check(options.shrinking_factor >= 0.5 && options.shrinking_factor <= 0.95, kName,
        ": shrinking_factor must be 0.5 to 0.95; it is ", options.shrinking_factor, "; 0.75 is usual");
  check(options.sub_iterations >= 1 && options.sub_iterations <= 10, kName,
        ": sub_iterations must be 1 to 10; they are ", options.sub_iterations, "; 2 is usual");
}

}  // namespace

PieceTraining train_unigram(std::span<const CountedWord> words, const UnigramTrainingOptions& options,
                            const ProgressFn& progress) {
  check_options(options);
  ProgressReporter reporter(progress, kProgressSteps);
  const TrainingText text = make_training_text(words, options.rules, options.character_coverage, kName);
  check_alphabet_fits(text, options.places, kName);
  reporter.report(kProgressSteps / 20);
  UnigramPieces model = unigram_seeds(text, options.rules, options.seed_pieces);
  const auto target = static_cast<size_t>(static_cast<double>(options.places) * kOvershoot);
  // The rounds shrink the model by about the same factor each, so the logarithm of its size tells how far
  // they are.
  const double start = math::log(static_cast<double>(std::max(model.size(), target + 1)));
  const double way = start - math::log(static_cast<double>(target));
  const auto report = [&] {
    const double done = (start - math::log(static_cast<double>(std::max(model.size(), target)))) / way;
    reporter.report(kProgressSteps / 10 + static_cast<int64_t>(0.85 * kProgressSteps * done));
  };
  for (;;) {
    PieceTrie trie(text, model.pieces);
    for (int64_t step = 0; step < options.sub_iterations && model.size() > 0; ++step) {
      report();
      improve(text, model, trie);
    }
    if (model.size() <= target) break;
    const auto shrunk = static_cast<size_t>(options.shrinking_factor * static_cast<double>(model.size()));
    report();
    prune(text, model, trie, std::max(target, shrunk));
  }
  PieceTraining result;
  result.pieces = final_pieces(text, model, static_cast<size_t>(options.places));
  result.dropped = text.dropped;
  result.note = shortfall_note(static_cast<int64_t>(result.pieces.size()), options.places);
  reporter.report(kProgressSteps);
  return result;
}

int64_t unigram_training_bytes(std::span<const CountedWord> words, const UnigramTrainingOptions& options) {
  const int64_t bytes = total_bytes(words);
  int64_t longest = 0;
  for (const CountedWord& word : words) longest = std::max(longest, std::ssize(word.bytes));
  const int64_t seeds = std::min(options.seed_pieces, 2 * bytes) + 256;
  // Suffixes, how far their segments go, what they share, and the sorting's own; candidates in a vector that
  // has just doubled.
  const int64_t seeding = bytes * (4 + 2 + 4 + 2 + 10 + 2 * 16);
  // Pieces, scores, counts, losses, candidates, and the trie with about two nodes a piece.
  const int64_t rounds = seeds * (8 + 8 + 8 + 8 + 8 + 2 * 2 * 12) +
                         unigram_em_bytes(seeds, bytes, longest, options.rules.max_length);
  return training_text_bytes(words) + std::max(seeding, rounds);
}

}  // namespace gradus
