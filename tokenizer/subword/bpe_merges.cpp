#include "tokenizer/subword/bpe_merges.hpp"

#include <algorithm>
#include <bit>

namespace gradus {

BpeMerges::BpeMerges(const std::vector<BpeMerge>& merges) {
  const size_t slots = std::bit_ceil(merges.size() + merges.size() / 3 + 16);
  slots_.resize(slots);
  mask_ = slots - 1;
  shift_ = 64 - std::countr_zero(slots);
  const size_t words = std::bit_ceil(merges.size() / 4 + 2);
  filter_.resize(words);
  filter_shift_ = 64 - std::countr_zero(words);
  for (const BpeMerge& merge : merges) {
    const uint64_t mixed = mix(merge.left, merge.right);
    filter_[mixed >> filter_shift_] |= uint64_t{1} << (mixed >> 20 & 63);
    size_t at = home(merge.left, merge.right);
    while (slots_[at].rank != kNone && (slots_[at].left != merge.left || slots_[at].right != merge.right)) {
      at = (at + 1) & mask_;
    }
    if (merge.rank < slots_[at].rank) slots_[at] = {merge.left, merge.right, merge.rank, merge.result};
    if ((static_cast<uint32_t>(merge.left) | static_cast<uint32_t>(merge.right)) >= kFirstIds) continue;
    Outcome& first =
        first_pairs_[static_cast<size_t>(merge.left) * kFirstIds + static_cast<size_t>(merge.right)];
    if (merge.rank < first.rank) first = {merge.rank, merge.result};
  }
}

size_t BpeMerges::apply_linear(BpeSymbol* symbols, size_t count, uint32_t limit) const {
  // What symbols i and i + 1 become.
  uint32_t ranks[kLinearLimit];
  int32_t results[kLinearLimit];
  const auto look_up = [&](size_t i) {
    const Outcome outcome = this->outcome(symbols[i].id, symbols[i + 1].id);
    ranks[i] = outcome.rank;
    results[i] = outcome.result;
  };
  for (size_t i = 0; i + 1 < count; ++i) look_up(i);
  while (count > 1) {
    // The lowest rank and, of equals, the first place as one number, so that no branch is guessed wrong on the way.
    uint64_t first = uint64_t{ranks[0]} << 32;
    for (size_t i = 1; i + 1 < count; ++i) first = std::min(first, uint64_t{ranks[i]} << 32 | i);
    const auto lowest = static_cast<uint32_t>(first >> 32);
    const auto best = static_cast<size_t>(first & 0xFFFFFFFF);
    if (lowest >= limit) break;
    symbols[best].id = results[best];
    for (size_t i = best + 1; i + 1 < count; ++i) {
      symbols[i] = symbols[i + 1];
      ranks[i - 1] = ranks[i];
      results[i - 1] = results[i];
    }
    --count;
    if (best > 0) look_up(best - 1);
    if (best + 1 < count) look_up(best);
  }
  return count;
}

size_t BpeMerges::apply_heap(BpeSymbol* symbols, size_t count, uint32_t limit) const {
  if (count == 0) return 0;
  constexpr uint32_t kEnd = ~uint32_t{0};
  struct Node {
    uint32_t previous;
    uint32_t next;
    uint32_t
        rank;  // of the pair with the next symbol; kNone where there is none or the symbol is merged away
    int32_t result;
  };
  struct Candidate {
    uint32_t rank;
    uint32_t at;
    bool operator<(const Candidate& other) const {  // std's heaps keep the largest on top
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };
  std::vector<Node> nodes(count);
  std::vector<Candidate> heap;
  const auto look_up = [&](uint32_t at) {
    Node& node = nodes[at];
    node.rank = kNone;
    if (node.next == kEnd) return;
    const Outcome outcome = this->outcome(symbols[at].id, symbols[node.next].id);
    if (outcome.rank >= limit) return;
    node.rank = outcome.rank;
    node.result = outcome.result;
  };
  const auto size = static_cast<uint32_t>(count);
  for (uint32_t i = 0; i < size; ++i)
    nodes[i] = {i == 0 ? kEnd : i - 1, i + 1 == size ? kEnd : i + 1, kNone, 0};
  for (uint32_t i = 0; i < size; ++i) {
    look_up(i);
    if (nodes[i].rank != kNone) heap.push_back({nodes[i].rank, i});
  }
  std::make_heap(heap.begin(), heap.end());
  // A changed pair gets a new entry; the old one is known by a rank that is no longer the node's.
  const auto update = [&](uint32_t at) {
    look_up(at);
    if (nodes[at].rank == kNone) return;
    heap.push_back({nodes[at].rank, at});
    std::push_heap(heap.begin(), heap.end());
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Candidate top = heap.back();
    heap.pop_back();
    Node& left = nodes[top.at];
    if (left.rank != top.rank) continue;
    Node& right = nodes[left.next];
    symbols[top.at].id = left.result;
    left.next = right.next;
    if (right.next != kEnd) nodes[right.next].previous = top.at;
    right.rank = kNone;
    update(top.at);
    if (left.previous != kEnd) update(left.previous);
  }
  size_t kept = 0;
  for (uint32_t i = 0; i != kEnd; i = nodes[i].next) symbols[kept++] = symbols[i];
  return kept;
}

// A long word on its way. Tokens begin at the places of their first initial symbols, and those before `begin_` are kept.
class BpeMerges::Windows {
 public:
  Windows(const BpeMerges& merges, const BpeSymbol* symbols, size_t count)
      : merges_(merges), count_(count), initial_(count) {
    for (size_t i = 0; i < count; ++i) initial_[i] = symbols[i].id;
    kept_.reserve(count / 2);
  }

  // The word's tokens.
  const Tokens& merge() {
    merge_window(window_, begin_);
    while (begin_ + size_ < count_) {
      if (!advance()) widen();
    }
    keep(window_.size());
    return kept_;
  }

 private:
  void merge_window(Tokens& tokens, size_t begin) {
    tokens.resize(std::min(size_, count_ - begin));
    for (size_t i = 0; i < tokens.size(); ++i)
      tokens[i] = {initial_[begin + i], static_cast<uint32_t>(begin + i)};
    tokens.resize(apply(tokens.data(), tokens.size()));
  }

  size_t apply(BpeSymbol* symbols, size_t count) {
    return count <= kLinearLimit ? merges_.apply_linear(symbols, count) : merges_.apply_heap(symbols, count);
  }

  void keep(size_t tokens) {
    kept_.insert(kept_.end(), window_.begin(), window_.begin() + static_cast<std::ptrdiff_t>(tokens));
  }

  // Goes on to a window that begins near the end of this one, as its last tokens may be cut off; false where none fits.
  bool advance() {
    constexpr size_t kTries = 12;
    for (size_t back = 2; back < window_.size() && back < 2 + kTries; ++back) {
      const size_t first = window_.size() - back;
      const size_t middle = window_[first].begin;
      const auto here = initial_.begin() + static_cast<std::ptrdiff_t>(begin_);
      const auto there = initial_.begin() + static_cast<std::ptrdiff_t>(middle);
      // In long runs one window is like the other.
      if (middle + size_ <= count_ && std::equal(there, there + static_cast<std::ptrdiff_t>(size_), here)) {
        next_ = window_;
        for (BpeSymbol& token : next_) token.begin += static_cast<uint32_t>(middle - begin_);
      } else {
        merge_window(next_, middle);
      }
      if (!fit(window_[first - 1], next_, middle)) continue;
      keep(first);
      begin_ = middle;
      window_.swap(next_);
      return true;
    }
    return false;
  }

  // Takes a larger window. It may begin with another token than before, one that what is kept does not fit.
  void widen() {
    size_ *= 4;
    merge_window(window_, begin_);
    for (size_t back = 1; !kept_.empty() && !fit(kept_.back(), window_, begin_); back *= 2) {
      kept_.resize(kept_.size() - std::min(back, kept_.size() - 1));
      begin_ = kept_.back().begin;
      kept_.pop_back();
      merge_window(window_, begin_);
    }
  }

  // Whether a token and the first of the window behind it, which begins at `begin`, are what merging makes of the symbols of
  // both.
  bool fit(const BpeSymbol& left, const Tokens& window, size_t begin) {
    const size_t end = window.size() > 1 ? window[1].begin : std::min(begin + size_, count_);
    const auto symbols = initial_.begin() + left.begin;
    const auto fitting = initial_.begin() + fitting_.begin;
    // In long runs the two are the same again and again.
    if (begin - left.begin == fitting_.middle && end - left.begin == fitting_.size &&
        std::equal(symbols, symbols + static_cast<std::ptrdiff_t>(fitting_.size), fitting)) {
      return true;
    }
    both_.resize(end - left.begin);
    for (size_t i = left.begin; i < end; ++i) both_[i - left.begin] = {initial_[i], static_cast<uint32_t>(i)};
    const bool fits = apply(both_.data(), both_.size()) == 2 && both_[0] == left && both_[1] == window[0];
    if (fits) fitting_ = {left.begin, begin - left.begin, end - left.begin};
    return fits;
  }

  // Where two tokens stand that fit: where the first begins, and from there on, where the second does, and where it ends.
  struct Fitting {
    uint32_t begin = 0;
    size_t middle = 0;
    size_t size = 0;
  };

  const BpeMerges& merges_;
  size_t count_;
  std::vector<int32_t> initial_;
  Tokens kept_;
  Tokens window_;
  Tokens next_;
  Tokens both_;
  Fitting fitting_;   // those that were tried last
  size_t begin_ = 0;  // of the window
  size_t size_ = 32;  // of the window, in symbols: what is looked up for so many stays in the cache
};

size_t BpeMerges::apply_windows(BpeSymbol* symbols, size_t count) const {
  Windows windows(*this, symbols, count);
  const Tokens& tokens = windows.merge();
  // No token comes to stand behind its place.
  for (size_t i = 0; i < tokens.size(); ++i) symbols[i] = {tokens[i].id, symbols[tokens[i].begin].begin};
  return tokens.size();
}

}  // namespace gradus
