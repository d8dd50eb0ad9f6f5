#pragma once

#include <cstdint>

#include "tensor/kernels/simd.hpp"
#include "tensor/kernels/vector_math.hpp"

/// Elementwise kernels: whole vectors, then one partial vector through the same arithmetic, so that an element's bits do
/// not depend on where it stands.

namespace gradus::kernels {
namespace {

/// Calls body(i, n) for each vector of n = 16 elements from i on, then for the rest. n is a constant in whole vectors.
template <class Body>
GRADUS_INLINE void for_each_vector(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, kLanes);
  if (i < n) body(i, n - i);
}

// ---- one operand ----

template <Unary kind, class T>
GRADUS_INLINE Vec<T> unary_value(const Vec<T>& x) {
  const Vec<T> one = Vec<T>::set(T(1));
  if constexpr (kind == Unary::neg) return Vec<T>::set(T(-0.0)) - x;
  if constexpr (kind == Unary::abs) return absolute(x);
  if constexpr (kind == Unary::square) return x * x;
  if constexpr (kind == Unary::sqrt) return sqrt(x);
  if constexpr (kind == Unary::rsqrt) return one / sqrt(x);
  if constexpr (kind == Unary::exp) return vexp(x);
  if constexpr (kind == Unary::log) return vlog(x);
  if constexpr (kind == Unary::sin) return vsin(x);
  if constexpr (kind == Unary::cos) return vcos(x);
  if constexpr (kind == Unary::tanh) return vtanh(x);
  if constexpr (kind == Unary::erf) return verf(x);
  if constexpr (kind == Unary::sigmoid) return vsigmoid(x);
  if constexpr (kind == Unary::relu) return vrelu(x);
  if constexpr (kind == Unary::relu_squared) return vrelu(x) * vrelu(x);
  if constexpr (kind == Unary::gelu) return vgelu(x);
  if constexpr (kind == Unary::gelu_tanh) return vgelu_tanh(x);
  if constexpr (kind == Unary::silu) return vsilu(x);
}

/// What the derivative is written with, besides dy.
template <class T>
GRADUS_INLINE const T* slope_operand(Unary kind, const UnaryGradArgs<T>& args) {
  switch (kind) {
    case Unary::neg: return args.dy;  // neither x nor y: dy is read twice instead
    case Unary::sqrt:
    case Unary::rsqrt:
    case Unary::exp:
    case Unary::tanh:
    case Unary::sigmoid: return args.y;
    case Unary::abs:
    case Unary::square:
    case Unary::log:
    case Unary::sin:
    case Unary::cos:
    case Unary::erf:
    case Unary::relu:
    case Unary::relu_squared:
    case Unary::gelu:
    case Unary::gelu_tanh:
    case Unary::silu: return args.x;
    case Unary::count: break;
  }
  return nullptr;
}

/// dy f'(x); `v` is what slope_operand() gives.

template <Unary kind, class T>
GRADUS_INLINE Vec<T> unary_gradient(const Vec<T>& v, const Vec<T>& dy) {
  const Vec<T> zero = Vec<T>::zero();
  const Vec<T> one = Vec<T>::set(T(1));
  if constexpr (kind == Unary::neg) return Vec<T>::set(T(-0.0)) - dy;
  if constexpr (kind == Unary::abs)
    return dy * select(v > zero, one, select(v < zero, Vec<T>::set(T(-1)), v));
  if constexpr (kind == Unary::square) return (v + v) * dy;
  if constexpr (kind == Unary::sqrt) return dy / (v + v);
  if constexpr (kind == Unary::rsqrt) return dy * (Vec<T>::set(T(-0.5)) * v * (v * v));
  if constexpr (kind == Unary::exp) return dy * v;
  if constexpr (kind == Unary::log) return dy / v;
  if constexpr (kind == Unary::sin) return dy * vcos(v);
  if constexpr (kind == Unary::cos) return dy * (zero - vsin(v));
  // 1 - y² as (1 - y)(1 + y), which keeps its digits where y is near 1.
  if constexpr (kind == Unary::tanh) return dy * ((one - v) * (one + v));
  if constexpr (kind == Unary::erf) return dy * (Vec<T>::set(T(1.12837916709551257390)) * vexp(zero - v * v));
  if constexpr (kind == Unary::sigmoid) return dy * (v * (one - v));
  if constexpr (kind == Unary::relu) return select(v > zero, dy, zero);
  if constexpr (kind == Unary::relu_squared) return (vrelu(v) + vrelu(v)) * dy;
  if constexpr (kind == Unary::gelu) return dy * vgelu_slope(v);
  if constexpr (kind == Unary::gelu_tanh) return dy * vgelu_tanh_slope(v);
  if constexpr (kind == Unary::silu) return dy * vsilu_slope(v);
}

template <class T, Unary kind>
void run_unary(const UnaryArgs<T>& args) {
  for_each_vector(
      args.n, [&](int64_t i, int64_t n) __attribute__((always_inline)) {
        store_some(unary_value<kind>(load_some(args.x + i, n)), args.y + i, n);
      });
}

template <class T, Unary kind>
void run_unary_grad(const UnaryGradArgs<T>& args) {
  const T* v = slope_operand(kind, args);
  for_each_vector(
      args.n, [&](int64_t i, int64_t n) __attribute__((always_inline)) {
        store_some(unary_gradient<kind>(load_some(v + i, n), load_some(args.dy + i, n)), args.dx + i, n);
      });
}

// ---- two operands ----

template <Binary kind, class T>
GRADUS_INLINE Vec<T> binary_value(const Vec<T>& a, const Vec<T>& b) {
  if constexpr (kind == Binary::add) return a + b;
  if constexpr (kind == Binary::sub) return a - b;
  if constexpr (kind == Binary::mul) return a * b;
  if constexpr (kind == Binary::div) return a / b;
  // A NaN in either operand stays visible: b's fails the comparison, a's is chosen here.
  if constexpr (kind == Binary::maximum) return select(a > b, a, select(a == a, b, a));
  if constexpr (kind == Binary::minimum) return select(a < b, a, select(a == a, b, a));
}

/// n elements that are `stride` apart.
template <class T>
GRADUS_INLINE Vec<T> load_strided(const T* p, int64_t stride, int64_t n) {
  alignas(64) T buffer[kLanes] = {};
  for (int64_t i = 0; i < n; ++i) __builtin_memcpy(&buffer[i], p + i * stride, sizeof(T));
  return Vec<T>::load(buffer);
}

template <class T>
GRADUS_INLINE T load_scalar(const T* p) {
  T value;
  __builtin_memcpy(&value, p, sizeof(T));
  return value;
}

template <class T, Binary kind>
void run_binary(const BinaryArgs<T>& args) {
  if (args.n <= 0) return;
  const T* a = args.a;
  const T* b = args.b;
  const int64_t sa = args.a_stride;
  const int64_t sb = args.b_stride;
  T* y = args.y;
  if (sa == 1 && sb == 1) {
    for_each_vector(
        args.n, [&](int64_t i, int64_t n) __attribute__((always_inline)) {
          store_some(binary_value<kind>(load_some(a + i, n), load_some(b + i, n)), y + i, n);
        });
  } else if (sa == 1 && sb == 0) {
    const Vec<T> other = Vec<T>::set(load_scalar(b));
    for_each_vector(
        args.n, [&](int64_t i, int64_t n) __attribute__((always_inline)) {
          store_some(binary_value<kind>(load_some(a + i, n), other), y + i, n);
        });
  } else if (sa == 0 && sb == 1) {
    const Vec<T> other = Vec<T>::set(load_scalar(a));
    for_each_vector(
        args.n, [&](int64_t i, int64_t n) __attribute__((always_inline)) {
          store_some(binary_value<kind>(other, load_some(b + i, n)), y + i, n);
        });
  } else {
    for_each_vector(args.n, [&](int64_t i, int64_t n) {
      store_some(binary_value<kind>(load_strided(a + i * sa, sa, n), load_strided(b + i * sb, sb, n)), y + i,
                 n);
    });
  }
}

template <class T>
void run_affine(const AffineArgs<T>& args) {
  const Vec<T> scale = Vec<T>::set(args.scale);
  const Vec<T> offset = Vec<T>::set(args.offset);
  if (args.offset == T(0) && __builtin_signbit(args.offset)) {
    for_each_vector(
        args.n, [&](int64_t i, int64_t n) __attribute__((always_inline)) {
          store_some(load_some(args.x + i, n) * scale, args.y + i, n);
        });
  } else if (args.scale == T(1)) {
    for_each_vector(
        args.n, [&](int64_t i, int64_t n) __attribute__((always_inline)) {
          store_some(load_some(args.x + i, n) + offset, args.y + i, n);
        });
  } else {
    for_each_vector(
        args.n, [&](int64_t i, int64_t n) __attribute__((always_inline)) {
          store_some(load_some(args.x + i, n) * scale + offset, args.y + i, n);
        });
  }
}

// ---- swiglu: the same bits as silu and mul one after the other ----

template <class T>
void run_swiglu(const SwigluArgs<T>& args) {
  for_each_vector(
      args.n, [&](int64_t i, int64_t n) __attribute__((always_inline)) {
        store_some(vsilu(load_some(args.gate + i, n)) * load_some(args.up + i, n), args.y + i, n);
      });
}

template <class T>
void run_swiglu_grad(const SwigluArgs<T>& args) {
  const Vec<T> one = Vec<T>::set(T(1));
  for_each_vector(
      args.n, [&](int64_t i, int64_t n) __attribute__((always_inline)) {
        const Vec<T> gate = load_some(args.gate + i, n);
        const Vec<T> up = load_some(args.up + i, n);
        const Vec<T> dy = load_some(args.dy + i, n);
        const Vec<T> s = vsigmoid(gate);
        // As vsilu_slope, with one sigmoid for both.
        store_some(dy * up * (s * fma(gate, one - s, one)), args.dgate + i, n);
        store_some(dy * (gate * s), args.dup + i, n);
      });
}

// ---- the table ----

template <class T, int kind>
void fill_unary(Table<T>& table) {
  if constexpr (kind < static_cast<int>(Unary::count)) {
    table.unary[kind] = &run_unary<T, static_cast<Unary>(kind)>;
    table.unary_grad[kind] = &run_unary_grad<T, static_cast<Unary>(kind)>;
    fill_unary<T, kind + 1>(table);
  }
}

template <class T, int kind>
void fill_binary(Table<T>& table) {
  if constexpr (kind < static_cast<int>(Binary::count)) {
    table.binary[kind] = &run_binary<T, static_cast<Binary>(kind)>;
    fill_binary<T, kind + 1>(table);
  }
}

template <class T>
void fill_elementwise(Table<T>& table) {
  fill_unary<T, 0>(table);
  fill_binary<T, 0>(table);
  table.affine = &run_affine<T>;
  table.swiglu = &run_swiglu<T>;
  table.swiglu_grad = &run_swiglu_grad<T>;
}

}  // namespace
}  // namespace gradus::kernels
