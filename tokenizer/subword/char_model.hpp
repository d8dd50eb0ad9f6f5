#pragma once

#include <memory>
#include <vector>

#include "tokenizer/subword/subword_model.hpp"

namespace gradus {

/// One token a Unicode code point; any other character is an error.
/// note: in a tokenizer.json it is a WordLevel model after a Split into characters, whose unknown token is not in its
///       vocabulary, so that there too what is unknown is an error.
class CharModel final : public SubwordModel {
 public:
  /// The i-th character is token i; they must differ.
  explicit CharModel(const std::vector<char32_t>& alphabet);

  /// The alphabet of a text, ascending. An error names the byte where the text is not UTF-8.
  static std::shared_ptr<const CharModel> train(std::string_view text);

  /// Reads the `model` of a tokenizer.json that splits a text into characters; nullptr where it is another WordLevel
  /// model: of words, with an unknown token, or with gaps between its ids.
  static std::shared_ptr<const CharModel> read(const Json& model);

  std::string type() const override { return "WordLevel"; }
  std::string kind() const override { return "char"; }
  void encode(std::string_view text, std::span<const ByteSpan> words,
              std::vector<Token>& tokens) const override;
  const std::vector<std::string>& tokens() const override { return tokens_; }
  std::optional<int32_t> find(std::string_view token) const override;
  Json to_json() const override;

 private:
  std::vector<std::string> tokens_;
  std::vector<int32_t> ids_;  // by code point up to the largest of the alphabet; -1: not in it
};

}  // namespace gradus
