#pragma once

#include <cmath>
#include <cstdint>
#include <string_view>

/// Random values for tests: each is a function of (seed, index) alone. Its own generator, so that a fault in the
/// library's cannot hide behind its own numbers.

namespace gradus::testing {

/// 64 well-mixed bits.   ref: Steele, Lea, Flood, SplitMix (OOPSLA 2014), its finalizer
inline uint64_t draw_bits(uint64_t seed, uint64_t index) {
  uint64_t z = seed * 0xd1342543de82ef95ull + (index + 1) * 0x9e3779b97f4a7c15ull;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
  return z ^ (z >> 31);
}

/// Uniform in (0, 1).
inline double draw_uniform(uint64_t seed, uint64_t index) {
  return (static_cast<double>(draw_bits(seed, index) >> 12) + 0.5) * 0x1p-52;
}

/// Standard normal by Box and Muller, cut to single precision: f32 and f64 runs of a case see the same numbers.
inline double draw_normal(uint64_t seed, uint64_t index) {
  const double radius = std::sqrt(-2 * std::log(draw_uniform(seed, 2 * index)));
  return static_cast<float>(radius * std::cos(6.283185307179586 * draw_uniform(seed, 2 * index + 1)));
}

/// A seed from a name.
inline uint64_t draw_seed(std::string_view name) {
  uint64_t seed = 5381;
  for (const char letter : name) seed = draw_bits(seed, static_cast<unsigned char>(letter));
  return seed;
}

}  // namespace gradus::testing
