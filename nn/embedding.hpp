#pragma once

#include <string>

#include "nn/module.hpp"

namespace gradus {

/// A table with one row for each token of the vocabulary, used on both sides of a language model.
/// note: an output layer tied to the input embedding is this object's logits(): one tensor, whose gradient is the sum of
///       both uses.   ref: Press and Wolf, Using the output embedding to improve language models (2017)
class Embedding {
 public:
  Embedding() = default;
  Embedding(std::string path, int64_t rows, int64_t width, DType dtype = DType::f32);

  /// y = weight[id].   shape: ids any i32 -> (ids…, C).
  Tensor operator()(const Tensor& ids) const;
  /// y = x · weightᵀ: how well each row of the table fits x.   shape: x (…,C) -> (…,V).
  Tensor logits(const Tensor& x) const;

  /// See Linear::pack(). Worth it where logits() is used: looking up a row reads no more than that row anyway.
  void pack(WeightFormat format);

  template <class F>
  void visit(const std::string& prefix, F&& f) {
    if (!packed.defined()) f(join_path(prefix, "weight"), weight);
  }

  Tensor weight;        ///< (V,C)
  PackedWeight packed;  ///< in the weight's place after pack()

 private:
  std::string path_;
};

}  // namespace gradus
