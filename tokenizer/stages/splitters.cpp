#include "tokenizer/stages/splitters.hpp"

#include <bit>
#include <cstring>
#include <limits>
#include <string>

#include "tokenizer/lookup/char_table.hpp"
#include "tokenizer/text/strings.hpp"

namespace gradus {
namespace {

using namespace detail;

constexpr KindSet kOthers = kEveryKind & ~(kSpaces | kLetters | kNumbers);  // [^\s\p{L}\p{N}]

constexpr uint64_t repeated(unsigned byte) { return 0x0101010101010101u * byte; }

// Marks (0x80) the bytes of a word of 8 that lie in low..high, both below 0x80; bytes from 0x80 on never do.
inline uint64_t bytes_between(uint64_t word, unsigned low, unsigned high) {
  const uint64_t seven = word & repeated(0x7F);
  const uint64_t from_low = seven + repeated(0x80 - low);
  const uint64_t above_high = seven + repeated(0x7F - high);
  return from_low & ~above_high & ~word & repeated(0x80);
}

inline int first_marked(uint64_t marks) {
  return (std::endian::native == std::endian::little ? std::countr_zero(marks) : std::countl_zero(marks)) / 8;
}

// The end of a run of ASCII letters (only small ones, if kUppers is not in Set), eight bytes at a time: words are
// mostly shorter than that, so their ends are found without a branch for each letter.
template <KindSet Set>
inline const char* ascii_letters_end(const char* at, const char* end) {
  while (end - at >= 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    if constexpr ((Set & kUppers) != 0) word |= repeated(0x20);
    const uint64_t stops = ~bytes_between(word, 'a', 'z') & repeated(0x80);
    if (stops != 0) return at + first_marked(stops);
    at += 8;
  }
  return at;
}

template <KindSet Set>
inline const char* run_end(const char* at, const char* end) {
  if constexpr ((Set & kLowers) != 0) at = ascii_letters_end<Set>(at, end);
  const CharTable& table = char_table();
  while (at < end) {
    const Symbol symbol = table.symbol(at, end);
    if (!in(symbol.kind, Set)) break;
    at += symbol.length;
  }
  return at;
}

// The length of 's 't 'm 'd 're 've 'll at an apostrophe, or 0.
inline int contraction_length(const char* at, const char* end) {
  const char first = end - at > 1 ? at[1] : '\0';
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  const char second = end - at > 2 ? at[2] : '\0';
  if ((first == 'r' || first == 'v') && second == 'e') return 3;
  return first == 'l' && second == 'l' ? 3 : 0;
}

// The same in either case. U+017F, the long s, is a small form of S and so matches s.
inline int caseless_contraction_length(const char* at, const char* end) {
  const auto lowered = [&](int i) { return end - at > i ? static_cast<char>(at[i] | 0x20) : '\0'; };
  const char first = lowered(1);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  const char second = lowered(2);
  if ((first == 'r' || first == 'v') && second == 'e') return 3;
  if (first == 'l' && second == 'l') return 3;
  return end - at > 2 && at[1] == '\xC5' && at[2] == '\xBF' ? 3 : 0;
}

// The end of the word that white space at `at` begins. `\s+(?!\S)` takes the whole run at the end of the text, else all
// but its last character, which may lead a word; where that leaves nothing, `\s+` takes the one character there is.
// With line ends, `\s*[\r\n]+` comes before: everything up to the last of them.
enum class SpaceRule { plain, newlines, newlines_unless_last };

template <SpaceRule Rule>
const char* spaces_end(const char* at, const char* end) {
  const CharTable& table = char_table();
  const char* last = at;
  const char* after_newline = nullptr;
  const char* next = at;
  while (next < end) {
    const Symbol symbol = table.symbol(next, end);
    if (!in(symbol.kind, kSpaces)) break;
    last = next;
    next += symbol.length;
    if (symbol.kind == CharKind::newline) after_newline = next;
  }
  if (Rule == SpaceRule::newlines_unless_last && next == end) return end;
  if (Rule != SpaceRule::plain && after_newline != nullptr) return after_newline;
  return next == end || last == at ? next : last;
}

constexpr int kAnyLength = std::numeric_limits<int>::max();

// The end of at most `Most` numbers, the first of which ends at `at`.
template <int Most>
inline const char* numbers_end(const char* at, const char* end) {
  if constexpr (Most == kAnyLength) return run_end<kNumbers>(at, end);
  const CharTable& table = char_table();
  for (int count = 1; count < Most && at < end; ++count) {
    const Symbol symbol = table.symbol(at, end);
    if (!in(symbol.kind, kNumbers)) break;
    at += symbol.length;
  }
  return at;
}

template <bool Slashes>
inline const char* line_ends_end(const char* at, const char* end) {
  while (at < end && (*at == '\n' || *at == '\r' || (Slashes && *at == '/'))) ++at;
  return at;
}

template <KindSet Letters, int Digits, SpaceRule Rule>
inline const char* cl100k_family(const char* at, const char* end) {
  constexpr KindSet rest = kOthers & ~Letters;
  if (*at == '\'') {
    if (const int length = caseless_contraction_length(at, end)) return at + length;
  }
  const CharTable& table = char_table();
  const Symbol first = table.symbol(at, end);
  const char* const next = at + first.length;
  if (in(first.kind, Letters)) return run_end<Letters>(next, end);
  if (in(first.kind, kNumbers)) return numbers_end<Digits>(next, end);
  // Any one character but a line end may lead letters; only a space may lead the rest.
  bool leads_rest = false;
  if (next < end && first.kind != CharKind::newline) {
    const CharKind second = table.symbol(next, end).kind;
    if (in(second, Letters)) return run_end<Letters>(next, end);
    leads_rest = *at == ' ' && in(second, rest);
  }
  if (leads_rest || in(first.kind, rest)) return line_ends_end<false>(run_end<rest>(next, end), end);
  return spaces_end<Rule>(at, end);
}

// The end of a word under `U*L+|U+L*` after an optional character `P` from `at` to `start`, or nullptr where there is
// none. Marks and letters without case are in both U and L, so the capitals' run may have to give some of them back.
inline const char* cased_word_end(const char* at, const char* start, bool prefix_is_mark, const char* end) {
  constexpr KindSet both = kMarks | kinds(CharKind::caseless);
  const CharTable& table = char_table();
  const char* capitals = start;
  const char* after_both = nullptr;
  while (capitals < end) {
    const Symbol symbol = table.symbol(capitals, end);
    if (symbol.kind == CharKind::lower) return run_end<both | kLowers>(capitals, end);
    if (!in(symbol.kind, both | kUppers)) break;
    capitals += symbol.length;
    if (symbol.kind != CharKind::upper) after_both = capitals;
  }
  if (after_both != nullptr) return after_both;
  if (start != at && prefix_is_mark) return start;  // no longer a prefix: the mark is the word
  return capitals != start ? capitals : nullptr;
}

template <int Digits, bool Contractions>
inline const char* o200k_family(const char* at, const char* end) {
  const CharTable& table = char_table();
  const Symbol first = table.symbol(at, end);
  const char* const next = at + first.length;
  if (in(first.kind, kNumbers)) return numbers_end<Digits>(next, end);
  if (first.kind != CharKind::newline) {
    const char* const start = in(first.kind, kLetters) ? at : next;
    if (const char* word = cased_word_end(at, start, in(first.kind, kMarks), end)) {
      const bool suffix = Contractions && word < end && *word == '\'';
      return suffix ? word + caseless_contraction_length(word, end) : word;
    }
  }
  const bool leads = *at == ' ' && next < end && in(table.symbol(next, end).kind, kOthers);
  if (leads || in(first.kind, kOthers)) return line_ends_end<true>(run_end<kOthers>(next, end), end);
  return spaces_end<SpaceRule::newlines>(at, end);
}

const char* cl100k_any_digits_word_end(const char* at, const char* end) {
  return cl100k_family<kLetters, kAnyLength, SpaceRule::newlines>(at, end);
}

const char* possessive_cl100k_word_end(const char* at, const char* end) {
  return cl100k_family<kLetters, kAnyLength, SpaceRule::newlines_unless_last>(at, end);
}

}  // namespace

const char* gpt2_word_end(const char* at, const char* end) {
  if (*at == '\'') {
    if (const int length = contraction_length(at, end)) return at + length;
  }
  // One space, not any other white space, may lead a run of letters, numbers or the rest.
  const char* const start = *at == ' ' && end - at > 1 ? at + 1 : at;
  const Symbol first = char_table().symbol(start, end);
  if (in(first.kind, kLetters)) return run_end<kLetters>(start, end);
  if (in(first.kind, kNumbers)) return run_end<kNumbers>(start + first.length, end);
  if (in(first.kind, kOthers)) return run_end<kOthers>(start + first.length, end);
  return spaces_end<SpaceRule::plain>(at, end);
}

const char* cl100k_word_end(const char* at, const char* end) {
  return cl100k_family<kLetters, 3, SpaceRule::newlines>(at, end);
}

const char* qwen2_word_end(const char* at, const char* end) {
  return cl100k_family<kLetters, 1, SpaceRule::newlines>(at, end);
}

const char* qwen35_word_end(const char* at, const char* end) {
  return cl100k_family<kLetters | kMarks, 1, SpaceRule::newlines>(at, end);
}

const char* o200k_word_end(const char* at, const char* end) { return o200k_family<3, true>(at, end); }

const char* tekken_word_end(const char* at, const char* end) { return o200k_family<1, false>(at, end); }

namespace {

struct KnownRegex {
  std::string_view text;
  WordEnd splitter;
};

constexpr KnownRegex kKnownRegexes[] = {
    {kGpt2Regex, gpt2_word_end},
    {R"('s|'t|'re|'ve|'m|'ll|'d| ?[\p{L}]+| ?[\p{N}]+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", gpt2_word_end},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)", gpt2_word_end},
    {R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)", gpt2_word_end},

