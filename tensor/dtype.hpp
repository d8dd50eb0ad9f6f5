#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace gradus {

/// Element types.
/// note: f32 is what models compute in, f64 is for gradient checks, bf16 and f16 are for storage (ops take them only
///       through cast), i32 holds ids and masks.
enum class DType : uint8_t { f32, f64, bf16, f16, i32 };

/// 16-bit storage types: opaque bits, converted by cast().
struct bf16_t {
  uint16_t bits;
};
struct f16_t {
  uint16_t bits;
};

/// Bytes of one element.
constexpr std::size_t dtype_bytes(DType dtype) {
  switch (dtype) {
    case DType::f64: return 8;
    case DType::f32:
    case DType::i32: return 4;
    case DType::bf16:
    case DType::f16: return 2;
  }
  return 0;
}

/// The type's name as in this library ("f32").
constexpr std::string_view dtype_name(DType dtype) {
  switch (dtype) {
    case DType::f32: return "f32";
    case DType::f64: return "f64";
    case DType::bf16: return "bf16";
    case DType::f16: return "f16";
    case DType::i32: return "i32";
  }
  return "?";
}

/// f32 and f64: the types that ops compute in and that can require a gradient.
constexpr bool is_floating(DType dtype) { return dtype == DType::f32 || dtype == DType::f64; }

/// The DType of a C++ element type.
template <class T>
struct dtype_of;
template <>
struct dtype_of<float> {
  static constexpr DType value = DType::f32;
};
template <>
struct dtype_of<double> {
  static constexpr DType value = DType::f64;
};
template <>
struct dtype_of<bf16_t> {
  static constexpr DType value = DType::bf16;
};
template <>
struct dtype_of<f16_t> {
  static constexpr DType value = DType::f16;
};
template <>
struct dtype_of<int32_t> {
  static constexpr DType value = DType::i32;
};

}  // namespace gradus
