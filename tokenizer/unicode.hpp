#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gradus {

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

/// Appends a code point as UTF-8.
void append_utf8(char32_t c, std::string& out);

/// How many bytes at the end of `bytes` begin a character that later bytes may still complete (0 to 3).
int64_t incomplete_utf8_tail(std::string_view bytes);

/// A character for an error message: 'é' (U+00E9), or only U+0007 where it does not print.
std::string describe_char(char32_t c);

/// The version of Unicode behind char_class, such as "15.0.0".
std::string unicode_version();

}  // namespace gradus
