#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "nn/linear.hpp"
#include "nn/position.hpp"

namespace gradus {

/// Self-attention: the one place of a transformer where tokens look at each other.
///
/// Each row is projected to a query, a key and a value. A token's query is compared with the keys of all tokens up to
/// itself (causal) or of all tokens of its sequence (bidirectional); the comparisons, made positive and scaled to sum 1 (softmax), say how much of each of those tokens' values
/// it takes. This happens in H heads of width D next to each other, and a last projection mixes what the heads found.
///
///   q, k, v = split(qkv(x))             one matrix product for all three
///   q, k    = rotate(q), rotate(k)      where positions are rotary
///   y       = output(softmax(q kᵀ/√D) v)
///
/// Fewer key and value heads than query heads (G < H, H a multiple of G) let each group of H/G query heads share one,
/// which makes the cache of generation that much smaller.
/// ref: Vaswani et al. (2017); Radford et al., GPT-2 (2019); Ainslie et al., GQA (2023)
class Attention {
 public:
  Attention() = default;
  Attention(const std::string& path, int64_t width, int64_t heads, int64_t kv_heads, bool with_bias,
            DType dtype = DType::f32, bool causal = true);

  /// shape: x (N,C), the rows of one or several sequences as the context says -> (N,C).
  /// note: with caches, this layer's of each sequence, the rows continue the cached sequences. Either way the definition
  ///       is the same, and so are the bits: what generation sees is exactly what training saw. Only causal attention can
  ///       have caches: in the other kind a new row changes what the rows before it took.
  Tensor operator()(const Tensor& x, const Position& position, const Context& context,
                    std::span<KeyValueCache* const> caches = {}) const;

  /// See Linear::pack().
  void pack(WeightFormat format) {
    qkv.pack(format);
    output.pack(format);
  }

  template <class F>
  void visit(const std::string& prefix, F&& f) {
    qkv.visit(join_path(prefix, "qkv"), f);
    output.visit(join_path(prefix, "output"), f);
  }

  Linear qkv;     ///< (H·D + 2·G·D, C): rows of the queries, then of the keys, then of the values
  Linear output;  ///< (C, H·D)

 private:
  int64_t heads_ = 0;
  int64_t kv_heads_ = 0;
  int64_t head_width_ = 0;
  bool causal_ = true;
  std::string path_;
};

}  // namespace gradus
