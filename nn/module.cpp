#include "nn/module.hpp"

#include <utility>

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

Context Context::of_caches(std::vector<LayerCaches*> caches, const std::vector<int64_t>& lengths) {
  check(caches.size() == lengths.size(), "context: each of ", lengths.size(),
        " sequences must have caches; there are those of ", caches.size());
  Context context;
  context.sequences = ragged_sequences(lengths);
  std::vector<int32_t> positions;
  for (size_t b = 0; b < caches.size(); ++b) {
    check(caches[b] != nullptr && !caches[b]->empty(),
          "context: there must be a cache for each layer; sequence ", b, " has none");
    const int64_t past = caches[b]->front().rows;
    for (const KeyValueCache& cache : *caches[b]) {
      check(cache.rows == past,
            "context: the caches of a sequence must hold the same rows; those of sequence ", b, " hold ",
            past, " and ", cache.rows, ", as a forward that failed leaves them; make new ones");
    }
    for (int64_t t = 0; t < lengths[b]; ++t) positions.push_back(static_cast<int32_t>(past + t));
  }
  context.positions = Tensor::from(positions, {static_cast<int64_t>(positions.size())});
  context.caches = std::move(caches);
  return context;
}

}  // namespace gradus
