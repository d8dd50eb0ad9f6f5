#include "models/transformer/flops.hpp"

namespace gradus {
namespace {

// Pairs of a row and one that it sees among `length` rows; those of causal attention without a window: half of all.
double seen_keys(const Visibility& visibility, double length) {
  const auto side = [&](int64_t rows) {
    const double most = static_cast<double>(rows);
    return most >= length ? length * length / 2 : most * length - most * most / 2;
  };
  return side(visibility.before) + side(visibility.after);
}

}  // namespace

double forward_flops(const Config& config, int64_t tokens, int64_t scored) {
  const double output = config.head == HeadKind::none
                            ? 0
                            : static_cast<double>(config.vocab_size) * static_cast<double>(config.n_embd);
  const double weights = static_cast<double>(matrix_weight_count(config)) - output;
  const auto length = static_cast<double>(tokens);
  const auto width = static_cast<double>(config.n_head * config.channels_per_head());
  double attention = 0;
  for (int64_t l = 0; l < config.n_layer; ++l)
    attention += 4 * width * seen_keys(config.visibility(l), length);
  return 2 * weights * length + 2 * output * static_cast<double>(scored) + attention;
}

double training_flops_per_token(const Config& config) {
  return 3 * forward_flops(config, config.block_size, config.block_size) /
         static_cast<double>(config.block_size);
}

}  // namespace gradus
