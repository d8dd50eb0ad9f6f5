#include "nn/linear.hpp"

#include <utility>

namespace gradus {

Linear::Linear(std::string path, int64_t inputs, int64_t outputs, bool with_bias, DType dtype)
    : weight(Tensor::zeros({outputs, inputs}, dtype)), path_(std::move(path)) {
  if (with_bias) bias = Tensor::zeros({outputs}, dtype);
}

Tensor Linear::operator()(const Tensor& x, Activation activation) const {
  return at_path(path_, [&] {
    return packed.defined() ? linear(x, packed, bias, activation) : linear(x, weight, bias, activation);
  });
}

void Linear::pack(WeightFormat format) {
  if (packed.defined() && packed.format() == format) return;
  packed = at_path(path_, [&] { return PackedWeight(packed.defined() ? packed.unpack() : weight, format); });
  weight = Tensor();
}

}  // namespace gradus
