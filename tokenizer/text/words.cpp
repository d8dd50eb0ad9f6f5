#include "tokenizer/text/words.hpp"

#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

enum class Place { space, inside, alone };

Place place_of(char32_t c) {
  if (c == U'\'' || c == U'\u2019') return Place::inside;
  switch (char_class(c)) {
    case CharClass::letter:
    case CharClass::mark:
    case CharClass::digit: return Place::inside;
    case CharClass::space: return Place::space;
    case CharClass::number:
    case CharClass::other: break;
  }
  return Place::alone;
}

}  // namespace

std::vector<WordSpan> find_words(std::string_view text) {
  std::vector<WordSpan> words;
  const auto size = static_cast<int64_t>(text.size());
  bool growing = false;  // the last word ends here and may take this character
  for (int64_t at = 0; at < size;) {
    char32_t c = 0;
    const int length = decode_utf8(text.data() + at, text.data() + size, c);
    const Place place = length == 0 ? Place::alone : place_of(c);
    const int64_t next = at + (length == 0 ? 1 : length);
    if (place == Place::inside && growing) {
      words.back().end = next;
    } else if (place != Place::space) {
      words.push_back({at, next});
    }
    growing = place == Place::inside;
    at = next;
  }
  return words;
}

}  // namespace gradus
