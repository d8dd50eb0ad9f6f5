// Which words are trained on, and how they are taken in rounds.

#include <algorithm>

#include "models/word_vectors/cooccurrence.hpp"
#include "models/word_vectors/corpus.hpp"
#include "models/word_vectors/window_trainer.hpp"

namespace gradus {
namespace {

constexpr int64_t kMostWindows = 512;  // of a round; twice as many of a mean, whose pairs are fewer
// What a round adds to a row may come to so many gradients of pairs, each times the learning rate. Their sum is computed from
// old values; where it is large beside these, each round overshoots by more than the one before.
constexpr double kMostStep = 4;
// And where one word comes again and again for a while, or through the pieces that words share.
constexpr double kMostStepOfRun = 24;

}  // namespace

// How many windows, and how many times the same word, a round can hold.
void WindowTrainer::limit_rounds() {
  double most_kept = 0, all_kept = 0;
  for (int64_t word = 0; word < vocabulary_.size(); ++word) {
    const auto w = static_cast<std::size_t>(word);
    const double kept = static_cast<double>(vocabulary_.counts[w]) * static_cast<double>(kept_shares_[w]);
    most_kept = std::max(most_kept, kept);
    all_kept += kept;
  }
  const double share = all_kept > 0 ? most_kept / all_kept : 1;
  // Pairs of a window, or the one of a mean; each has its noise. A word is input for all words of its context.
  const double pairs = options_.averages() ? 1 : usual_contexts_;
  const auto negatives = static_cast<double>(options_.negatives);
  const double of_word = usual_contexts_ * (1 + negatives);
  const double of_window = std::max(share * of_word, pairs * (share + negatives * noise_.largest_share()));
  const double rate = options_.learning_rate;
  double most = kMostStep / rate / of_window;
  if (pieces_ != nullptr) most = std::min(most, kMostStepOfRun / rate / (of_word * shared_pieces(all_kept)));
  const auto bound = static_cast<double>(options_.averages() ? 2 * kMostWindows : kMostWindows);
  most_windows_ = static_cast<int64_t>(std::clamp(most, 1.0, bound));
  most_occurrences_ = static_cast<uint16_t>(std::clamp(kMostStepOfRun / rate / of_word, 1.0, 1000.0));
}

// Of the rows that a word's vector is the mean of, the part that another word has, too, on average over the text.
double WindowTrainer::shared_pieces(double all_kept) const {
  std::vector<double> shares(static_cast<std::size_t>(pieces_->row_count()), 0);
  double rows = 0;
  for (int64_t word = 0; word < vocabulary_.size(); ++word) {
    const auto w = static_cast<std::size_t>(word);
    const double kept =
        static_cast<double>(vocabulary_.counts[w]) * static_cast<double>(kept_shares_[w]) / all_kept;
    for (const int32_t row : pieces_->rows(static_cast<int32_t>(word)))
      shares[static_cast<std::size_t>(row)] += kept;
    rows += kept * static_cast<double>(pieces_->rows(static_cast<int32_t>(word)).size());
  }
  double squares = 0;
  for (const double share : shares) squares += share * share;
  return squares / rows;
}

std::size_t WindowTrainer::reach(std::size_t i) const {
  if (options_.baskets) return static_cast<std::size_t>(kBasketReach);
  if (places_.empty()) return static_cast<std::size_t>(options_.window);
  // The high half; the low one has decided whether the word is kept.
  const uint64_t bits = keep_draws_.bits(static_cast<uint64_t>(epoch_ * text_size_ + places_[i]));
  return 1 + static_cast<std::size_t>(((bits >> 32) * static_cast<uint64_t>(options_.window)) >> 32);
}

void WindowTrainer::start_epoch(int64_t at) {
  kept_.clear();
  lines_.clear();
  places_.clear();
  next_ = 0;
  line_ = 0;
  read_ = at;
  // Words before the first one that is trained on are its context.
  std::size_t before = 0;
  const std::size_t most =
      options_.baskets ? static_cast<std::size_t>(kBasketReach) : static_cast<std::size_t>(options_.window);
  const auto first = static_cast<uint64_t>(epoch_ * text_size_);
  for (; read_ > 0 && text_[read_ - 1] != kLineEnd && before < most; --read_) {
    const int64_t place = read_ - 1;
    const uint64_t bits = keep_draws_.bits(first + static_cast<uint64_t>(place));
    if (static_cast<uint32_t>(bits) <= kept_shares_[static_cast<std::size_t>(text_[place])]) ++before;
  }
  fill(before);
  next_ = before;
}

// Reads on until so many kept words are there, or the epoch ends.
void WindowTrainer::fill(std::size_t count) {
  constexpr int64_t kBlock = 4096;
  const auto first = static_cast<uint64_t>(epoch_ * text_size_);
  while (kept_.size() < count && read_ < text_size_) {
    const int64_t block = std::min(kBlock, text_size_ - read_);
    std::size_t size = kept_.size();
    kept_.resize(size + static_cast<std::size_t>(block));
    lines_.resize(kept_.size());
    places_.resize(kept_.size());
    for (int64_t at = read_; at < read_ + block; ++at) {
      const int32_t word = text_[at];
      if (word == kLineEnd) {
        ++line_;
        continue;
      }
      const auto bits = static_cast<uint32_t>(keep_draws_.bits(first + static_cast<uint64_t>(at)));
      kept_[size] = word;
      lines_[size] = line_;
      places_[size] = at;
      size += bits <= kept_shares_[static_cast<std::size_t>(word)] ? 1 : 0;
    }
    kept_.resize(size);
    lines_.resize(size);
    places_.resize(size);
    read_ += block;
  }
}

// The end of the round that begins at next_.
std::size_t WindowTrainer::round_end() {
  fill(next_ + static_cast<std::size_t>(most_windows_) + (options_.baskets ? kBasketReach : options_.window));
  const std::size_t most = std::min(kept_.size(), next_ + static_cast<std::size_t>(most_windows_));
  std::size_t end = next_;
  while (end < most) {
    uint16_t& seen = occurrences_[static_cast<std::size_t>(kept_[end])];
    if (seen == most_occurrences_) break;
    ++seen;
    ++end;
  }
  for (std::size_t i = next_; i < end; ++i) occurrences_[static_cast<std::size_t>(kept_[i])] = 0;
  return end;
}

}  // namespace gradus
