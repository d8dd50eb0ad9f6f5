#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "models/word_vectors/options.hpp"
#include "models/word_vectors/vocabulary.hpp"

namespace gradus {

/// For each word the rows whose mean is its vector: its own, and those of the pieces of its letters.
/// Of the buckets only those have a row here that some word of the vocabulary has; frequent ones come first.
class WordPieces {
 public:
  WordPieces(const Vocabulary& vocabulary, const WordVectorOptions& options);

  std::span<const int32_t> rows(int32_t word) const {
    const auto w = static_cast<std::size_t>(word);
    return {rows_.data() + ends_[w], rows_.data() + ends_[w + 1]};
  }
  /// The bucket of each row behind those of the words.
  const std::vector<int32_t>& buckets() const { return buckets_; }
  int64_t row_count() const { return words_ + static_cast<int64_t>(buckets_.size()); }

 private:
  int64_t words_;
  std::vector<int32_t> rows_;
  std::vector<std::size_t> ends_;
  std::vector<int32_t> buckets_;
};

}  // namespace gradus
