#pragma once

#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/lookup/charsmap.hpp"
#include "tokenizer/lookup/trie.hpp"
#include "tokenizer/stages/normalizers.hpp"

namespace gradus {

/// What SentencePiece does to a text before it looks for pieces: rewrites it by the model's rules, the longest first,
/// and writes spaces as U+2581.
/// note: original() gives the surfaces that SentencePiece reports. Text that is not UTF-8 is an error (SentencePiece
///       replaces it by U+FFFD without a word); so is a normalized text without its original, which is no use here.
/// ref: normalizer.cc of SentencePiece 0.1.97, treat_whitespace_as_suffix false.
class SentencePieceNormalizer final : public Normalizer {
 public:
  /// As in the model's `normalizer_spec`, with its defaults.
  struct Settings {
    std::string precompiled_charsmap{};
    bool add_dummy_prefix = true;
    bool remove_extra_whitespaces = true;
    bool escape_whitespaces = true;
    std::vector<std::string> user_defined_symbols{};  // of the model; they are left as they are
  };
  /// `where` names the model in errors.
  SentencePieceNormalizer(Settings settings, const std::string& where);

  void apply(AlignedText& text) const override;
  /// The steps of the Hugging Face library that come nearest.
  /// note: rules for sequences of characters apply differently there, and user-defined symbols are rewritten too.
  Json to_json() const override;

 private:
  struct Prefix {
    size_t length;  // of the text that is replaced
    std::string_view with;
  };
  Prefix prefix(const AlignedText& text, size_t at) const;

  Settings settings_;
  std::optional<Charsmap> charsmap_;
  Trie symbols_;
  // ASCII that begins neither a symbol nor, where ASCII is behind it, a rule.
  std::array<bool, 256> stays_{};
};

}  // namespace gradus
