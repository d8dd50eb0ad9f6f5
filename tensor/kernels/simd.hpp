#pragma once

#include <cstdint>

#include "tensor/kernels/kernels.hpp"

/// The bridge between kernels and the machine: a vector of 16 lanes, `Vec<T>`, whatever the registers are.
///
/// isa.cpp is compiled once per instruction set with GRADUS_KERNEL_ISA naming it; everything here is in an unnamed
/// namespace, so that the copies never meet. xsimd gives load, store, select, convert, + - × and comparisons; the fused
/// multiply-add and the square root come from intrinsics, because xsimd 8.1 has no fused AVX-512 multiply-add. SSE2 and
/// scalar have none at all: there fma(a, b, c) rounds twice, which is why only their bits differ.

#define GRADUS_ISA_ID_scalar 1
#define GRADUS_ISA_ID_sse2 2
#define GRADUS_ISA_ID_avx2 3
#define GRADUS_ISA_ID_avx512 4
#define GRADUS_ISA_ID_neon 5
#define GRADUS_JOIN_INNER(a, b) a##b
#define GRADUS_JOIN(a, b) GRADUS_JOIN_INNER(a, b)
#define GRADUS_ISA_ID GRADUS_JOIN(GRADUS_ISA_ID_, GRADUS_KERNEL_ISA)

#if GRADUS_ISA_ID != GRADUS_ISA_ID_scalar
#include <xsimd/xsimd.hpp>
#endif

// One pragma for both compilers: loops over registers must vanish, or GCC keeps the registers in memory. The scalar
// "registers" are 16 plain numbers: there the loops stay, and compile five times as fast.
#if GRADUS_ISA_ID == GRADUS_ISA_ID_scalar
#define GRADUS_UNROLL
#else
#define GRADUS_UNROLL _Pragma("GCC unroll 64")
#endif
#define GRADUS_INLINE inline __attribute__((always_inline))

namespace gradus::kernels {
namespace {

/// Whether fma(a, b, c) rounds once.
inline constexpr bool kHasFma = GRADUS_ISA_ID != GRADUS_ISA_ID_scalar && GRADUS_ISA_ID != GRADUS_ISA_ID_sse2;

// ---- registers ----

/// The register of an element type: the type itself unless there is a wider one.
template <class T>
struct RegisterOf {
  using Float = T;
  using Int = int32_t;
  using Mask = bool;
  static constexpr int kSize = 1;
};

template <class T>
GRADUS_INLINE T reg_load(const T* p, T* /*type*/) {
  T value;
  __builtin_memcpy(&value, p, sizeof(T));
  return value;
}
GRADUS_INLINE void reg_store(float* p, float value) { __builtin_memcpy(p, &value, sizeof(float)); }
GRADUS_INLINE void reg_store(double* p, double value) { __builtin_memcpy(p, &value, sizeof(double)); }
GRADUS_INLINE void reg_store(int32_t* p, int32_t value) { __builtin_memcpy(p, &value, sizeof(int32_t)); }
GRADUS_INLINE float reg_fma(float a, float b, float c) { return a * b + c; }
GRADUS_INLINE double reg_fma(double a, double b, double c) { return a * b + c; }
GRADUS_INLINE float reg_sqrt(float a) { return __builtin_sqrtf(a); }
GRADUS_INLINE double reg_sqrt(double a) { return __builtin_sqrt(a); }
GRADUS_INLINE float reg_div(float a, float b) { return a / b; }
GRADUS_INLINE double reg_div(double a, double b) { return a / b; }
GRADUS_INLINE float reg_max(float a, float b) { return a > b ? a : b; }
GRADUS_INLINE double reg_max(double a, double b) { return a > b ? a : b; }
GRADUS_INLINE float reg_min(float a, float b) { return a < b ? a : b; }
GRADUS_INLINE double reg_min(double a, double b) { return a < b ? a : b; }
GRADUS_INLINE float reg_select(bool m, float a, float b) { return m ? a : b; }
GRADUS_INLINE double reg_select(bool m, double a, double b) { return m ? a : b; }
GRADUS_INLINE int32_t reg_bits(float a) { return __builtin_bit_cast(int32_t, a); }
GRADUS_INLINE float reg_from_bits(int32_t a) { return __builtin_bit_cast(float, a); }
GRADUS_INLINE float reg_to_float(int32_t a) { return static_cast<float>(a); }
GRADUS_INLINE int32_t reg_shift_left(int32_t a, int by) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) << by);
}
GRADUS_INLINE int32_t reg_shift_right(int32_t a, int by) { return a >> by; }
GRADUS_INLINE int32_t reg_add(int32_t a, int32_t b) {
  return static_cast<int32_t>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
}

