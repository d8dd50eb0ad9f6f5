#pragma once

#include <memory>

#include "tensor/io/json.hpp"
#include "tokenizer/text/aligned_text.hpp"

namespace gradus {

/// A step that changes a text before it is cut into words, such as lower-casing; the `normalizer` of a tokenizer.json.
/// note: may be called from any number of threads.
class Normalizer {
 public:
  virtual ~Normalizer() = default;
  virtual void apply(AlignedText& text) const = 0;
  /// Whether a text may be split as split_at_space does: both sides become what they do in the whole, and the space stays.
  virtual bool is_local() const { return false; }
  /// Whether, besides, nothing is dropped and nothing else begins or ends in white space afterwards.
  virtual bool keeps_spaces() const { return false; }
  /// The step as a tokenizer.json says it.
  virtual Json to_json() const = 0;
};

/// Reads the value of `normalizer`; null gives nullptr.
/// note: an unknown type, key or value is an error with its place in the file.
std::shared_ptr<const Normalizer> read_normalizer(const Json& value);

}  // namespace gradus
