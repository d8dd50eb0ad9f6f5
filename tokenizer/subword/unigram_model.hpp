#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tokenizer/lookup/trie.hpp"
#include "tokenizer/subword/subword_model.hpp"

namespace gradus {

/// Words become the pieces whose scores have the largest sum, found by dynamic programming from the left.
///   best(0) = 0,  best(e) = max over pieces p that end at e of best(e - |p|) + score(p)
/// note: of equal sums the one with the longest last piece is taken. A character that is no piece itself may also be
///       unknown, for the smallest score less 10; unknown characters in a row are one token.
/// note: texts of which no piece holds U+2581 behind something else are cut before it, and the words that come up again
///       and again are looked up (see Encoder); the tokens are those of the whole text, to the rounding of its sums.
/// ref: Kudo 2018, "Subword regularization", arXiv 1804.10959, section 3.2; for long texts and any pieces the time is
///      linear in the text and in the number of places where pieces are found (see Automaton).
class UnigramModel final : public SubwordModel {
 public:
  /// Whose sums are followed, to the last bit.
  /// note: float64 is the Hugging Face library, with the scores as it reads them from a file in their shortest decimal
  ///       form, which is not always the nearest double. float32 is SentencePiece 0.1.97, which keeps the sums in floats and
  ///       gives user-defined pieces (length in bytes · largest score − 0.1).
  enum class Arithmetic { float64, float32 };

  /// What a piece is, by the numbers of a SentencePiece model. Only normal and user-defined pieces are found in texts.
  enum class PieceType : uint8_t { normal = 1, unknown, control, user_defined, unused, byte };

  /// How much less than the least likely piece a character without a piece of its own scores.
  static constexpr float kUnknownPenalty = 10;

  /// The pieces by id, each with its score.
  /// note: with `byte_fallback` what is unknown becomes the pieces <0x00> to <0xFF> of its bytes, if there are such for all
  ///       of them. Without `unk_id` an unknown character is an error, as it is to the Hugging Face library even where
  ///       longer pieces would cover it. Of equal pieces the last one counts (float32: they are an error).
  ///       `types` (empty: all normal) are for float32 only.
  UnigramModel(std::vector<std::pair<std::string, double>> pieces, std::optional<int32_t> unk_id,
               bool byte_fallback, Arithmetic arithmetic = Arithmetic::float64,
               std::vector<PieceType> types = {});

  /// Reads the value of `model` in a tokenizer.json.
  static std::shared_ptr<const UnigramModel> read(const Json& model);

  std::string type() const override { return "Unigram"; }
  std::string kind() const override { return "unigram"; }
  void encode(std::string_view text, std::span<const ByteSpan> words,
              std::vector<Token>& tokens) const override;
  const std::vector<std::string>& tokens() const override { return tokens_; }
  std::string unknown_token() const override {
    return unk_id_ ? tokens_[static_cast<size_t>(*unk_id_)] : std::string();
  }
  /// note: that float32 was meant is lost; pieces that are user-defined or unused are an error.
  Json to_json() const override;

  /// The id of a piece, or nothing where there is none.
  std::optional<int32_t> find(std::string_view piece) const override;
  std::shared_ptr<const SubwordModel> without(std::span<const int32_t> tokens) const override;

  const std::vector<double>& scores() const { return scores_; }
  std::optional<int32_t> unk_id() const { return unk_id_; }
  bool byte_fallback() const { return byte_fallback_; }

 private:
  // A piece as the search meets it.
  struct Piece {
    double score;
    uint32_t length;
    int32_t next;  // the longest other piece that it ends with, or Trie::kNone
  };
  // The best way to a place in a word.
  struct Best {
    double sum;
    uint32_t begin;  // of the last piece
    int32_t id;
  };

  // Of the best way through a word, in sums from 0 on.
  struct Outlook {
    double lead;   // over the second-best way
    double reach;  // the largest best sum to any place in the word, without its sign
    uint32_t characters;
  };
  class Encoder;

  bool fuses_unknown() const { return arithmetic_ == Arithmetic::float64 || !byte_fallback_; }
  void check_pieces() const;
  void set_scores();
  void index_pieces();
  template <class Visit>
  size_t visit_characters(std::string_view word, Visit visit) const;
  template <Arithmetic kArithmetic>
  size_t search(std::string_view word, double before, std::vector<Best>& best) const;
  std::optional<Outlook> look_out(std::string_view word, std::vector<Best>& best) const;
  [[noreturn]] void fail_at(std::string_view text, size_t begin, size_t end) const;
  bool append_path(ByteSpan word, const std::vector<Best>& best, size_t from,
                   std::vector<Token>& tokens) const;
  void replace_unknown(std::string_view text, size_t from, std::vector<Token>& tokens) const;

  std::vector<std::string> tokens_;
  std::vector<double> scores_;
  std::vector<PieceType> types_;
  std::optional<int32_t> unk_id_;
  bool byte_fallback_;
  Arithmetic arithmetic_;

  Automaton automaton_;  // of the pieces that texts may hold
  Trie reserved_;        // of the others
  std::vector<Piece> pieces_;
  double unknown_score_ = 0;
  double largest_score_ = 0;  // without its sign
  bool cuts_at_space_ = false;
  uint64_t serial_;                    // tells one model's entries in the cache of words from another's
  std::array<int32_t, 256> byte_ids_;  // Trie::kNone where there is none
};

}  // namespace gradus
