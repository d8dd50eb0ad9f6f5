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
  sandwich,         ///< each part reads normalised rows, and what it adds is normalised (Gemma 3)
  parallel,         ///< both parts read the same rows, through a norm each (GPT-NeoX)
  parallel_shared,  ///< both read the same rows through one norm (GPT-J)
};

/// Whether the feed-forward layer has a norm of its own.
constexpr bool has_mlp_norm(BlockKind kind) {
  switch (kind) {
    case BlockKind::pre_norm:
    case BlockKind::post_norm:
    case BlockKind::sandwich:
    case BlockKind::parallel: return true;
    case BlockKind::parallel_shared: return false;
  }
  return false;
}

/// Whether what each part adds has a norm of its own.
constexpr bool has_outer_norms(BlockKind kind) {
  switch (kind) {
    case BlockKind::sandwich: return true;
    case BlockKind::pre_norm:
    case BlockKind::post_norm:
    case BlockKind::parallel:
    case BlockKind::parallel_shared: return false;
  }
  return false;
}

/// The sizes and choices of one block.
struct BlockOptions {
  BlockKind kind = BlockKind::pre_norm;
  AttentionOptions attention;  ///< its width and norms are the block's
  int64_t inner = 0;           ///< F, the width of the feed-forward layer
  MlpKind mlp = MlpKind::gelu_tanh;
  bool mlp_bias = true;
  bool attention_norm =
      true;  ///< without it attention reads the rows as they come (ModernBERT's first block)
  double dropout = 0;
  DType dtype = DType::f32;
};

/// One block of a transformer: attention and the feed-forward layer, each added to what came in, so that a row passes
/// through the whole stack as a sum to which every layer contributes.
/// pre_norm:         y = x + dropout(attention(norm(x)));   z = y + dropout(mlp(norm'(y)))
/// post_norm:        y = norm(x + dropout(attention(x)));   z = norm'(y + dropout(mlp(y)))
/// sandwich:         y = x + dropout(norm°(attention(norm(x))));   z = y + dropout(norm°'(mlp(norm'(y))))
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

  /// The rows that attention reads of those that come in.
  Tensor attention_rows(const Tensor& x) const;

  template <class F>
  void visit(const std::string& prefix, F&& f) {
    if (has_attention_norm_) attention_norm.visit(join_path(prefix, "attention_norm"), f);
    attention.visit(join_path(prefix, "attention"), f);
    if (has_outer_norms(kind_)) attention_outer_norm.visit(join_path(prefix, "attention_outer_norm"), f);
    if (has_mlp_norm(kind_)) mlp_norm.visit(join_path(prefix, "mlp_norm"), f);
    mlp.visit(join_path(prefix, "mlp"), f);
    if (has_outer_norms(kind_)) mlp_outer_norm.visit(join_path(prefix, "mlp_outer_norm"), f);
  }

  Norm attention_norm;  ///< empty where the options say so
  Attention attention;
  Norm mlp_norm;  ///< empty for parallel_shared
  Mlp mlp;
  Norm attention_outer_norm, mlp_outer_norm;  ///< norm° and norm°'; empty but in sandwich

 private:
  Tensor normed(const Tensor& x) const;

  bool has_attention_norm_ = true;
  BlockKind kind_ = BlockKind::pre_norm;
  Dropout attention_dropout_;
  Dropout mlp_dropout_;
};

}  // namespace gradus
