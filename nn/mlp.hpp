#pragma once

#include <string>

#include "nn/linear.hpp"

namespace gradus {

/// What stands between the two halves of the feed-forward layer: an activation and, in some, a third matrix, the gate.
struct MlpKind {
  Activation activation = Activation::none;
  bool gate = false;

  bool operator==(const MlpKind&) const = default;

  static const MlpKind gelu, gelu_tanh, relu, relu_squared, silu;
  static const MlpKind swiglu, geglu,
      geglu_tanh;  ///< with a gate, whose activation is SiLU, GELU, or its tanh form
};
inline constexpr MlpKind MlpKind::gelu{Activation::gelu};
inline constexpr MlpKind MlpKind::gelu_tanh{Activation::gelu_tanh};
inline constexpr MlpKind MlpKind::relu{Activation::relu};
inline constexpr MlpKind MlpKind::relu_squared{Activation::relu_squared};
inline constexpr MlpKind MlpKind::silu{Activation::silu};
inline constexpr MlpKind MlpKind::swiglu{Activation::silu, true};
inline constexpr MlpKind MlpKind::geglu{Activation::gelu, true};
inline constexpr MlpKind MlpKind::geglu_tanh{Activation::gelu_tanh, true};

/// The activation of x, element by element.
Tensor activate(const Tensor& x, Activation activation);

/// The feed-forward layer, which treats each token by itself: wider, bent, and back.
/// y = down(act(up(x)));   with a gate: y = down(act(gate(x)) · up(x))
/// shape: (N,C) -> (N,F) -> (N,C).   ref: Vaswani et al. (2017), section 3.3; Shazeer, GLU variants (2020)
class Mlp {
 public:
  Mlp() = default;
  Mlp(const std::string& path, MlpKind kind, int64_t width, int64_t inner, bool with_bias,
      DType dtype = DType::f32);

  Tensor operator()(const Tensor& x) const;

  /// See Linear::pack().
  void pack(WeightFormat format) {
    if (kind_.gate) gate.pack(format);
    up.pack(format);
    down.pack(format);
  }

  template <class F>
  void visit(const std::string& prefix, F&& f) {
    if (kind_.gate) gate.visit(join_path(prefix, "gate"), f);
    up.visit(join_path(prefix, "up"), f);
    down.visit(join_path(prefix, "down"), f);
  }

  Linear gate;  ///< (F,C); empty where the kind has none
  Linear up;    ///< (F,C)
  Linear down;  ///< (C,F)

 private:
  MlpKind kind_;
  std::string path_;
};

}  // namespace gradus
