#include "tokenizer/bpe_merges.hpp"

#include <algorithm>
#include <bit>

namespace gradus {

BpeMerges::BpeMerges(const std::vector<BpeMerge>& merges) {
  const size_t slots = std::bit_ceil(2 * merges.size() + 16);
  slots_.resize(slots);
  mask_ = slots - 1;
  shift_ = 64 - std::countr_zero(slots);
  for (const BpeMerge& merge : merges) {
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

}  // namespace gradus
