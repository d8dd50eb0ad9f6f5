#include "models/training/batches.hpp"

#include <algorithm>
#include <string>

#include "tensor/error.hpp"
#include "tensor/storage.hpp"

namespace gradus {

namespace {

/// Place `index` of a shuffled 0 … count-1: a Feistel network over the next power of four, walked until it falls inside.
/// ref: Black and Rogaway, "Ciphers with arbitrary finite domains" (2002), section 5
uint64_t shuffled(uint64_t index, uint64_t count, const Random& random) {
  int half = 1;
  while ((uint64_t{1} << (2 * half)) < count) ++half;
  const uint64_t mask = (uint64_t{1} << half) - 1;
  constexpr uint64_t kRounds = 6;
  do {
    uint64_t left = index >> half;
    uint64_t right = index & mask;
    for (uint64_t round = 0; round < kRounds; ++round) {
      const uint64_t mixed = left ^ (random.bits(round << 32 | right) & mask);
      left = right;
      right = mixed;
    }
    index = left << half | right;
  } while (index >= count);
  return index;
}

}  // namespace

Batches::Batches(std::span<const int32_t> tokens, int64_t block_size, uint64_t seed)
    : tokens_(tokens), block_size_(block_size), seed_(seed) {
  check(static_cast<int64_t>(tokens.size()) > block_size,
        "training: the text must be longer than a block; its training part has ", tokens.size(),
        " tokens and Config::block_size is ", block_size, "; give more text or a smaller Config::block_size");
}

int64_t Batches::start_of(int64_t sequence) const {
  const int64_t predicted = static_cast<int64_t>(tokens_.size()) - 1;
  // The first window may start anywhere in the first block, as long as whole windows follow; a text of less than two
  // blocks has one window, which may start wherever it fits.
  const int64_t windows = std::max<int64_t>(1, predicted / block_size_ - 1);
  const int64_t epoch = sequence / windows;
  const Random random(seed_, stream_of("training.batches." + std::to_string(epoch)));
  const int64_t room = std::min(block_size_, predicted - windows * block_size_ + 1);
  const auto first = static_cast<int64_t>(random.below(~uint64_t{0}, static_cast<uint64_t>(room)));
  const auto window = static_cast<int64_t>(
      shuffled(static_cast<uint64_t>(sequence % windows), static_cast<uint64_t>(windows), random));
  return first + window * block_size_;
}

Batches::Batch Batches::sequences(int64_t first, int64_t count) const {
  Batch batch{Tensor::empty({count * block_size_}, DType::i32),
              Tensor::empty({count * block_size_}, DType::i32)};
  if (DryRunMemory::active()) return batch;
  int32_t* inputs = batch.inputs.mutable_data<int32_t>();
  int32_t* targets = batch.targets.mutable_data<int32_t>();
  for (int64_t i = 0; i < count; ++i) {
    const int32_t* from = tokens_.data() + start_of(first + i);
    std::copy_n(from, block_size_, inputs + i * block_size_);
    std::copy_n(from + 1, block_size_, targets + i * block_size_);
  }
  return batch;
}

}  // namespace gradus
