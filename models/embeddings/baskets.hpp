#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "models/embeddings/evaluation.hpp"

namespace gradus {

/// How often what was taken out of a basket is among the k that its rest recommends.
struct BasketScore {
  int64_t baskets = 0;             ///< of at least two items that have rows
  int64_t asked = 0;               ///< items taken out, one at a time: each of such a basket
  int64_t missing = 0;             ///< items without a row
  int64_t found = 0, popular = 0;  ///< by the vectors; by popularity alone
  int64_t skipped = 0;             ///< rows with a NaN or an infinity
  double recall() const { return asked == 0 ? 0 : static_cast<double>(found) / static_cast<double>(asked); }
  double recall_popular() const {
    return asked == 0 ? 0 : static_cast<double>(popular) / static_cast<double>(asked);
  }
};

/// recall@k of baskets that nobody has learned from: a line is one, items with spaces between.
/// For each item of a basket, the rows nearest by cosine to the mean of the others' unit vectors; those are no answers. Beside it,
/// the items that are most frequent by their counts, or first in the table where it has no counts.
/// note: an item that stands twice in a basket counts once.
BasketScore judge_baskets(const Judged& judged, std::string_view baskets, int64_t k,
                          const std::function<void()>& on_step = {});

}  // namespace gradus
