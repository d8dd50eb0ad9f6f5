#include "tokenizer/unicode.hpp"

#include <utf8proc.h>

#include <cstdio>

namespace gradus {

CharClass char_class(char32_t c) {
  // The controls that are White_Space: their category is Cc like that of any other control.
  if ((c >= 0x09 && c <= 0x0D) || c == 0x85) return CharClass::space;
  switch (utf8proc_category(static_cast<utf8proc_int32_t>(c))) {
    case UTF8PROC_CATEGORY_LU:
    case UTF8PROC_CATEGORY_LL:
    case UTF8PROC_CATEGORY_LT:
    case UTF8PROC_CATEGORY_LM:
    case UTF8PROC_CATEGORY_LO: return CharClass::letter;
    case UTF8PROC_CATEGORY_MN:
    case UTF8PROC_CATEGORY_MC:
    case UTF8PROC_CATEGORY_ME: return CharClass::mark;
    case UTF8PROC_CATEGORY_ND: return CharClass::digit;
    case UTF8PROC_CATEGORY_NL:
    case UTF8PROC_CATEGORY_NO: return CharClass::number;
    case UTF8PROC_CATEGORY_ZS:
    case UTF8PROC_CATEGORY_ZL:
    case UTF8PROC_CATEGORY_ZP: return CharClass::space;
    default: return CharClass::other;
  }
}

Category category(char32_t c) {
  static_assert(static_cast<int>(Category::Co) == UTF8PROC_CATEGORY_CO &&
                static_cast<int>(Category::Lu) == UTF8PROC_CATEGORY_LU);
  return static_cast<Category>(utf8proc_category(static_cast<utf8proc_int32_t>(c)));
}

namespace {

// The smallest and largest second byte after each lead byte: this is where overlong forms, surrogates and values
// above U+10FFFF are told apart (Unicode, table 3-7).
struct Lead {
  int length = 0;  // of the whole character; 0: no character begins so
  unsigned char low = 0x80;
  unsigned char high = 0xBF;
};

Lead lead_of(unsigned char byte) {
  if (byte >= 0xC2 && byte <= 0xDF) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte >= 0xE1 && byte <= 0xEF) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte >= 0xF1 && byte <= 0xF3) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {};
}

bool is_continuation(unsigned char byte) { return (byte & 0xC0) == 0x80; }

}  // namespace

int decode_utf8(const char* at, const char* end, char32_t& c) {
  if (at >= end) return 0;
  const auto byte = [at](int i) { return static_cast<unsigned char>(at[i]); };
  if (byte(0) < 0x80) {
    c = byte(0);
    return 1;
  }
  const Lead lead = lead_of(byte(0));
  if (lead.length == 0 || end - at < lead.length) return 0;
  if (byte(1) < lead.low || byte(1) > lead.high) return 0;
  char32_t value = (byte(0) & (0x7Fu >> lead.length)) << 6 | (byte(1) & 0x3Fu);
  for (int i = 2; i < lead.length; ++i) {
    if (!is_continuation(byte(i))) return 0;
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  c = value;
  return lead.length;
}

void append_utf8(char32_t c, std::string& out) {
  const auto continuation = [&](int shift) { out.push_back(static_cast<char>(0x80 | (c >> shift & 0x3F))); };
  if (c < 0x80) {
    out.push_back(static_cast<char>(c));
  } else if (c < 0x800) {
    out.push_back(static_cast<char>(0xC0 | c >> 6));
    continuation(0);
  } else if (c < 0x10000) {
    out.push_back(static_cast<char>(0xE0 | c >> 12));
    continuation(6);
    continuation(0);
  } else {
    out.push_back(static_cast<char>(0xF0 | c >> 18));
    continuation(12);
    continuation(6);
    continuation(0);
  }
}

int64_t incomplete_utf8_tail(std::string_view bytes) {
  for (size_t back = 1; back <= 3 && back <= bytes.size(); ++back) {
    const auto byte = static_cast<unsigned char>(bytes[bytes.size() - back]);
    if (is_continuation(byte)) continue;
    const Lead lead = lead_of(byte);
    if (static_cast<size_t>(lead.length) <= back) return 0;
    if (back >= 2) {
      const auto second = static_cast<unsigned char>(bytes[bytes.size() - back + 1]);
      if (second < lead.low || second > lead.high) return 0;
    }
    return static_cast<int64_t>(back);
  }
  return 0;
}

std::string describe_char(char32_t c) {
  char code[16];
  std::snprintf(code, sizeof code, "U+%04X", static_cast<unsigned>(c));
  const CharClass kind = char_class(c);
  const utf8proc_category_t category = utf8proc_category(static_cast<utf8proc_int32_t>(c));
  const bool prints = kind != CharClass::space && kind != CharClass::mark &&
                      category != UTF8PROC_CATEGORY_CC && category != UTF8PROC_CATEGORY_CF &&
                      category != UTF8PROC_CATEGORY_CN && category != UTF8PROC_CATEGORY_CS &&
                      category != UTF8PROC_CATEGORY_CO;
  if (!prints) return code;
  std::string text = "'";
  append_utf8(c, text);
  return text + "' (" + code + ")";
}

std::string unicode_version() { return utf8proc_unicode_version(); }

}  // namespace gradus
