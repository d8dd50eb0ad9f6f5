#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "tensor/dtype.hpp"
#include "tensor/shape.hpp"
#include "tensor/tensor.hpp"

/// Arrays as files know them: more element types than the library computes in.

namespace gradus {

/// A dense little-endian array in somebody's memory, with its name in a file.
/// note: `dtype` is the name that safetensors uses: BOOL U8 I8 F8_E4M3 F8_E5M2, I16 U16 F16 BF16, I32 U32 F32,
///       I64 U64 F64.
struct RawTensor {
  std::string name;
  std::string dtype;
  Shape shape;
  const void* data = nullptr;
  std::size_t bytes = 0;
};

/// Bytes of one element of a type by its safetensors name, or 0 where there is no such type.
std::size_t raw_dtype_bytes(std::string_view dtype);
/// The safetensors name of a type ("F32").
std::string_view raw_dtype(DType dtype);
/// The type by its safetensors name, where the library has it.
std::optional<DType> dtype_from_raw(std::string_view dtype);

/// The bytes of an array, or nothing where a size is negative or the product does not fit in 63 bits.
std::optional<std::size_t> raw_bytes(std::string_view dtype, const Shape& shape);

/// The view of a dense tensor, which must outlive it.
RawTensor raw_tensor(std::string name, const Tensor& dense);

/// An error naming `op` and the array, unless type, shape and bytes fit together.
void check_raw(const RawTensor& array, const char* op);

/// The tensor over memory that `keep` owns: in place where it is aligned for its type, otherwise a copy.
/// note: an error naming `source` and the array where the library has no such type or a shape of such a rank.
Tensor tensor_over(const RawTensor& array, const std::string& source, std::shared_ptr<const void> keep);

}  // namespace gradus
