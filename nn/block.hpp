#pragma once

#include <span>
#include <string>

#include "nn/attention.hpp"
#include "nn/dropout.hpp"
#include "nn/mlp.hpp"
#include "nn/norm.hpp"

namespace gradus {

/// How the parts of a block are put together; the formulas are those of Block.
enum class BlockKind {
  pre_norm,         ///< each part reads normalised rows (GPT-2, Llama and most others)
  post_norm,        ///< each sum is normalised (the first transformer, BERT)
  parallel,         ///< both parts read the same rows, through a norm each (GPT-NeoX)
  parallel_shared,  ///< both read the same rows through one norm (GPT-J)
};

/// Whether the feed-forward layer has a norm of its own.
constexpr bool has_mlp_norm(BlockKind kind) {
  switch (kind) {
    case BlockKind::pre_norm:
    case BlockKind::post_norm:
    case BlockKind::parallel: return true;
    case BlockKind::parallel_shared: return false;
  }
  return false;
}

/// The sizes and choices of one block.
struct BlockOptions {
  int64_t width = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;
  int64_t inner = 0;  ///< F, the width of the feed-forward layer
  BlockKind kind = BlockKind::pre_norm;
  bool causal = true;
  NormKind norm = NormKind::layer;
  double norm_epsilon = 1e-5;
  MlpKind mlp = MlpKind::gelu_tanh;
  bool attention_bias = true;
  bool mlp_bias = true;
  double dropout = 0;
  DType dtype = DType::f32;
};

/// One block of a transformer: attention and the feed-forward layer, each added to what came in, so that a row passes
/// through the whole stack as a sum to which every layer contributes.
/// pre_norm:         y = x + dropout(attention(norm(x)));   z = y + dropout(mlp(norm'(y)))
/// post_norm:        y = norm(x + dropout(attention(x)));   z = norm'(y + dropout(mlp(y)))
/// parallel:         z = x + dropout(attention(norm(x))) + dropout(mlp(norm'(x)))
/// parallel_shared:  z = x + dropout(attention(norm(x))) + dropout(mlp(norm(x)))
/// shape: (N,C) -> (N,C).   ref: He et al. (2016) for the sums; Vaswani et al. (2017), section 5.4, for post_norm; Radford
/// et al., GPT-2 (2019) for pre_norm; Wang and Komatsuzaki, GPT-J (2021), and Black et al., GPT-NeoX (2022) for parallel
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
    if (has_mlp_norm(kind_)) mlp_norm.visit(join_path(prefix, "mlp_norm"), f);
    mlp.visit(join_path(prefix, "mlp"), f);
  }

  Norm attention_norm;
  Attention attention;
  Norm mlp_norm;  ///< empty for parallel_shared
  Mlp mlp;

 private:
  BlockKind kind_ = BlockKind::pre_norm;
  Dropout attention_dropout_;
  Dropout mlp_dropout_;
};

}  // namespace gradus
