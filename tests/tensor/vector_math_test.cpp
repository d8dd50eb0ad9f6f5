#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "tensor/kernels/kernels.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/use_isa.hpp"

// The elementary functions of tensor/kernels/vector_math.hpp, reached through the kernel table as ops reach them.

namespace {

using gradus::kernels::Unary;
using gradus::testing::available_isas;
using gradus::testing::UseIsa;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

std::vector<float> evaluate(Unary kind, const std::vector<float>& x) {
  std::vector<float> y(x.size());
  gradus::kernels::table<float>().unary[static_cast<int>(kind)](
      {.x = x.data(), .y = y.data(), .n = static_cast<int64_t>(x.size())});
  return y;
}
float evaluate(Unary kind, float x) { return evaluate(kind, std::vector<float>{x})[0]; }

uint32_t bits_of(float x) {
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return bits;
}
float float_of(uint32_t bits) {
  float x;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

/// |y - exact| in units of the spacing of floats at `exact`.
double ulps(float y, double exact) {
  if (std::isnan(exact)) return std::isnan(y) ? 0 : kInfinity;
  if (std::isinf(y) || std::isinf(exact)) return static_cast<float>(exact) == y ? 0 : kInfinity;
  if (std::isnan(y)) return kInfinity;
  int exponent = 0;
  std::frexp(exact, &exponent);
  return std::fabs(y - exact) / std::ldexp(1.0, std::max(exponent, -125) - 24);
}

}  // namespace

TEST_CASE("exp is exactly 0 below -87, infinite above 88.72283, and never denormal", "[kernels]") {
  for (const std::string& isa : available_isas()) {
    const UseIsa use(isa);
    INFO(isa);
    CHECK(evaluate(Unary::exp, 0.0f) == 1.0f);
    CHECK(evaluate(Unary::exp, -0.0f) == 1.0f);
    CHECK(bits_of(evaluate(Unary::exp, std::nextafter(-87.0f, -88.0f))) == 0);
    CHECK(bits_of(evaluate(Unary::exp, -kInfinity)) == 0);
    CHECK(bits_of(evaluate(Unary::exp, -3.4e38f)) == 0);
    CHECK(evaluate(Unary::exp, -87.0f) >= std::numeric_limits<float>::min());
    CHECK(std::isfinite(evaluate(Unary::exp, 88.72283f)));
    CHECK(evaluate(Unary::exp, std::nextafter(88.72283f, 89.0f)) == kInfinity);
    CHECK(evaluate(Unary::exp, kInfinity) == kInfinity);
    CHECK(evaluate(Unary::sigmoid, -88.0f) == 0.0f);
    CHECK(evaluate(Unary::sigmoid, -kInfinity) == 0.0f);
    CHECK(evaluate(Unary::sigmoid, kInfinity) == 1.0f);
  }
}

TEST_CASE("log knows zero, denormal and negative numbers and infinity", "[kernels]") {
  for (const std::string& isa : available_isas()) {
    const UseIsa use(isa);
    INFO(isa);
    CHECK(evaluate(Unary::log, 1.0f) == 0.0f);
    CHECK(evaluate(Unary::log, 0.0f) == -kInfinity);
    CHECK(evaluate(Unary::log, -0.0f) == -kInfinity);
    CHECK(evaluate(Unary::log, kInfinity) == kInfinity);
    CHECK(std::isnan(evaluate(Unary::log, -1.0f)));
    CHECK(std::isnan(evaluate(Unary::log, -kInfinity)));
    CHECK(ulps(evaluate(Unary::log, 1e-45f), std::log(static_cast<double>(1e-45f))) <= 0.9);
  }
}

TEST_CASE("sine and cosine reduce every finite angle, and refuse infinity", "[kernels]") {
  for (const std::string& isa : available_isas()) {
    const UseIsa use(isa);
    INFO(isa);
    // Large and small angles share a vector.
    const std::vector<float> x = {1.0f,  99999.0f, 100001.0f, -3e6f, 0x1p30f, 0x1.000002p30f, -1e22f,
                                  3e38f, 0.0f,     -1e-30f,   2.5f,  1e6f,    kInfinity};
    const std::vector<float> sines = evaluate(Unary::sin, x);
    const std::vector<float> cosines = evaluate(Unary::cos, x);
    for (std::size_t i = 0; i < x.size(); ++i) {
      INFO(x[i]);
      CHECK(ulps(sines[i], std::sin(static_cast<double>(x[i]))) <= 1.6);
      CHECK(ulps(cosines[i], std::cos(static_cast<double>(x[i]))) <= 1.6);
    }
    CHECK(std::isnan(evaluate(Unary::sin, kInfinity)));
    CHECK(std::isnan(evaluate(Unary::cos, -kInfinity)));
  }
}

TEST_CASE("odd functions keep the sign of zero and of the smallest number", "[kernels]") {
  for (const std::string& isa : available_isas()) {
    const UseIsa use(isa);
    for (const Unary kind : {Unary::sin, Unary::tanh, Unary::erf}) {
      INFO(isa << ", unary kernel " << static_cast<int>(kind));
      CHECK(bits_of(evaluate(kind, 0.0f)) == 0);
      CHECK(bits_of(evaluate(kind, -0.0f)) == 0x80000000u);
      CHECK(bits_of(evaluate(kind, float_of(1))) == 1);
      CHECK(bits_of(evaluate(kind, float_of(0x80000001u))) == 0x80000001u);
    }
  }
}

TEST_CASE("a NaN stays one through every unary kernel", "[kernels]") {
  for (const std::string& isa : available_isas()) {
    const UseIsa use(isa);
    for (int kind = 0; kind < static_cast<int>(Unary::count); ++kind) {
      for (const uint32_t payload : {0x7fc00000u, 0xffc00000u, 0x7fffffffu, 0x7fc001ffu}) {
        INFO(isa << ", unary kernel " << kind << ", bits " << payload);
        CHECK(std::isnan(evaluate(static_cast<Unary>(kind), float_of(payload))));
      }
    }
  }
}

TEST_CASE("an element's bits do not depend on its place, the length or the alignment", "[kernels]") {
  std::vector<float> x(67);
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = 0.37f * static_cast<float>(i) - 9.1f;
  for (const std::string& isa : available_isas()) {
    const UseIsa use(isa);
    for (int kind = 0; kind < static_cast<int>(Unary::count); ++kind) {
      INFO(isa << ", unary kernel " << kind);
      std::vector<uint32_t> alone;
      for (float value : x) alone.push_back(bits_of(evaluate(static_cast<Unary>(kind), value)));
      for (std::size_t begin : {0u, 1u, 3u}) {
        for (std::size_t length = 0; begin + length <= x.size(); ++length) {
          std::vector<float> y(x.size() + 1, kNaN);
          gradus::kernels::table<float>().unary[kind](
              {.x = x.data() + begin, .y = y.data() + begin, .n = static_cast<int64_t>(length)});
          bool same = std::isnan(y[begin + length]);  // nothing is written beyond the end
          for (std::size_t i = begin; i < begin + length; ++i) {
            same =
                same && (bits_of(y[i]) == alone[i] || (std::isnan(y[i]) && std::isnan(float_of(alone[i]))));
          }
          REQUIRE(same);
        }
      }
    }
  }
}

TEST_CASE("instruction sets with a fused multiply-add give the same bits, values and derivatives",
          "[kernels]") {
  std::vector<float> x;
  for (uint64_t bits = 0; bits <= 0xffffffffu; bits += 100003) {
    const float value = float_of(static_cast<uint32_t>(bits));
    if (!std::isnan(value)) x.push_back(value);
  }
  const std::vector<float> dy(x.size(), 0.75f);
  std::vector<std::vector<float>> first;
  for (const std::string& isa : available_isas()) {
    if (isa == "scalar" || isa == "sse2") continue;
    const UseIsa use(isa);
    for (int kind = 0; kind < static_cast<int>(Unary::count); ++kind) {
      std::vector<float> y = evaluate(static_cast<Unary>(kind), x);
      std::vector<float> dx(x.size());
      gradus::kernels::table<float>().unary_grad[kind]({.x = x.data(),
                                                        .y = y.data(),
                                                        .dy = dy.data(),
                                                        .dx = dx.data(),
                                                        .n = static_cast<int64_t>(x.size())});
      y.insert(y.end(), dx.begin(), dx.end());
      if (static_cast<int>(first.size()) <= kind) {
        first.push_back(std::move(y));
        continue;
      }
      INFO(isa << ", unary kernel " << kind);
      std::size_t different = 0;
      for (std::size_t i = 0; i < y.size(); ++i) {
        const float other = first[static_cast<std::size_t>(kind)][i];
        if (bits_of(y[i]) != bits_of(other) && !(std::isnan(y[i]) && std::isnan(other))) ++different;
      }
      CHECK(different == 0);
    }
  }
}
