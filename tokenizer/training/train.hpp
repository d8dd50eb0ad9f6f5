#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// What a tokenizer is to be.
struct TokenizerTraining {
  /// One of tokenizer_kinds(): "bpe" (bytes, the GPT-2 rule for words), "spm-bpe" (characters, bytes for the rare ones, as Llama 2 has it),
  /// "unigram" (the same by probability, as T5 has it), "wordpiece" (as BERT has it), "words" (at white space), "char" or
  /// "byte".
  std::string kind = "bpe";
  /// All tokens together. note: char and byte have as many as they need.
  int64_t vocab_size = 2048;
  /// The special tokens; empty: those that the kind usually has. See special_token_preset().
  /// note: none may be what the vocabulary begins with, such as a byte or a character; nothing else becomes one of them.
  std::vector<std::string> special;
  /// The most that counting words and training may take (0: no limit); the rarest words are dropped to keep it, which
  /// the tokenizer's training_note() says. The text itself is not in it.
  int64_t memory_bytes = 0;
  /// What spm-bpe and unigram do with spaces.
  enum class Spaces {
    exact,  // tokens hold them: any text comes back as it was
    sentencepiece,  // written U+2581, one more before a text, which decoding drops: so U+2581 itself becomes a space, but
                    // the tokenizer can be written as a .model
  };
  Spaces spaces = Spaces::exact;
};

/// What TokenizerTraining::kind can be.
std::vector<std::string> tokenizer_kinds();

/// The special tokens that go by the name "gpt", "bert" or "llama"; empty for any other name.
std::vector<std::string> special_token_preset(std::string_view name);

/// Learns a tokenizer from documents.
/// note: the same at any number of threads. `progress` counts bytes of the documents twice: reading them, then training.
Tokenizer train_tokenizer(std::span<const std::string_view> documents, const TokenizerTraining& options,
                          const ProgressFn& progress = {});

}  // namespace gradus
