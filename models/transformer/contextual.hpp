#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/embeddings/embedding_set.hpp"
#include "models/embeddings/word_table.hpp"
#include "models/transformer/transformer.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

struct EmbedOptions {
  std::vector<int64_t> layers;  ///< indices into hidden_states(), ascending; empty: all
  Level level = Level::token;
  Pooling pooling = Pooling::mean;  ///< of a word's or sentence's tokens; token level has none
  /// Tokens read at once, at least one text: bounds the memory and changes nothing else.
  int64_t batch_tokens = 4096;
};

/// What a model's layers make of some texts, each read by itself from position 0: a vector for each token, or for each
/// word or text by pooling. A row's bits depend on its own text alone, not on its neighbours in the list or the batch.
/// note: a text that is empty, or longer than block_size tokens, is an error that gives its number (from 0).
/// note: `progress` counts texts.
EmbeddingSet embed_texts(const Transformer& model, const Tokenizer& tokenizer,
                         std::span<const std::string_view> texts, const EmbedOptions& options,
                         const ProgressFn& progress = {});

struct WordTableOptions {
  int64_t min_count = 20;     ///< words seen more rarely are left out
  int64_t occurrences = 100;  ///< of each word, the first so many are averaged
  int64_t batch_tokens = 4096;
};

/// A vector for each frequent word of a text, at every layer: the mean over the word's first occurrences of the mean of
/// its tokens' vectors. The documents are read in consecutive windows of block_size tokens; windows in which no
/// occurrence counts are passed over.
/// note: words differ when their bytes do ("King" is not "king"); they are ordered by count, then by bytes.
/// note: `progress` counts windows.
WordTable make_word_table(const Transformer& model, const Tokenizer& tokenizer,
                          std::span<const std::string_view> documents, const WordTableOptions& options = {},
                          const ProgressFn& progress = {});

}  // namespace gradus
