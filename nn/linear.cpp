#include "nn/linear.hpp"

#include <utility>

namespace gradus {

Linear::Linear(std::string path, int64_t inputs, int64_t outputs, bool with_bias, DType dtype)
    : weight(Tensor::zeros({outputs, inputs}, dtype)), path_(std::move(path)) {
  if (with_bias) bias = Tensor::zeros({outputs}, dtype);
}

Tensor Linear::operator()(const Tensor& x, Activation activation) const {
  return at_path(path_, [&] { return linear(x, weight, bias, activation); });
}

}  // namespace gradus
