#pragma once

#include <cstdint>
#include <span>

#include "tensor/random.hpp"
#include "tensor/tensor.hpp"

namespace gradus {

/// Windows of a token text for training. An epoch cuts the text into windows of T tokens, from a first place that differs
/// between epochs, and goes through all of them in a shuffled order; so a text is read evenly, where independent draws
/// would leave out a third of it in the first epoch. Which window sequence n of a run is follows from the seed and n
/// alone: resuming needs no position.
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
  /// Where a sequence starts; T + 1 ids follow from there.
  int64_t start_of(int64_t sequence) const;

 private:
  std::span<const int32_t> tokens_;
  int64_t block_size_;
  uint64_t seed_;
};

}  // namespace gradus
