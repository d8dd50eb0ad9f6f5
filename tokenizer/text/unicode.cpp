#include "tokenizer/text/unicode.hpp"

#include <utf8proc.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstring>
#include <iterator>
#include <map>

namespace gradus {

CharClass char_class(char32_t c) {
  // The controls that are White_Space: their category is Cc like that of any other control.
  if ((c >= 0x09 && c <= 0x0D) || c == 0x85) return CharClass::space;
  switch (static_cast<int>(utf8proc_category(static_cast<utf8proc_int32_t>(c)))) {
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
    if (!is_continuation(at[i])) return 0;
    value = value << 6 | (byte(i) & 0x3Fu);
  }
  c = value;
  return lead.length;
}

int decode_last_utf8(std::string_view text, char32_t& c) {
  if (text.empty()) return 0;
  const char* const end = text.data() + text.size();
  const char* at = end - 1;
  while (at > text.data() && end - at < 4 && is_continuation(*at)) --at;
  char32_t last = 0;
  const int length = decode_utf8(at, end, last);
  if (length == 0 || at + length != end) return 0;
  c = last;
  return length;
}

size_t char_length(std::string_view text, size_t at) {
  char32_t c = 0;
  return static_cast<size_t>(std::max(1, decode_utf8(text.data() + at, text.data() + text.size(), c)));
}

std::optional<char32_t> single_char(std::string_view text) {
  char32_t c = 0;
  const int length = decode_utf8(text.data(), text.data() + text.size(), c);
  return length > 0 && static_cast<size_t>(length) == text.size() ? std::optional(c) : std::nullopt;
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
    const char byte = bytes[bytes.size() - back];
    if (is_continuation(byte)) continue;
    const Lead lead = lead_of(static_cast<unsigned char>(byte));
    if (static_cast<size_t>(lead.length) <= back) return 0;
    if (back >= 2) {
      const auto second = static_cast<unsigned char>(bytes[bytes.size() - back + 1]);
      if (second < lead.low || second > lead.high) return 0;
    }
    return static_cast<int64_t>(back);
  }
  return 0;
}

std::string replace_invalid_utf8(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size();) {
    char32_t c = 0;
    const int length = decode_utf8(text.data() + at, text.data() + text.size(), c);
    if (length == 0) {
      size_t cut = 1;
      while (cut < 3 && at + cut < text.size() &&
             incomplete_utf8_tail(text.substr(at, cut + 1)) == static_cast<int64_t>(cut + 1)) {
        ++cut;
      }
      out += "\uFFFD";
      at += cut;
    } else {
      out.append(text, at, static_cast<size_t>(length));
      at += static_cast<size_t>(length);
    }
  }
  return out;
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

size_t ascii_prefix(std::string_view text) {
  size_t at = 0;
  for (; at + 8 <= text.size(); at += 8) {
    uint64_t eight;
    std::memcpy(&eight, text.data() + at, 8);
    if ((eight & 0x8080808080808080u) != 0) break;
  }
  while (at < text.size() && static_cast<unsigned char>(text[at]) < 0x80) ++at;
  return at;
}

size_t utf8_prefix(std::string_view text) {
  size_t at = ascii_prefix(text);
  while (at < text.size()) {
    char32_t c;
    const int length = decode_utf8(text.data() + at, text.data() + text.size(), c);
    if (length == 0) break;
    at += static_cast<size_t>(length);
    at += ascii_prefix(text.substr(at));
  }
  return at;
}

int to_lower(char32_t c, char32_t lower[2]) {
  if (c == 0x130) {
    lower[0] = 'i';
    lower[1] = 0x307;
    return 2;
  }
  lower[0] = static_cast<char32_t>(utf8proc_tolower(static_cast<utf8proc_int32_t>(c)));
  return 1;
}

