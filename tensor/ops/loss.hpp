#pragma once

#include "tensor/tensor.hpp"

namespace gradus::detail {

/// cross_entropy() of a part of a batch: y = (running + Σ of the rows' losses) / divisor, the sum in f64 over ascending rows,
/// which is left in `running` for the next part. So the last part gives the loss of the whole batch, to the bit.
/// grad: that of cross_entropy() with the same divisor, which must be that of the whole batch.
Tensor cross_entropy_part(const Tensor& logits, const Tensor& targets, double divisor, double& running);

}  // namespace gradus::detail
