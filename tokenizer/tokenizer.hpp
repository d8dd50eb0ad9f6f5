#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/progress.hpp"
#include "tokenizer/stages/encoding.hpp"

namespace gradus {

class Pipeline;
struct TokenizerParts;

/// The text of the special token that stands between documents.
inline constexpr std::string_view kEndOfText = "<|endoftext|>";

/// A token and the bytes it stands for in the text; the end is exclusive.
struct TokenSpan {
  int32_t id;
  int64_t begin;
  int64_t end;
  bool operator==(const TokenSpan&) const = default;
};

struct EncodeOptions {
  /// Whether the text of a special token, such as `<|endoftext|>`, becomes that token.
  /// note: off, because training text is data: what it says must not end a document. The Hugging Face library: always on.
  bool special_tokens = false;
  /// Whether the tokens are added that the tokenizer puts around a text, such as `[CLS]` and `[SEP]`.
  bool add_special = false;
  /// Whether a text keeps all its tokens and gets no others, whatever a tokenizer.json says of truncation and padding.
  bool whole = false;
  /// With `whole`: of more tokens than so many, those added included, the last ones are cut off, of a pair those of the
  /// longer text first. 0: none are.
  int64_t max_length = 0;
};

struct DecodeOptions {
  /// Whether special tokens give nothing, instead of their text.
  bool skip_special = false;
  /// Whether tokens of single bytes that are not UTF-8 together give U+FFFD, as in the libraries they come from, instead
  /// of these bytes. note: a lossless tokenizer always gives the bytes.
  bool replace_invalid = false;
};

/// Text <-> ids. A handle: copies are cheap and share what they point to, which never changes; so any number of threads
/// may use one tokenizer.
/// note: where lossless() the bytes of the ids join to exactly the text, and decode(encode(text)) is the text; the other
///       kinds normalise (lower-case, say), and what they cannot represent is an error or their unknown token.
class Tokenizer {
 public:
  /// Empty: only assignment makes sense; everything else is an error.
  Tokenizer() = default;
  explicit Tokenizer(TokenizerParts parts, std::string note = {});

  /// One token a character; the alphabet is the text's code points, ascending. The text must be UTF-8.
  static Tokenizer train_char(std::string_view text);

  /// One token a byte; the id is the byte's value.
  static Tokenizer bytes();

  /// Byte-level BPE with the GPT-2 rule: the 256 bytes, the merges learned from the documents, and `<|endoftext|>` last.
  /// note: `vocab_size` counts all of these, so it is at least 257. Where the text has too few repeated pairs the
  ///       vocabulary ends up smaller, and training_note() says so. train_tokenizer() knows more kinds.
  /// note: `progress` counts twice the bytes of the documents: reading them, then merging.
  static Tokenizer train_bpe(std::span<const std::string_view> documents, int64_t vocab_size,
                             const ProgressFn& progress = {});

  /// Reads a tokenizer.json. What it holds that would change a result and is not known here is an error with its place.
  static Tokenizer parse(std::string_view json, const std::string& source);
  /// Reads a file of any format that is known: tokenizer.json, a SentencePiece model, tiktoken ranks, vocab.txt, or
  /// vocab.json with merges.txt beside it. note: which one it is, its contents say.
  static Tokenizer load(const std::string& path);

  /// Writes a tokenizer.json in the Hugging Face schema: beside the path, then renamed.
  /// note: of a tokenizer of ranks or scores it is the nearest that the schema can say; save_tokenizer_as() compares.
  void save(const std::string& path) const;
  /// note: the same tokenizer always gives the same text, so its hash names the tokenizer.
  std::string to_json() const;

  /// note: where no special tokens are added, neither cut nor padded, whatever a tokenizer.json says.
  std::vector<int32_t> encode(std::string_view text, EncodeOptions options = {}) const;
  /// The ids, each with its bytes in the text, cut and padded unless `whole`. note: a token may end inside a character.
  std::vector<TokenSpan> encode_spans(std::string_view text, EncodeOptions options = {}) const;
  /// All that is known of the tokens of a text, or of a pair of texts, cut and padded as the tokenizer says.
  Encoding encode_full(std::string_view text, std::optional<std::string_view> pair = std::nullopt,
                       EncodeOptions options = {}) const;
  /// What EncodeOptions::add_special adds to a single text.
  AddedAround added_around() const;
  /// The text of the ids.
  std::string decode(std::span<const int32_t> ids, DecodeOptions options = {}) const;

  /// "char", "byte", "bpe:2048", "spm-bpe:32000", "unigram:8000", "wordpiece:30522" or "words:5000".
  std::string kind() const;
  /// The largest id, plus one.
  int64_t vocab_size() const;
  /// The bytes a token stands for inside a text.
  const std::string& token_bytes(int32_t id) const;
  /// How a token is written in the vocabulary file: "Ġking" or "▁king" for " king". Empty where an id has no token.
  const std::string& token_text(int32_t id) const;
  /// The id of a token as token_text writes it.
  std::optional<int32_t> id_of(std::string_view token_text) const;
  /// The id of the special token that stands between documents: `<|endoftext|>`, or what takes its place.
  std::optional<int32_t> end_of_text() const;
  /// The id of the token that takes the place of what the vocabulary cannot represent, where it has one.
  std::optional<int32_t> unknown_id() const;
  /// Whether the token is special: text never gives it unless EncodeOptions allow it.
  bool is_special(int32_t id) const;
  /// Whether decode gives back any text that can be encoded, byte for byte.
  bool lossless() const;

  /// Empty, or why training ended before the vocabulary had the size asked for. Not kept in files.
  const std::string& training_note() const { return note_; }

  const TokenizerParts& parts() const;

 private:
  const Pipeline& pipeline() const;
  const Pipeline& pipeline_of(int32_t id) const;

  std::shared_ptr<const Pipeline> pipeline_;
  std::string note_;
};

/// Decodes ids one at a time, as they are generated, without ever giving half a character.
/// y = all that push gives, then flush, joined: exactly decode(before + ids) after decode(before)
class StreamDecoder {
 public:
  /// note: `before` are ids whose text is known already: what comes continues it, so that a space between them is kept.
  explicit StreamDecoder(Tokenizer tokenizer, std::span<const int32_t> before = {});

  /// The bytes that are certain now; the beginning of a character is held back until a later id completes it.
  /// note: bytes that can no longer become a character come out as they are.
  std::string push(int32_t id);
  /// What is still held back; nothing more follows.
  std::string flush();

 private:
  Tokenizer tokenizer_;
  std::string held_;          // of a lossless tokenizer
  std::vector<int32_t> ids_;  // of the others: what the next text may depend on
  size_t given_ = 0;          // how many bytes of their text have been given out
};

}  // namespace gradus
