#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "nn/linear.hpp"
#include "nn/norm.hpp"
#include "nn/position.hpp"

namespace gradus {

/// The sizes and choices of one attention.
struct AttentionOptions {
  int64_t width = 0;       ///< C
  int64_t heads = 0;       ///< H
  int64_t kv_heads = 0;    ///< G
  int64_t head_width = 0;  ///< D; 0: C/H
  bool bias = true;        ///< of queries, keys and values
  bool output_bias = true;
  bool query_key_norm = false;  ///< queries and keys are normalised, head by head
  NormOptions norm = {};        ///< those norms
  Visibility visibility = Visibility::causal();
  double scale = 0;    ///< of the comparisons; 0: 1/√D
  bool local = false;  ///< takes the angles of rotary positions that are made for windows
};

/// Self-attention: the one place of a transformer where tokens look at each other.
///
/// Each row is projected to a query, a key and a value. A token's query is compared with the keys of the tokens that it
/// sees: all up to itself (causal), all of its sequence, or those of a window; the comparisons, made positive and scaled to
/// sum 1 (softmax), say how much of each of those tokens' values it takes. This happens in H heads of width D next to each
/// other, and a last projection mixes what the heads found.
///
///   q, k, v = split(qkv(x))             one matrix product for all three
///   q, k    = norm(q), norm'(k)         with query_key_norm: each head's D channels to one scale
///   q, k    = rotate(q), rotate(k)      where positions are rotary
///   y       = output(softmax(q kᵀ/√D) v)
///
/// Fewer key and value heads than query heads (G < H, H a multiple of G) let each group of H/G query heads share one,
/// which makes the cache of generation that much smaller.
/// ref: Vaswani et al. (2017); Radford et al., GPT-2 (2019); Ainslie et al., GQA (2023); Henry et al., Query-key
/// normalization (2020)
class Attention {
 public:
  Attention() = default;
  Attention(const std::string& path, const AttentionOptions& options, DType dtype = DType::f32);

  /// shape: x (N,C), the rows of one or several sequences as the context says -> (N,C).
  /// note: with caches, this layer's of each sequence, the rows continue the cached sequences. Either way the definition
  ///       is the same, and so are the bits: what generation sees is exactly what training saw. Only where no row sees those
  ///       after it can there be caches: else a new row changes what the rows before it took.
  Tensor operator()(const Tensor& x, const Position& position, const Context& context,
                    std::span<KeyValueCache* const> caches = {}) const;

  /// What is made of rows before they are compared.
  struct Projections {
    Tensor
        queries;  ///< (N, H·D); these and the keys are normalised where the options say so, and not yet turned
    Tensor keys;    ///< (N, G·D)
    Tensor values;  ///< (N, G·D)
  };
  /// shape: x (N,C).
  Projections project(const Tensor& x) const;

  /// With the default in place of head_width 0.
  const AttentionOptions& options() const { return options_; }

  /// See Linear::pack().
  void pack(WeightFormat format) {
    qkv.pack(format);
    output.pack(format);
  }

  template <class F>
  void visit(const std::string& prefix, F&& f) {
    qkv.visit(join_path(prefix, "qkv"), f);
    if (options_.query_key_norm) {
      query_norm.visit(join_path(prefix, "query_norm"), f);
      key_norm.visit(join_path(prefix, "key_norm"), f);
    }
    output.visit(join_path(prefix, "output"), f);
  }

  Linear qkv;     ///< (H·D + 2·G·D, C): rows of the queries, then of the keys, then of the values
  Linear output;  ///< (C, H·D)
  Norm query_norm, key_norm;  ///< of D channels; empty without query_key_norm

 private:
  AttentionOptions options_;
  std::string path_;
};

}  // namespace gradus
