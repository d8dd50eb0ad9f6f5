#include "models/training/gradient.hpp"

#include <utility>

#include "tensor/autodiff.hpp"
#include "tensor/error.hpp"
#include "tensor/ops.hpp"

namespace gradus {
namespace {

// y = left + right, element by element, rounded once, in the place of `left`.
Gradient add_gradients(Gradient left, const Gradient& right) {
  check(left.tensors.size() == right.tensors.size(),
        "GradientTree: all gradients must be of the same parameters; two have ", left.tensors.size(), " and ",
        right.tensors.size(), " tensors");
  const NoGrad quiet;
  for (std::size_t i = 0; i < left.tensors.size(); ++i) {
    if (!right.tensors[i]) continue;
    left.tensors[i] = left.tensors[i] ? left.tensors[i] + right.tensors[i] : right.tensors[i];
  }
  left.loss_sum += right.loss_sum;
  return left;
}

}  // namespace

namespace detail {

Gradient take_gradient(const std::vector<NamedTensor>& parameters, double loss_sum) {
  Gradient gradient;
  gradient.loss_sum = loss_sum;
  gradient.tensors.reserve(parameters.size());
  for (const NamedTensor& parameter : parameters) {
    gradient.tensors.push_back(parameter.tensor.grad());
    parameter.tensor.clear_grad();
  }
  return gradient;
}

void give_gradient(const std::vector<NamedTensor>& parameters, const Gradient& gradient) {
  check(gradient.tensors.size() == parameters.size(),
        "give_gradient: there must be a tensor for each parameter; there are ", gradient.tensors.size(),
        " for ", parameters.size());
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    if (gradient.tensors[i]) {
      parameters[i].tensor.set_grad(gradient.tensors[i]);
    } else {
      parameters[i].tensor.clear_grad();
    }
  }
}

}  // namespace detail

void GradientTree::push(Gradient gradient) {
  Part part{1, std::move(gradient)};
  while (!parts_.empty() && parts_.back().shards == part.shards) {
    part = {2 * part.shards, add_gradients(std::move(parts_.back().gradient), part.gradient)};
    parts_.pop_back();
  }
  parts_.push_back(std::move(part));
}

Gradient GradientTree::total() {
  check(parts_.size() == 1, "GradientTree: the number of shards must be a power of two; ", parts_.size(),
        " sums are left");
  Gradient total = std::move(parts_.back().gradient);
  parts_.clear();
  return total;
}

}  // namespace gradus
