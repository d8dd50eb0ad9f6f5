#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "tensor/kernels/kernels.hpp"
#include "tensor/math.hpp"
#include "tensor/parallel.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/use_isa.hpp"

// How far the elementary functions are from the truth, measured and printed as tables:
//   gradus_tests -# "[#ulp_test]~[.]"                 a sample of the floats
//   gradus_tests -# "[#ulp_test][.slow]" -c sin       every float, for one function or (without -c) for all
// Errors are in ULP: the spacing of the numbers of the type at the true value. The bounds held here are those that
// tensor/kernels/vector_math.hpp, tensor/ops.hpp and tensor/math.hpp state.

namespace {

using gradus::kernels::Unary;
using gradus::kernels::UnaryArgs;
using namespace gradus::testing;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();
constexpr double kLargeAngle = 100000;  // of tensor/kernels/vector_math.hpp

/// |y - exact| in ULP of Number; infinity where only one is NaN or infinite, or where a zero has the wrong sign.
template <class Number, class Exact>
double ulps(Number y, Exact exact) {
  using Limits = std::numeric_limits<Number>;
  if (std::isnan(exact) || std::isnan(y)) return std::isnan(exact) && std::isnan(y) ? 0 : kInfinity;
  if (std::isinf(y) || std::isinf(exact)) return static_cast<Number>(exact) == y ? 0 : kInfinity;
  if (exact == 0 && y == 0) return std::signbit(exact) == std::signbit(y) ? 0 : kInfinity;
  int exponent = 0;
  std::frexp(exact, &exponent);
  const int place = std::max(exponent, Limits::min_exponent) - Limits::digits;
  return static_cast<double>(std::fabs(static_cast<Exact>(y) - exact) / std::ldexp(Exact(1), place));
}

/// How many float ULP a difference of 1 is at `exact`. NaN where ulps() has to look closer: zeros, tiny numbers.
double ulps_per_one(double exact) {
  uint64_t bits;
  std::memcpy(&bits, &exact, sizeof bits);
  const int exponent = static_cast<int>(bits >> 52 & 0x7ff) - 1022;  // as frexp's
  if (exponent == -1022) return kNaN;
  const int place =
      std::max(exponent, std::numeric_limits<float>::min_exponent) - std::numeric_limits<float>::digits;
  bits = static_cast<uint64_t>(1023 - place) << 52;
  double result;
  std::memcpy(&result, &bits, sizeof result);
  return result;
}

struct Worst {
  double error = -1;
  double at = 0;
  void see(double new_error, double x) {
    if (new_error > error) *this = {new_error, x};
  }
  void see(const Worst& other) { see(other.error, other.at); }
  /// see(ulps(y, exact), x); `scale` is ulps_per_one(exact), with which most numbers are seen to be no worse at once.
  void see(float y, double exact, double scale, double x) {
    if (!(std::fabs(y - exact) * scale <= error)) see(ulps(y, exact), x);
  }
};

void print_heading() {
  std::printf("%-10s %-26s %-8s %9s  %-32s %s\n", "function", "range", "isa", "max ULP", "at x =", "bound");
}
void print_line(const std::string& function, double low, double high, const std::string& isa,
                const Worst& worst, double bound) {
  char range[64], at[64];
  std::snprintf(range, sizeof range, "[%.9g, %.9g]", low, high);
  std::snprintf(at, sizeof at, "%.9g (%a)", worst.at, worst.at);
  std::printf("%-10s %-26s %-8s %9.4f  %-32s %g\n", function.c_str(), range, isa.c_str(), worst.error, at,
              bound);
}

// ---- f32: the kernels, on each instruction set ----

struct Function {
  const char* name;
  Unary kind;
  double (*exact)(double);
  double fused;      // largest error in ULP where there is a fused multiply-add …
  double not_fused;  // … and where there is none
  double low;        // for x from here …
  double high;       // … to here
  double below;      // the result below that range, exactly …
  double above;      // … and above it
  // Where |x| is above this, all instruction sets call one function of double: what the first gives is looked at of every
  // float, what the others give of some.
  double shared_above = std::numeric_limits<double>::infinity();
};

double exact_sigmoid(double x) { return 1 / (1 + std::exp(-x)); }
double exact_rsqrt(double x) { return 1 / std::sqrt(x); }

const Function kFunctions[] = {
    {"exp", Unary::exp, std::exp, 0.90, 1.17, -87, 88.72283172607422, 0, kInfinity},
    {"log", Unary::log, std::log, 0.91, 0.91, 0, kInfinity, kNaN, kNaN},
    {"sin", Unary::sin, std::sin, 1.56, 1.58, -kInfinity, kInfinity, kNaN, kNaN, kLargeAngle},
    {"cos", Unary::cos, std::cos, 1.57, 1.58, -kInfinity, kInfinity, kNaN, kNaN, kLargeAngle},
    {"tanh", Unary::tanh, std::tanh, 1.37, 1.35, -kInfinity, kInfinity, kNaN, kNaN},
    {"erf", Unary::erf, std::erf, 1.09, 1.40, -kInfinity, kInfinity, kNaN, kNaN},
    {"sigmoid", Unary::sigmoid, exact_sigmoid, 2.41, 2.41, -87, kInfinity, 0, kNaN},
    {"rsqrt", Unary::rsqrt, exact_rsqrt, 1.50, 1.50, 0, kInfinity, kNaN, kNaN},
};

struct Isa {
  std::string name;
  void (*unary[static_cast<int>(Unary::count)])(const UnaryArgs<float>&);
};

/// The kernels of each instruction set, to be called side by side.
std::vector<Isa> isas() {
  std::vector<Isa> result;
  for (const std::string& name : available_isas()) {
    const UseIsa use(name);
    Isa isa{name, {}};
    std::copy_n(gradus::kernels::table<float>().unary, std::size(isa.unary), isa.unary);
    result.push_back(isa);
  }
  return result;
}

struct Finding {
  std::vector<Worst> inside;   // of each instruction set, within the range
  std::vector<Worst> outside;  // elsewhere: 0, or infinity where the result is not the one promised
};

/// Floats begin · step, (begin + 1) · step … by their bits.
void sweep_block(const Function& function, const std::vector<Isa>& sets, uint64_t begin, uint64_t end,
                 uint64_t step, Finding& finding) {
  constexpr std::size_t kBlock = 4096;
  float x[kBlock], y[kBlock];
  double exact[kBlock], scale[kBlock];
  for (uint64_t from = begin; from < end; from += kBlock) {
    const std::size_t n = static_cast<std::size_t>(std::min<uint64_t>(kBlock, end - from));
    for (std::size_t i = 0; i < n; ++i) {
      const auto bits = static_cast<uint32_t>((from + i) * step);
      std::memcpy(&x[i], &bits, sizeof bits);
      const double value = x[i];
      exact[i] = value < function.low    ? function.below
                 : value > function.high ? function.above
                                         : function.exact(value);
      scale[i] = ulps_per_one(exact[i]);
    }
    const auto shared = [&](float value) {
      return std::fabs(static_cast<double>(value)) > function.shared_above;
    };
    constexpr uint64_t kSome = 61;
    const bool only_first = n == kBlock && shared(x[0]) && shared(x[n - 1]) && from / kBlock % kSome != 0;
    for (std::size_t s = 0; s < (only_first ? 1 : sets.size()); ++s) {
      sets[s].unary[static_cast<int>(function.kind)]({.x = x, .y = y, .n = static_cast<int64_t>(n)});
      for (std::size_t i = 0; i < n; ++i) {
        const bool inside = x[i] >= function.low && x[i] <= function.high;
        if (inside) {
          finding.inside[s].see(y[i], exact[i], scale[i], x[i]);
        } else {
          finding.outside[s].see(static_cast<double>(y[i]) == exact[i] ? 0 : ulps(y[i], exact[i]), x[i]);
        }
      }
    }
  }
}

/// Every step-th float of both signs, NaN and infinity too.
void check_kernels(const Function& function, uint64_t step) {
  const std::vector<Isa> sets = isas();
  const uint64_t count = ((uint64_t{1} << 32) + step - 1) / step;
  const uint64_t chunk = std::max<uint64_t>(1 << 14, count / 1024);
  const auto chunks = static_cast<int64_t>((count + chunk - 1) / chunk);
  std::vector<Finding> findings(static_cast<std::size_t>(chunks),
                                {std::vector<Worst>(sets.size()), std::vector<Worst>(sets.size())});
  gradus::parallel_for(chunks, [&](int64_t c) {
    const uint64_t begin = static_cast<uint64_t>(c) * chunk;
    sweep_block(function, sets, begin, std::min(count, begin + chunk), step,
                findings[static_cast<std::size_t>(c)]);
  });
  for (std::size_t s = 0; s < sets.size(); ++s) {
    Worst inside, outside;
    for (const Finding& finding : findings) {
      inside.see(finding.inside[s]);
      outside.see(finding.outside[s]);
    }
    const double bound = has_fma(sets[s].name) ? function.fused : function.not_fused;
    print_line(function.name, function.low, function.high, sets[s].name, inside, bound);
    INFO(function.name << " on " << sets[s].name << ": " << inside.error << " ULP at " << inside.at
                       << "; outside its range " << outside.error << " ULP at " << outside.at);
    CHECK(inside.error <= bound);
    CHECK(outside.error <= 0);
  }
}

}  // namespace

