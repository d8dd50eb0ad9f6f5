#include "tensor/math.hpp"

#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>

namespace gradus::math {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

// ln 2 in two parts; the first has 32 bits, so that its products with exponents are exact.
constexpr double kLn2High = 0x1.62e42feep-1;
constexpr double kLn2Low = 0x1.a39ef35793c76p-33;
constexpr double kLog2E = 0x1.71547652b82fep+0;
// pi/2 in parts of 23 bits, so that their products with integers up to 2^30 are exact, and the rest.
constexpr double kHalfPi1 = 0x1.921fb4p+0;
constexpr double kHalfPi2 = 0x1.4442dp-24;
constexpr double kHalfPi3 = 0x1.84698p-48;
constexpr double kHalfPi4 = 0x1.3198a2e037073p-69;
constexpr double kTwoOverPi = 0x1.45f306dc9c883p-1;
// pi/2 in two parts, for angles whose integer multiple is taken off before.
constexpr double kHalfPiHigh = 0x1.921fb54442d18p+0;
constexpr double kHalfPiLow = 0x1.1a62633145c07p-54;
// 32 bits of 0, then 2/pi in binary: 1184 bits behind the point, enough for the largest double.
constexpr uint32_t kTwoOverPiBits[] = {
    0x00000000, 0xa2f9836e, 0x4e441529, 0xfc2757d1, 0xf534ddc0, 0xdb629599, 0x3c439041, 0xfe5163ab,
    0xdebbc561, 0xb7246e3a, 0x424dd2e0, 0x06492eea, 0x09d1921c, 0xfe1deb1c, 0xb129a73e, 0xe88235f5,
    0x2ebb4484, 0xe99c7026, 0xb45f7e41, 0x3991d639, 0x835339f4, 0x9c845f8b, 0xbdf9283b, 0x1ff897ff,
    0xde05980f, 0xef2f118b, 0x5a0a6d1f, 0x6d367ecf, 0x27cb09b7, 0x4f463f66, 0x9e5fea2d, 0x7527bac7,
    0xebe5f17b, 0x3d0739f7, 0x8a5292ea, 0x6bfb5fb1, 0x1f8d5d08, 0x56033046};
constexpr double kTwoThirdsHigh = 0x1.5555555555555p-1;
constexpr double kTwoThirdsLow = 0x1.5555555555555p-55;
// 2/sqrt(pi) in two parts, and 1/sqrt(pi).
constexpr double kErfHigh = 0x1.20dd750429b6dp+0;
constexpr double kErfLow = 0x1.1ae3a914fed80p-56;
constexpr double kInverseSqrtPi = 0x1.20dd750429b6dp-1;

/// An unevaluated sum of two doubles.
struct Pair {
  double high;
  double low;
};

/// a + b exactly.
Pair exact_sum(double a, double b) {
  const double sum = a + b;
  const double part = sum - a;
  return {sum, (a - (sum - part)) + (b - part)};
}

/// a * b exactly: halves of 26 bits have exact products.
Pair exact_product(double a, double b) {
  constexpr double kSplit = 134217729.0;  // 2^27 + 1
  const double as = a * kSplit;
  const double a1 = as - (as - a);
  const double a2 = a - a1;
  const double bs = b * kSplit;
  const double b1 = bs - (bs - b);
  const double b2 = b - b1;
  const double product = a * b;
  return {product, ((a1 * b1 - product) + a1 * b2 + a2 * b1) + a2 * b2};
}

/// x * 2^n for -1100 < n < 1100.
double scale(double x, int n) {
  // Two steps, since 2^n itself may be outside the range where the result is inside.
  const int half = n / 2;
  const auto power = [](int k) { return std::bit_cast<double>(static_cast<uint64_t>(k + 1023) << 52); };
  return x * power(half) * power(n - half);
}

/// (e^r - 1 - r) / r^2 for |r| <= 1.11, by Taylor's series; the same without its first term 1/2 from `first` = 1 on.
double exp_tail(double r, int first = 0) {
  // 1/2!, 1/3! … 1/21!
  constexpr double kInverseFactorials[] = {1.0 / 2,
                                           1.0 / 6,
                                           1.0 / 24,
                                           1.0 / 120,
                                           1.0 / 720,
                                           1.0 / 5040,
                                           1.0 / 40320,
                                           1.0 / 362880,
                                           1.0 / 3628800,
                                           1.0 / 39916800,
                                           1.0 / 479001600,
                                           1.0 / 6227020800.0,
                                           1.0 / 87178291200.0,
                                           1.0 / 1307674368000.0,
                                           1.0 / 20922789888000.0,
                                           1.0 / 355687428096000.0,
                                           1.0 / 6402373705728000.0,
                                           1.0 / 121645100408832000.0,
                                           1.0 / 2432902008176640000.0,
                                           1.0 / 51090942171709440000.0};
  // Terms below 2^-56 of the sum are left out: r^14/14! where |r| <= ln(2)/2.
  const int terms = std::fabs(r) <= 0.35 ? 12 : 20;
  double sum = 0;
  for (int i = terms - 1; i >= first; --i) sum = sum * r + kInverseFactorials[i];
  return first == 0 ? sum : sum * r;
}

/// e^(x + low) with |low| much smaller than x.
double exp_pair(double x, double low) {
  if (x != x) return x;
  if (x > 709.79) return kInfinity;
  if (x < -745.2) return 0;
  const double n = std::floor(x * kLog2E + 0.5);
  const double high = x - n * kLn2High;  // exact
  const double r = high - n * kLn2Low;
  const double rest = ((high - r) - n * kLn2Low) + low;
  const double square = r * r * exp_tail(r);
  return scale(1.0 + (r + (square + rest * (1.0 + (r + square)))), static_cast<int>(n));
}

struct Split {
  double fraction;  // in [sqrt(1/2), sqrt(2))
  double exponent;
};

/// x = fraction * 2^exponent for finite x > 0.
Split split(double x) {
  double exponent = 0;
  if (x < 0x1p-1022) {
    x *= 0x1p54;
    exponent = -54;
  }
  const uint64_t bits = std::bit_cast<uint64_t>(x);
  double fraction = std::bit_cast<double>((bits & 0x000FFFFFFFFFFFFFu) | 0x3FF0000000000000u);
  exponent += static_cast<double>(static_cast<int>(bits >> 52) - 1023);
  if (fraction > 1.4142135623730951) {
    fraction *= 0.5;
    exponent += 1;
  }
  return {fraction, exponent};
}

/// 2z/n + 2z^2/(n+2) + …, so that ln((1+s)/(1-s)) = 2s + s * log_tail(s^2, 3), for |s| <= 0.1716.
double log_tail(double z, int n) {
  double sum = 0;
  for (int k = 25; k >= n; k -= 2) sum = (sum + 2.0 / k) * z;
  return sum;
}

/// ln x in two parts, with an error below 2^-64.
Pair log_pair(double x) {
  const auto [m, k] = split(x);
  const double f = m - 1;  // exact
  const Pair denominator = exact_sum(m, 1.0);
  const double s = f / denominator.high;
  const Pair back = exact_product(s, denominator.high);
  const double s_low = ((f - back.high) - back.low - s * denominator.low) / denominator.high;
  // The first two terms, 2s + 2s^3/3, in two parts; the others are small enough for one.
  const Pair square = exact_product(s, s);
  const Pair cube = exact_product(s, square.high);
  const Pair third = exact_product(cube.high, kTwoThirdsHigh);
  const double third_low = third.low + cube.high * kTwoThirdsLow +
                           kTwoThirdsHigh * (cube.low + s * square.low + 3 * square.high * s_low);
  const Pair first = exact_sum(k * kLn2High, 2 * s);
  const Pair second = exact_sum(first.high, third.high);
  const double rest = (first.low + second.low) +
                      (k * kLn2Low + (2 * s_low + (third_low + s * square.high * log_tail(square.high, 5))));
  return exact_sum(second.high, rest);
}

struct Angle {
  double high;
  double low;
  int quadrant;
};

/// The same as reduce() for 2^30 < |x| < infinity, with the product x * 2/pi in integers.
/// x = m 2^e with m of 53 bits. Bits of 2/pi before place e-1 behind the point give multiples of 4 quadrants and are left
/// out; the 192 bits from there on give x * 2/pi mod 4 with an error below 2^-137. No double is nearer than 2^-62 to a
/// multiple of pi/2, so that at least 75 of those bits count.   ref: Payne and Hanek (1983)
Angle reduce_large(double x) {
  const uint64_t bits = std::bit_cast<uint64_t>(std::fabs(x));
  const uint64_t m = (bits & 0x000FFFFFFFFFFFFFu) | 0x0010000000000000u;
  const int place =
      static_cast<int>(bits >> 52) - 1075 + 30;  // e + 30: where the 192 bits begin in the table
  constexpr int kWords = 6;
  uint32_t product[kWords] = {};  // m times the 192 bits, mod 2^192, lowest word first
  for (int half = 0; half < 2; ++half) {
    const uint64_t factor = half == 0 ? m & 0xFFFFFFFFu : m >> 32;
    uint64_t carry = 0;
    for (int i = half; i < kWords; ++i) {
      const uint32_t* from = kTwoOverPiBits + place / 32 + kWords - 1 - (i - half);
      const uint64_t pair = (static_cast<uint64_t>(from[0]) << 32) | from[1];
      const uint64_t sum = ((pair << (place % 32)) >> 32) * factor + product[i] + carry;
      product[i] = static_cast<uint32_t>(sum);
      carry = sum >> 32;
    }
  }
  // Two bits of quadrant, then a fraction of 190 bits; from 1/2 on it counts back from the next quadrant.
  int quadrant = static_cast<int>(product[kWords - 1] >> 30);
  const bool upper = (product[kWords - 1] >> 29 & 1) != 0;
  if (upper) {
    ++quadrant;
    uint64_t carry = 1;
    for (uint32_t& word : product) {
      carry += static_cast<uint32_t>(~word);
      word = static_cast<uint32_t>(carry);
      carry >>= 32;
    }
  }
  product[kWords - 1] &= 0x3FFFFFFFu;
  Pair fraction{0, 0};
  double unit = 0x1p-30;
  for (int i = kWords - 1; i >= 0; --i, unit *= 0x1p-32) {
    const Pair sum = exact_sum(fraction.high, product[i] * unit);
    fraction = exact_sum(sum.high, sum.low + fraction.low);
  }
  const Pair turned = exact_product(fraction.high, kHalfPiHigh);
  const Pair r =
      exact_sum(turned.high, turned.low + (fraction.high * kHalfPiLow + fraction.low * kHalfPiHigh));
  const bool negative = upper != (x < 0);
  return {negative ? -r.high : r.high, negative ? -r.low : r.low, (x < 0 ? -quadrant : quadrant) & 3};
}

/// x = quadrant * pi/2 + high + low with |high| <= pi/4.
Angle reduce(double x) {
  if (std::fabs(x) > 0x1p30) return reduce_large(x);
  const double n = std::floor(x * kTwoOverPi + 0.5);
  const double near = (x - n * kHalfPi1) - n * kHalfPi2;  // exact: the parts share a grid with x
  const Pair sum = exact_sum(near, -(n * kHalfPi3));
  const Pair r = exact_sum(sum.high, sum.low - n * kHalfPi4);
  return {r.high, r.low, static_cast<int>(static_cast<int64_t>(n) & 3)};
}

/// sin(r + low) for |r| <= pi/4, by Taylor's series.
double sin_near(double r, double low) {
  const double z = r * r;
  double sum = 0;
  for (int k = 19; k >= 3; k -= 2) sum = (1 - sum) * z / static_cast<double>(k * (k - 1));
  return r + (low * (1 - 0.5 * z) - r * sum);
}

/// cos(r + low) for |r| <= pi/4, by Taylor's series.
double cos_near(double r, double low) {
  const double z = r * r;
  double sum = 0;  // 1 - cos(r) - z/2 = -z^2/24 + …, from the back
  for (int k = 18; k >= 4; k -= 2) sum = (1 - sum) * z / static_cast<double>(k * (k - 1));
  const double half = 0.5 * z;
  const double main = 1 - half;
  return main + (((1 - main) - half) + (half * sum - r * low));
}

}  // namespace

