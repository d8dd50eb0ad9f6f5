#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "models/embeddings/pooling.hpp"
#include "tensor/tensor.hpp"

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
  int64_t text = 0;  ///< number of its text, from 0
  /// The token as its vocabulary writes it, the word, or the text, of a pair both with a tab between; "" of ids without names.
  std::string token = {};
  int64_t id = -1;    ///< the token's id; -1 for words and sentences
  int64_t start = 0;  ///< bytes in the text, the end exclusive
  int64_t end = 0;
  int64_t word = -1;  ///< number of the word in its text, of a token's the first that it touches; -1: none
  int64_t segment =
      -1;  ///< of a pair: 0 the first text, 1 the second, in which start and end count; -1: of no pair
  int64_t chunk = -1;  ///< of a text read in parts: which one, from 0; -1: of no parts
};

/// An array with an entry for each row that is no layer, or for each text.
struct EmbeddingArray {
  std::string name;
  Tensor values;
};

/// Vectors for some texts, from one or more layers of a model.
struct EmbeddingSet {
  std::vector<std::string> layer_names;  ///< "layer_0" … "final"
  std::vector<Tensor> layers;            ///< f32 (rows, C) each
  std::vector<EmbeddingArray>
      others;  ///< f32 with a row for each of theirs: `logits` (rows, V), `heads_1` (rows, H·D) …
  std::vector<EmbeddingArray>
      maps;  ///< f32, flat: `attention_1` …, of each text (H,T,T), one after the other
  std::vector<int64_t> map_offsets = {0};  ///< texts + 1: where those of text i begin, the same in all maps
  std::vector<int64_t>
      offsets;  ///< texts + 1: text i, or part of one, has the rows offsets[i] … offsets[i+1]-1
  std::vector<RowInfo> rows;
  Level level = Level::token;
  Pooling pooling = Pooling::mean;
  std::string poolings;     ///< their names, where a text is pooled in several ways, or ""
  bool normalized = false;  ///< whether each row of the layers has length 1
  int64_t tokens = 0;       ///< read
  int64_t unknown = 0;      ///< of these, those that are the tokenizer's unknown one
  int64_t truncated = 0;    ///< texts that were cut to what the model can read
  int64_t dropped_words =
      0;  ///< words that no token stands for, as of characters that the tokenizer leaves out
};

}  // namespace gradus