#if GRADUS_ISA_ID != GRADUS_ISA_ID_scalar

#if GRADUS_ISA_ID == GRADUS_ISA_ID_sse2
using Arch = xsimd::sse2;
#elif GRADUS_ISA_ID == GRADUS_ISA_ID_avx2
using Arch = xsimd::avx2;
#elif GRADUS_ISA_ID == GRADUS_ISA_ID_avx512
using Arch = xsimd::avx512bw;
#else
using Arch = xsimd::neon64;
#endif

using Float = xsimd::batch<float, Arch>;
using Int = xsimd::batch<int32_t, Arch>;
using Bool = xsimd::batch_bool<float, Arch>;

template <>
struct RegisterOf<float> {
  using Float = kernels::Float;
  using Int = kernels::Int;
  using Mask = kernels::Bool;
  static constexpr int kSize = static_cast<int>(kernels::Float::size);
};

GRADUS_INLINE Float reg_load(const float* p, Float* /*type*/) { return Float::load_unaligned(p); }
GRADUS_INLINE void reg_store(float* p, const Float& value) { value.store_unaligned(p); }
GRADUS_INLINE Int reg_load(const int32_t* p, Int* /*type*/) { return Int::load_unaligned(p); }
GRADUS_INLINE void reg_store(int32_t* p, const Int& value) { value.store_unaligned(p); }

#if GRADUS_ISA_ID == GRADUS_ISA_ID_avx512
GRADUS_INLINE Float reg_fma(const Float& a, const Float& b, const Float& c) {
  return _mm512_fmadd_ps(a, b, c);
}
GRADUS_INLINE Float reg_sqrt(const Float& a) { return _mm512_sqrt_ps(a); }
GRADUS_INLINE Float reg_max(const Float& a, const Float& b) { return _mm512_max_ps(a, b); }
GRADUS_INLINE Float reg_min(const Float& a, const Float& b) { return _mm512_min_ps(a, b); }
#elif GRADUS_ISA_ID == GRADUS_ISA_ID_avx2
GRADUS_INLINE Float reg_fma(const Float& a, const Float& b, const Float& c) {
  return _mm256_fmadd_ps(a, b, c);
}
GRADUS_INLINE Float reg_sqrt(const Float& a) { return _mm256_sqrt_ps(a); }
GRADUS_INLINE Float reg_max(const Float& a, const Float& b) { return _mm256_max_ps(a, b); }
GRADUS_INLINE Float reg_min(const Float& a, const Float& b) { return _mm256_min_ps(a, b); }
#elif GRADUS_ISA_ID == GRADUS_ISA_ID_sse2
GRADUS_INLINE Float reg_fma(const Float& a, const Float& b, const Float& c) { return a * b + c; }
GRADUS_INLINE Float reg_sqrt(const Float& a) { return _mm_sqrt_ps(a); }
GRADUS_INLINE Float reg_max(const Float& a, const Float& b) { return _mm_max_ps(a, b); }
GRADUS_INLINE Float reg_min(const Float& a, const Float& b) { return _mm_min_ps(a, b); }
#else
GRADUS_INLINE Float reg_fma(const Float& a, const Float& b, const Float& c) { return vfmaq_f32(c, a, b); }
GRADUS_INLINE Float reg_sqrt(const Float& a) { return vsqrtq_f32(a); }
// NEON's own maximum treats NaN differently from x86's; a > b ? a : b is the same everywhere.
GRADUS_INLINE Float reg_max(const Float& a, const Float& b) { return xsimd::select(a > b, a, b); }
GRADUS_INLINE Float reg_min(const Float& a, const Float& b) { return xsimd::select(a < b, a, b); }
#endif

#if GRADUS_ISA_ID == GRADUS_ISA_ID_neon
// xsimd divides by an approximate reciprocal with two corrections, which is not correctly rounded.
GRADUS_INLINE Float reg_div(const Float& a, const Float& b) { return vdivq_f32(a, b); }
#else
GRADUS_INLINE Float reg_div(const Float& a, const Float& b) { return a / b; }
#endif

