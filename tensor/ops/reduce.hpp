#pragma once

#include "tensor/autodiff.hpp"
#include "tensor/tensor.hpp"

/// Gradients of what was broadcast. Private to tensor/ops.

namespace gradus {

/// Sums the axes along which `shape` was stretched to the gradient's shape; the gradient itself where none was.
/// note: each axis is one chain in ascending order, or 16 lanes where it is the last one.
Tensor sum_to_shape(const Tensor& gradient, const Shape& shape);

/// Adds sum_to_shape(gradient, shape of input i) to input i's gradient, where `shape` is that input's shape.
/// note: where only leading axes were stretched (a bias, learned positions) the chain of each element goes on from call
///       to call, so that a batch cut into micro-batches gives the same bits.
void add_summed(Backward& g, int i, const Tensor& gradient, const Shape& shape);

}  // namespace gradus
