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

/// Some tokens that a model reads at once, and the text or the pair that they stand for.
struct TokenSequence {
  std::vector<TokenSpan>
      tokens;  ///< begin and end count in their own text; 0 and 0 where they stand for none of it
  std::vector<int32_t> segments = {};  ///< what the model is told of each; empty: it is told nothing
  std::vector<int8_t> texts =
      {};  ///< of a pair: 0, 1, or -1 for tokens of neither; empty: all are of one text
  std::string_view text, pair_text = {};  ///< in which words are looked for
  int64_t prompt = 0;                     ///< tokens at the beginning that do not count in pooling
  int64_t number = 0;                     ///< of the text
  int64_t chunk = -1;                     ///< which part of it; -1: the whole
};

/// The rows that a sequence has at a level, without their vectors, and the tokens that each is pooled from.
struct TextRows {
  std::vector<RowInfo> rows;
  std::vector<RowRange> tokens;  ///< of each row
  int64_t dropped_words = 0;     ///< words that no token shares a byte with: they have no row
};
/// Lays words and tokens side by side: a word is pooled from the tokens that share a byte with it. Of a part of a text, only
/// its words count, and none is called dropped.
/// note: a token that stands for no byte (begin = end), as `[CLS]`, is a token like others, of no word.
/// note: `tokenizer` may be nullptr: then tokens have no names.
TextRows lay_out_rows(const TokenSequence& sequence, Level level, const Tokenizer* tokenizer);
/// For each word the tokens that share a byte with it. Tokens lie in the order of the text, as Tokenizer::encode_spans gives them.
std::vector<RowRange> align_words(std::span<const WordSpan> words, std::span<const TokenSpan> spans);

}  // namespace gradus
