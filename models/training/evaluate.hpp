#pragma once

#include <cstdint>
#include <functional>
#include <span>

#include "models/transformer/transformer.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// How well a model predicts a text.
struct Evaluation {
  double loss = 0;        ///< mean nats a predicted token
  double perplexity = 0;  ///< e^loss
  double bits_per_byte =
      0;                ///< nats / ln 2 / bytes: comparable between tokenizers, and with compression programs
  int64_t tokens = 0;   ///< predicted tokens: all but the first
  int64_t bytes = 0;    ///< of text that these stand for, unknown or not; `<|endoftext|>` stands for none
  int64_t unknown = 0;  ///< of the predicted tokens, those that are the unknown one
  double unknown_rate() const {
    return tokens > 0 ? static_cast<double>(unknown) / static_cast<double>(tokens) : 0;
  }
};

namespace detail {

/// Tokens that go through the model together.
/// note: their logits are the largest tensor of an evaluation, so a large vocabulary gets fewer; no bit depends on it.
int64_t evaluation_tokens(const Config& config);

}  // namespace detail

/// Evaluates over consecutive windows of block_size inputs, so that every token but the first is predicted exactly once.
/// `bytes_of` are the bytes of text that each id stands for; see TokenText.
/// note: `progress`, given (windows done, windows), may throw to stop. The text must have at least two tokens.
Evaluation evaluate(const Transformer& model, const Tokenizer& tokenizer, std::span<const int32_t> ids,
                    std::span<const int32_t> bytes_of,
                    const std::function<void(int64_t, int64_t)>& progress = {});

}  // namespace gradus
