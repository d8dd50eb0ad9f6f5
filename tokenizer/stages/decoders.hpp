#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/io/json.hpp"

namespace gradus {

/// What decoding does with bytes that are not UTF-8, which tokens of single bytes can come to.
enum class InvalidUtf8 {
  keep,     // the very bytes
  replace,  // U+FFFD, as the Hugging Face library has it
};

/// How tokens become text again; the `decoder` of a tokenizer.json.
/// note: where the Hugging Face library fails (no tokens for BPEDecoder, a Strip longer than its token) nothing is left.
///       May be called from any number of threads.
class Decoder {
 public:
  virtual ~Decoder() = default;

  /// The text of some tokens, given as the vocabulary writes them.
  virtual std::string decode(std::vector<std::string> tokens, InvalidUtf8 invalid = InvalidUtf8::keep) const;

  /// What a token adds to the text whenever it is not the first, its bytes kept; nothing where that depends on the
  /// tokens around it. y: decode({a, b, c}) == decode({a}) + *text_inside(b) + *text_inside(c)
  /// note: for tables by token id, and for text that is shown token by token. Tokens must not be empty.
  virtual std::optional<std::string> text_inside(std::string_view token) const;

  /// The step as a tokenizer.json says it.
  virtual Json to_json() const { return json_; }

  class Step;  // one of those that the file lists

 private:
  friend class DecoderReader;

  std::vector<std::shared_ptr<const Step>> steps_;
  size_t inside_steps_ = 0;  // how many of them change tokens other than the first
  bool has_inside_ = false;
  Json json_;
};

/// Reads the value of `decoder`: ByteLevel, WordPiece, Metaspace, Replace (of a string), ByteFallback, Fuse, Strip,
/// BPEDecoder, CTC or Sequence. Null gives nullptr: tokens are then to be joined by spaces.
/// note: an unknown type, key or value is an error with its place in the file; so is a Replace of a regular expression.
std::shared_ptr<const Decoder> read_decoder(const Json& value);

}  // namespace gradus
