#pragma once

#include <string>

#include "nn/linear.hpp"

namespace gradus {

/// The non-linearity between the two halves of the feed-forward layer. swiglu has a third matrix, the gate.
enum class MlpKind { gelu, gelu_tanh, relu, relu_squared, silu, swiglu };

/// Whether there is a third matrix, the gate.
constexpr bool has_gate(MlpKind kind) {
  switch (kind) {
    case MlpKind::gelu:
    case MlpKind::gelu_tanh:
    case MlpKind::relu:
    case MlpKind::relu_squared:
    case MlpKind::silu: return false;
    case MlpKind::swiglu: return true;
  }
  return false;
}

/// The feed-forward layer, which treats each token by itself: wider, bent, and back.
/// y = down(act(up(x)));   swiglu: y = down(silu(gate(x)) · up(x))
/// shape: (N,C) -> (N,F) -> (N,C).   ref: Vaswani et al. (2017), section 3.3; Shazeer, GLU variants (2020)
class Mlp {
 public:
  Mlp() = default;
  Mlp(const std::string& path, MlpKind kind, int64_t width, int64_t inner, bool with_bias,
      DType dtype = DType::f32);

  Tensor operator()(const Tensor& x) const;

  /// See Linear::pack().
  void pack(WeightFormat format) {
    if (kind_ == MlpKind::swiglu) gate.pack(format);
    up.pack(format);
    down.pack(format);
  }

  template <class F>
  void visit(const std::string& prefix, F&& f) {
    if (kind_ == MlpKind::swiglu) gate.visit(join_path(prefix, "gate"), f);
    up.visit(join_path(prefix, "up"), f);
    down.visit(join_path(prefix, "down"), f);
  }

  Linear gate;  ///< (F,C), swiglu only
  Linear up;    ///< (F,C)
  Linear down;  ///< (C,F)

 private:
  MlpKind kind_ = MlpKind::gelu_tanh;
  std::string path_;
};

}  // namespace gradus
