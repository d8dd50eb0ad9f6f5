#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "models/embeddings/embedding_set.hpp"
#include "models/embeddings/pooling.hpp"
#include "tokenizer/text/words.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// The rows that a text has at a level, without their vectors, and the tokens that each is pooled from.
struct TextRows {
  std::vector<RowInfo> rows;
  std::vector<RowRange> tokens;  ///< of each row
  int64_t dropped_words = 0;     ///< words that no token shares a byte with: they have no row
};
/// Lays words and tokens side by side: a word is pooled from the tokens that share a byte with it.
/// note: a token that stands for no byte (start = end), as `[CLS]`, is a token like others, of no word.
TextRows lay_out_rows(std::string_view text, int64_t number, std::span<const TokenSpan> spans, Level level,
                      const Tokenizer& tokenizer);
/// For each word the tokens that share a byte with it. Tokens lie in the order of the text, as Tokenizer::encode_spans gives them.
std::vector<RowRange> align_words(std::span<const WordSpan> words, std::span<const TokenSpan> spans);

}  // namespace gradus