    {kCl100kRegex, cl100k_word_end},
    {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*)"
     R"(|\s*[\r\n]|\s+(?!\S)|\s+)",
     cl100k_word_end},
    {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]++[\r\n]*)"
     R"(|\s*[\r\n]|\s+(?!\S)|\s)",
     cl100k_word_end},
    {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+)"
     R"(|\s++$|\s*[\r\n]|\s+(?!\S)|\s)",
     possessive_cl100k_word_end},
    {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*)"
     R"(|\s*[\r\n]+|\s+(?!\S)|\s+)",
     cl100k_any_digits_word_end},

    {kQwen2Regex, qwen2_word_end},
    {R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]++[\r\n]*)"
     R"(|\s*[\r\n]|\s+(?!\S)|\s+)",
     qwen2_word_end},
    {kQwen35Regex, qwen35_word_end},

    {kO200kRegex, o200k_word_end},
    {kTekkenRegex, tekken_word_end},
};

}  // namespace

WordEnd find_splitter(std::string_view regex) {
  // Some files have line ends themselves where others have their escapes.
  const std::string text = replace_all(replace_all(regex, "\n", R"(\n)"), "\r", R"(\r)");
  for (const KnownRegex& known : kKnownRegexes) {
    if (text == known.text) return known.splitter;
  }
  return nullptr;
}

}  // namespace gradus
