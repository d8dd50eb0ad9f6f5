#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace gradus {

/// Counter-based random numbers: a value is a function of (seed, stream, index) and nothing else.
/// y = Philox4x32-10(counter = (index, stream), key = seed)
/// ref: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC 2011), with its constants.
class Random {
 public:
  /// `stream` is a hash of what the numbers are for, e.g. stream_of("blocks.3.mlp.dropout").
  Random(uint64_t seed, uint64_t stream) : seed_(seed), stream_(stream) {}

  uint64_t seed() const { return seed_; }
  uint64_t stream() const { return stream_; }

  /// Four 32-bit words.
  std::array<uint32_t, 4> block(uint64_t index) const;
  /// 64 bits.
  uint64_t bits(uint64_t index) const;
  /// Uniform in [0, 1), 53 bits.
  double uniform(uint64_t index) const;
  /// Uniform integer in [0, bound), bound > 0, by multiplication; bias below bound / 2^64.
  uint64_t below(uint64_t index, uint64_t bound) const;
  /// Standard normal. y = sqrt(-2 ln u1) cos(2 pi u2)   ref: Box and Muller (1958)
  double normal(uint64_t index) const;

 private:
  uint64_t seed_;
  uint64_t stream_;
};

/// A stream number from a name: 64-bit FNV-1a of its bytes.
uint64_t stream_of(std::string_view name);

}  // namespace gradus