GRADUS_INLINE Float reg_select(const Bool& m, const Float& a, const Float& b) {
  return xsimd::select(m, a, b);
}
GRADUS_INLINE Int reg_bits(const Float& a) { return xsimd::bitwise_cast<Int>(a); }
GRADUS_INLINE Float reg_from_bits(const Int& a) { return xsimd::bitwise_cast<Float>(a); }
GRADUS_INLINE Float reg_to_float(const Int& a) { return xsimd::to_float(a); }
GRADUS_INLINE Int reg_shift_left(const Int& a, int by) { return a << by; }
GRADUS_INLINE Int reg_shift_right(const Int& a, int by) { return a >> by; }
GRADUS_INLINE Int reg_add(const Int& a, const Int& b) { return a + b; }

#endif

// ---- 16 lanes ----

template <class T>
struct Mask16 {
  static constexpr int kRegs = 16 / RegisterOf<T>::kSize;
  typename RegisterOf<T>::Mask r[kRegs];
};

/// 16 lanes of 32-bit integers beside a Vec<T>.
template <class T>
struct Int16 {
  static constexpr int kRegs = 16 / RegisterOf<T>::kSize;
  using Reg = typename RegisterOf<T>::Int;
  Reg r[kRegs];

  static GRADUS_INLINE Int16 set(int32_t value) {
    Int16 y;
    GRADUS_UNROLL for (int i = 0; i < kRegs; ++i) y.r[i] = Reg(value);
    return y;
  }
  friend GRADUS_INLINE Int16 operator+(const Int16& a, const Int16& b) {
    Int16 y;
    GRADUS_UNROLL for (int i = 0; i < kRegs; ++i) y.r[i] = reg_add(a.r[i], b.r[i]);
    return y;
  }
  friend GRADUS_INLINE Int16 operator&(const Int16& a, const Int16& b) {
    Int16 y;
    GRADUS_UNROLL for (int i = 0; i < kRegs; ++i) y.r[i] = a.r[i] & b.r[i];
    return y;
  }
  friend GRADUS_INLINE Int16 operator|(const Int16& a, const Int16& b) {
    Int16 y;
    GRADUS_UNROLL for (int i = 0; i < kRegs; ++i) y.r[i] = a.r[i] | b.r[i];
    return y;
  }
  friend GRADUS_INLINE Int16 operator^(const Int16& a, const Int16& b) {
    Int16 y;
    GRADUS_UNROLL for (int i = 0; i < kRegs; ++i) y.r[i] = a.r[i] ^ b.r[i];
    return y;
  }
  GRADUS_INLINE Int16 shift_left(int by) const {
    Int16 y;
    GRADUS_UNROLL for (int i = 0; i < kRegs; ++i) y.r[i] = reg_shift_left(r[i], by);
    return y;
  }
  /// Arithmetic: the sign stays.
  GRADUS_INLINE Int16 shift_right(int by) const {
    Int16 y;
    GRADUS_UNROLL for (int i = 0; i < kRegs; ++i) y.r[i] = reg_shift_right(r[i], by);
    return y;
  }
};

template <class T>
struct Vec {
  using Reg = typename RegisterOf<T>::Float;
  using Mask = Mask16<T>;
  static constexpr int kRegSize = RegisterOf<T>::kSize;
  static constexpr int kRegs = 16 / kRegSize;
  Reg r[kRegs];

