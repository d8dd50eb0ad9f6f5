#include "tokenizer/training/spm_bpe_trainer.hpp"

#include <algorithm>
#include <limits>
#include <vector>

#include "tensor/error.hpp"
#include "tokenizer/lookup/pair_map.hpp"
#include "tokenizer/training/training_text.hpp"

namespace gradus {
namespace {

constexpr const char* kName = "train_spm_bpe";

// A symbol covers one or more places of the text. Its number stands at its first and at its last place, so
// that a merge finds both neighbours without a list; places between hold kInside. Separators are symbol 0.
constexpr int32_t kInside = -1;

class Merger {
 public:
  Merger(const TrainingText& text, const PieceRules& rules)
      : text_(text), checker_(text.alphabet, rules), symbols_(text.codes), counts_(text.codes.size()) {
    lengths_.assign(static_cast<size_t>(text.alphabet_size()) + 1, 1);
    for (size_t segment = 0; segment < text.segments(); ++segment) {
      const auto begin = text.counts.begin();
      std::fill(counts_.begin() + text.begins[segment], counts_.begin() + text.begins[segment + 1],
                begin[static_cast<std::ptrdiff_t>(segment)]);
    }
    for (size_t at = 0; at + 1 < symbols_.size(); ++at) count_pair(at, at + 1);
    queue_new_pairs();
  }

  // Makes the next best pair a piece; gives its codes, or none if no pair is left. No string comes twice:
  // what a string is made of depends only on the string, as long as no merge has crossed its ends.
  std::span<const int32_t> merge_next() {
    while (!queue_.empty()) {
      std::pop_heap(queue_.begin(), queue_.end(), Later{*this});
      const Queued top = queue_.back();
      queue_.pop_back();
      Pair& pair = pairs_[top.pair];
      // Counts only fall once a pair is queued, so an outdated entry is never too late.
      if (pair.count != top.count) {
        if (pair.count > 0) push({pair.count, top.pair});
        continue;
      }
      const std::span<const int32_t> codes = codes_of(pair);
      merge(top.pair);
      return codes;
    }
    return {};
  }

 private:
  struct Pair {
    int32_t left;
    int32_t right;
    int64_t count = 0;
    std::vector<int32_t>
        places;  // where it is or once was, ascending; none for a pair that may not be a piece
  };

  struct Queued {
    int64_t count;
    size_t pair;
  };

  // Whether `a` is to be merged later than `b`.
  struct Later {
    const Merger& merger;
    bool operator()(const Queued& a, const Queued& b) const {
      if (a.count != b.count) return a.count < b.count;
      const std::span<const int32_t> of_a = merger.codes_of(merger.pairs_[a.pair]);
      const std::span<const int32_t> of_b = merger.codes_of(merger.pairs_[b.pair]);
      if (of_a.size() != of_b.size()) return of_a.size() > of_b.size();
      const auto [at_a, at_b] = std::mismatch(of_a.begin(), of_a.end(), of_b.begin());
      return at_a != of_a.end() && *at_a > *at_b;
    }
  };

  size_t length(int32_t symbol) const { return static_cast<size_t>(lengths_[static_cast<size_t>(symbol)]); }

  std::span<const int32_t> codes_of(const Pair& pair) const {
    return {&text_.codes[static_cast<size_t>(pair.places.front())], length(pair.left) + length(pair.right)};
  }

  // Counts the pair of the symbols that begin at two places.
  void count_pair(size_t left, size_t right) {
    const int32_t l = symbols_[left];
    const int32_t r = symbols_[right];
    if (l == 0 || r == 0) return;
    const auto index = static_cast<size_t>(ids_.find_or_insert(l, r, static_cast<int32_t>(pairs_.size())));
    if (index == pairs_.size()) {
      pairs_.push_back({l, r, 0, {}});
      if (checker_.valid({&text_.codes[left], length(l) + length(r)})) {
        pairs_[index].places.push_back(static_cast<int32_t>(left));
        pairs_[index].count = counts_[left];
      }
      return;
    }
    if (pairs_[index].places.empty()) return;
    pairs_[index].places.push_back(static_cast<int32_t>(left));
    pairs_[index].count += counts_[left];
  }

