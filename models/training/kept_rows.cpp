#include "models/training/kept_rows.hpp"

#include <algorithm>

#include "tensor/dtype.hpp"

namespace gradus {

int64_t kept_row_bytes(const Config& config) {
  return std::max(int64_t{64} << 20,
                  config.vocab_size * config.n_embd * static_cast<int64_t>(dtype_bytes(config.dtype)));
}

int64_t batches_read_twice(const Config& config, const TrainingOptions& options, int64_t kept) {
  if (!config.tie) return 0;
  const int64_t rows = std::min(options.batch_size, options.sequences_per_shard()) * config.block_size;
  const int64_t bytes = rows * config.n_embd * static_cast<int64_t>(dtype_bytes(config.dtype));
  // While the first batch's gradient is made no rows wait yet.
  return options.grad_shards * std::max<int64_t>(0, options.batches_per_shard() - 1 - kept / bytes);
}

}  // namespace gradus
