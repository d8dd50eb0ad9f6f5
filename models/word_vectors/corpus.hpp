#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "models/training/texts.hpp"
#include "models/word_vectors/options.hpp"
#include "models/word_vectors/vocabulary.hpp"
#include "tensor/io/file.hpp"

namespace gradus {

/// In a text of word numbers: a line ends here, and with it a context.
inline constexpr int32_t kLineEnd = -1;
/// The word that fastText puts at the end of a line.
inline constexpr std::string_view kLineEndWord = "</s>";

/// Texts as numbers of words, on disk.
struct WordCorpus {
  Vocabulary vocabulary;
  std::vector<std::string> files;
  int64_t words = 0;            ///< of the vocabulary
  int64_t words_read = 0;       ///< with those that are too rare
  int64_t different_words = 0;  ///< with those that are too rare
  int64_t longest_line = 0;     ///< in words of the vocabulary
  int64_t bytes = 0;
  std::string passed_over;
};

struct WordCorpusEvents {
  /// Bytes read, of so many; the total is 0 where nobody knows. It may throw.
  std::function<void(int64_t done, int64_t total)> on_progress;
};

/// Reads texts once, counts their words, and writes the numbers of those that stay to a file: int32, the frequent words first,
/// kLineEnd where a line ends. Rare words leave no trace, so that contexts reach over them.
/// Words are what stands between spaces, tabs and zero bytes; with options.letters as models/embeddings knows them: runs of
/// letters, marks, digits and apostrophes, any other character by itself.
/// note: memory grows with the number of different words, not with the text. Bytes that are no UTF-8 stay as they are; with
///       options.letters each is a word by itself.
WordCorpus encode_words(const std::vector<std::string>& paths, const WordVectorOptions& options,
                        const TextOptions& reading, const Vocabulary* fixed, const std::string& numbers_file,
                        const WordCorpusEvents& events = {});

}  // namespace gradus