  static GRADUS_INLINE Vec set(T value) {
    Vec y;
    GRADUS_UNROLL for (int i = 0; i < kRegs; ++i) y.r[i] = Reg(value);
    return y;
  }
  static GRADUS_INLINE Vec zero() { return set(T(0)); }
  static GRADUS_INLINE Vec load(const T* p) {
    Vec y;
    GRADUS_UNROLL for (int i = 0; i < kRegs; ++i) {
      y.r[i] = reg_load(p + i * kRegSize, static_cast<Reg*>(nullptr));
    }
    return y;
  }
  GRADUS_INLINE void store(T* p) const {
    GRADUS_UNROLL for (int i = 0; i < kRegs; ++i) reg_store(p + i * kRegSize, r[i]);
  }
  /// The first n < 16 elements, `fill` in the other lanes; reads nothing beyond.
  static GRADUS_INLINE Vec load(const T* p, int64_t n, T fill = T(0)) {
#if GRADUS_ISA_ID == GRADUS_ISA_ID_avx512
    // Through memory, a row of 65 floats costs several times one of 64.
    if constexpr (sizeof(T) == 4) {
      Vec y;
      y.r[0] = _mm512_mask_loadu_ps(_mm512_set1_ps(fill), static_cast<__mmask16>((1u << n) - 1), p);
      return y;
    }
#endif
    alignas(64) T buffer[16];
    for (int i = 0; i < 16; ++i) buffer[i] = fill;
    for (int64_t i = 0; i < n; ++i) __builtin_memcpy(&buffer[i], p + i, sizeof(T));
    return load(buffer);
  }
  GRADUS_INLINE void store(T* p, int64_t n) const {
#if GRADUS_ISA_ID == GRADUS_ISA_ID_avx512
    if constexpr (sizeof(T) == 4) {
      _mm512_mask_storeu_ps(p, static_cast<__mmask16>((1u << n) - 1), r[0]);
      return;
    }
#endif
    alignas(64) T buffer[16];
    store(buffer);
    for (int64_t i = 0; i < n; ++i) __builtin_memcpy(p + i, &buffer[i], sizeof(T));
  }

#define GRADUS_VEC_BINARY(op)                                                \
  friend GRADUS_INLINE Vec operator op(const Vec& a, const Vec& b) {         \
    Vec y;                                                                   \
    GRADUS_UNROLL for (int i = 0; i < kRegs; ++i) y.r[i] = a.r[i] op b.r[i]; \
    return y;                                                                \
  }
  GRADUS_VEC_BINARY(+)
  GRADUS_VEC_BINARY(-)
  GRADUS_VEC_BINARY(*)
#undef GRADUS_VEC_BINARY
  friend GRADUS_INLINE Vec operator/(const Vec& a, const Vec& b) {
    Vec y;
    GRADUS_UNROLL for (int i = 0; i < kRegs; ++i) y.r[i] = reg_div(a.r[i], b.r[i]);
    return y;
  }

#define GRADUS_VEC_COMPARE(op)                                               \
  friend GRADUS_INLINE Mask operator op(const Vec& a, const Vec& b) {        \
    Mask y;                                                                  \
    GRADUS_UNROLL for (int i = 0; i < kRegs; ++i) y.r[i] = a.r[i] op b.r[i]; \
    return y;                                                                \
  }
  GRADUS_VEC_COMPARE(<)
  GRADUS_VEC_COMPARE(<=)
  GRADUS_VEC_COMPARE(>)
  GRADUS_VEC_COMPARE(>=)
  GRADUS_VEC_COMPARE(==)
  GRADUS_VEC_COMPARE(!=)
#undef GRADUS_VEC_COMPARE
};

/// a·b + c, rounded once where the instruction set can.
template <class T>
GRADUS_INLINE Vec<T> fma(const Vec<T>& a, const Vec<T>& b, const Vec<T>& c) {
  Vec<T> y;
  GRADUS_UNROLL for (int i = 0; i < Vec<T>::kRegs; ++i) y.r[i] = reg_fma(a.r[i], b.r[i], c.r[i]);
  return y;
}
/// a > b ? a : b, so b where either is NaN.
template <class T>
GRADUS_INLINE Vec<T> max(const Vec<T>& a, const Vec<T>& b) {
  Vec<T> y;
  GRADUS_UNROLL for (int i = 0; i < Vec<T>::kRegs; ++i) y.r[i] = reg_max(a.r[i], b.r[i]);
  return y;
}
/// a < b ? a : b, so b where either is NaN.
template <class T>
GRADUS_INLINE Vec<T> min(const Vec<T>& a, const Vec<T>& b) {
  Vec<T> y;
  GRADUS_UNROLL for (int i = 0; i < Vec<T>::kRegs; ++i) y.r[i] = reg_min(a.r[i], b.r[i]);
  return y;
}
template <class T>
GRADUS_INLINE Vec<T> sqrt(const Vec<T>& a) {
  Vec<T> y;
  GRADUS_UNROLL for (int i = 0; i < Vec<T>::kRegs; ++i) y.r[i] = reg_sqrt(a.r[i]);
  return y;
}
/// a where the mask holds, else b.
template <class T>
GRADUS_INLINE Vec<T> select(const Mask16<T>& m, const Vec<T>& a, const Vec<T>& b) {
  Vec<T> y;
  GRADUS_UNROLL for (int i = 0; i < Vec<T>::kRegs; ++i) y.r[i] = reg_select(m.r[i], a.r[i], b.r[i]);
  return y;
}

