#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "tokenizer/stages/added_tokens.hpp"
#include "tokenizer/stages/decoders.hpp"
#include "tokenizer/stages/encoding.hpp"
#include "tokenizer/stages/normalizers.hpp"
#include "tokenizer/stages/post_processors.hpp"
#include "tokenizer/stages/pre_tokenizers.hpp"
#include "tokenizer/stages/truncation.hpp"
#include "tokenizer/subword/subword_model.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// What a tokenizer is made of: the members of a tokenizer.json. Any but the model may be missing.
struct TokenizerParts {
  std::vector<AddedToken> added_tokens;
  std::shared_ptr<const Normalizer> normalizer;
  std::shared_ptr<const PreTokenizer> pre_tokenizer;
  std::shared_ptr<const SubwordModel> model;
  std::shared_ptr<const PostProcessor> post_processor;
  std::shared_ptr<const Decoder> decoder;
  std::optional<Truncation> truncation;
  std::optional<Padding> padding;
  /// Special tokens of the model that no text gives.
  std::vector<int32_t> control_ids;
  /// Whether added tokens are looked for in normalised text as they are written, not as they would be normalised.
  bool tokens_as_written = false;
};

/// Reads a post-processor for parts whose model and added tokens are set.
void set_post_processor(TokenizerParts& parts, const Json& json);

/// The parts of a tokenizer whose model and added tokens are known; the rest is given as a tokenizer.json says it.
TokenizerParts assemble(std::shared_ptr<const SubwordModel> model, std::vector<AddedToken> added,
                        const Json& normalizer, const Json& pre_tokenizer, const Json& post_processor,
                        const Json& decoder);

/// Puts the tokens of a text, or of a pair, together as the parts say: cut off, special tokens added, padded.
Encoding finish_encoding(Encoding first, std::optional<Encoding> pair, const TokenizerParts& parts,
                         const EncodeOptions& options, std::string_view text, std::string_view pair_text);

/// A tokenizer: its parts, and what they make of a text. Never changes.
/// y = added tokens cut the text; what is between is normalised, cut again by the added tokens that are looked for in
///     normalised text, cut into words, and the words become tokens; the post-processor adds special tokens
class Pipeline {
 public:
  /// note: an added token that the model has must have the model's id.
  explicit Pipeline(TokenizerParts parts);

  /// The tokens of one text, without those of the post-processor. Appends to `ids` and, where given, `offsets` (in the
  /// bytes of the original).
  void encode(std::string_view text, bool special_tokens, std::vector<int32_t>& ids,
              std::vector<TextRange>* offsets) const;

  const TokenizerParts& parts() const { return parts_; }
  int64_t size() const { return static_cast<int64_t>(texts_.size()); }
  /// How the file writes a token; "" where an id has none.
  const std::string& text(int32_t id) const { return texts_[static_cast<size_t>(id)]; }
  /// The bytes that a token stands for inside a text.
  const std::string& bytes(int32_t id) const;
  std::optional<int32_t> find(std::string_view text) const;
  bool is_special(int32_t id) const { return special_[static_cast<size_t>(id)]; }
  /// Whether the bytes of the ids of any text join to exactly that text.
  bool lossless() const { return lossless_; }

 private:
  struct Scratch;
  struct Output;
  void encode_segment(AlignedText text, bool special_tokens, Output& out) const;
  void encode_chunk(AlignedText text, bool special_tokens, Output& out) const;
  void encode_words(PreTokenized text, Output& out) const;
  void cut_and_encode(const AlignedText& text, WordEnd word_end, Output& out) const;
  template <class Encode>
  static void encode_in_parallel(size_t chunks, Output& out, Encode encode);
  bool can_be_split() const;
  void list_tokens();
  void list_bytes() const;
  bool gives_back_tokens() const;
  const SubwordModel& model(bool special_tokens) const;

  TokenizerParts parts_;
  AddedTokenMatcher raw_tokens_;         // looked for in the text as it is given
  AddedTokenMatcher normalized_tokens_;  // looked for in normalised text
  std::vector<std::string> texts_;
  mutable std::once_flag plain_made_;  // where special tokens are looked for, the model cannot give them
  mutable std::shared_ptr<const SubwordModel> plain_;  // nullptr: the model itself
  mutable std::once_flag bytes_listed_;                // encoding does not need them
  mutable std::vector<std::string> bytes_;
  std::vector<bool> special_;
  std::vector<bool> added_;
  bool lossless_ = false;
  bool needs_utf8_ = false;
  bool can_be_split_ = false;  // before it is normalised
};

}  // namespace gradus
