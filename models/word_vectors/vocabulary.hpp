#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/embeddings/names.hpp"

namespace gradus {

/// The words that get a vector, the frequent ones first; of words as frequent as each other, the one that was read first.
struct Vocabulary {
  Names words;
  std::vector<int64_t> counts;
  int64_t total = 0;  ///< of all counts

  int64_t size() const { return words.size(); }
};

/// Reads a word and its count a line, as word2vec, GloVe's vocab_count and save_vocabulary() write them; a file of words alone
/// gives them the count 0.
/// note: an error names the line; the order stays.
Vocabulary read_vocabulary(const std::string& path);
void save_vocabulary(const std::string& path, const Vocabulary& vocabulary);

}  // namespace gradus
