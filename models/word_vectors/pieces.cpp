#include "models/word_vectors/pieces.hpp"

#include <algorithm>

#include "models/embeddings/subwords.hpp"
#include "models/word_vectors/corpus.hpp"
#include "tensor/error.hpp"

namespace gradus {

WordPieces::WordPieces(const Vocabulary& vocabulary, const WordVectorOptions& options)
    : words_(vocabulary.size()) {
  const Subwords subwords = {static_cast<int32_t>(options.min_piece), static_cast<int32_t>(options.max_piece),
                             options.buckets};
  std::vector<int32_t> all;  // the buckets of each word, one behind the other
  std::vector<std::size_t> ends = {0};
  std::vector<int64_t> seen(static_cast<std::size_t>(options.buckets), 0);
  for (int64_t word = 0; word < words_; ++word) {
    subwords.for_buckets(vocabulary.words[word], [&](int32_t bucket) { all.push_back(bucket); });
    ends.push_back(all.size());
    for (std::size_t i = ends[ends.size() - 2]; i < all.size(); ++i)
      seen[static_cast<std::size_t>(all[i])] += vocabulary.counts[static_cast<std::size_t>(word)] + 1;
  }
  for (std::size_t bucket = 0; bucket < seen.size(); ++bucket) {
    if (seen[bucket] > 0) buckets_.push_back(static_cast<int32_t>(bucket));
  }
  std::stable_sort(buckets_.begin(), buckets_.end(), [&](int32_t a, int32_t b) {
    return seen[static_cast<std::size_t>(a)] > seen[static_cast<std::size_t>(b)];
  });
  check(row_count() < (int64_t{1} << 31),
        "word vectors: words and pieces must have fewer than 2^31 rows; they have ", row_count());
  std::vector<int32_t> row_of(seen.size());
  for (std::size_t i = 0; i < buckets_.size(); ++i)
    row_of[static_cast<std::size_t>(buckets_[i])] = static_cast<int32_t>(words_ + static_cast<int64_t>(i));
  rows_.reserve(all.size() + static_cast<std::size_t>(words_));
  ends_ = {0};
  for (int64_t word = 0; word < words_; ++word) {
    rows_.push_back(static_cast<int32_t>(word));
    const auto w = static_cast<std::size_t>(word);
    for (std::size_t i = ends[w]; i < ends[w + 1]; ++i)
      rows_.push_back(row_of[static_cast<std::size_t>(all[i])]);
    ends_.push_back(rows_.size());
  }
}

}  // namespace gradus