double exp(double x) { return exp_pair(x, 0); }

double log(double x) {
  if (x != x || x < 0) return kNaN;
  if (x == 0) return -kInfinity;
  if (x == kInfinity) return x;
  const auto [m, k] = split(x);
  // ln m = f - s (f - log_tail): f is exact and the rest smaller, so that one rounding dominates.
  const double f = m - 1;
  const double s = f / (m + 1);
  return k * kLn2High - ((s * (f - log_tail(s * s, 3)) - k * kLn2Low) - f);
}

double sin(double x) {
  if (!(std::fabs(x) < kInfinity)) return kNaN;
  if (std::fabs(x) < 0x1p-27) return x;
  const Angle a = reduce(x);
  const double y = a.quadrant % 2 == 0 ? sin_near(a.high, a.low) : cos_near(a.high, a.low);
  return a.quadrant < 2 ? y : -y;
}

double cos(double x) {
  if (!(std::fabs(x) < kInfinity)) return kNaN;
  const Angle a = reduce(x);
  const double y = a.quadrant % 2 == 0 ? cos_near(a.high, a.low) : sin_near(a.high, a.low);
  return a.quadrant == 0 || a.quadrant == 3 ? y : -y;
}

double tanh(double x) {
  const double a = std::fabs(x);
  if (!(a >= 0x1p-28)) return x;  // NaN too
  double y = 1;
  if (a < 0.55) {
    // With t = e^2a - 1, tanh a = t / (t + 2) = a + (t - 2a - a t) / (t + 2), where 2a and 2a^2 cancel.
    const double tail = 4 * a * a * exp_tail(2 * a, 1);  // t - 2a - 2a^2
    const double square = 2 * a * a + tail;
    y = a + (tail - a * square) / (2 + (2 * a + square));
  } else if (a < 22) {
    y = 1 - 2 / (exp(2 * a) + 1);
  }
  return x < 0 ? -y : y;
}

