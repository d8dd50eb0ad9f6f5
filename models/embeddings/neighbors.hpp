#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tensor/tensor.hpp"

namespace gradus {

/// y = a · b / (|a| |b|), summed in ascending order in f64; 0 where one of them is zero.
double cosine(std::span<const float> a, std::span<const float> b);

struct Neighbor {
  int64_t row;
  double similarity;  ///< cosine
};

/// The k rows of a table that point most in the query's direction, best first, of equals the lower row first.
/// shape: table f32 (V,C), query C values.   `leave_out` is a row that does not compete, such as the query's own.
std::vector<Neighbor> nearest(const Tensor& table, std::span<const float> query, int64_t k,
                              int64_t leave_out = -1);

}  // namespace gradus
