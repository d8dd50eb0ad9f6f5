#pragma once

#include <memory>

#include "tokenizer/model.hpp"

namespace gradus {

/// One token a Unicode code point.
class CharModel final : public TokenizerModel {
 public:
  /// The i-th character is token i; they must differ.
  explicit CharModel(const std::vector<char32_t>& alphabet);

  /// The alphabet of a text, ascending. An error names the byte where the text is not UTF-8.
  static std::shared_ptr<const CharModel> train(std::string_view text);

  std::string kind() const override { return "char"; }
  void encode(std::string_view text, int64_t offset, std::vector<int32_t>& ids) const override;
  Json to_json() const override;

 private:
  std::vector<int32_t> ids_;  // by code point up to the largest of the alphabet; -1: not in it
};

}  // namespace gradus
