#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tokenizer/training/training_text.hpp"

namespace gradus {

/// A piece, as some of the codes of a TrainingText.
struct PieceRef {
  int32_t begin;
  int32_t length;
};

/// The pieces as a trie, for finding all that begin at a place of the text: a double array, one look-up a
/// character.
/// ref: Aoe 1989
class PieceTrie {
 public:
  static constexpr int32_t kNone = -1;
  static constexpr int32_t kRoot = 0;

  /// The pieces must be different and in lexicographic order; a piece's number is its place in this order.
  PieceTrie(const TrainingText& text, std::span<const PieceRef> pieces);

  /// The node reached from `node` by a character, or kNone.
  int32_t step(int32_t node, int32_t code) const {
    const int32_t next = units_[static_cast<size_t>(node)].base + code;
    return units_[static_cast<size_t>(next)].parent == node ? next : kNone;
  }
  /// The piece that ends at a node, or kNone.
  int32_t piece(int32_t node) const { return units_[static_cast<size_t>(node)].piece; }

  /// Calls visit(end, piece) for every piece that begins at codes[at] and ends before codes[last]; gives whether
  /// the character by itself is one.
  template <class Visit>
  bool visit_from(std::span<const int32_t> codes, size_t at, size_t last, Visit visit) const {
    bool has_char = false;
    int32_t node = kRoot;
    for (size_t end = at; end < last;) {
      node = step(node, codes[end]);
      if (node == kNone) break;
      ++end;
      if (piece(node) == kNone) continue;
      has_char |= end == at + 1;
      visit(end, piece(node));
    }
    return has_char;
  }

  /// Gives every piece the number `numbers` has for it; kNone takes it out.
  void renumber(std::span<const int32_t> numbers);

 private:
  struct Unit {
    int32_t base = 0;
    int32_t parent = kNone;
    int32_t piece = kNone;
  };

  int32_t find_base(std::span<const int32_t> labels);
  bool is_free(size_t slot) const {
    return slot >= taken_.size() * 64 || !(taken_[slot / 64] >> slot % 64 & 1);
  }
  size_t next_free(size_t slot) const;
  void take(size_t slot);

  std::vector<Unit> units_;
  std::vector<uint64_t> taken_;  // a bit a unit, while building
  size_t first_free_ = 0;
  size_t labels_;  // 1 ... labels_ - 1 occur
};

}  // namespace gradus