TEST_CASE("elementary functions keep their error bounds on every instruction set", "[kernels]") {
  std::printf("Largest errors in f32 over every 2003rd float\n");
  print_heading();
  // A prime: mantissas of all kinds in every binade.
  for (const Function& function : kFunctions) check_kernels(function, 2003);
}

TEST_CASE("elementary functions keep their error bounds for every float", "[kernels][.slow]") {
  // A section each, so that `-c sin` measures one of them.
  for (const Function& function : kFunctions) {
    DYNAMIC_SECTION(function.name) {
      std::printf("Largest errors in f32 over all 2^32 floats\n");
      print_heading();
      check_kernels(function, 1);
    }
  }
}

// ---- f64: tensor/math.hpp, which schedules, initial values and rotary tables go through ----

namespace {

namespace math = gradus::math;
using Long = long double;

struct PreciseFunction {
  const char* name;
  double (*function)(double);
  Long (*exact)(Long);
  double bound;
  double low, high;
  double dense_low, dense_high;  // where half of the samples lie, evenly
};

template <int numerator, int denominator>
double power(double x) {
  return math::pow(x, static_cast<double>(numerator) / denominator);
}
template <int numerator, int denominator>
Long exact_power(Long x) {
  return std::pow(x, static_cast<Long>(static_cast<double>(numerator) / denominator));
}
template <int numerator, int denominator>
double power_of(double x) {
  return math::pow(static_cast<double>(numerator) / denominator, x);
}
template <int numerator, int denominator>
Long exact_power_of(Long x) {
  return std::pow(static_cast<Long>(static_cast<double>(numerator) / denominator), x);
}

const PreciseFunction kPreciseFunctions[] = {
    {"exp", math::exp, std::exp, 0.9, -745.13, 709.78, -20, 20},
    {"log", math::log, std::log, 1.0, 0, kInfinity, 0.5, 2},
    {"sin", math::sin, std::sin, 0.8, -kInfinity, kInfinity, -1000, 1000},
    {"cos", math::cos, std::cos, 0.8, -kInfinity, kInfinity, -1000, 1000},
    {"tanh", math::tanh, std::tanh, 1.4, -kInfinity, kInfinity, -3, 3},
    {"erf", math::erf, std::erf, 1.8, -kInfinity, kInfinity, -6, 6},
    {"x^0.75", power<3, 4>, exact_power<3, 4>, 1.0, 0, kInfinity, 0, 10},
    {"x^-3.5", power<-7, 2>, exact_power<-7, 2>, 1.0, 0, kInfinity, 0, 10},
    {"1.4^x", power_of<7, 5>, exact_power_of<7, 5>, 1.0, -2090, 2090, -2090, 2090},
    {"10000^x", power_of<10000, 1>, exact_power_of<10000, 1>, 1.0, -76, 76, -1, 0},
    {"0.999^x", power_of<999, 1000>, exact_power_of<999, 1000>, 1.0, -708000, 708000, 0, 100000},
};

}  // namespace

