#pragma once

#include <span>

#include "models/transformer/contextual.hpp"
#include "models/transformer/sentence_folder.hpp"

namespace gradus {

/// The rows of some texts by a static model, as TextEmbedder makes them with a transformer: `layer_0` is its only layer.
/// note: of the options level, sentences (which must be given), prompt, truncate, truncate_width and normalize count; others
///       that ask for what such a model does not have are errors.
/// note: a text without a token has a sentence row of zeros, as in the libraries, and no others.
class StaticEmbedder {
 public:
  StaticEmbedder(const SentenceFolder& folder, const EmbedOptions& options);

  EmbeddingSet embed(std::span<const EmbedText> texts);
  int64_t width() const;

 private:
  const SentenceFolder& folder_;
  EmbedOptions options_;
  int64_t next_text_ = 0;
};

}  // namespace gradus
