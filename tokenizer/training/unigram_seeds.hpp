#pragma once

#include <cstdint>
#include <vector>

#include "tokenizer/training/piece_trie.hpp"
#include "tokenizer/training/training_text.hpp"

namespace gradus {

/// Pieces and their log probabilities, in lexicographic order.
struct UnigramPieces {
  std::vector<PieceRef> pieces;
  std::vector<double> scores;

  size_t size() const { return pieces.size(); }
};

/// The pieces that the training of a unigram model starts from: all characters, and of the strings that occur
/// twice or more the `most` with the greatest count times length; of equals, the first in lexicographic
/// order.
/// y = log(value / sum of all values), the value being the count of a character, count times length of a
///     longer string
/// note: of strings that always continue in the same way only the longest is taken, and of those inside a
///       single segment only the segment itself. SentencePiece counts in running text instead, so that a word
///       which the same character always follows is not among its seeds.
/// ref: Kudo 2018, section 3.2
UnigramPieces unigram_seeds(const TrainingText& text, const PieceRules& rules, int64_t most);

}  // namespace gradus
