#pragma once

#include <string>

#include "tensor/ops.hpp"

namespace gradus::testing {

/// Windows smaller than a strip of rows, larger than a block of keys, and none.
inline constexpr Visibility kVisibilities[] = {Visibility::causal(),     Visibility::both_ways(),
                                               Visibility::causal(5),    Visibility::causal(150),
                                               Visibility::both_ways(3), Visibility::both_ways(61)};

inline std::string words_of(const Visibility& visibility) {
  const auto words = [](int64_t rows) { return rows == Visibility::kAll ? "all" : std::to_string(rows); };
  return words(visibility.before) + " before and " + words(visibility.after) + " after";
}

}  // namespace gradus::testing
