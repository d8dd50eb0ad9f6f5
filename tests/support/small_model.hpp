#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <vector>

#include "models/transformer/transformer.hpp"
#include "tests/support/draw.hpp"

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

/// Fills a tensor with normal numbers that depend on its name.
inline void fill_normal(const std::string& name, const Tensor& tensor, double deviation, double mean = 0) {
  std::vector<double> values(static_cast<size_t>(tensor.numel()));
  for (size_t i = 0; i < values.size(); ++i) values[i] = mean + deviation * draw_normal(draw_seed(name), i);
  if (tensor.dtype() == DType::f64) {
    tensor.copy_from(Tensor::from(values, tensor.shape()));
  } else {
    tensor.copy_from(Tensor::from(std::vector<float>(values.begin(), values.end()), tensor.shape()));
  }
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

inline std::vector<int32_t> some_ids(int64_t count, int64_t vocab_size, uint64_t seed = 7) {
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < count; ++i) {
    ids.push_back(
        static_cast<int32_t>(draw_bits(seed, static_cast<uint64_t>(i)) % static_cast<uint64_t>(vocab_size)));
  }
  return ids;
}

inline Tensor ids_tensor(const std::vector<int32_t>& ids) {
  return Tensor::from(ids, {static_cast<int64_t>(ids.size())});
}

/// Equal to the last bit, not merely equal as numbers.
inline bool equal_bits(const Tensor& a, const Tensor& b) {
  if (!(a.shape() == b.shape()) || a.dtype() != b.dtype()) return false;
  const Tensor x = a.to_contiguous();
  const Tensor y = b.to_contiguous();
  return std::memcmp(x.bytes(), y.bytes(), x.nbytes()) == 0;
}

}  // namespace gradus::testing
