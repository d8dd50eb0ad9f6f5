#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace gradus {

/// What SentencePiece writes for a space: U+2581.
/// note: an array, as each file may have a copy of a literal of its own, and a view that begins in one and ends in another.
inline constexpr char32_t kSpaceMark = 0x2581;
inline constexpr char kSpaceBytes[] = "\xE2\x96\x81";
inline constexpr std::string_view kSpaceText(kSpaceBytes, sizeof kSpaceBytes - 1);

/// Where the word of a text that begins at byte `begin` ends, `end` at the latest: before the next space mark that follows
/// something else. note: leading marks, however many, belong to the word.
inline size_t marked_word_end(std::string_view text, size_t begin, size_t end) {
  const std::string_view word = text.substr(0, end);
  while (word.substr(begin).starts_with(kSpaceText)) begin += kSpaceText.size();
  return std::min(word.find(kSpaceText, begin), end);
}

}  // namespace gradus
