#pragma once

#include <span>
#include <string>

#include "nn/attention.hpp"
#include "nn/dropout.hpp"
#include "nn/mlp.hpp"
#include "nn/norm.hpp"

namespace gradus {

/// The sizes and choices of one block.
struct BlockOptions {
  int64_t width = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t inner = 0;  ///< F, the width of the feed-forward layer
  NormKind norm = NormKind::layer;
  double norm_epsilon = 1e-5;
  MlpKind mlp = MlpKind::gelu_tanh;
  bool attention_bias = true;
  bool mlp_bias = true;
  double dropout = 0;
  DType dtype = DType::f32;
};

/// One block of a transformer: attention, then the feed-forward layer, each on normalised rows and each added to what
/// came in, so that a row passes through the whole stack as a sum to which every layer contributes.
/// x = x + dropout(attention(norm(x)));   y = x + dropout(mlp(norm(x)))
/// shape: (N,C) -> (N,C).   ref: He et al. (2016) for the sums; Radford et al., GPT-2 (2019) for the norms' place
class Block {
 public:
  Block() = default;
  Block(const std::string& path, const BlockOptions& options);

  Tensor operator()(const Tensor& x, const Position& position, const Context& context,
                    std::span<KeyValueCache* const> caches = {}) const;

  template <class F>
  void visit(const std::string& prefix, F&& f) {
    attention_norm.visit(join_path(prefix, "attention_norm"), f);
    attention.visit(join_path(prefix, "attention"), f);
    mlp_norm.visit(join_path(prefix, "mlp_norm"), f);
    mlp.visit(join_path(prefix, "mlp"), f);
  }

  Norm attention_norm;
  Attention attention;
  Norm mlp_norm;
  Mlp mlp;

 private:
  Dropout attention_dropout_;
  Dropout mlp_dropout_;
};

}  // namespace gradus