// Bit patterns exist for float only; double takes its elementary functions from tensor/math.hpp.
GRADUS_INLINE Int16<float> bits(const Vec<float>& a) {
  Int16<float> y;
  GRADUS_UNROLL for (int i = 0; i < Vec<float>::kRegs; ++i) y.r[i] = reg_bits(a.r[i]);
  return y;
}
GRADUS_INLINE Vec<float> from_bits(const Int16<float>& a) {
  Vec<float> y;
  GRADUS_UNROLL for (int i = 0; i < Vec<float>::kRegs; ++i) y.r[i] = reg_from_bits(a.r[i]);
  return y;
}
GRADUS_INLINE Vec<float> to_float(const Int16<float>& a) {
  Vec<float> y;
  GRADUS_UNROLL for (int i = 0; i < Vec<float>::kRegs; ++i) y.r[i] = reg_to_float(a.r[i]);
  return y;
}

// ---- 16 integers of 32 bits, or of 16 widened ----

GRADUS_INLINE Int16<float> load_i32(const int32_t* p) {
  using I = Int16<float>;
  I y;
  GRADUS_UNROLL for (int i = 0; i < I::kRegs; ++i) {
    y.r[i] = reg_load(p + i * RegisterOf<float>::kSize, static_cast<typename I::Reg*>(nullptr));
  }
  return y;
}
GRADUS_INLINE void store_i32(const Int16<float>& v, int32_t* p) {
  GRADUS_UNROLL for (int i = 0; i < Int16<float>::kRegs; ++i) {
    reg_store(p + i * RegisterOf<float>::kSize, v.r[i]);
  }
}
GRADUS_INLINE Int16<float> load_u16(const uint16_t* p) {
#if GRADUS_ISA_ID == GRADUS_ISA_ID_avx512
  Int16<float> y;
  y.r[0] = _mm512_cvtepu16_epi32(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)));
  return y;
#elif GRADUS_ISA_ID == GRADUS_ISA_ID_avx2
  Int16<float> y;
  y.r[0] = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  y.r[1] = _mm256_cvtepu16_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p + 8)));
  return y;
#else
  alignas(64) int32_t lanes[16];
  for (int i = 0; i < 16; ++i) lanes[i] = p[i];
  return load_i32(lanes);
#endif
}

/// The float whose bits are (x & mask) | rest.
GRADUS_INLINE Vec<float> field(const Int16<float>& x, int32_t mask, int32_t rest) {
#if GRADUS_ISA_ID == GRADUS_ISA_ID_avx512
  Vec<float> y;
  y.r[0] = _mm512_castsi512_ps(
      _mm512_ternarylogic_epi32(x.r[0], _mm512_set1_epi32(mask), _mm512_set1_epi32(rest), 0xea));
  return y;
#else
  return from_bits((x & Int16<float>::set(mask)) | Int16<float>::set(rest));
#endif
}

/// |a| and -a by arithmetic that is exact for every input but the sign of NaN.
template <class T>
GRADUS_INLINE Vec<T> absolute(const Vec<T>& a) {
  return select(a < Vec<T>::zero(), Vec<T>::zero() - a, a + Vec<T>::zero());
}

/// The sum of the lanes by the fixed tree: l with l+8, then l+4, l+2, l+1.
template <class T>
GRADUS_INLINE T sum_lanes(const Vec<T>& a) {
  alignas(64) T lane[16];
#if GRADUS_ISA_ID == GRADUS_ISA_ID_avx512
  if constexpr (sizeof(T) == 4) {
    const __m512 whole = a.r[0];
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(whole), _mm512_extractf32x8_ps(whole, 1));
    const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    _mm_store_ps(lane, quarter);
    return (lane[0] + lane[2]) + (lane[1] + lane[3]);
  }
#endif
  a.store(lane);
  for (int width = 8; width > 0; width /= 2) {
    for (int l = 0; l < width; ++l) lane[l] = lane[l] + lane[l + width];
  }
  return lane[0];
}

/// The largest lane; exact in any order (NaN aside).
template <class T>
GRADUS_INLINE T max_lanes(const Vec<T>& a) {
  alignas(64) T lane[16];
  a.store(lane);
  for (int width = 8; width > 0; width /= 2) {
    for (int l = 0; l < width; ++l) lane[l] = lane[l] > lane[l + width] ? lane[l] : lane[l + width];
  }
  return lane[0];
}

/// A whole vector where n >= 16, else its first n elements.
template <class T>
GRADUS_INLINE Vec<T> load_some(const T* p, int64_t n, T fill = T(0)) {
  return n >= 16 ? Vec<T>::load(p) : Vec<T>::load(p, n, fill);
}
template <class T>
GRADUS_INLINE void store_some(const Vec<T>& v, T* p, int64_t n) {
  if (n >= 16) {
    v.store(p);
  } else {
    v.store(p, n);
  }
}

}  // namespace
}  // namespace gradus::kernels
