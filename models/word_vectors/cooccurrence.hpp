#pragma once

#include <cstdint>
#include <functional>
#include <numeric>
#include <string>
#include <vector>

#include "tensor/io/file.hpp"

namespace gradus {

/// How near two words stand: at distance d they count 1 / d. Sums are kept in whole numbers, multiples of 1 / one(), so that
/// they are the same in whatever order they are added.
class DistanceWeights {
 public:
  /// note: up to a window of 20, one() is a multiple of each distance and all is exact; beyond, 2^32 with an error of 2^-33.
  explicit DistanceWeights(int64_t window);
  uint64_t one() const { return one_; }
  uint64_t at(int64_t distance) const { return weights_[static_cast<std::size_t>(distance)]; }

 private:
  uint64_t one_ = 1;
  std::vector<uint64_t> weights_;
};

struct Cooccurrence {
  int32_t context;
  uint64_t sum;  // in multiples of 1 / DistanceWeights::one()
};

struct CooccurrenceOptions {
  int64_t window = 15;   ///< words on each side, in the same line
  bool baskets = false;  ///< all words of a line count 1 for each other, up to kBasketReach apart
  uint64_t memory =
      uint64_t{4}
      << 30;  ///< bytes to work in; a text that needs more is counted in parts, which wait on disk
  std::vector<int32_t> rows = {};  ///< the words whose rows are wanted, in this order; none: all, in theirs
  std::function<void(int64_t done, int64_t total)> on_progress = {};  ///< rows; it may throw
};
inline constexpr int64_t kBasketReach = 100;

/// Counts how often words stand near each other in a text of encode_words(), and gives the rows one after the other: for each
/// word its contexts in ascending order, on both sides, so that the table is symmetric.
/// note: a word's places in the text are known from an index, and each row is added up by itself: nothing is sorted, and the
///       rows of one word are the work of one thread.
/// ref: Pennington, Socher, Manning, "GloVe: Global vectors for word representation" (2014), 4.2
void count_cooccurrences(const std::string& numbers, int64_t words, const CooccurrenceOptions& options,
                         const std::function<void(int32_t word, const std::vector<Cooccurrence>& row)>& take);

}  // namespace gradus
