#pragma once

#include <cstdint>

#include "tensor/kernels/simd.hpp"
#include "tensor/math.hpp"

/// Elementary functions on 16 lanes. In float they are our own polynomials; in double each lane goes through
/// tensor/math.hpp.
///
/// Every polynomial is a minimax fit of the function named beside it, made by Remez exchange in 60 decimal digits:
/// coefficients were rounded to float one at a time, lowest power first, and the remaining ones fitted again. Range
/// reductions are exact with and without a fused multiply-add, so the SSE2 and scalar tables are hardly less exact.
/// Largest errors over every float in the range, against a double reference, in units in the last place:
///
///              exp   log   sin   cos   tanh  erf   sigmoid  rsqrt
///   fused      0.90  0.91  1.56  1.57  1.37  1.09  2.41     1.50
///   not fused  1.17  0.91  1.58  1.58  1.35  1.40  2.41     1.50
///
/// The range is all of f32, but for exp, which is 0 below -87 and infinite above 88.72283, and sigmoid, 0 below -87.
/// tests/tensor/ulp_test.cpp measures them and holds the bounds.

namespace gradus::kernels {
namespace {

GRADUS_INLINE Vec<float> lanes(float value) { return Vec<float>::set(value); }

// 1.5 · 2^23: adding it rounds a small number to an integer, which then stands in the low bits of the sum.
constexpr float kRoundingShift = 12582912.0f;
constexpr float kFloatInfinity = __builtin_inff();
constexpr float kFloatNaN = __builtin_nanf("");

/// e^x for -87 <= x <= 88.72283; anything elsewhere.
GRADUS_INLINE Vec<float> exp_within_range(const Vec<float>& x) {
  const Vec<float> shifted = fma(x, lanes(0x1.715476p0f), lanes(kRoundingShift));  // n = round(x / ln 2)
  const Vec<float> n = shifted - lanes(kRoundingShift);
  // The high part of ln 2 has 15 bits: n times it is exact without fma, too.
  const Vec<float> r = fma(n, lanes(-0x1.7f7d1cp-20f), fma(n, lanes(-0x1.62e4p-1f), x));
  // (e^r - 1 - r) / r² for |r| <= 0.347, relative error of e^r 2^-28.2
  Vec<float> q = lanes(0x1.6ad0ecp-10f);
  q = fma(q, r, lanes(0x1.123f2cp-7f));
  q = fma(q, r, lanes(0x1.55584ep-5f));
  q = fma(q, r, lanes(0x1.55548ap-3f));
  q = fma(q, r, lanes(0x1.fffffcp-2f));
  const Vec<float> p = fma(fma(q, r, lanes(1.0f)), r, lanes(1.0f));
  // Times 2^n by adding n to the exponent; where n is 128, p is below 1 and the result still finite.
  return from_bits(bits(p) + bits(shifted).shift_left(23));
}

/// e^x: exactly 0 below -87 (so that no result is denormal), infinity above 88.72283, NaN for NaN.
GRADUS_INLINE Vec<float> vexp(const Vec<float>& x) {
  const Vec<float> y = exp_within_range(x);
  const Vec<float> bounded = select(x <= lanes(88.72283f), y, x + lanes(kFloatInfinity));  // NaN stays NaN
  return select(x < lanes(-87.0f), Vec<float>::zero(), bounded);
}

/// ln x for all positive x, denormal ones too; -infinity at 0, NaN below.
GRADUS_INLINE Vec<float> vlog(const Vec<float>& x) {
  const Mask16<float> denormal = x < lanes(0x1p-126f);
  const Vec<float> scaled = select(denormal, x * lanes(0x1p23f), x);
  const Vec<float> shift = select(denormal, lanes(-23.0f), Vec<float>::zero());
  // x = 2^e m with m in [√½, √2): subtract the bits of √½, then the exponent field is e.
  const Int16<float> from_root = bits(scaled) + Int16<float>::set(-0x3f3504f3);
  const Vec<float> e = to_float(from_root.shift_right(23)) + shift;
  const Vec<float> m = from_bits((from_root & Int16<float>::set(0x007fffff)) + Int16<float>::set(0x3f3504f3));
  const Vec<float> f = m - lanes(1.0f);
  const Vec<float> f2 = f * f;
  // (ln(1+f) - f + f²/2) / f³ for f in [√½ - 1, √2 - 1), relative error of ln(1+f) 2^-27.3
  Vec<float> q = lanes(-0x1.39190ep-4f);
  q = fma(q, f, lanes(0x1.058534p-3f));
  q = fma(q, f, lanes(-0x1.0d86ecp-3f));
  q = fma(q, f, lanes(0x1.22d4aap-3f));
  q = fma(q, f, lanes(-0x1.54718cp-3f));
  q = fma(q, f, lanes(0x1.99a03cp-3f));
  q = fma(q, f, lanes(-0x1.00022ap-2f));
  q = fma(q, f, lanes(0x1.555554p-2f));
  // Small terms first. e times the high part of ln 2 (15 bits) is exact.
  const Vec<float> low = fma(e, lanes(0x1.7f7d1cp-20f), fma(f2, lanes(-0.5f), q * f * f2));
  const Vec<float> y = fma(e, lanes(0x1.62e4p-1f), f + low);
  const Vec<float> finite = select(x < lanes(kFloatInfinity), y, x);
  const Vec<float> outside = select(x == Vec<float>::zero(), lanes(-kFloatInfinity), lanes(kFloatNaN));
  return select(x > Vec<float>::zero(), finite, outside);
}

/// Beyond this size sine and cosine take the way through double, which reduces every angle exactly enough.
constexpr float kLargeAngle = 100000.0f;

/// x - n π/2 with n = round(x · 2/π), which stands in the low bits of `shifted`. |x| <= kLargeAngle.
GRADUS_INLINE Vec<float> reduce_angle(const Vec<float>& x, Vec<float>& shifted) {
  shifted = fma(x, lanes(0x1.45f306p-1f), lanes(kRoundingShift));
  const Vec<float> n = shifted - lanes(kRoundingShift);
  // π/2 in parts of 8 bits: n has at most 16, so every product is exact and each step rounds once at most.
  Vec<float> r = fma(n, lanes(-0x1.92p0f), x);
  r = fma(n, lanes(-0x1.fap-12f), r);
  Vec<float> lost = Vec<float>::zero();  // what the steps below rounded away
  constexpr float kParts[] = {-0x1.54p-20f, -0x1.1p-30f, -0x1.68p-39f, -0x1.84698ap-48f};
  GRADUS_UNROLL for (int i = 0; i < 4; ++i) {
    const Vec<float> next = fma(n, lanes(kParts[i]), r);
    lost = lost + fma(n, lanes(kParts[i]), r - next);
    r = next;
  }
  return r + lost;
}

/// sin(r) where the quarter turn is even, cos(r) where it is odd, negated in its upper half: |r| <= π/4.
GRADUS_INLINE Vec<float> sine_of_quarter(const Vec<float>& r, const Int16<float>& quarter) {
  const Vec<float> z = r * r;
  // (sin r - r) / r³, relative error of sin 2^-27.8
  Vec<float> s = lanes(-0x1.991c28p-13f);
  s = fma(s, z, lanes(0x1.1106c6p-7f));
  s = fma(s, z, lanes(-0x1.555544p-3f));
  const Vec<float> sine = fma(s, z * r, r);
  // (cos r - 1 + r²/2) / r⁴, relative error of cos 2^-32.9
  Vec<float> c = lanes(0x1.99e520p-16f);
  c = fma(c, z, lanes(-0x1.6c0c22p-10f));
  c = fma(c, z, lanes(0x1.55554ap-5f));
  const Vec<float> cosine = fma(c, z * z, fma(z, lanes(-0.5f), lanes(1.0f)));
  const Vec<float> odd = to_float(quarter & Int16<float>::set(1));
  const Vec<float> y = select(odd > Vec<float>::zero(), cosine, sine);
  return from_bits(bits(y) ^ (quarter & Int16<float>::set(2)).shift_left(30));
}

/// Replaces the lanes whose angle is large by `exact`, a function of double.
GRADUS_INLINE Vec<float> repair_large_angles(const Vec<float>& x, const Vec<float>& y,
                                             double (*exact)(double)) {
  const Vec<float> large = select(absolute(x) > lanes(kLargeAngle), lanes(1.0f), Vec<float>::zero());
  if (max_lanes(large) == 0.0f) return y;
  alignas(64) float angle[16], result[16];
  x.store(angle);
  y.store(result);
  for (int i = 0; i < 16; ++i) {
    if (angle[i] > kLargeAngle || angle[i] < -kLargeAngle) result[i] = static_cast<float>(exact(angle[i]));
  }
  return Vec<float>::load(result);
}

/// sin x, cos x for every finite x, however large; NaN for infinities and NaN. sin keeps the sign of 0.
GRADUS_INLINE Vec<float> vsin(const Vec<float>& x) {
  Vec<float> shifted;
  const Vec<float> r = reduce_angle(x, shifted);
  // sin keeps the sign of zero
  const Vec<float> y = select(x == Vec<float>::zero(), x, sine_of_quarter(r, bits(shifted)));
  return repair_large_angles(x, y, &math::sin);
}
GRADUS_INLINE Vec<float> vcos(const Vec<float>& x) {
  Vec<float> shifted;
  const Vec<float> r = reduce_angle(x, shifted);
  const Vec<float> y = sine_of_quarter(r, bits(shifted) + Int16<float>::set(1));
  return repair_large_angles(x, y, &math::cos);
}

/// y with the sign of x; y must be positive.
GRADUS_INLINE Vec<float> with_sign_of(const Vec<float>& y, const Vec<float>& x) {
  return from_bits(bits(y) | (bits(x) & Int16<float>::set(INT32_MIN)));
}

/// Near 0 a polynomial, else 1 - 2 / (1 + e^2|x|), which loses nothing there.
GRADUS_INLINE Vec<float> vtanh(const Vec<float>& x) {
  const Vec<float> size = absolute(x);
  const Vec<float> z = x * x;
  // (tanh x - x) / x³ for |x| <= 0.625, relative error of tanh 2^-27.7
  Vec<float> q = lanes(-0x1.750ce4p-8f);
  q = fma(q, z, lanes(0x1.51f8cep-6f));
  q = fma(q, z, lanes(-0x1.b835a4p-5f));
  q = fma(q, z, lanes(0x1.1106f6p-3f));
  q = fma(q, z, lanes(-0x1.555532p-2f));
  // The sign is set again for -0, which the addition above turns into +0.
  const Vec<float> near_zero = from_bits(bits(fma(q, z * x, x)) | (bits(x) & Int16<float>::set(INT32_MIN)));
  const Vec<float> far = lanes(1.0f) - lanes(2.0f) / (lanes(1.0f) + vexp(size + size));
  return select(size <= lanes(0.625f), near_zero, with_sign_of(far, x));
}

/// Near 0 a polynomial, else 1 - e^p(|x|) with p fitted to ln(1 - erf), and 1 from 3.93 on.
GRADUS_INLINE Vec<float> verf(const Vec<float>& x) {
  const Vec<float> size = absolute(x);
  const Vec<float> z = x * x;
  // erf(x) / x - 1 in x² for |x| <= 0.9, relative error of erf 2^-30
  Vec<float> q = lanes(0x1.4d29acp-14f);
  q = fma(q, z, lanes(-0x1.a583f0p-11f));
  q = fma(q, z, lanes(0x1.543f2cp-8f));
  q = fma(q, z, lanes(-0x1.b80062p-6f));
  q = fma(q, z, lanes(0x1.ce2d60p-4f));
  q = fma(q, z, lanes(-0x1.812740p-2f));
  q = fma(q, z, lanes(0x1.06eba8p-3f));
  const Vec<float> near_zero = fma(q, x, x);
  // ln(1 - erf(x)) for 0.9 <= x <= 3.93, relative error of erf 2^-29.1
  Vec<float> p = lanes(0x1.9fb798p-13f);
  p = fma(p, size, lanes(-0x1.91cf66p-9f));
  p = fma(p, size, lanes(0x1.6d9dfcp-6f));
  p = fma(p, size, lanes(-0x1.aa73bcp-4f));
  p = fma(p, size, lanes(-0x1.4621a2p-1f));
  p = fma(p, size, lanes(-0x1.20b75ap0f));
  p = fma(p, size, lanes(-0x1.5ccc28p-13f));
  const Vec<float> tail = lanes(1.0f) - exp_within_range(p);
  const Vec<float> far = select(size > lanes(3.93f), lanes(1.0f), tail);  // where p may be out of range
  return select(size > lanes(0.9f), with_sign_of(far, x), near_zero);     // NaN is near 0
}

/// 1 / (1 + e^-x); exactly 0 below -87. e^-|x| cannot overflow, and neither side cancels.
GRADUS_INLINE Vec<float> vsigmoid(const Vec<float>& x) {
  const Vec<float> t = vexp(Vec<float>::zero() - absolute(x));
  return select(x < Vec<float>::zero(), t, lanes(1.0f)) / (lanes(1.0f) + t);
}

GRADUS_INLINE Vec<double> each_lane(const Vec<double>& x, double (*function)(double)) {
  Vec<double> y;
  for (int i = 0; i < Vec<double>::kRegs; ++i) y.r[i] = function(x.r[i]);
  return y;
}
GRADUS_INLINE Vec<double> vexp(const Vec<double>& x) { return each_lane(x, &math::exp); }
GRADUS_INLINE Vec<double> vlog(const Vec<double>& x) { return each_lane(x, &math::log); }
GRADUS_INLINE Vec<double> vsin(const Vec<double>& x) { return each_lane(x, &math::sin); }
GRADUS_INLINE Vec<double> vcos(const Vec<double>& x) { return each_lane(x, &math::cos); }
GRADUS_INLINE Vec<double> vtanh(const Vec<double>& x) { return each_lane(x, &math::tanh); }
GRADUS_INLINE Vec<double> verf(const Vec<double>& x) { return each_lane(x, &math::erf); }
GRADUS_INLINE Vec<double> vsigmoid(const Vec<double>& x) {
  const Vec<double> one = Vec<double>::set(1.0);
  const Vec<double> t = vexp(Vec<double>::zero() - absolute(x));
  return select(x < Vec<double>::zero(), t, one) / (one + t);
}

// ---- activations, shared by the elementwise ops, swiglu and the epilogues of matrix products ----

/// Φ(x), the normal distribution function: (1 + erf(x/√2)) / 2.
template <class T>
GRADUS_INLINE Vec<T> normal_cdf(const Vec<T>& x) {
  const Vec<T> half = Vec<T>::set(T(0.5));
  return fma(half, verf(x * Vec<T>::set(T(0.70710678118654752440))), half);
}

/// σ(2u) with u = √(2/π) (x + 0.044715 x³): the factor of x in gelu_tanh.
template <class T>
GRADUS_INLINE Vec<T> tanh_gate(const Vec<T>& x) {
  constexpr T kTwoRootTwoOverPi = T(1.59576912160573071176);
  const Vec<T> inner =
      fma(Vec<T>::set(kTwoRootTwoOverPi * T(0.044715)), x * x, Vec<T>::set(kTwoRootTwoOverPi));
  return vsigmoid(x * inner);
}

template <class T>
GRADUS_INLINE Vec<T> vrelu(const Vec<T>& x) {
  return select(x > Vec<T>::zero(), x, select(x == x, Vec<T>::zero(), x));  // NaN stays visible
}
template <class T>
GRADUS_INLINE Vec<T> vsilu(const Vec<T>& x) {
  return x * vsigmoid(x);
}
template <class T>
GRADUS_INLINE Vec<T> vgelu(const Vec<T>& x) {
  return x * normal_cdf(x);
}
template <class T>
GRADUS_INLINE Vec<T> vgelu_tanh(const Vec<T>& x) {
  return x * tanh_gate(x);
}

/// The derivatives of the four by x.
template <class T>
GRADUS_INLINE Vec<T> vrelu_slope(const Vec<T>& x) {
  return select(x > Vec<T>::zero(), Vec<T>::set(T(1)), Vec<T>::zero());
}
/// s (1 + x (1 - s)).
template <class T>
GRADUS_INLINE Vec<T> vsilu_slope(const Vec<T>& x) {
  const Vec<T> one = Vec<T>::set(T(1));
  const Vec<T> s = vsigmoid(x);
  return s * fma(x, one - s, one);
}
/// Φ(x) + x e^(-x²/2) / √(2π).
template <class T>
GRADUS_INLINE Vec<T> vgelu_slope(const Vec<T>& x) {
  const Vec<T> density = vexp(x * x * Vec<T>::set(T(-0.5))) * Vec<T>::set(T(0.39894228040143267794));
  return fma(x, density, normal_cdf(x));
}
/// s + x s (1 - s) d(2u)/dx with d(2u)/dx = 2 √(2/π) (1 + 3 · 0.044715 x²).
template <class T>
GRADUS_INLINE Vec<T> vgelu_tanh_slope(const Vec<T>& x) {
  constexpr T kTwoRootTwoOverPi = T(1.59576912160573071176);
  const Vec<T> s = tanh_gate(x);
  // s (1 - s) is 0 beyond ±32 already, and the rest must not become infinite there.
  const Vec<T> c = max(Vec<T>::set(T(-32)), min(Vec<T>::set(T(32)), x));
  const Vec<T> inner =
      fma(Vec<T>::set(kTwoRootTwoOverPi * T(0.134145)), c * c, Vec<T>::set(kTwoRootTwoOverPi));
  return fma(c * s * (Vec<T>::set(T(1)) - s), inner, s);
}

}  // namespace
}  // namespace gradus::kernels
