#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// The tokens of a text that a static model reads.
struct StaticTokens {
  std::vector<TokenSpan> spans;  ///< those that count
  int64_t total = 0;             ///< of the whole text, be it cut or not
  bool truncated = false;  ///< the text was cut, for it has more tokens or characters than the model reads
};

/// A vector for each token, whatever stands around it; that of a text is the mean over its tokens, without special ones.
/// note: two programs write such folders and do not agree on what they hold, so a file is read as its writer reads it.
///       model2vec (tensor `embeddings`, beside a config.json) leaves out the unknown token, reads so many tokens as
///       max_length says (512 where it is absent), and of a longer text no more than that many times the median length of
///       a token in characters. sentence-transformers (tensor `embedding.weight`) counts all tokens.
/// ref: model2vec 0.10; sentence-transformers 6.2, StaticEmbedding
struct StaticModel {
  Tensor table;               ///< f32 (rows, C)
  std::vector<int32_t> row;   ///< of each token id in the table; empty: the id is the row
  std::vector<float> weight;  ///< of each token id, which its row is multiplied by; empty: 1
  Tokenizer tokenizer;
  std::optional<int32_t> left_out;  ///< a token that does not count
  int64_t max_tokens = 0;           ///< of a text, tokens that do not count among them; 0: any number
  int64_t max_characters = 0;       ///< of a text; 0: any number
  std::optional<bool> normalize;    ///< whether texts' vectors have length 1; absent: the files do not say

  /// The tokens of a text, cut to what the model reads; see EmbedOptions for `parse_special`.
  StaticTokens tokens(std::string_view text, bool parse_special = false) const;
  /// y_i = table[row[id_i]] · weight[id_i].   shape: N ids -> (N,C).
  Tensor rows(std::span<const int32_t> ids) const;
};

/// Whether a folder holds what model2vec writes.
bool is_model2vec(const std::string& folder);

/// Reads model.safetensors, tokenizer.json and, of model2vec, config.json.
/// note: rows in f64, f16, bf16 and i8 become f32; an i8 stands for its own value.
StaticModel read_static_model(const std::string& folder);

}  // namespace gradus
