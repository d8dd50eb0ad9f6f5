#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gradus {

/// Code points are below it.
inline constexpr char32_t kCodePoints = 0x110000;

/// What the tokenizers need to know about a character.
/// note: Unicode general categories: letter is L, mark is M, digit is Nd, number is Nl and No; space is White_Space
///       (what `\s` means in a Unicode regular expression); everything else, unassigned included, is other.
enum class CharClass : uint8_t { letter, mark, digit, number, space, other };

/// The class of a code point.
CharClass char_class(char32_t c);

/// The general category of a code point, as Unicode names it; code points that are not assigned are Cn.
enum class Category : uint8_t {
  Cn,
  Lu,
  Ll,
  Lt,
  Lm,
  Lo,
  Mn,
  Mc,
  Me,
  Nd,
  Nl,
  No,
  Pc,
  Pd,
  Ps,
  Pe,
  Pi,
  Pf,
  Po,
  Sm,
  Sc,
  Sk,
  So,
  Zs,
  Zl,
  Zp,
  Cc,
  Cf,
  Cs,
  Co
};
Category category(char32_t c);

/// Reads the character that begins at `at`; gives its length in bytes, or 0 where the bytes are not UTF-8.
/// note: strict: overlong forms, surrogates, values above U+10FFFF and characters cut by `end` are not UTF-8.
int decode_utf8(const char* at, const char* end, char32_t& c);

/// The same of the character that ends where a text does.
int decode_last_utf8(std::string_view text, char32_t& c);

/// How many bytes the character at text[at] has; what is not UTF-8 counts as characters of one byte.
size_t char_length(std::string_view text, size_t at);

/// The one character that a text is; nothing where it is none, several or not UTF-8.
std::optional<char32_t> single_char(std::string_view text);

/// Whether a byte of UTF-8 goes on with a character that one before it begins.
inline bool is_continuation(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

/// How many characters a text in UTF-8 has.
inline size_t count_chars(std::string_view text) {
  return text.size() - static_cast<size_t>(std::count_if(text.begin(), text.end(), is_continuation));
}

/// How many bytes a code point has in UTF-8.
inline size_t utf8_length(char32_t c) { return c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4; }

/// Appends a code point as UTF-8.
void append_utf8(char32_t c, std::string& out);

/// How many bytes at the end of `bytes` begin a character that later bytes may still complete (0 to 3).
int64_t incomplete_utf8_tail(std::string_view bytes);

/// The text with U+FFFD in the place of each byte, or beginning of a character, that is not UTF-8.
/// ref: the "maximal subparts" of the Unicode Standard, section 3.9
std::string replace_invalid_utf8(std::string_view text);

/// A character for an error message: 'é' (U+00E9), or only U+0007 where it does not print.
std::string describe_char(char32_t c);

/// The version of Unicode behind char_class, such as "15.0.0".
std::string unicode_version();

/// How many bytes at the beginning of a text are ASCII.
size_t ascii_prefix(std::string_view text);

/// How many bytes at the beginning of a text are UTF-8.
size_t utf8_prefix(std::string_view text);
inline bool all_utf8(std::string_view text) { return utf8_prefix(text) == text.size(); }

/// Code points from the first to the last.
struct CharRange {
  char32_t first;
  char32_t last;
};

/// Whether one of some ranges, which must ascend, holds a code point.
inline bool in_ranges(std::span<const CharRange> ranges, char32_t c) {
  const auto found = std::lower_bound(ranges.begin(), ranges.end(), c,
                                      [](const CharRange& range, char32_t x) { return range.last < x; });
  return found != ranges.end() && c >= found->first;
}

/// The character as small letters: one, or two for U+0130, the only such one; the number of them is returned.
/// note: a character at a time, so a capital sigma at the end of a word becomes the same letter as elsewhere.
int to_lower(char32_t c, char32_t lower[2]);

/// The normal forms of Unicode. ref: Unicode Standard Annex 15.
enum class NormalForm : uint8_t { nfc, nfd, nfkc, nfkd };

/// Whether a form leaves a character as it is whatever stands before it, and nothing before it moves behind it.
/// note: so a text can be normalised in parts that begin with such characters; all of ASCII are.
bool stands_alone(NormalForm form, char32_t c);

/// A character of a rewritten text, and how many it takes the place of: 1 for 0, 0 for 1, and N + 1 for -N.
struct ChangedChar {
  char32_t c;
  int32_t change;
  bool operator==(const ChangedChar&) const = default;
};

/// Appends the normal form of some characters.
/// note: what each character takes the place of is counted as the Hugging Face library does it, in order and not by
///       origin: of marks that change places the first still takes the place of the first.
void append_normal_form(NormalForm form, std::u32string_view text, std::vector<ChangedChar>& out);

/// Where the user-perceived character (extended grapheme cluster) ends that begins at `at` (at < end).
/// note: a byte that is not UTF-8 is one of its own.
const char* grapheme_end(const char* at, const char* end);

}  // namespace gradus
