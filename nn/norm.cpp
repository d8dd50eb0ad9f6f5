#include "nn/norm.hpp"

#include <utility>

namespace gradus {

Norm::Norm(std::string path, NormKind kind, int64_t width, double epsilon, DType dtype)
    : weight(Tensor::full({width}, 1.0, dtype)), kind_(kind), epsilon_(epsilon), path_(std::move(path)) {
  if (has_bias(kind)) bias = Tensor::zeros({width}, dtype);
}

Tensor Norm::operator()(const Tensor& x) const {
  return at_path(path_, [&] {
    switch (kind_) {
      case NormKind::layer: return layer_norm(x, weight, bias, epsilon_);
      case NormKind::rms: return rms_norm(x, weight, epsilon_);
    }
    fail("norm: the kind must be a known one; it is number ", static_cast<int>(kind_));
  });
}

}  // namespace gradus
