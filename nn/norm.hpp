#pragma once

#include <string>

#include "nn/module.hpp"

namespace gradus {

enum class NormKind {
  layer,  ///< mean 0, variance 1, then weight and bias
  rms,    ///< root mean square 1, then weight: cheaper, as good
};

/// Whether there is a bias beside the weight.
constexpr bool has_bias(NormKind kind) {
  switch (kind) {
    case NormKind::layer: return true;
    case NormKind::rms: return false;
  }
  return false;
}

/// Brings each row to the same scale; see layer_norm() and rms_norm().   shape: (…,C) -> (…,C).
class Norm {
 public:
  Norm() = default;
  /// weight is 1, bias (layer only) 0.
  Norm(std::string path, NormKind kind, int64_t width, double epsilon, DType dtype = DType::f32);

  Tensor operator()(const Tensor& x) const;

  template <class F>
  void visit(const std::string& prefix, F&& f) {
    f(join_path(prefix, "weight"), weight);
    if (bias) f(join_path(prefix, "bias"), bias);
  }

  Tensor weight;
  Tensor bias;  ///< empty for rms

 private:
  NormKind kind_ = NormKind::layer;
  double epsilon_ = 1e-5;
  std::string path_;
};

}  // namespace gradus
