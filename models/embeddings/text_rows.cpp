#include "models/embeddings/text_rows.hpp"

#include "tokenizer/text/unicode.hpp"

namespace gradus {

std::vector<RowRange> align_words(std::span<const WordSpan> words, std::span<const TokenSpan> spans) {
  std::vector<RowRange> ranges;
  ranges.reserve(words.size());
  size_t begin = 0;
  for (const WordSpan& word : words) {
    while (begin < spans.size() && spans[begin].end <= word.begin) ++begin;
    size_t end = begin;
    while (end < spans.size() && spans[end].begin < word.end) ++end;
    ranges.push_back({static_cast<int64_t>(begin), static_cast<int64_t>(end)});
  }
  return ranges;
}

TextRows lay_out_rows(std::string_view text, int64_t number, std::span<const TokenSpan> spans, Level level,
                      const Tokenizer& tokenizer) {
  TextRows result;
  const auto tokens = static_cast<int64_t>(spans.size());
  if (level == Level::sentence) {
    result.rows.push_back({.text = number, .token = "", .end = static_cast<int64_t>(text.size())});
    result.tokens.push_back({0, tokens});
    return result;
  }
  const std::vector<WordSpan> words = find_words(text);
  const std::vector<RowRange> ranges = align_words(words, spans);
  if (level == Level::word) {
    for (size_t w = 0; w < words.size(); ++w) {
      if (ranges[w].begin == ranges[w].end) {
        ++result.dropped_words;
        continue;
      }
      const auto [start, end] = words[w];
      const std::string_view bytes =
          text.substr(static_cast<size_t>(start), static_cast<size_t>(end - start));
      result.rows.push_back({.text = number,
                             .token = replace_invalid_utf8(bytes),
                             .start = start,
                             .end = end,
                             .word = static_cast<int64_t>(w)});
      result.tokens.push_back(ranges[w]);
    }
    return result;
  }
  size_t w = 0;  // the first word that ends behind the token's first byte
  for (int64_t i = 0; i < tokens; ++i) {
    const TokenSpan& span = spans[static_cast<size_t>(i)];
    while (w < words.size() && words[w].end <= span.begin) ++w;
    const bool touches = w < words.size() && words[w].begin < span.end && span.begin < span.end;
    result.rows.push_back({.text = number,
                           .token = tokenizer.token_text(span.id),
                           .id = span.id,
                           .start = span.begin,
                           .end = span.end,
                           .word = touches ? static_cast<int64_t>(w) : -1});
    result.tokens.push_back({i, i + 1});
  }
  return result;
}

}  // namespace gradus
