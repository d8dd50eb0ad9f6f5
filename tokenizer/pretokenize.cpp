#include "tokenizer/pretokenize.hpp"

#include <array>

#include "tokenizer/unicode.hpp"

namespace gradus {
namespace {

// The four classes the pattern tells apart: \p{L}, \p{N}, \s and all the rest.
enum class Group : uint8_t { letter, number, space, other };

struct Symbol {
  Group group;
  int length;
};

constexpr std::array<Group, 128> ascii_groups() {
  std::array<Group, 128> groups{};
  for (int c = 0; c < 128; ++c) {
    const bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool number = c >= '0' && c <= '9';
    const bool space = c == ' ' || (c >= 9 && c <= 13);
    groups[static_cast<size_t>(c)] = letter   ? Group::letter
                                     : number ? Group::number
                                     : space  ? Group::space
                                              : Group::other;
  }
  return groups;
}

constexpr std::array<Group, 128> kAsciiGroups = ascii_groups();

Symbol wide_symbol_at(const char* at, const char* end) {
  char32_t c = 0;
  const int length = decode_utf8(at, end, c);
  if (length == 0) return {Group::other, 1};
  switch (char_class(c)) {
    case CharClass::letter: return {Group::letter, length};
    case CharClass::digit:
    case CharClass::number: return {Group::number, length};
    case CharClass::space: return {Group::space, length};
    case CharClass::mark:
    case CharClass::other: break;
  }
  return {Group::other, length};
}

inline Symbol symbol_at(const char* at, const char* end) {
  const auto byte = static_cast<unsigned char>(*at);
  return byte < 128 ? Symbol{kAsciiGroups[byte], 1} : wide_symbol_at(at, end);
}

const char* run_end(const char* at, const char* end, Group group) {
  while (at < end) {
    const Symbol symbol = symbol_at(at, end);
    if (symbol.group != group) break;
    at += symbol.length;
  }
  return at;
}

// The length of 's 't 'm 'd 're 've 'll at an apostrophe, or 0.
int contraction_length(const char* at, const char* end) {
  const char first = end - at > 1 ? at[1] : '\0';
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return 2;
  const char second = end - at > 2 ? at[2] : '\0';
  if ((first == 'r' || first == 'v') && second == 'e') return 3;
  return first == 'l' && second == 'l' ? 3 : 0;
}

}  // namespace

const char* gpt2_piece_end(const char* at, const char* end) {
  if (*at == '\'') {
    if (const int length = contraction_length(at, end)) return at + length;
  }
  const Symbol first = symbol_at(at, end);
  if (first.group != Group::space) return run_end(at + first.length, end, first.group);

  // One space, not any other white space, may lead a run of letters, numbers or the rest.
  if (*at == ' ' && at + 1 < end) {
    const Symbol second = symbol_at(at + 1, end);
    if (second.group != Group::space) return run_end(at + 1 + second.length, end, second.group);
  }
  // `\s+(?!\S)` takes the whole run at the end of the text, else all but its last character; where that leaves
  // nothing, `\s+` takes the one character there is.
  const char* last = at;
  const char* next = at + first.length;
  while (next < end) {
    const Symbol symbol = symbol_at(next, end);
    if (symbol.group != Group::space) break;
    last = next;
    next += symbol.length;
  }
  return next == end || last == at ? next : last;
}

std::vector<std::string_view> gpt2_pieces(std::string_view text) {
  std::vector<std::string_view> pieces;
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at < end) {
    const char* next = gpt2_piece_end(at, end);
    pieces.emplace_back(at, static_cast<size_t>(next - at));
    at = next;
  }
  return pieces;
}

}  // namespace gradus
