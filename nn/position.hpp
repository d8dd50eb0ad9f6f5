#pragma once

#include <cstdint>
#include <string>

#include "nn/module.hpp"

namespace gradus {

/// How a model knows the order of its tokens.
enum class PositionKind {
  none,        ///< not at all, but for the causal mask
  learned,     ///< a trained vector for each position is added to the embeddings (GPT-2)
  sinusoidal,  ///< a fixed vector of sines and cosines is added to the embeddings
  rotary,      ///< queries and keys are rotated by angles that grow with the position (Llama)
};

/// Whether there is a trained vector for each position.
constexpr bool has_table(PositionKind kind) {
  switch (kind) {
    case PositionKind::learned: return true;
    case PositionKind::none:
    case PositionKind::sinusoidal:
    case PositionKind::rotary: return false;
  }
  return false;
}

/// Fixed vectors for positions: y[t, 2i] = sin(t f_i), y[t, 2i+1] = cos(t f_i), f_i = base^(-2i/C).
/// shape: (positions, C).   ref: Vaswani et al. (2017), section 3.5. No gradient.
Tensor sinusoidal_table(int64_t positions, int64_t width, double base = 10000.0, DType dtype = DType::f32);

/// All kinds of positions behind one switch: a model calls both methods, and the kind decides which of them does anything.
class Position {
 public:
  Position() = default;
  /// `base` is that of the angles of rotary and sinusoidal positions; `head_width` is used by rotary ones only.
  Position(std::string path, PositionKind kind, int64_t positions, int64_t width, int64_t head_width,
           double base, DType dtype = DType::f32);

  PositionKind kind() const { return kind_; }

  /// learned, sinusoidal: y = x + table[positions]; else x itself.   shape: x (N,C), positions (N) i32.
  Tensor add_to(const Tensor& x, const Tensor& positions) const;
  /// rotary: each head of each row turned by its position (see rotary()); else x itself.   shape: x (N, heads·D).
  Tensor rotate(const Tensor& x, const Tensor& positions, int64_t heads) const;

  template <class F>
  void visit(const std::string& prefix, F&& f) {
    if (kind_ == PositionKind::learned) f(join_path(prefix, "weight"), weight);
  }

  Tensor weight;  ///< learned: (positions, C); else empty

 private:
  Tensor table_;  // sinusoidal: (positions, C); rotary: (positions, D)
  PositionKind kind_ = PositionKind::none;
  std::string path_;
};

}  // namespace gradus
