#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace gradus {

/// A word's bytes in its text; the end is exclusive.
struct WordSpan {
  int64_t begin;
  int64_t end;
  bool operator==(const WordSpan&) const = default;
};

/// The words of a text, in order, for aligning tokens with words.
/// note: a word is a run of letters, marks, digits and apostrophes (U+0027 and U+2019); any other character that is not
///       white space is a word by itself, and so is each byte that is not UTF-8.
std::vector<WordSpan> find_words(std::string_view text);

}  // namespace gradus
