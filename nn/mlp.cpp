#include "nn/mlp.hpp"

namespace gradus {
namespace {

Activation activation_of(MlpKind kind) {
  switch (kind) {
    case MlpKind::gelu: return Activation::gelu;
    case MlpKind::gelu_tanh: return Activation::gelu_tanh;
    case MlpKind::relu: return Activation::relu;
    case MlpKind::relu_squared: return Activation::relu_squared;
    case MlpKind::silu: return Activation::silu;
    case MlpKind::swiglu: break;  // its bend takes two inputs
  }
  fail("mlp: the kind must be one with an activation of one input; it is number ", static_cast<int>(kind));
}

}  // namespace

Mlp::Mlp(const std::string& path, MlpKind kind, int64_t width, int64_t inner, bool with_bias, DType dtype)
    : up(join_path(path, "up"), width, inner, with_bias, dtype),
      down(join_path(path, "down"), inner, width, with_bias, dtype),
      kind_(kind),
      path_(path) {
  if (kind == MlpKind::swiglu) gate = Linear(join_path(path, "gate"), width, inner, with_bias, dtype);
}

Tensor Mlp::operator()(const Tensor& x) const {
  if (kind_ != MlpKind::swiglu) return down(up(x, activation_of(kind_)));
  const Tensor gates = gate(x);
  const Tensor values = up(x);
  return down(at_path(path_, [&] { return swiglu(gates, values); }));
}

}  // namespace gradus
