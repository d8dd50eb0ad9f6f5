#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace gradus {

/// One merge of a BPE: `left` followed by `right` becomes `result`; of several that are possible the lowest `rank` goes
/// first, of equal ranks the leftmost.
struct BpeMerge {
  int32_t left;
  int32_t right;
  int32_t result;
  uint32_t rank;
  bool operator==(const BpeMerge&) const = default;
};

/// A word on its way through BPE: symbols side by side, each with where it begins (bytes).
struct BpeSymbol {
  int32_t id;
  uint32_t begin;
  bool operator==(const BpeSymbol&) const = default;
};

/// The merges of a BPE, and how they are applied to a word.
/// y = while some neighbours can merge: merge the pair of the lowest rank, of equals the leftmost
/// ref: Sennrich et al. 2016, Neural Machine Translation of Rare Words with Subword Units, algorithm 1
class BpeMerges {
 public:
  /// Words of up to this many symbols are merged by scanning, longer ones by a heap.
  static constexpr size_t kLinearLimit = 48;
  static constexpr uint32_t kNone = ~uint32_t{0};

  /// note: of two merges of the same pair the lower rank counts.
  explicit BpeMerges(const std::vector<BpeMerge>& merges);

  /// Merges the symbols in place; gives how many are left. n log n in their number.
  /// note: merges of rank `limit` or higher are left out.
  size_t apply(BpeSymbol* symbols, size_t count, uint32_t limit = kNone) const {
    if (count <= kLinearLimit) return apply_linear(symbols, count, limit);
    if (count <= kWindowsFrom || limit != kNone) return apply_heap(symbols, count, limit);
    return apply_windows(symbols, count);
  }
  /// The same for at most kLinearLimit symbols: n² but quick for short words.
  size_t apply_linear(BpeSymbol* symbols, size_t count, uint32_t limit = kNone) const;
  /// The same for any number.
  size_t apply_heap(BpeSymbol* symbols, size_t count, uint32_t limit = kNone) const;
  /// The same for any number, a window at a time, so that what is looked at stays in the cache.
  /// y = tokens of one window up to a place where the next begins, and so on. They are those of the whole, because tokens
  ///     are the encoding of their text if each two neighbours are the encoding of theirs: until a merge joins symbols of
  ///     two tokens, those of two neighbours merge in the order in which they would by themselves, and so that merge
  ///     would be one of theirs. Inside a window the neighbours are such, for the same reason; where windows meet that is
  ///     tried.
  /// ref: the github/rust-gems crate bpe, whose correctness rests on the same property
  size_t apply_windows(BpeSymbol* symbols, size_t count) const;

 private:
  static constexpr size_t kWindowsFrom = 256;

  struct Slot {
    int32_t left = -1;
    int32_t right = -1;
    uint32_t rank = kNone;
    int32_t result = -1;
  };

  // The slot of a pair, or a free one, whose rank is kNone.
  const Slot& find(int32_t left, int32_t right) const {
    size_t at = home(left, right);
    while (slots_[at].rank != kNone && (slots_[at].left != left || slots_[at].right != right)) {
      at = (at + 1) & mask_;
    }
    return slots_[at];
  }
  static uint64_t mix(int32_t left, int32_t right) {
    const uint64_t key =
        static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
    return key * 0x9E3779B97F4A7C15u;
  }
  size_t home(int32_t left, int32_t right) const { return static_cast<size_t>(mix(left, right) >> shift_); }

  // What a pair becomes, and how early; kNone where it does not merge.
  struct Outcome {
    uint32_t rank = kNone;
    int32_t result = -1;
  };
  Outcome outcome(int32_t left, int32_t right) const {
    if ((static_cast<uint32_t>(left) | static_cast<uint32_t>(right)) < kFirstIds) {
      return first_pairs_[static_cast<size_t>(left) * kFirstIds + static_cast<size_t>(right)];
    }
    const uint64_t mixed = mix(left, right);
    if ((filter_[mixed >> filter_shift_] >> (mixed >> 20 & 63) & 1) == 0) return {};
    const Slot& slot = find(left, right);
    return {slot.rank, slot.result};
  }

  using Tokens = std::vector<BpeSymbol>;
  class Windows;

  // Merging begins with bytes or characters, which have the lowest ids; their pairs lie in a table of their own.
  static constexpr size_t kFirstIds = 256;
  std::vector<Outcome> first_pairs_ = std::vector<Outcome>(kFirstIds * kFirstIds);
  // Most pairs do not merge, and most of these are known by a bit that is not set, in a table that stays in the cache.
  std::vector<uint64_t> filter_;
  int filter_shift_ = 0;
  std::vector<Slot> slots_;  // open addressing, a power of two
  size_t mask_ = 0;
  int shift_ = 0;
};

}  // namespace gradus
