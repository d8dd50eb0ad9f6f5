#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tokenizer/text/space_mark.hpp"

namespace gradus {

/// What a piece may look like; the defaults are SentencePiece's.
/// ref: google/sentencepiece, the trainer's options of the same meaning
struct PieceRules {
  int64_t max_length = 16;              // characters, 1 ... 512
  bool split_by_unicode_script = true;  // a piece keeps to one script
  bool split_by_number = true;          // digits count as a script's characters; else they go with any
  bool split_by_whitespace = true;      // U+2581 only at a piece's beginning; else also inside
  bool split_digits = false;            // each digit stands alone
  bool whitespace_only_pieces = false;  // pieces of nothing but U+2581
  std::vector<std::string> excluded;    // texts that no piece of several characters may be
};

/// Whether no piece may ever hold the character: the space, U+0000, the tab, and U+2585, SentencePiece's mark
/// of an unknown character.
bool is_reserved_char(char32_t c);

/// Answers for an alphabet, which ascends, what PieceRules ask. Characters are given by code: c is alphabet[c - 1], 0 is
/// none.
class PieceChecker {
 public:
  PieceChecker(std::span<const char32_t> alphabet, const PieceRules& rules);

  /// Whether the characters may be one piece.
  bool valid(std::span<const int32_t> codes) const;

  /// Whether no valid piece holds `left` with `right` after it; such a place cuts every text in two.
  bool cuts(int32_t left, int32_t right) const;

 private:
  struct Traits {
    uint8_t script;
    bool space;
    bool digit;
    bool reserved;
  };

  PieceRules rules_;
  std::vector<Traits> traits_;                  // by code
  std::vector<std::vector<int32_t>> excluded_;  // as codes
};

}  // namespace gradus