namespace {

// Characters not assigned yet, but set aside for ones without a shape: utf8proc takes them for ordinary ones, Unicode
// for controls, which stand alone.
bool is_reserved_control(char32_t c) {
  return c == 0x2065 || (c >= 0xFFF0 && c <= 0xFFF8) || c == 0xE0000 || (c >= 0xE0002 && c <= 0xE001F) ||
         (c >= 0xE0080 && c <= 0xE00FF) || (c >= 0xE01F0 && c <= 0xE0FFF);
}

}  // namespace

const char* grapheme_end(const char* at, const char* end) {
  char32_t c = 0;
  int length = decode_utf8(at, end, c);
  if (length == 0) return at + 1;
  utf8proc_int32_t state = 0;
  for (at += length; at < end; at += length) {
    char32_t next = 0;
    length = decode_utf8(at, end, next);
    if (length == 0 || is_reserved_control(c) || is_reserved_control(next) ||
        utf8proc_grapheme_break_stateful(static_cast<utf8proc_int32_t>(c),
                                         static_cast<utf8proc_int32_t>(next), &state)) {
      return at;
    }
    c = next;
  }
  return end;
}

namespace {

// The full decomposition of a character as utf8proc gives it, not yet in canonical order; itself where it has none.
std::u32string decompose(char32_t c, bool compatible) {
  utf8proc_int32_t parts[18];  // what U+FDFA, the longest, needs
  int boundary = 0;
  const auto options = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE |
                                                      (compatible ? UTF8PROC_COMPAT : 0));
  const utf8proc_ssize_t count =
      utf8proc_decompose_char(static_cast<utf8proc_int32_t>(c), parts, std::size(parts), options, &boundary);
  if (count < 1 || count > std::ssize(parts)) return {c};
  return {parts, parts + count};
}

