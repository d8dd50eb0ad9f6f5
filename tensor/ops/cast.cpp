#include <cstdint>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>
#include <vector>

#include "tensor/autodiff.hpp"
#include "tensor/detail/half.hpp"
#include "tensor/ops.hpp"
#include "tensor/ops/common.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

template <class To, class From>
To bits_as(From from) {
  To to;
  static_assert(sizeof(To) == sizeof(From));
  std::memcpy(&to, &from, sizeof(To));
  return to;
}

/// Bits of an IEEE format with kExponent and kMantissa bits.
template <int kExponent, int kMantissa>
struct Format {
  static constexpr int kMantissaBits = kMantissa;
  static constexpr int kBias = (1 << (kExponent - 1)) - 1;
  static constexpr int kTop = (1 << kExponent) - 1;  // the exponent field of infinity and NaN
  static constexpr int kWidth = 1 + kExponent + kMantissa;
};
using Double = Format<11, 52>;
using Half = Format<5, 10>;
using Brain = Format<8, 7>;

/// Rounds a double to a narrower format once, to nearest even; what is too large becomes infinity, NaN stays NaN.
/// note: from float, too, by way of double, which is exact.
template <class To>
uint16_t narrow(double value) {
  const auto bits = bits_as<uint64_t>(value);
  const auto sign = static_cast<uint16_t>(bits >> 63 << (To::kWidth - 1));
  const int exponent = static_cast<int>(bits >> 52 & 0x7ff);
  uint64_t mantissa = bits & ((uint64_t{1} << 52) - 1);
  constexpr uint16_t kInfinity = static_cast<uint16_t>(To::kTop << To::kMantissaBits);
  if (exponent == Double::kTop) {
    if (mantissa == 0) return static_cast<uint16_t>(sign | kInfinity);
    // The leading payload bits, made quiet.
    return static_cast<uint16_t>(sign | kInfinity | (1 << (To::kMantissaBits - 1)) |
                                 (mantissa >> (52 - To::kMantissaBits)));
  }
  if (exponent == 0) return sign;  // far below the smallest number of any narrower format
  int target = exponent - Double::kBias + To::kBias;
  int drop = 52 - To::kMantissaBits;
  if (target <= 0) {  // denormal in the new format: the leading 1 becomes explicit and moves right
    mantissa |= uint64_t{1} << 52;
    drop += 1 - target;
    target = 0;
    if (drop > 53) return sign;
  }
  if (target >= To::kTop) return static_cast<uint16_t>(sign | kInfinity);
  const uint64_t kept = (static_cast<uint64_t>(target) << To::kMantissaBits) + (mantissa >> drop);
  const uint64_t rest = mantissa & ((uint64_t{1} << drop) - 1);
  const uint64_t half = uint64_t{1} << (drop - 1);
  // A carry runs on into the exponent, up to infinity, as it should.
  const bool up = rest > half || (rest == half && (kept & 1) != 0);
  return static_cast<uint16_t>(sign | (kept + (up ? 1 : 0)));
}

/// The float of a bf16 is its bits and 16 zeros; back, one integer addition rounds.
uint16_t brain_from_float(float value) {
  const auto bits = bits_as<uint32_t>(value);
  if ((bits & 0x7fffffff) > 0x7f800000) return static_cast<uint16_t>(bits >> 16 | 0x40);
  return static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

}  // namespace

uint16_t half_from_float(float value) { return narrow<Half>(value); }

float float_from_half(uint16_t half) {
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  const uint32_t exponent = half >> 10 & 0x1f;
  const uint32_t mantissa = half & 0x3ff;
  if (exponent == 0x1f) return bits_as<float>(sign | 0x7f800000 | mantissa << 13);
  if (exponent == 0) {
    const float size = static_cast<float>(mantissa) * 0x1p-24f;  // exact
    return bits_as<float>(sign | bits_as<uint32_t>(size));
  }
  return bits_as<float>(sign | (exponent + 112) << 23 | mantissa << 13);
}

namespace {

/// The value of an element in a type that holds it exactly.
inline float widen(float x) { return x; }
inline double widen(double x) { return x; }
inline double widen(int32_t x) { return x; }
inline float widen(bf16_t x) { return bits_as<float>(static_cast<uint32_t>(x.bits) << 16); }
inline float widen(f16_t x) { return float_from_half(x.bits); }

template <class To, class Wide>
To convert(Wide x) {
  if constexpr (std::is_same_v<To, f16_t>) {
    return {narrow<Half>(x)};
  } else if constexpr (std::is_same_v<To, bf16_t>) {
    if constexpr (std::is_same_v<Wide, float>) return {brain_from_float(x)};
    return {narrow<Brain>(x)};
  } else {
    return static_cast<To>(x);  // from floating to integer towards zero; the range was checked
  }
}

/// Converts count elements; returns the place of the first that does not fit in i32, or -1.
template <class To, class From>
int64_t cast_run(const From* from, To* to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const auto x = widen(load_element(from + i));
    if constexpr (std::is_same_v<To, int32_t> && !std::is_same_v<From, int32_t>) {
      if (!(static_cast<double>(x) > -2147483649.0 && static_cast<double>(x) < 2147483648.0)) return i;
    }
    to[i] = convert<To>(x);
  }
  return -1;
}

template <class To, class From>
void cast_elements(const Tensor& x, const Tensor& y) {
  const From* from = x.data<From>();
  To* to = y.mutable_data<To>();
  const int64_t chunks = (x.numel() + kElementwiseGrain - 1) / kElementwiseGrain;
  std::vector<int64_t> misfits(static_cast<std::size_t>(chunks), -1);  // a body must not throw
  parallel_ranges(x.numel(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
    const int64_t misfit = cast_run(from + begin, to + begin, end - begin);
    if (misfit >= 0) misfits[static_cast<std::size_t>(begin / kElementwiseGrain)] = begin + misfit;
  });
  for (int64_t place : misfits) {
    if (place < 0) continue;
    fail("cast: values must fit in i32; element ", place, " (in row-major order) of ", x.shape(), " is ",
         widen(load_element(from + place)), "; clip the values first, or choose a floating type");
  }
}

/// Calls function.operator()<T>() with the C++ type of any element type.
template <class Function>
void visit_any(DType dtype, Function&& function) {
  switch (dtype) {
    case DType::f32: return function.template operator()<float>();
    case DType::f64: return function.template operator()<double>();
    case DType::bf16: return function.template operator()<bf16_t>();
    case DType::f16: return function.template operator()<f16_t>();
    case DType::i32: return function.template operator()<int32_t>();
  }
}

Tensor cast_forward(const Tensor& x, DType dtype) {
  const Tensor dense = x.to_contiguous();
  Tensor y = Tensor::empty(x.shape(), dtype);
  visit_any(x.dtype(),
            [&]<class From>() { visit_any(dtype, [&]<class To>() { cast_elements<To, From>(dense, y); }); });
  return y;
}

}  // namespace

Tensor cast(const Tensor& x, DType dtype) {
  if (x.dtype() == dtype) return contiguous(x);
  Tensor y = cast_forward(x, dtype);
  if (!is_floating(x.dtype()) || !is_floating(dtype)) return no_grad("cast", y);
  return record("cast", std::move(y), {x}, [from = x.dtype()](Backward& g) {
    if (g.needs(0)) g.add(0, cast_forward(g.dy(), from));
  });
}

}  // namespace gradus
