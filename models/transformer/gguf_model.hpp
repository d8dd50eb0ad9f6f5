#pragma once

#include <optional>
#include <string>

#include "models/embeddings/pooling.hpp"
#include "models/files/gguf_file.hpp"
#include "models/transformer/config.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// The configuration that a GGUF file says, by its keys and by the tensors that are there.
/// note: a key that is not known here is an error, for it may change what the model computes; those of `general` say where
///       the model comes from and change nothing.
/// ref: ggml-org/llama.cpp, what its conversion writes (conversion/) and its loader reads (src/llama-model.cpp)
Config config_from_gguf(const GgufFile& file);

/// How the model of a GGUF file makes one vector of a text; nothing where the file does not say.
std::optional<Pooling> pooling_from_gguf(const GgufFile& file);
/// The number that stands there for a pooling; nothing where there is none.
std::optional<int64_t> gguf_pooling_number(Pooling pooling);

/// The tokenizer in a GGUF file, and what somebody should know of it, or "".
struct GgufTokenizer {
  Tokenizer tokenizer;
  std::string note;
};

/// Nothing where the file has none.
/// note: byte-level BPE (`gpt2`) with the rules for words that are known here, SentencePiece's BPE (`llama`) and WordPiece
///       (`bert`); others are errors by name, as are keys that are not known. Special tokens are those of type control and
///       unknown; the tokens around a text follow add_bos_token, add_eos_token and add_sep_token.
/// ref: ggml-org/llama.cpp, src/llama-vocab.cpp; the files that the models were published with, for what it leaves unsaid
std::optional<GgufTokenizer> tokenizer_from_gguf(const GgufFile& file);

}  // namespace gradus