double erf(double x) {
  const double a = std::fabs(x);
  if (x != x) return x;
  double y = 1;
  if (a < 1) {
    // x (1 - z/3 + z^2/10 - …): term n is (-z)^n / (n! (2n+1)).
    const double z = x * x;
    double sum = 0;
    constexpr double kFactorials[] = {1.0,
                                      2.0,
                                      6.0,
                                      24.0,
                                      120.0,
                                      720.0,
                                      5040.0,
                                      40320.0,
                                      362880.0,
                                      3628800.0,
                                      39916800.0,
                                      479001600.0,
                                      6227020800.0,
                                      87178291200.0,
                                      1307674368000.0,
                                      20922789888000.0,
                                      355687428096000.0,
                                      6402373705728000.0};
    for (int n = 18; n >= 1; --n) {
      const double term = 1 / (kFactorials[n - 1] * (2 * n + 1));
      sum = (sum + (n % 2 == 0 ? term : -term)) * z;
    }
    const Pair lead = exact_product(a, kErfHigh);
    y = lead.high + (lead.low + (a * sum * kErfHigh + a * kErfLow));
  } else if (a < 6) {
    // erfc(a) = e^(-a^2) / sqrt(pi) / (a + (1/2)/(a + (2/2)/(a + (3/2)/(a + …)))).
    const int levels = 24 + static_cast<int>(160 / (a * a));
    double fraction = a;
    for (int n = levels; n >= 1; --n) fraction = a + 0.5 * n / fraction;
    const Pair square = exact_product(a, a);
    y = 1 - exp_pair(-square.high, -square.low) * kInverseSqrtPi / fraction;
  }
  return x < 0 ? -y : y;
}

double pow(double x, double y) {
  if (y == 0 || x == 1) return 1;
  if (x != x || y != y || x < 0) return kNaN;
  if (x == 0) return y > 0 ? 0 : kInfinity;
  if (x == kInfinity) return y > 0 ? kInfinity : 0;
  if (std::fabs(y) == kInfinity) return (x > 1) == (y > 0) ? kInfinity : 0;
  const Pair l = log_pair(x);
  const double rough = l.high * y;
  if (!(std::fabs(rough) < 800)) return rough > 0 ? kInfinity : 0;
  const Pair product = exact_product(l.high, y);
  return exp_pair(product.high, product.low + l.low * y);
}

double sqrt(double x) { return std::sqrt(x); }

}  // namespace gradus::math