// The first character of what utf8proc composes some characters to.
char32_t first_composed(std::u32string_view text) {
  std::vector<utf8proc_int32_t> buffer(text.begin(), text.end());
  utf8proc_normalize_utf32(buffer.data(), std::ssize(buffer),
                           static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
  return static_cast<char32_t>(buffer[0]);
}

// Hangul syllables are composed by arithmetic (Unicode, section 3.12).
constexpr char32_t kHangulS = 0xAC00, kHangulL = 0x1100, kHangulV = 0x1161, kHangulT = 0x11A7;
constexpr char32_t kHangulLCount = 19, kHangulVCount = 21, kHangulTCount = 28;
constexpr char32_t kHangulSCount = kHangulLCount * kHangulVCount * kHangulTCount;
bool is_hangul(char32_t c) { return c - kHangulS < kHangulSCount; }

constexpr size_t kPage = 256;

bool is_compatible(NormalForm form) { return form == NormalForm::nfkc || form == NormalForm::nfkd; }
bool is_composed(NormalForm form) { return form == NormalForm::nfc || form == NormalForm::nfkc; }

// What normalisation asks about every character. utf8proc answers the same, but by walking its sequences each time,
// and its own composition takes U+11A7 for a trailing consonant of Hangul, which it is not.
class FormTables {
 public:
  FormTables();

  bool stands_alone(NormalForm form, char32_t c) const { return (of(c) >> static_cast<int>(form) & 1) != 0; }
  int combining_class(char32_t c) const { return static_cast<int>(of(c) >> 8 & 0xFF); }

  // The full decomposition; empty for a character that has none, and for Hangul.
  std::u32string_view decomposition(char32_t c, bool compatible) const {
    const Decomposition& found = decompositions_[of(c) >> 16];
    return compatible ? std::u32string_view(parts_).substr(found.begin + found.canonical, found.compatible)
                      : std::u32string_view(parts_).substr(found.begin, found.canonical);
  }

  // The character that two make, 0 where they make none.
  char32_t compose(char32_t first, char32_t second) const {
    if (first - kHangulL < kHangulLCount && second - kHangulV < kHangulVCount) {
      return kHangulS + ((first - kHangulL) * kHangulVCount + second - kHangulV) * kHangulTCount;
    }
    if (is_hangul(first) && (first - kHangulS) % kHangulTCount == 0 &&
        second - kHangulT - 1 < kHangulTCount - 1) {
      return first + second - kHangulT;
    }
    return pairs_[slot_of(key_of(first, second))].composed;
  }

 private:
  struct Decomposition {
    uint32_t begin = 0;
    uint8_t canonical = 0;   // how many characters
    uint8_t compatible = 0;  // and these after them
  };
  struct Pair {
    uint64_t key = 0;
    char32_t composed = 0;
  };
  static constexpr size_t kSlots = 4096;  // for less than 1000 pairs
  static uint64_t key_of(char32_t first, char32_t second) { return uint64_t{first} << 32 | second; }
  size_t slot_of(uint64_t key) const {
    size_t slot = (key * 0x9E3779B97F4A7C15u) >> 52;
    while (pairs_[slot].key != key && pairs_[slot].key != 0) slot = (slot + 1) % kSlots;
    return slot;
  }
  // Bits 0 to 3: the forms in which the character stands alone; 8 to 15: its combining class; 16 to 31: its
  // decomposition.
  uint32_t of(char32_t c) const {
    return c < kCodePoints ? pages_[page_of_[c / kPage]][c % kPage] : pages_[0][0];
  }
  std::vector<uint32_t> collect();

  std::array<uint16_t, kCodePoints / kPage> page_of_{};
  std::vector<std::array<uint32_t, kPage>> pages_;
  std::vector<Decomposition> decompositions_ = std::vector<Decomposition>(1);
  std::u32string parts_;
  std::vector<Pair> pairs_ = std::vector<Pair>(kSlots);
};

FormTables::FormTables() {
  static_assert(kSlots == size_t{1} << (64 - 52));
  const std::vector<uint32_t> all = collect();
  std::map<std::array<uint32_t, kPage>, uint16_t> known;
  for (size_t page = 0; page < page_of_.size(); ++page) {
    std::array<uint32_t, kPage> entries;
    std::copy_n(all.begin() + static_cast<ptrdiff_t>(page * kPage), kPage, entries.begin());
    const auto [entry, added] = known.try_emplace(entries, static_cast<uint16_t>(pages_.size()));
    if (added) pages_.push_back(entries);
    page_of_[page] = entry->second;
  }
}

// The entries of all characters; fills the other tables on the way.
std::vector<uint32_t> FormTables::collect() {
  const auto bit = [](NormalForm form) { return 1u << static_cast<int>(form); };
  const uint32_t composed_forms = bit(NormalForm::nfc) | bit(NormalForm::nfkc);
  const uint32_t compatible_forms = bit(NormalForm::nfkc) | bit(NormalForm::nfkd);
  const uint32_t all_forms = composed_forms | compatible_forms | bit(NormalForm::nfd);
  std::vector<uint32_t> entries(kCodePoints, all_forms);
  for (char32_t c = 0x80; c < kCodePoints; ++c) {
    const utf8proc_property_t* property = utf8proc_get_property(static_cast<utf8proc_int32_t>(c));
    if (is_hangul(c)) entries[c] = composed_forms;
    if (property->combining_class != 0) entries[c] = static_cast<uint32_t>(property->combining_class) << 8;
    if (is_hangul(c) || property->decomp_seqindex == UINT16_MAX) continue;

    const std::u32string compatible = decompose(c, true);
    const std::u32string canonical = property->decomp_type == 0 ? decompose(c, false) : std::u32string();
    entries[c] |= static_cast<uint32_t>(decompositions_.size()) << 16;
    decompositions_.push_back({static_cast<uint32_t>(parts_.size()), static_cast<uint8_t>(canonical.size()),
                               static_cast<uint8_t>(compatible.size())});
    parts_ += canonical;
    parts_ += compatible;
    if (compatible != canonical) entries[c] &= ~compatible_forms;
    if (canonical.empty()) continue;

    entries[c] &= ~(bit(NormalForm::nfd) | bit(NormalForm::nfkd));
    const bool starts_with_mark =
        utf8proc_get_property(static_cast<utf8proc_int32_t>(canonical[0]))->combining_class != 0;
    if (property->combining_class != 0 || starts_with_mark || first_composed(canonical) != c) {
      entries[c] &= ~composed_forms;  // it is never composed again
      continue;
    }
    // All but the last part make one character: Unicode takes characters apart in two, and second halves stay whole.
    const char32_t first = first_composed(std::u32string_view(canonical).substr(0, canonical.size() - 1));
    const uint64_t key = key_of(first, canonical.back());
    pairs_[slot_of(key)] = {key, c};
  }
  for (const Pair& pair : pairs_) {
    if (pair.key != 0) entries[pair.key & 0xFFFFFFFF] &= ~composed_forms;
  }
  for (char32_t i = 0; i < kHangulVCount; ++i) entries[kHangulV + i] &= ~composed_forms;
  for (char32_t i = 1; i < kHangulTCount; ++i) entries[kHangulT + i] &= ~composed_forms;
  return entries;
}

const FormTables& form_tables() {
  static const FormTables tables;
  return tables;
}

int combining_class(char32_t c) { return c < 0x300 ? 0 : form_tables().combining_class(c); }

// Marks after a character are ordered by combining class, equal ones as they stood.
void order_marks(ChangedChar* begin, ChangedChar* end) {
  const auto is_base = [](const ChangedChar& c) { return combining_class(c.c) == 0; };
  const auto before = [](const ChangedChar& a, const ChangedChar& b) {
    return combining_class(a.c) < combining_class(b.c);
  };
  constexpr ptrdiff_t kFew = 8;
  for (ChangedChar* at = begin; at != end;) {
    at = std::find_if_not(at, end, is_base);
    ChangedChar* const next = std::find_if(at, end, is_base);
    if (next - at > kFew) {
      std::stable_sort(at, next, before);
    } else {
      for (ChangedChar* mark = at; mark != next; ++mark) {
        std::rotate(std::upper_bound(at, mark, *mark, before), mark, mark + 1);
      }
    }
    at = next;
  }
}

// Joins each character to the last base before it where the two make one and nothing between them stands in the way.
// Gives the new end.
ChangedChar* compose(ChangedChar* begin, ChangedChar* end) {
  const FormTables& tables = form_tables();
  ChangedChar* base = nullptr;
  ChangedChar* to = begin;
  int last = 0;  // the combining class of what stands between the base and here; 0: nothing does
  for (const ChangedChar* from = begin; from != end; ++from) {
    const int combining = combining_class(from->c);
    if (base != nullptr && (last < combining || last == 0)) {
      if (const char32_t composed = tables.compose(base->c, from->c)) {
        *base = {composed, base->change + from->change - 1};
        continue;
      }
    }
    last = combining;
    *to = *from;
    if (combining == 0) base = to;
    ++to;
  }
  return to;
}

}  // namespace

bool stands_alone(NormalForm form, char32_t c) { return form_tables().stands_alone(form, c); }

void append_normal_form(NormalForm form, std::u32string_view text, std::vector<ChangedChar>& out) {
  const FormTables& tables = form_tables();
  const bool compatible = is_compatible(form);
  const size_t first = out.size();
  for (const char32_t c : text) {
    if (is_hangul(c)) {
      const char32_t index = c - kHangulS;
      out.push_back({kHangulL + index / (kHangulVCount * kHangulTCount), 0});
      out.push_back({kHangulV + index / kHangulTCount % kHangulVCount, 1});
      if (index % kHangulTCount != 0) out.push_back({kHangulT + index % kHangulTCount, 1});
      continue;
    }
    const std::u32string_view parts = c < 0x80 ? std::u32string_view() : tables.decomposition(c, compatible);
    if (parts.empty()) out.push_back({c, 0});
    for (size_t i = 0; i < parts.size(); ++i) out.push_back({parts[i], i > 0});
  }
  order_marks(out.data() + first, out.data() + out.size());
  if (!is_composed(form)) return;
  const ChangedChar* end = compose(out.data() + first, out.data() + out.size());
  out.resize(static_cast<size_t>(end - out.data()));
}

}  // namespace gradus
