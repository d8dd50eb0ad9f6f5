#pragma once

#include <cstdint>

#include "tensor/random.hpp"
#include "tensor/tensor.hpp"

/// Initial values. Element i of a tensor depends on (random.seed(), random.stream(), i) alone: give each tensor the
/// stream of its name, Random(seed, stream_of(name)), and neither the order of creation nor the number of threads nor
/// other tensors matter. Values are computed in double; f32 holds them rounded.
///
/// A matrix (out, in) as linear() takes it has fan_in = in and fan_out = out; an embedding table (V, C) has V and C.

namespace gradus {

/// x = 0.
void init_zeros(const Tensor& tensor);
/// x = 1.
void init_ones(const Tensor& tensor);

/// x_i = std · random.normal(i).
/// note: GPT-2 takes std 0.02, and 0.02/√(2L) for the matrices that write into the residual stream of L layers.
void init_normal(const Tensor& tensor, double std, const Random& random);

/// x_i = bound · (2 random.uniform(i) - 1), uniform in [-bound, bound).
void init_uniform(const Tensor& tensor, double bound, const Random& random);

/// Normal with std = √(2 / (fan_in + fan_out)).   ref: Glorot and Bengio (2010), equation 12
void init_xavier_normal(const Tensor& tensor, int64_t fan_in, int64_t fan_out, const Random& random);

/// Uniform with bound = √(6 / (fan_in + fan_out)).   ref: Glorot and Bengio (2010), equation 16
void init_xavier_uniform(const Tensor& tensor, int64_t fan_in, int64_t fan_out, const Random& random);

/// Normal with std = √(2 / fan_in), for layers behind a ReLU.   ref: He et al. (2015), equation 10
void init_kaiming_normal(const Tensor& tensor, int64_t fan_in, const Random& random);

/// Uniform with bound = √(6 / fan_in): the same variance.   ref: He et al. (2015), equation 10
void init_kaiming_uniform(const Tensor& tensor, int64_t fan_in, const Random& random);

}  // namespace gradus
