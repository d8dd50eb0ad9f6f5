#pragma once

#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "tensor/tensor.hpp"
#include "tests/support/draw.hpp"

/// Tensors for tests. Random ones are functions of their seed and shape; their numbers are exact in f32, whatever the
/// type.

namespace gradus::testing {

/// Element i is value(i), as f32, f64 or i32.
Tensor tensor_of(const Shape& shape, DType dtype, const std::function<double(int64_t i)>& value);
/// 0, 1, 2 …
Tensor counting(const Shape& shape);
Tensor ids_tensor(const std::vector<int32_t>& ids);
/// Normal numbers times `scale`.
Tensor random_tensor(const Shape& shape, uint64_t seed, double scale = 1, DType dtype = DType::f32);
/// i32 in [0, bound).
Tensor random_ids(const Shape& shape, uint64_t seed, int64_t bound);
/// Fills a tensor with normal numbers that depend on its name.
void fill_normal(std::string_view name, const Tensor& tensor, double deviation, double mean = 0);

}  // namespace gradus::testing
