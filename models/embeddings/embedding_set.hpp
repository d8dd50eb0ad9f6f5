#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/embeddings/pooling.hpp"
#include "tensor/tensor.hpp"
#include "tokenizer/text/words.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// What a row of an embedding stands for.
enum class Level { sentence, word, token };
std::string_view name_of(Level level);
/// Whether a row is made of several tokens.
bool is_pooled(Level level);
/// An error lists the possible names.
Level parse_level(std::string_view name);

/// What one row stands for.
struct RowInfo {
  int64_t text = 0;   ///< number of its text, from 0
  std::string token;  ///< the token as its vocabulary writes it, or the word; empty for a sentence
  int64_t id = -1;    ///< the token's id; -1 for words and sentences
  int64_t start = 0;  ///< bytes in the text, the end exclusive
  int64_t end = 0;
  int64_t word = -1;  ///< number of the word in its text, of a token's the first that it touches; -1: none
};

/// Vectors for some texts, from one or more layers of a model.
struct EmbeddingSet {
  std::vector<std::string> layer_names;  ///< "layer_0" … "final"
  std::vector<Tensor> layers;            ///< f32 (rows, C) each
  std::vector<int64_t> offsets;          ///< texts + 1: text i has the rows offsets[i] … offsets[i+1]-1
  std::vector<RowInfo> rows;
  Level level = Level::token;
  Pooling pooling = Pooling::mean;
  int64_t truncated = 0;  ///< texts that were cut to what the model can read
  int64_t dropped_words =
      0;  ///< words that no token stands for, as of characters that the tokenizer leaves out
};

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
