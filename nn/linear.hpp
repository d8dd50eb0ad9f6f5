#pragma once

#include <string>

#include "nn/module.hpp"

namespace gradus {

/// y = act(x · weightᵀ + bias).
/// shape: x (…,K), weight (N,K), bias (N) -> (…,N).
/// note: outputs come first in the weight, as in PyTorch and in the files of Llama; GPT-2's files hold the transpose,
///       which only models/transformer/families/gpt2.cpp knows.
class Linear {
 public:
  Linear() = default;
  /// The parameters are zero until somebody initialises or loads them.
  Linear(std::string path, int64_t inputs, int64_t outputs, bool with_bias, DType dtype = DType::f32);

  Tensor operator()(const Tensor& x, Activation activation = Activation::none) const;

  /// Keeps the weight in a packed form for inference and lets the dense one go: from here on the layer can be neither
  /// trained nor saved, and visit() does not show the weight.
  void pack(WeightFormat format);

  template <class F>
  void visit(const std::string& prefix, F&& f) {
    if (!packed.defined()) f(join_path(prefix, "weight"), weight);
    if (bias) f(join_path(prefix, "bias"), bias);
  }

  Tensor weight;
  PackedWeight packed;  ///< in the weight's place after pack()
  Tensor bias;          ///< empty where there is none

 private:
  std::string path_;
};

}  // namespace gradus
