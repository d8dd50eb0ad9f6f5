#include "models/training/batches.hpp"

#include <algorithm>

#include "tensor/error.hpp"
#include "tensor/storage.hpp"

namespace gradus {

Batches::Batches(std::span<const int32_t> tokens, int64_t block_size, uint64_t seed)
    : tokens_(tokens), block_size_(block_size), random_(seed, stream_of("training.batches")) {
  check(static_cast<int64_t>(tokens.size()) > block_size,
        "train: the text must be longer than a block; its training part has ", tokens.size(),
        " tokens and --block-size is ", block_size, "; give more text or a smaller --block-size");
}

int64_t Batches::start_of(int64_t sequence) const {
  const uint64_t places = tokens_.size() - static_cast<uint64_t>(block_size_);
  return static_cast<int64_t>(random_.below(static_cast<uint64_t>(sequence), places));
}

Batches::Batch Batches::sequences(int64_t first, int64_t count) const {
  Batch batch{Tensor::empty({count * block_size_}, DType::i32),
              Tensor::empty({count * block_size_}, DType::i32)};
  if (GhostMemory::active()) return batch;
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
