#pragma once

#include "tensor/dtype.hpp"
#include "tensor/error.hpp"

namespace gradus {

/// Calls function.operator()<T>() with the C++ type of an op's operands; an error naming the op for other types.
template <class Function>
decltype(auto) visit_floating(DType dtype, const char* op, Function&& function) {
  check(is_floating(dtype), op, ": element type must be f32 or f64; it is ", dtype_name(dtype),
        "; use cast()");
  if (dtype == DType::f64) return function.template operator()<double>();
  return function.template operator()<float>();
}

}  // namespace gradus
