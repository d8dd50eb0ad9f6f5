#include "models/embeddings/text_rows.hpp"

#include <algorithm>

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

namespace {

// The tokens of one text of a sequence: of a pair, those of one are neighbours.
RowRange tokens_of(const TokenSequence& sequence, int8_t text) {
  const auto count = std::ssize(sequence.tokens);
  if (sequence.texts.empty()) return {0, count};
  RowRange range{0, 0};
  for (int64_t i = 0; i < count; ++i) {
    if (sequence.texts[static_cast<size_t>(i)] != text) continue;
    if (range.begin == range.end) range.begin = i;
    range.end = i + 1;
  }
  return range;
}

// The words of one text, or of the part of it that has tokens here.
void add_words(const TokenSequence& sequence, int8_t text, TextRows& result) {
  const std::string_view bytes = text == 0 ? sequence.text : sequence.pair_text;
  const RowRange range = tokens_of(sequence, text);
  const auto tokens =
      std::span(sequence.tokens)
          .subspan(static_cast<size_t>(range.begin), static_cast<size_t>(range.end - range.begin));
  const std::vector<WordSpan> words = find_words(bytes);
  const std::vector<RowRange> ranges = align_words(words, tokens);
  for (size_t w = 0; w < words.size(); ++w) {
    if (ranges[w].begin == ranges[w].end) {
      result.dropped_words += sequence.chunk < 0;
      continue;
    }
    const auto [start, end] = words[w];
    result.rows.push_back({.text = sequence.number,
                           .token = replace_invalid_utf8(
                               bytes.substr(static_cast<size_t>(start), static_cast<size_t>(end - start))),
                           .start = start,
                           .end = end,
                           .word = static_cast<int64_t>(w),
                           .segment = sequence.texts.empty() ? -1 : text,
                           .chunk = sequence.chunk});
    result.tokens.push_back({range.begin + ranges[w].begin, range.begin + ranges[w].end});
  }
}

void add_tokens(const TokenSequence& sequence, const Tokenizer* tokenizer, TextRows& result) {
  const std::vector<WordSpan> words[2] = {find_words(sequence.text), find_words(sequence.pair_text)};
  size_t next[2] = {0, 0};  // of each text, the first word that ends behind the token's first byte
  for (size_t i = 0; i < sequence.tokens.size(); ++i) {
    const TokenSpan& span = sequence.tokens[i];
    const int8_t text = sequence.texts.empty() ? 0 : sequence.texts[i];
    int64_t word = -1;
    if (text >= 0) {
      const std::vector<WordSpan>& of_text = words[text];
      size_t& w = next[text];
      while (w < of_text.size() && of_text[w].end <= span.begin) ++w;
      if (w < of_text.size() && of_text[w].begin < span.end && span.begin < span.end)
        word = static_cast<int64_t>(w);
    }
    const bool named = tokenizer && span.id < tokenizer->vocab_size();
    int64_t segment = -1;
    if (!sequence.texts.empty())
      segment = text >= 0 || sequence.segments.empty() ? text : sequence.segments[i];
    result.rows.push_back({.text = sequence.number,
                           .token = named ? tokenizer->token_text(span.id) : std::string(),
                           .id = span.id,
                           .start = span.begin,
                           .end = span.end,
                           .word = word,
                           .segment = segment,
                           .chunk = sequence.chunk});
    result.tokens.push_back({static_cast<int64_t>(i), static_cast<int64_t>(i) + 1});
  }
}

// The row of a whole text or pair, or of a part of one; its name is what it stands for.
RowInfo whole(const TokenSequence& sequence) {
  RowInfo row{.text = sequence.number, .end = std::ssize(sequence.text), .chunk = sequence.chunk};
  if (sequence.chunk >= 0) {
    // The bytes of the part.
    row.start = row.end;
    row.end = 0;
    for (const TokenSpan& token : sequence.tokens) {
      if (token.begin == token.end) continue;
      row.start = std::min(row.start, token.begin);
      row.end = std::max(row.end, token.end);
    }
  }
  if (row.start < row.end) {
    row.token = replace_invalid_utf8(
        sequence.text.substr(static_cast<size_t>(row.start), static_cast<size_t>(row.end - row.start)));
  }
  if (!sequence.texts.empty()) row.token += "\t" + replace_invalid_utf8(sequence.pair_text);
  return row;
}

}  // namespace

TextRows lay_out_rows(const TokenSequence& sequence, Level level, const Tokenizer* tokenizer) {
  TextRows result;
  switch (level) {
    case Level::sentence:
      result.rows.push_back(whole(sequence));
      result.tokens.push_back({sequence.prompt, std::ssize(sequence.tokens), sequence.prompt});
      break;
    case Level::word:
      add_words(sequence, 0, result);
      if (!sequence.texts.empty()) add_words(sequence, 1, result);
      break;
    case Level::token: add_tokens(sequence, tokenizer, result); break;
  }
  return result;
}

}  // namespace gradus
