#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tokenizer/text/unicode.hpp"

namespace gradus::detail {

/// What the pre-tokenizers tell apart, one kind for each character.
/// note: all of them follow Unicode's general categories, except punctuation, which follows the (older) table of the
///       Hugging Face library and counts every ASCII symbol, and the four kinds that exist because `\w` has them.
enum class CharKind : uint8_t {
  upper,             // Lu, Lt
  lower,             // Ll
  caseless,          // Lm, Lo
  mark,              // M
  punctuation_mark,  // a mark that is punctuation to the Hugging Face library
  digit,             // Nd
  letter_number,     // Nl
  number,            // No
  newline,           // U+000A and U+000D
  space,             // the other White_Space
  connector,         // Pc
  punctuation,       // the other punctuation
  word_symbol,       // symbols that are alphabetic, such as U+24B6
  joiner,            // U+200C and U+200D
  other,             // everything else, unassigned characters and bytes that are not UTF-8 included
};

/// A set of kinds, one bit each.
using KindSet = uint32_t;

template <class... Kinds>
constexpr KindSet kinds(Kinds... kind) {
  return ((KindSet{1} << static_cast<int>(kind)) | ...);
}
constexpr bool in(CharKind kind, KindSet set) { return (set >> static_cast<int>(kind) & 1) != 0; }

inline constexpr KindSet kUppers = kinds(CharKind::upper);
inline constexpr KindSet kLowers = kinds(CharKind::lower);
inline constexpr KindSet kMarks = kinds(CharKind::mark, CharKind::punctuation_mark);
inline constexpr KindSet kLetters = kUppers | kLowers | kinds(CharKind::caseless);
inline constexpr KindSet kNumbers = kinds(CharKind::digit, CharKind::letter_number, CharKind::number);
inline constexpr KindSet kNewlines = kinds(CharKind::newline);
inline constexpr KindSet kSpaces = kNewlines | kinds(CharKind::space);
/// What the Hugging Face library cuts at as punctuation.
inline constexpr KindSet kPunctuation =
    kinds(CharKind::connector, CharKind::punctuation, CharKind::punctuation_mark);
/// What `\w` is to the Hugging Face library's pre-tokenizer Whitespace.
inline constexpr KindSet kWord = kLetters | kMarks |
                                 kinds(CharKind::digit, CharKind::letter_number, CharKind::connector,
                                       CharKind::word_symbol, CharKind::joiner);
inline constexpr KindSet kEveryKind = (KindSet{1} << (static_cast<int>(CharKind::other) + 1)) - 1;

/// The kind of a character, and its length in bytes.
struct Symbol {
  CharKind kind;
  uint8_t length;
};

/// The kinds of the ASCII characters, known before the program runs.
inline constexpr std::array<CharKind, 128> kAsciiKinds = [] {
  std::array<CharKind, 128> table{};
  for (size_t c = 0; c < 128; ++c) {
    table[c] = c >= 'a' && c <= 'z'              ? CharKind::lower
               : c >= 'A' && c <= 'Z'            ? CharKind::upper
               : c >= '0' && c <= '9'            ? CharKind::digit
               : c == '\n' || c == '\r'          ? CharKind::newline
               : c == ' ' || (c >= 9 && c <= 13) ? CharKind::space
               : c == '_'                        ? CharKind::connector
               : c > ' ' && c < 127              ? CharKind::punctuation
                                                 : CharKind::other;
  }
  return table;
}();

/// The kinds of all characters, read in two steps: which block of 64 code points, and where in the block.
class CharTable {
 public:
  CharTable();

  /// note: c must be below U+110000.
  CharKind kind(char32_t c) const { return blocks_[index_[c >> 6]][c & 63]; }

  /// The character that begins at `at` (at < end). note: a byte that is not UTF-8 is one character of kind other.
  Symbol symbol(const char* at, const char* end) const {
    const auto first = static_cast<unsigned char>(*at);
    return first < 0x80 ? Symbol{kAsciiKinds[first], 1} : wide_symbol(at, end);
  }

 private:
  Symbol wide_symbol(const char* at, const char* end) const;

  std::array<uint16_t, kCodePoints / 64> index_;
  std::vector<std::array<CharKind, 64>> blocks_;  // each different block once
};

/// The table, made at the first call.
inline const CharTable& char_table() {
  static const CharTable table;
  return table;
}

// Table lookups straight from the bytes: the last six bits of a character are those of its last byte, and the others
// choose the block.
inline Symbol CharTable::wide_symbol(const char* at, const char* end) const {
  const auto byte = [at](int i) { return static_cast<unsigned char>(at[i]); };
  const auto follows = [at](int i) { return is_continuation(at[i]); };
  const Symbol bad = {CharKind::other, 1};
  const std::ptrdiff_t left = end - at;
  if (byte(0) < 0xE0) {
    if (byte(0) < 0xC2 || left < 2 || !follows(1)) return bad;
    return {blocks_[index_[byte(0) & 0x1Fu]][byte(1) & 0x3Fu], 2};
  }
  if (byte(0) < 0xF0) {
    if (left < 3 || !follows(1) || !follows(2)) return bad;
    const unsigned block = (byte(0) & 0x0Fu) << 6 | (byte(1) & 0x3Fu);
    const bool overlong = block < 0x800 / 64;
    const bool surrogate = block >= 0xD800 / 64 && block < 0xE000 / 64;
    if (overlong || surrogate) return bad;
    return {blocks_[index_[block]][byte(2) & 0x3Fu], 3};
  }
  if (left < 4 || !follows(1) || !follows(2) || !follows(3)) return bad;
  const unsigned block = (byte(0) & 0x0Fu) << 12 | (byte(1) & 0x3Fu) << 6 | (byte(2) & 0x3Fu);
  if (byte(0) > 0xF4 || block < 0x10000 / 64 || block >= kCodePoints / 64) return bad;
  return {blocks_[index_[block]][byte(3) & 0x3Fu], 4};
}

}  // namespace gradus::detail
