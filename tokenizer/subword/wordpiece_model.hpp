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
#include "tokenizer/subword/word_level_model.hpp"

namespace gradus {

/// A word becomes its longest beginning that is a token, then the longest token with the prefix ("##") that goes on from
/// there, and so on; a word that does not come out even, or is too long, is unknown as a whole.
/// note: a word is read once where the longest beginning is all of it, as most are. Vocabularies with very long
///       tokens find them in linear time (LongestMatches), so that no text is slow.
/// ref: Devlin et al. 2018, "BERT", arXiv 1810.04805; its reference code.
class WordPieceModel final : public SubwordModel {
 public:
  struct Options {
    std::string unk_token = "[UNK]";
    std::string continuing_subword_prefix = "##";
    /// Words of more characters are unknown.
    int64_t max_input_chars_per_word = 100;
  };
  WordPieceModel(WordVocabulary vocabulary, Options options);

  /// Reads the value of `model` in a tokenizer.json.
  static std::shared_ptr<const WordPieceModel> read(const Json& model);

  std::string type() const override { return "WordPiece"; }
  std::string kind() const override { return "wordpiece"; }
  /// note: where the unknown token itself has no id, an unknown word is an error.
  void encode(std::string_view text, std::span<const ByteSpan> words,
              std::vector<Token>& tokens) const override;
  const std::vector<std::string>& tokens() const override { return vocabulary_.tokens(); }
  std::string unknown_token() const override { return options_.unk_token; }
  std::shared_ptr<const SubwordModel> without(std::span<const int32_t> tokens) const override;
  Json to_json() const override;

  /// The id of a token, or nothing where there is none.
  std::optional<int32_t> find(std::string_view token) const override { return vocabulary_.find(token); }

 private:
  bool append_pieces(std::string_view text, ByteSpan word, std::vector<Token>& tokens) const;
  bool append_long(std::string_view text, ByteSpan word, std::vector<Token>& tokens) const;
  void append_unknown(std::string_view text, ByteSpan word, std::vector<Token>& tokens) const;
  bool too_long(std::string_view word) const;

  WordVocabulary vocabulary_;
  Options options_;
  std::optional<int32_t> unk_id_;
  std::optional<Trie::Node> inside_;            // where the prefix leads, if any token has it
  std::optional<LongestMatches> long_matches_;  // of the tokens' texts after the prefix
  std::vector<uint32_t> inner_bytes_;           // of these texts, by id
};

}  // namespace gradus
