#pragma once

#include <cstdint>
#include <span>

#include "tensor/random.hpp"
#include "tensor/tensor.hpp"

namespace gradus {

/// Windows of a token text for training: sequence n of a run starts at a place drawn by n alone, so that a batch is a
/// function of (seed, step) and resuming needs no position.
class Batches {
 public:
  /// `tokens` must outlive this and hold more than `block_size` ids.
  Batches(std::span<const int32_t> tokens, int64_t block_size, uint64_t seed);

  struct Batch {
    Tensor inputs;   ///< (count·T) ids
    Tensor targets;  ///< (count·T) the ids that follow
  };
  /// Sequences first … first+count-1, counted from the beginning of the run.
  Batch sequences(int64_t first, int64_t count) const;
  /// Where a sequence starts: uniform over the places that leave room for T + 1 ids.
  int64_t start_of(int64_t sequence) const;

 private:
  std::span<const int32_t> tokens_;
  int64_t block_size_;
  Random random_;
};

}  // namespace gradus
