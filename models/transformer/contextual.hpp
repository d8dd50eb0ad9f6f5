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
  std::vector<int64_t> layers = {};  ///< as hidden_states() takes them: ascending; empty: all
  Level level = Level::token;
  Pooling pooling = Pooling::mean;  ///< of a word's or sentence's tokens; token level has none
  /// Whether the special tokens that the tokenizer adds stand around each text. At token level they are rows with start =
  /// end and word -1, of words they are no part, in a sentence's vector they count.
  bool add_special = false;
  /// Whether a text of more than block_size tokens is cut to its first ones, and counted; else it is an error.
  bool truncate = false;
  /// What errors call each text; where empty, "text 0" and so on.
  std::vector<std::string> names = {};
  /// Tokens read at once, at least one text: bounds the memory and changes nothing else.
  int64_t batch_tokens = 4096;
};

/// What a model's layers make of some texts, each read by itself from position 0: a vector for each token, or for each
/// word or text by pooling. A row's bits depend on its own text alone, not on its neighbours in the list or the batch.
/// note: a text without a token, one of more than block_size tokens and one whose vectors are not finite are errors that
///       name it. What a tokenizer.json says of truncation and padding is not obeyed.
/// note: the blocks above the last layer wanted do not run, and no other layer is held.
/// note: `progress` counts texts.
EmbeddingSet embed_texts(const Transformer& model, const Tokenizer& tokenizer,
                         std::span<const std::string_view> texts, const EmbedOptions& options,
                         const ProgressFn& progress = {});

struct WordTableOptions {
  int64_t min_count = 20;     ///< words seen more rarely are left out
  int64_t occurrences = 100;  ///< of each word, the first so many are averaged
  int64_t batch_tokens = 4096;
  std::vector<int64_t> layers = {};  ///< as hidden_states() takes them: ascending; empty: all
  bool add_special =
      false;  ///< whether windows that begin a document begin with the tokens that the tokenizer adds
  std::vector<std::string> names =
      {};  ///< what errors call each document; where there is none, "document 0" and so on
};

/// A vector for each frequent word of a text, at each layer: the mean over the word's first occurrences of the mean of
/// its tokens' vectors. The documents are read in consecutive windows of block_size tokens; windows in which no
/// occurrence counts are passed over.
/// note: words differ when their bytes do ("King" is not "king"); they are ordered by count, then by bytes.
/// note: `progress` counts windows.
WordTable make_word_table(const Transformer& model, const Tokenizer& tokenizer,
                          std::span<const std::string_view> documents, const WordTableOptions& options = {},
                          const ProgressFn& progress = {});

}  // namespace gradus
