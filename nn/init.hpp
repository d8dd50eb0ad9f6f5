#pragma once

#include <cstdint>
#include <string_view>

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

// A tensor made and filled at once, for a weight that stands alone: xavier_uniform({8, 2}, 1, "first"). Its stream is that
// of the name: two weights of one seed need two names. Values are those that init_…() gives it.

/// Normal with standard deviation `std`.
Tensor normal(const Shape& shape, double std, uint64_t seed, std::string_view name, DType dtype = DType::f32);
/// Uniform in [-bound, bound).
Tensor uniform(const Shape& shape, double bound, uint64_t seed, std::string_view name,
               DType dtype = DType::f32);
/// Xavier's and Kaiming's initial values of a matrix (out, in).
Tensor xavier_normal(const Shape& shape, uint64_t seed, std::string_view name, DType dtype = DType::f32);
Tensor xavier_uniform(const Shape& shape, uint64_t seed, std::string_view name, DType dtype = DType::f32);
Tensor kaiming_normal(const Shape& shape, uint64_t seed, std::string_view name, DType dtype = DType::f32);
Tensor kaiming_uniform(const Shape& shape, uint64_t seed, std::string_view name, DType dtype = DType::f32);

}  // namespace gradus
