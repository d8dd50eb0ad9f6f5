#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/lookup/trie.hpp"
#include "tokenizer/subword/subword_model.hpp"

namespace gradus {

/// Tokens and their ids, as the models have them that write them as a JSON object. Ids may be left out.
class WordVocabulary {
 public:
  /// The tokens by id, all different and UTF-8; an empty text stands for an id without a token.
  explicit WordVocabulary(std::vector<std::string> tokens);

  /// Reads {"token": id, ...}. note: an id that is there twice, below 0, or out of proportion (above four times the
  /// number of tokens and a million) is an error that names its place in the file.
  static WordVocabulary read(const Json& vocab);
  /// The tokens and their ids, in the order of the ids.
  Json to_json() const;
  /// The same without the texts of some tokens, so that nothing finds them; nothing where all have none.
  std::optional<WordVocabulary> without(std::span<const int32_t> ids) const;

  /// The tokens by id.
  const std::vector<std::string>& tokens() const { return tokens_; }
  /// The id of a token, or nothing where there is none.
  std::optional<int32_t> find(std::string_view token) const;
  /// The tokens, with their ids as values; the empty one is not among them.
  const Trie& trie() const { return trie_; }

 private:
  std::vector<std::string> tokens_;
  int32_t empty_id_ = Trie::kNone;  // of a token without text, which no word is
  Trie trie_;
};

/// Each word is a token, or it is unknown.
/// note: where the unknown token itself has no id, an unknown word is an error.
class WordLevelModel final : public SubwordModel {
 public:
  WordLevelModel(WordVocabulary vocabulary, std::string unk_token);

  /// Reads the value of `model` in a tokenizer.json.
  static std::shared_ptr<const WordLevelModel> read(const Json& model);

  std::string type() const override { return "WordLevel"; }
  std::string kind() const override { return "words"; }
  void encode(std::string_view text, std::span<const ByteSpan> words,
              std::vector<Token>& tokens) const override;
  const std::vector<std::string>& tokens() const override { return vocabulary_.tokens(); }
  std::string unknown_token() const override { return unk_token_; }
  std::shared_ptr<const SubwordModel> without(std::span<const int32_t> tokens) const override;
  Json to_json() const override;

  /// The id of a token, or nothing where there is none.
  std::optional<int32_t> find(std::string_view token) const override { return vocabulary_.find(token); }

 private:
  WordVocabulary vocabulary_;
  std::string unk_token_;
  std::optional<int32_t> unk_id_;
};

namespace detail {
/// An error (std::runtime_error) that names the byte of `text` at which a word is not UTF-8, if it is not.
void check_utf8_word(std::string_view model, std::string_view text, ByteSpan word);
}  // namespace detail

}  // namespace gradus
