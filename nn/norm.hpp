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

struct NormOptions {
  NormKind kind = NormKind::layer;
  double epsilon = 1e-5;
  bool bias = true;     ///< where the kind has one
  bool offset = false;  ///< rows are multiplied by 1 + weight (Gemma)
};

/// Brings each row to the same scale; see layer_norm() and rms_norm().   shape: (…,C) -> (…,C).
class Norm {
 public:
  Norm() = default;
  /// Rows are multiplied by 1, and the bias is 0, until somebody loads other values.
  Norm(std::string path, int64_t width, const NormOptions& options, DType dtype = DType::f32);

  Tensor operator()(const Tensor& x) const;

  template <class F>
  void visit(const std::string& prefix, F&& f) {
    f(join_path(prefix, "weight"), weight);
    if (bias) f(join_path(prefix, "bias"), bias);
  }

  Tensor weight;
  Tensor bias;  ///< empty where there is none

 private:
  NormOptions options_;
  std::string path_;
};

}  // namespace gradus
