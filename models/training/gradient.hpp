#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.hpp"

namespace gradus {

/// The gradient of some sequences of a step, apart from the parameters, and the sum of their losses.
struct Gradient {
  std::vector<Tensor> tensors;  ///< one for each parameter; empty where the loss does not reach it
  double loss_sum = 0;
};

namespace detail {

/// Takes the gradients from the parameters, which have none afterwards.
Gradient take_gradient(const std::vector<NamedTensor>& parameters, double loss_sum);
/// Gives a gradient to the parameters, in place of what they have.
void give_gradient(const std::vector<NamedTensor>& parameters, const Gradient& gradient);

}  // namespace detail

/// The gradient of a step from those of its shards: a balanced binary tree, ((g0 + g1) + (g2 + g3)) + …, whoever computed
/// them and when.
/// note: holds at most one gradient for each level of the tree.
class GradientTree {
 public:
  /// The gradient of the next shard.
  void push(Gradient gradient);
  /// The sum of all; how many were pushed must be a power of two.
  Gradient total();

 private:
  struct Part {
    int64_t shards;
    Gradient gradient;
  };
  std::vector<Part> parts_;  // of sizes that halve
};

}  // namespace gradus
