#pragma once

#include <array>
#include <memory>
#include <optional>

#include "tokenizer/lookup/token_table.hpp"
#include "tokenizer/subword/bpe_merges.hpp"
#include "tokenizer/subword/subword_model.hpp"
#include "tokenizer/text/space_mark.hpp"

namespace gradus {

/// What a BPE is made of.
struct BpeParts {
  /// In which order pairs merge: as the list of merges says (Hugging Face); or always the pair whose joined token has the
  /// lowest id (tiktoken) or the highest score (SentencePiece), which no list can say. They differ on few words of few
  /// vocabularies.
  enum class Order { merges, ranks, scores };

  std::vector<std::string> tokens;  // by id, as the file writes them; "" where an id has no token
  std::vector<BpeMerge> merges;     // of Order::merges, by rank; else they follow from the tokens
  Order order = Order::merges;
  std::vector<float> scores;    // of Order::scores, by id
  std::vector<bool> in_merges;  // by id, whether merges may begin from or make the token; empty: all
  /// Whether words are bytes, and tokens are written in the alphabet of bytes_to_text(); else both are characters.
  bool byte_level = true;
  /// Whether a word that is a token becomes that token even where the merges would not make it.
  bool ignore_merges = false;

  std::string prefix;          // that a character not at a word's beginning carries, such as "##"
  std::string suffix;          // that a word's last character carries, such as "</w>"
  std::string unk_token;       // for a character that is no token; "": such a character is an error
  bool fuse_unk = false;       // whether neighbouring unknown characters become one unk_token
  bool byte_fallback = false;  // whether they become the tokens <0x00> to <0xFF> of their bytes
};

/// Byte-pair encoding of words.
/// ref: Sennrich et al. 2016, algorithm 1; Radford et al. 2019 (of bytes)
class BpeModel final : public SubwordModel {
 public:
  /// note: where byte_level lacks the token of a byte, a text with that byte gives the unknown token there, or an error;
  ///       an Order other than `merges` needs all 256.
  explicit BpeModel(BpeParts parts);

  /// Reads the `model` of a tokenizer.json. `byte_level`: whether its pre-tokenizer is ByteLevel.
  static std::shared_ptr<const BpeModel> read(const Json& model, bool byte_level);

  std::string type() const override { return "BPE"; }
  std::string kind() const override { return parts_.byte_level ? "bpe" : "spm-bpe"; }
  void encode(std::string_view text, std::span<const ByteSpan> words,
              std::vector<Token>& tokens) const override;
  size_t split_at(std::string_view word, size_t at) const override;
  const std::vector<std::string>& tokens() const override { return parts_.tokens; }
  std::optional<int32_t> find(std::string_view token) const override;
  std::string unknown_token() const override { return parts_.unk_token; }
  std::shared_ptr<const SubwordModel> without(std::span<const int32_t> tokens) const override;
  Json to_json() const override;

  const BpeParts& parts() const { return parts_; }
  /// Whether byte_level has a token for each of the 256 bytes, so that any text is spelled.
  bool has_all_bytes() const { return has_all_bytes_; }
  /// The merges as pairs of tokens, by rank. note: where the order is that of ranks or scores, the nearest list: of ranks
  /// each token is made of the two that the lower ranks leave of its bytes, of scores every way of making it is listed.
  std::vector<std::pair<int32_t, int32_t>> merge_list() const;

 private:
  void derive_merges();
  std::vector<uint32_t> ranks_of_tokens() const;
  void index_whole_words();
  void find_word_starts();
  // The tokens that a word equal to them becomes.
  const TokenTable& whole_words() const { return parts_.ignore_merges && !affixed_ ? symbols_ : whole_; }
  std::vector<bool> makeable_tokens() const;
  void encode_words(std::string_view text, std::span<const ByteSpan> words, std::vector<Token>& tokens) const;
  void encode_word(std::string_view text, ByteSpan word, int32_t whole, std::vector<Token>& tokens) const;
  void encode_bytes(std::string_view text, ByteSpan word, std::vector<Token>& tokens) const;
  void encode_characters(std::string_view text, ByteSpan word, std::vector<Token>& tokens) const;
  // Writes a symbol for each byte, -1 for those that have no token; the first one begins at `begin`.
  void spell_bytes(std::string_view bytes, uint32_t begin, BpeSymbol* symbols) const {
    for (const char byte : bytes) *symbols++ = {byte_ids_[static_cast<unsigned char>(byte)], begin++};
  }
  size_t replace_unknown(std::string_view text, BpeSymbol* symbols, size_t count) const;
  int32_t unknown_at(std::string_view text, uint32_t begin, size_t length) const;
  void spell(std::string_view text, ByteSpan word, std::vector<BpeSymbol>& symbols) const;

  BpeParts parts_;
  bool affixed_ = false;            // a prefix or suffix makes what a character is called depend on its place
  bool as_bytes_ = false;           // words and tokens are compared as bytes
  std::vector<std::string> bytes_;  // of as_bytes_: what each token stands for
  std::vector<int32_t> others_;     // of as_bytes_: tokens that words cannot come to, such as special ones
  std::array<int32_t, 256> byte_ids_{};
  bool has_all_bytes_ = false;
  int32_t unk_id_ = -1;
  std::array<int32_t, 256> fallback_ids_{};
  std::optional<BpeMerges> merges_;
  TokenTable names_;    // of tokens that are not bytes
  TokenTable symbols_;  // the tokens that words can come to
  TokenTable whole_;    // the tokens that the merges make of a word equal to them; see whole_words()
  // Whether no merge joins a token that does not end in U+2581 to one that begins with it; then a long text without
  // words can be cut there, as nothing can merge across.
  bool cuts_at_space_ = false;
  uint64_t serial_;  // tells one model's entries in the cache of words from another's
};

}  // namespace gradus