  void uncount_pair(int32_t left, int32_t right, int64_t count) {
    Pair& pair = pairs_[static_cast<size_t>(ids_.find(left, right))];
    if (!pair.places.empty()) pair.count -= count;
  }

  void merge(size_t index) {
    const int32_t left = pairs_[index].left;
    const int32_t right = pairs_[index].right;
    const std::vector<int32_t> places = std::move(pairs_[index].places);
    pairs_[index].places = {};
    pairs_[index].count = 0;
    const auto merged = static_cast<int32_t>(lengths_.size());
    const size_t left_length = length(left);
    const size_t whole = left_length + length(right);
    lengths_.push_back(static_cast<int32_t>(whole));
    for (const int32_t place : places) {
      const auto at = static_cast<size_t>(place);
      const size_t middle = at + left_length;
      if (symbols_[at] != left || symbols_[middle] != right) continue;
      const size_t end = at + whole;
      const int32_t before = at > 0 ? symbols_[at - 1] : 0;
      const int32_t after = symbols_[end];
      if (before != 0) uncount_pair(before, left, counts_[at]);
      if (after != 0) uncount_pair(right, after, counts_[at]);
      symbols_[middle - 1] = kInside;
      symbols_[middle] = kInside;
      symbols_[at] = merged;
      symbols_[end - 1] = merged;
      if (before != 0) count_pair(at - length(before), at);
      if (after != 0) count_pair(at, end);
    }
    queue_new_pairs();
  }

  void queue_new_pairs() {
    for (; queued_ < pairs_.size(); ++queued_) {
      if (pairs_[queued_].count > 0) push({pairs_[queued_].count, queued_});
    }
  }

  void push(Queued entry) {
    queue_.push_back(entry);
    std::push_heap(queue_.begin(), queue_.end(), Later{*this});
  }

  const TrainingText& text_;
  PieceChecker checker_;
  std::vector<int32_t> symbols_;  // by place
  std::vector<int64_t> counts_;   // by place: of its segment
  std::vector<int32_t> lengths_;  // by symbol
  PairMap ids_;
  std::vector<Pair> pairs_;
  size_t queued_ = 0;  // pairs before this one have been queued
  std::vector<Queued> queue_;
};

}  // namespace

PieceTraining train_spm_bpe(std::span<const CountedWord> words, const SpmBpeTrainingOptions& options,
                            const ProgressFn& progress) {
  check(options.places >= 1 && options.places <= std::numeric_limits<int32_t>::max() / 2, kName,
        ": places must be 1 to 2^30; they are ", options.places);
  ProgressReporter reporter(progress, options.places);
  const TrainingText text = make_training_text(words, options.rules, options.character_coverage, kName);
  check_alphabet_fits(text, options.places, kName);
  PieceTraining result;
  const auto add = [&](std::span<const int32_t> codes) {
    result.pieces.push_back({text.utf8(codes), -static_cast<float>(result.pieces.size())});
    reporter.report(static_cast<int64_t>(result.pieces.size()));
  };
  Merger merger(text, options.rules);
  const int64_t merges = options.places - text.alphabet_size();
  while (static_cast<int64_t>(result.pieces.size()) < merges) {
    const std::span<const int32_t> codes = merger.merge_next();
    if (codes.empty()) break;
    add(codes);
  }
  for (const int32_t code : codes_by_count(text)) add({&code, 1});
  result.dropped = text.dropped;
  result.note = shortfall_note(static_cast<int64_t>(result.pieces.size()), options.places);
  reporter.report(options.places);
  return result;
}

int64_t spm_bpe_training_bytes(std::span<const CountedWord> words, const SpmBpeTrainingOptions& options) {
  // A character holds codes, a symbol and a count, and its pairs' places, of which a merge adds two for each
  // it uses up; a piece brings some hundred pairs with their hash and queue entries.
  constexpr int64_t kPair = 56 + 2 * 2 * 16 + 2 * 16 + 32;
  return training_text_bytes(words) + total_bytes(words) * (4 + 8 + 4 * 4) + options.places * 100 * kPair;
}

}  // namespace gradus
