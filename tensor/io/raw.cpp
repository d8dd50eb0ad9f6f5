#include "tensor/io/raw.hpp"

#include <algorithm>
#include <array>
#include <bit>
#include <cstdint>
#include <cstring>
#include <utility>

#include "tensor/error.hpp"
#include "tensor/io/bounds.hpp"

namespace gradus {

static_assert(std::endian::native == std::endian::little,
              "files are little-endian and are mapped as they are");

namespace {

struct RawType {
  std::string_view name;
  std::size_t bytes;
};

constexpr std::array<RawType, 15> kRawTypes = {{{"BOOL", 1},
                                                {"U8", 1},
                                                {"I8", 1},
                                                {"F8_E4M3", 1},
                                                {"F8_E5M2", 1},
                                                {"I16", 2},
                                                {"U16", 2},
                                                {"F16", 2},
                                                {"BF16", 2},
                                                {"I32", 4},
                                                {"U32", 4},
                                                {"F32", 4},
                                                {"I64", 8},
                                                {"U64", 8},
                                                {"F64", 8}}};

constexpr std::array<std::pair<DType, std::string_view>, 5> kOwnTypes = {{{DType::f32, "F32"},
                                                                          {DType::f64, "F64"},
                                                                          {DType::bf16, "BF16"},
                                                                          {DType::f16, "F16"},
                                                                          {DType::i32, "I32"}}};

}  // namespace

std::size_t raw_dtype_bytes(std::string_view dtype) {
  for (const RawType& type : kRawTypes) {
    if (type.name == dtype) return type.bytes;
  }
  return 0;
}

std::string_view raw_dtype(DType dtype) {
  for (const auto& [own, name] : kOwnTypes) {
    if (own == dtype) return name;
  }
  return "?";
}

std::optional<DType> dtype_from_raw(std::string_view dtype) {
  for (const auto& [own, name] : kOwnTypes) {
    if (name == dtype) return own;
  }
  return std::nullopt;
}

std::optional<std::size_t> raw_bytes(std::string_view dtype, const Shape& shape) {
  std::optional<int64_t> bytes = static_cast<int64_t>(raw_dtype_bytes(dtype));
  bool empty = false;
  for (const int64_t size : shape) {
    if (size < 0) return std::nullopt;
    empty = empty || size == 0;
    bytes = checked_multiply(*bytes, std::max<int64_t>(size, 1));  // as Shape::numel() has it
    if (!bytes) return std::nullopt;
  }
  return empty ? 0 : static_cast<std::size_t>(*bytes);
}

RawTensor raw_tensor(std::string name, const Tensor& dense) {
  check(dense.defined(), "raw_tensor: the tensor must hold values; ", name, " is empty");
  check(dense.is_contiguous(), "raw_tensor: the tensor must be dense; ", name, " has shape ", dense.shape(),
        " and strides ", dense.strides(), "; call to_contiguous()");
  return {std::move(name), std::string(raw_dtype(dense.dtype())), dense.shape(), dense.bytes(),
          dense.nbytes()};
}

void check_raw(const RawTensor& array, const char* op) {
  check(raw_dtype_bytes(array.dtype) > 0, op, ": the element type must be one that files know; ", array.name,
        " has ", array.dtype);
  const auto bytes = raw_bytes(array.dtype, array.shape);
  check(bytes.has_value() && *bytes == array.bytes, op, ": type, shape and bytes must fit together; ",
        array.name, " is ", array.dtype, " ", array.shape, " with ", array.bytes, " bytes");
  check(array.data != nullptr || array.bytes == 0, op, ": an array must have data; ", array.name,
        " has none");
}

Tensor tensor_over(const RawTensor& array, const std::string& source, std::shared_ptr<const void> keep) {
  const auto dtype = dtype_from_raw(array.dtype);
  check_world(dtype.has_value(), source, ": tensor ", array.name,
              " must be F32, F64, BF16, F16 or I32; it is ", array.dtype);
  if (array.bytes > 0 && reinterpret_cast<uintptr_t>(array.data) % dtype_bytes(*dtype) == 0) {
    return Tensor::external(array.data, array.shape, *dtype, [keep = std::move(keep)] {});
  }
  const Tensor copy = Tensor::empty(array.shape, *dtype);
  std::byte* target = copy.mutable_bytes();
  if (target != nullptr && array.bytes > 0) std::memcpy(target, array.data, array.bytes);
  return copy;
}

}  // namespace gradus
