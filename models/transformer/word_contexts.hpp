#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/embeddings/vectors.hpp"
#include "models/transformer/transformer.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// The words of some texts that are seen at least so often, with their counts: the frequent ones first, of equals by bytes.
std::vector<std::pair<std::string_view, int64_t>> frequent_words(std::span<const std::string_view> documents,
                                                                 int64_t min_count);

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
/// note: words that no token stands for have no row; a note counts them.
/// note: `progress` counts windows.
Vectors make_word_table(const Transformer& model, const Tokenizer& tokenizer,
                        std::span<const std::string_view> documents, const WordTableOptions& options = {},
                        const ProgressFn& progress = {});

}  // namespace gradus