TEST_CASE("the functions of tensor/math.hpp keep their error bounds over their whole range") {
  // Where long double is no longer than double, it cannot judge.
  if (std::numeric_limits<Long>::digits <= std::numeric_limits<double>::digits) return;
  std::printf(
      "Largest errors in f64 over 400000 values spread over all bit patterns and 400000 spread evenly\n");
  print_heading();
  for (const PreciseFunction& f : kPreciseFunctions) {
    constexpr int64_t kSamples = 400000, kChunks = 64;
    std::vector<Worst> worsts(kChunks);
    gradus::parallel_for(kChunks, [&](int64_t c) {
      Worst& worst = worsts[static_cast<std::size_t>(c)];
      const auto see = [&](double x) {
        if (x >= f.low && x <= f.high) worst.see(ulps(f.function(x), f.exact(static_cast<Long>(x))), x);
      };
      for (int64_t i = c * kSamples / kChunks; i < (c + 1) * kSamples / kChunks; ++i) {
        // An odd multiplier near 2^64 / φ visits the bit patterns evenly.
        const uint64_t bits = static_cast<uint64_t>(i) * 0x9e3779b97f4a7c15u;
        double x;
        std::memcpy(&x, &bits, sizeof x);
        see(x);
        see(f.dense_low + (f.dense_high - f.dense_low) * (static_cast<double>(bits >> 11) * 0x1p-53));
      }
    });
    Worst worst;
    for (const Worst& other : worsts) worst.see(other);
    print_line(f.name, f.low, f.high, "f64", worst, f.bound);
    INFO(f.name << ": " << worst.error << " ULP at " << worst.at);
    CHECK(worst.error >= 0);
    CHECK(worst.error <= f.bound);
  }
}
