#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "tensor/io/json.hpp"

namespace gradus {

/// What tokenizer.ggml.token_type says of a token.
enum class GgufTokenType : int32_t { undefined, normal, unknown, control, user_defined, unused, byte };

/// How a byte-level BPE in a GGUF file cuts words, by the name that tokenizer.ggml.pre has for it.
/// ref: ggml-org/llama.cpp, src/llama-vocab.cpp; the tokenizers that the models were published with
struct GgufWordRule {
  std::string_view name;
  std::string_view regex;  ///< "": GPT-2's, digits apart
  bool ignore_merges = false;
  /// Characters are composed first (NFC), as those models' own tokenizers do and llama.cpp does not.
  bool composed = false;
  bool add_bos = false;
  bool add_separator = false;

  /// The pre-tokenizer and the normalizer (null: none), as a tokenizer.json says them.
  Json pre_tokenizer() const;
  Json normalizer() const;
};

/// Those that are known here; of several that cut alike the one to write stands first.
std::span<const GgufWordRule> gguf_word_rules();

}  // namespace gradus
