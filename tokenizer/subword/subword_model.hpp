#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/io/json.hpp"
#include "tokenizer/text/aligned_text.hpp"

namespace gradus {

/// A token, and the bytes of the (normalised) text that it stands for.
struct Token {
  int32_t id;
  uint32_t begin;
  uint32_t end;
  bool operator==(const Token&) const = default;
};

/// How words become tokens: the `model` of a tokenizer.json. Everything around it (normalizer, pre-tokenizer, added
/// tokens, post-processor) is the pipeline's.
class SubwordModel {
 public:
  virtual ~SubwordModel() = default;

  /// The type as a tokenizer.json names it: "BPE", "Unigram", "WordPiece" or "WordLevel".
  virtual std::string type() const = 0;

  /// What Tokenizer::kind() calls it, without its size: "bpe".
  virtual std::string kind() const = 0;

  /// Appends the tokens of some words of a text, word by word; no token reaches over a word's ends.
  /// note: a word that the model cannot represent is an error (std::runtime_error) that says which character and at
  ///       which byte of `text`. May be called from any number of threads. Called with many words at once.
  virtual void encode(std::string_view text, std::span<const ByteSpan> words,
                      std::vector<Token>& tokens) const = 0;

  /// Where a long word may be split: a place at or after `at` where encoding the two sides apart from each other gives the
  /// tokens of the whole; the word's size where none is known.
  virtual size_t split_at(std::string_view word, [[maybe_unused]] size_t at) const { return word.size(); }

  /// The tokens by id, as the file writes them ("\u0120king", "##ing"). note: added tokens are not among them.
  virtual const std::vector<std::string>& tokens() const = 0;

  /// The id of a token as tokens() writes it, or nothing where there is none.
  virtual std::optional<int32_t> find(std::string_view token) const = 0;

  /// The token that takes the place of what is not in the vocabulary; "" where there is none.
  virtual std::string unknown_token() const { return {}; }

  /// The same model but that no text gives these tokens (an unknown one still stands for what is unknown); nothing where
  /// no text gives them anyway.
  virtual std::shared_ptr<const SubwordModel> without(
      [[maybe_unused]] std::span<const int32_t> tokens) const {
    return nullptr;
  }

  /// The value of `model` in a tokenizer.json.
  virtual Json to_json() const = 0;
};

}  // namespace gradus
