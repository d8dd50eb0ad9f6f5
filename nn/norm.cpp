#include "nn/norm.hpp"

#include <utility>

namespace gradus {

Norm::Norm(std::string path, int64_t width, const NormOptions& options, DType dtype)
    : weight(Tensor::full({width}, options.offset ? 0.0 : 1.0, dtype)),
      options_(options),
      path_(std::move(path)) {
  if (options.bias && has_bias(options.kind)) bias = Tensor::zeros({width}, dtype);
}

Tensor Norm::operator()(const Tensor& x) const {
  return at_path(path_, [&] {
    const Tensor factors = options_.offset ? 1.0 + weight : weight;
    switch (options_.kind) {
      case NormKind::layer: return layer_norm(x, factors, bias, options_.epsilon);
      case NormKind::rms: return rms_norm(x, factors, options_.epsilon);
    }
    fail("norm: the kind must be a known one; it is number ", static_cast<int>(options_.kind));
  });
}

}  // namespace gradus
