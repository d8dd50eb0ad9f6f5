#include "tokenizer/bpe_merges.hpp"

#include <algorithm>
#include <bit>
#include <utility>

namespace gradus {

BpeMerges::BpeMerges(const std::vector<BpeMerge>& merges) {
  const size_t slots = std::bit_ceil(2 * merges.size() + 16);
  slots_.resize(slots);
  mask_ = slots - 1;
  shift_ = 64 - std::countr_zero(slots);
  const size_t words = std::bit_ceil(merges.size() / 8 + 2);
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

size_t BpeMerges::apply_linear(BpeSymbol* symbols, size_t count, uint32_t limit, bool* ascending) const {
  uint32_t last = 0;
  Outcome pairs[kLinearLimit];  // of symbols i and i + 1
  const auto pair_at = [&](size_t i) { return outcome(symbols[i].id, symbols[i + 1].id); };
  for (size_t i = 0; i + 1 < count; ++i) pairs[i] = pair_at(i);
  while (count > 1) {
    size_t best = 0;
    uint32_t lowest = pairs[0].rank;
    for (size_t i = 1; i + 1 < count; ++i) {
      best = pairs[i].rank < lowest ? i : best;
      lowest = std::min(pairs[i].rank, lowest);
    }
    if (lowest >= limit) break;
    if (lowest < last && ascending != nullptr) *ascending = false;
    last = lowest;
    symbols[best].id = pairs[best].result;
    for (size_t i = best + 1; i + 1 < count; ++i) {
      symbols[i] = symbols[i + 1];
      pairs[i - 1] = pairs[i];
    }
    --count;
    if (best > 0) pairs[best - 1] = pair_at(best - 1);
    if (best + 1 < count) pairs[best] = pair_at(best);
  }
  return count;
}

size_t BpeMerges::apply_heap(BpeSymbol* symbols, size_t count, uint32_t limit, bool* ascending) const {
  uint32_t last = 0;
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
    if (top.rank < last && ascending != nullptr) *ascending = false;
    last = top.rank;
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

// Whether two tokens side by side are what merging makes of their initial symbols, those from `begin` to `end`.
bool BpeMerges::fit_together(const std::vector<int32_t>& initial, size_t begin, const BpeSymbol& left,
                             const BpeSymbol& right, size_t end, bool& ascending) const {
  BpeSymbol few[kLinearLimit];
  std::vector<BpeSymbol> many;
  BpeSymbol* symbols = few;
  if (end - begin > kLinearLimit) {
    many.resize(end - begin);
    symbols = many.data();
  }
  for (size_t i = begin; i < end; ++i) symbols[i - begin] = {initial[i], static_cast<uint32_t>(i)};
  const size_t count = symbols == few ? apply_linear(symbols, end - begin, kNone, &ascending)
                                      : apply_heap(symbols, end - begin, kNone, &ascending);
  return count == 2 && symbols[0].id == left.id && symbols[1].id == right.id &&
         symbols[1].begin == right.begin;
}

size_t BpeMerges::apply_windows(BpeSymbol* symbols, size_t count) const {
  constexpr size_t kTries = 12;  // places at which two windows may meet
  std::vector<int32_t> initial(count);
  std::vector<uint32_t> begins(count);
  for (size_t i = 0; i < count; ++i) {
    initial[i] = symbols[i].id;
    begins[i] = symbols[i].begin;
  }
  bool ascending = true;
  // Inside windows a token begins at the place of its first initial symbol.
  const auto merge = [&](std::vector<BpeSymbol>& out, size_t begin, size_t size) {
    out.resize(std::min(size, count - begin));
    for (size_t i = 0; i < out.size(); ++i) out[i] = {initial[begin + i], static_cast<uint32_t>(begin + i)};
    out.resize(out.size() <= kLinearLimit ? apply_linear(out.data(), out.size(), kNone, &ascending)
                                          : apply_heap(out.data(), out.size(), kNone, &ascending));
  };
  size_t kept = 0;
  const auto keep = [&](const std::vector<BpeSymbol>& tokens, size_t first) {
    for (size_t i = 0; i < first; ++i) symbols[kept++] = {tokens[i].id, begins[tokens[i].begin]};
  };
  std::vector<BpeSymbol> window;
  std::vector<BpeSymbol> next;
  std::pair<int32_t, int32_t> last_pair{-1, -1};  // of tokens that fit together
  size_t size = kLinearLimit;
  size_t begin = 0;
  merge(window, begin, size);
  while (begin + size < count && ascending) {
    // The last tokens of a window may be cut off, so the next one begins before them.
    bool met = false;
    const size_t tokens = window.size();
    for (size_t back = 2; back < tokens && back < 2 + kTries && !met; ++back) {
      const size_t first = tokens - back;
      const size_t middle = window[first].begin;
      const auto here = initial.begin() + static_cast<std::ptrdiff_t>(begin);
      const auto there = initial.begin() + static_cast<std::ptrdiff_t>(middle);
      // In long runs one window is like the other.
      if (middle + size <= count && std::equal(there, there + static_cast<std::ptrdiff_t>(size), here)) {
        next = window;
        for (BpeSymbol& token : next) token.begin += static_cast<uint32_t>(middle - begin);
      } else {
        merge(next, middle, size);
      }
      const size_t end = next.size() > 1 ? next[1].begin : std::min(middle + size, count);
      const std::pair<int32_t, int32_t> pair{window[first - 1].id, next[0].id};
      met = pair == last_pair ||
            fit_together(initial, window[first - 1].begin, window[first - 1], next[0], end, ascending);
      if (!met) continue;
      last_pair = pair;
      keep(window, first);
      begin = middle;
      window.swap(next);
    }
    if (met) continue;
    size *= 4;
    merge(window, begin, size);
  }
  if (!ascending) {
    for (size_t i = 0; i < count; ++i) symbols[i] = {initial[i], begins[i]};
    return apply_heap(symbols, count);
  }
  keep(window, window.size());
  return kept;
}

}  // namespace gradus
