#pragma once

#include <cstdint>
#include <optional>

/// The arithmetic of sizes and places that a file claims: nothing overflows, whatever the numbers are. All readers use it.

namespace gradus {

/// a · b of two sizes, or nothing where one is negative or the product does not fit in 63 bits.
constexpr std::optional<int64_t> checked_multiply(int64_t a, int64_t b) {
  int64_t product = 0;
  if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product)) return std::nullopt;
  return product;
}

/// a + b of two sizes, or nothing where one is negative or the sum does not fit in 63 bits.
constexpr std::optional<int64_t> checked_add(int64_t a, int64_t b) {
  int64_t sum = 0;
  if (a < 0 || b < 0 || __builtin_add_overflow(a, b, &sum)) return std::nullopt;
  return sum;
}

/// Whether the bytes [begin, begin + bytes) are among the first `size`, each number being any of 64 bits.
constexpr bool lies_within(uint64_t begin, uint64_t bytes, uint64_t size) {
  return begin <= size && bytes <= size - begin;
}

}  // namespace gradus
