#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/transformer/transformer.hpp"
#include "tests/support/tensors.hpp"

/// Models small enough for tests, with values large enough that every part of them matters.

namespace gradus::testing {

inline Config small_config(std::string_view arch, int64_t vocab_size = 29, int64_t block_size = 32) {
  Config config = default_config(arch);
  config.vocab_size = vocab_size;
  config.block_size = block_size;
  config.n_layer = 2;
  config.n_head = 4;
  config.n_embd = 24;
  config.n_ffn = 40;
  if (arch == "llama") config.n_kv_head = 2;
  return config.resolved();
}

/// A model whose biases and norms are not trivial either.
inline Transformer small_model(const Config& config) {
  Transformer model(config);
  model.visit("", [](const std::string& name, Tensor& tensor) {
    const bool norm_weight = tensor.rank() == 1 && name.ends_with(".weight");
    fill_normal(name, tensor, 0.3, norm_weight ? 1.0 : 0.0);
  });
  return model;
}

/// One token a byte, so that any tokenizer of bytes is its own.
inline Transformer byte_model(std::string_view arch, int64_t block_size = 64) {
  return small_model(small_config(arch, 256, block_size));
}

inline std::vector<int32_t> some_ids(int64_t count, int64_t vocab_size, uint64_t seed = 7) {
  return random_ids({count}, seed, vocab_size).to_vector<int32_t>();
}

}  // namespace gradus::testing
