#include "nn/module.hpp"

namespace gradus {

Context Context::of_lengths(std::span<const int64_t> lengths) {
  Context context;
  context.sequences = ragged_sequences(lengths);
  std::vector<int32_t> positions;
  for (const int64_t length : lengths) {
    for (int64_t t = 0; t < length; ++t) positions.push_back(static_cast<int32_t>(t));
  }
  context.positions = Tensor::from(positions, {static_cast<int64_t>(positions.size())});
  return context;
}

Context Context::of_batch(int64_t batch, int64_t time) {
  check(batch >= 0 && time >= 0, "context: batch and time must be at least 0; they are ", batch, " and ",
        time);
  return of_lengths(std::vector<int64_t>(static_cast<size_t>(batch), time));
}

Context Context::for_training(int64_t batch, int64_t time, uint64_t seed, uint64_t step,
                              uint64_t sequences_per_step, uint64_t first_sequence) {
  Context context = of_batch(batch, time);
  context.training = true;
  context.seed = seed;
  context.first_row = (step * sequences_per_step + first_sequence) * static_cast<uint64_t>(time);
  return context;
}

Context Context::of_caches(std::vector<KeyValueCache>& caches, int64_t rows) {
  check(!caches.empty(), "context: there must be a cache for each layer; none was given");
  Context context;
  const int64_t lengths[] = {rows};
  context.sequences = ragged_sequences(lengths);
  std::vector<int32_t> positions;
  for (int64_t t = 0; t < rows; ++t) positions.push_back(static_cast<int32_t>(caches.front().rows + t));
  context.positions = Tensor::from(positions, {rows});
  context.caches = &caches;
  return context;
}

}  // namespace gradus
