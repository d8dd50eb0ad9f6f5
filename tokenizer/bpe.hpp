#pragma once

#include <array>
#include <memory>
#include <span>

#include "tokenizer/model.hpp"
#include "tokenizer/pair_map.hpp"

namespace gradus {

/// One merge of a BPE: `left` followed by `right` becomes `result`.
struct BpeMerge {
  int32_t left;
  int32_t right;
  int32_t result;
  bool operator==(const BpeMerge&) const = default;
};

/// The merges of a BPE in their order, and the two ways of applying them to a piece.
/// y = while some neighbours are in the list: merge those that stand first in it, of equals the leftmost
/// ref: Sennrich et al. 2016, Neural Machine Translation of Rare Words with Subword Units, algorithm 1
class BpeMerges {
 public:
  /// Pieces up to this many bytes are merged by scanning, longer ones by a heap.
  static constexpr size_t kLinearLimit = 64;

  BpeMerges(const std::array<int32_t, 256>& byte_ids, std::vector<BpeMerge> merges);

  /// Appends the ids of a piece: n log n in its length.
  void apply(std::string_view piece, std::vector<int32_t>& ids) const;
  /// The same for at most kLinearLimit bytes: n² but quick for short ones.
  void apply_linear(std::string_view piece, std::vector<int32_t>& ids) const;
  /// The same for any length.
  void apply_heap(std::string_view piece, std::vector<int32_t>& ids) const;

  const std::vector<BpeMerge>& list() const { return merges_; }

 private:
  // The place of a pair in the list, or kNone, which is later than any.
  static constexpr uint32_t kNone = ~uint32_t{0};
  uint32_t rank(int32_t left, int32_t right) const { return static_cast<uint32_t>(ranks_.find(left, right)); }

  std::array<int32_t, 256> byte_ids_;
  std::vector<BpeMerge> merges_;
  PairMap ranks_;
};

/// Byte-level BPE with the GPT-2 rule for pieces; without merges and special tokens it is the kind `byte`.
class BpeModel final : public TokenizerModel {
 public:
  /// note: the vocabulary holds a token for each of the 256 bytes; no merge gives a special token.
  BpeModel(Vocabulary vocabulary, std::vector<BpeMerge> merges, std::vector<int32_t> special_ids);

  std::string kind() const override;
  void encode(std::string_view text, int64_t offset, std::vector<int32_t>& ids) const override;
  Json to_json() const override;

  const BpeMerges& merges() const { return merges_; }

 private:
  // A token that the merges make of exactly its own bytes: a piece equal to it needs no merging.
  struct Whole {
    uint64_t hash = 0;
    int32_t id = -1;
  };
  int32_t find_whole(std::string_view piece, uint64_t hash) const;
  void index_whole_pieces();

  BpeMerges merges_;
  std::vector<Whole> whole_;  // open addressing, a power of two
};

}  // namespace gradus
