#pragma once

#include <span>
#include <string>

#include "tensor/tensor.hpp"

namespace gradus::testing {

/// Nothing if both hold the same bits in the same shape and type, else the first element that differs. Two NaN are the
/// same: their sign and payload are nobody's promise.
std::string same_bits(const Tensor& a, const Tensor& b);
std::string same_bits(std::span<const float> a, std::span<const float> b);

/// An element of a tensor for messages: "element 7 at (1, 3) of (2, 4)".
std::string place(int64_t element, const Shape& shape);

}  // namespace gradus::testing
