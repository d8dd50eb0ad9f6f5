#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "models/files/gguf_writer.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// What a model knows that a tokenizer in a GGUF file needs.
struct GgufTokenizerUse {
  int64_t vocab_size = 0;  ///< of the model: ids beyond the tokenizer's get tokens that no text gives
  std::vector<int64_t> end_tokens;  ///< ids that end a text, three at most
  bool add_special = false;         ///< whether texts begin and end with the tokens that the tokenizer adds
  std::map<std::string, int64_t> roles =
      {};  ///< ids of tokens that are said to be for something: bos, unk, sep, pad, cls, mask
};

/// Sets the keys of a tokenizer, under the kinds that llama.cpp has: `gpt2` (byte-level BPE whose words one of
/// gguf_word_rules() cuts), `llama` (SentencePiece's BPE), `bert` (WordPiece). All others stand in the file as a whole
/// tokenizer.json, under `tokenizer.huggingface.json`, beside the model `none`: Gradus reads that, llama.cpp takes ids alone. Where only added tokens in texts differ, both stand there.
/// y: what somebody should know, or ""
/// note: a kind of llama.cpp is only taken if it gives the same ids, read back, on texts that are hard to encode.
std::string write_gguf_tokenizer(GgufFields& fields, const Tokenizer& tokenizer, const GgufTokenizerUse& use);

/// The ends of texts where there is no tokenizer.
void write_gguf_end_tokens(GgufFields& fields, const std::vector<int64_t>& end_tokens);

}  // namespace gradus
