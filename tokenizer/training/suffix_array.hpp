#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gradus {

/// Where the suffixes of a text begin, in lexicographic order; a suffix comes before those it begins.
/// note: symbols are 0 ... symbols - 1. Linear time and, besides the result, about 10 bytes a symbol at most;
///       texts of 2^31 symbols or more are errors.
/// ref: Nong, Zhang and Chan 2009, induced sorting (SA-IS)
std::vector<int32_t> suffix_array(std::span<const int32_t> text, int32_t symbols);

}  // namespace gradus
