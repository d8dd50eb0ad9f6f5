#pragma once

#include <memory>
#include <vector>

#include "tensor/io/json.hpp"
#include "tokenizer/stages/splitters.hpp"
#include "tokenizer/text/aligned_text.hpp"

namespace gradus {

/// A text and the words that a model sees one at a time, in order; what is in no word is dropped.
struct PreTokenized {
  AlignedText text;
  std::vector<ByteSpan> words;  // none is empty
};

/// A step that cuts words into smaller ones; the `pre_tokenizer` of a tokenizer.json.
/// note: may be called from any number of threads.
class PreTokenizer {
 public:
  virtual ~PreTokenizer() = default;
  /// Cuts each word; may rewrite the text, as Metaspace does.
  virtual void apply(PreTokenized& text) const = 0;
  virtual Json to_json() const = 0;

  /// Where every word can be cut by going through it once, from its first byte: the end of the smaller one that begins at
  /// `at` (at < end). Otherwise nullptr. note: such a step neither drops nor rewrites, so long texts need no list.
  virtual WordEnd word_end() const { return nullptr; }
  /// Whether white space ends every word and is dropped, so that a text may be split beside it.
  virtual bool drops_spaces() const { return false; }
  /// Whether it may rewrite the text.
  virtual bool rewrites() const { return false; }
  /// Whether the words are to be taken as bytes in the alphabet of byte-level vocabularies (ByteLevel does this).
  virtual bool byte_level() const { return false; }
};

/// Reads the value of `pre_tokenizer`; null gives nullptr.
/// note: an unknown type, key or value is an error with its place in the file; so is a ByteLevel that is not the last step.
std::shared_ptr<const PreTokenizer> read_pre_tokenizer(const Json& value);

}  // namespace gradus
