#include "nn/embedding.hpp"

#include <utility>

namespace gradus {

Embedding::Embedding(std::string path, int64_t rows, int64_t width, DType dtype)
    : weight(Tensor::zeros({rows, width}, dtype)), path_(std::move(path)) {}

Tensor Embedding::operator()(const Tensor& ids) const {
  return at_path(path_, [&] { return packed.defined() ? embedding(packed, ids) : embedding(weight, ids); });
}

Tensor Embedding::logits(const Tensor& x) const {
  return at_path(path_, [&] { return packed.defined() ? linear(x, packed) : linear(x, weight); });
}

void Embedding::pack(WeightFormat format) {
  if (packed.defined() && packed.format() == format) return;
  packed = at_path(path_, [&] { return PackedWeight(packed.defined() ? packed.unpack() : weight, format); });
  weight = Tensor();
}

}  // namespace gradus
