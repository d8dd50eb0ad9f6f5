#include "nn/mlp.hpp"

namespace gradus {

Tensor activate(const Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::none: return x;
    case Activation::relu: return relu(x);
    case Activation::relu_squared: return square(relu(x));
    case Activation::gelu: return gelu(x);
    case Activation::gelu_tanh: return gelu_tanh(x);
    case Activation::silu: return silu(x);
  }
  fail("activate: the activation must be a known one; it is number ", static_cast<int>(activation));
}

Mlp::Mlp(const std::string& path, MlpKind kind, int64_t width, int64_t inner, bool with_bias, DType dtype)
    : up(join_path(path, "up"), width, inner, with_bias, dtype),
      down(join_path(path, "down"), inner, width, with_bias, dtype),
      kind_(kind),
      path_(path) {
  if (kind.gate) gate = Linear(join_path(path, "gate"), width, inner, with_bias, dtype);
}

Tensor Mlp::operator()(const Tensor& x) const {
  if (!kind_.gate) return down(up(x, kind_.activation));
  const Tensor gates = gate(x);
  const Tensor values = up(x);
  return down(at_path(path_, [&] {
    if (kind_ == MlpKind::swiglu) return swiglu(gates, values);  // in one pass
    return activate(gates, kind_.activation) * values;
  }));
}

}  // namespace gradus
