#include "models/transformer/flops.hpp"

namespace gradus {

double forward_flops(const Config& config, int64_t tokens, int64_t scored) {
  const double output = static_cast<double>(config.vocab_size) * static_cast<double>(config.n_embd);
  const double weights = static_cast<double>(matrix_weight_count(config)) - output;
  const auto length = static_cast<double>(tokens);
  const double seen = config.causal ? 2 : 4;
  const double attention =
      seen * static_cast<double>(config.n_layer) * static_cast<double>(config.n_embd) * length * length;
  return 2 * weights * length + 2 * output * static_cast<double>(scored) + attention;
}

double training_flops_per_token(const Config& config) {
  return 3 * forward_flops(config, config.block_size, config.block_size) /
         static_cast<double>(config.block_size);
}

}  // namespace gradus
