#include "tokenizer/text/split_text.hpp"

#include <algorithm>

#include "tokenizer/text/unicode.hpp"

namespace gradus {

namespace {

// The first single `separator` in [at, size) between a character that is no white space and a letter, or the size.
size_t find_single(std::string_view text, size_t at, char separator) {
  for (at = text.find(separator, std::max(at, size_t{1})); at < text.size();
       at = text.find(separator, at + 1)) {
    char32_t after = 0;
    if (decode_utf8(text.data() + at + 1, text.data() + text.size(), after) == 0) continue;
    char32_t before = 0;
    decode_last_utf8(text.substr(0, at), before);
    if (before != 0 && char_class(before) != CharClass::space && char_class(after) == CharClass::letter)
      return at;
  }
  return text.size();
}

// How far both separators are looked for together, so that one which the text lacks is not sought in all of it.
constexpr size_t kLookAhead = 1 << 16;

}  // namespace

size_t split_at_space(std::string_view text, size_t at) { return find_single(text, at, ' '); }

size_t split_at_line(std::string_view text, size_t at) {
  for (; at < text.size(); at += kLookAhead) {
    const std::string_view near = text.substr(0, at + kLookAhead);
    const size_t space = find_single(near, at, ' ');
    const size_t line = find_single(near, at, '\n');
    if (std::min(space, line) < near.size()) return space < line ? space : line + 1;
  }
  return text.size();
}

}  // namespace gradus
