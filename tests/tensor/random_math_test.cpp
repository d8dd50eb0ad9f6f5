#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <vector>

#include "tensor/math.hpp"
#include "tensor/random.hpp"
#include "tests/support/catch.hpp"

using gradus::Random;
namespace math = gradus::math;

TEST_CASE("Philox gives the published known answers") {
  const auto words = [](uint64_t index, uint64_t stream, uint64_t seed) {
    return Random(seed, stream).block(index);
  };
  CHECK(words(0, 0, 0) == std::array<uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8});
  CHECK(words(~uint64_t{0}, ~uint64_t{0}, ~uint64_t{0}) ==
        std::array<uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd});
  CHECK(words(0x85a308d3243f6a88, 0x0370734413198a2e, 0x299f31d0a4093822) ==
        std::array<uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1});
}

TEST_CASE("Bits, uniform and below are fixed functions of the same block") {
  const Random random(0, 0);
  CHECK(random.bits(0) == 0xe169c58d6627e8d5);
  CHECK(random.uniform(0) == static_cast<double>(0xe169c58d6627e8d5 >> 11) * 0x1p-53);
  CHECK(random.below(0, uint64_t{1} << 32) == 0xe169c58d);
  CHECK(random.below(0, 1) == 0);
  std::array<int, 7> counts{};
  for (uint64_t i = 0; i < 70000; ++i) {
    const uint64_t value = random.below(i, 7);
    REQUIRE(value < 7);
    ++counts[value];
  }
  // Five standard deviations of a binomial count: sqrt(70000 · 1/7 · 6/7) = 93.
  for (const int count : counts) CHECK(std::abs(count - 10000) < 465);
}

TEST_CASE("Streams, seeds and indices give different numbers") {
  std::set<uint64_t> seen;
  for (uint64_t seed = 0; seed < 10; ++seed) {
    for (uint64_t stream = 0; stream < 10; ++stream) {
      for (uint64_t index = 0; index < 10; ++index) seen.insert(Random(seed, stream).bits(index));
    }
  }
  CHECK(seen.size() == 1000);
}

TEST_CASE("Uniform numbers have the moments of [0, 1) and normal numbers those of a standard normal") {
  const Random random(42, gradus::stream_of("moments"));
  constexpr int kCount = 200000;
  double uniform_sum = 0;
  double m1 = 0;
  double m2 = 0;
  double m3 = 0;
  double m4 = 0;
  for (int i = 0; i < kCount; ++i) {
    const double u = random.uniform(static_cast<uint64_t>(i));
    REQUIRE((u >= 0 && u < 1));
    uniform_sum += u;
    const double z = random.normal(static_cast<uint64_t>(i));
    m1 += z;
    m2 += z * z;
    m3 += z * z * z;
    m4 += z * z * z * z;
  }
  // Five standard errors each: of u sqrt(1/12), of z 1, of z^2 sqrt(2), of z^3 sqrt(15), of z^4 sqrt(96).
  const double scale = 5 / std::sqrt(static_cast<double>(kCount));
  CHECK(std::fabs(uniform_sum / kCount - 0.5) < scale * std::sqrt(1.0 / 12));
  CHECK(std::fabs(m1 / kCount) < scale);
  CHECK(std::fabs(m2 / kCount - 1) < scale * std::sqrt(2.0));
  CHECK(std::fabs(m3 / kCount) < scale * std::sqrt(15.0));
  CHECK(std::fabs(m4 / kCount - 3) < scale * std::sqrt(96.0));
}

TEST_CASE("A normal number is Box and Muller's formula") {
  const Random random(3, 4);
  for (uint64_t i = 0; i < 1000; ++i) {
    const auto x = random.block(i);
    const long double u1 = ((static_cast<uint64_t>(x[1]) << 32 | x[0]) >> 11) * 0x1p-53L + 0x1p-53L;
    const long double u2 = ((static_cast<uint64_t>(x[3]) << 32 | x[2]) >> 11) * 0x1p-53L;
    const long double z =
        std::sqrt(-2 * std::log(u1)) * std::cos(2 * 3.14159265358979323846264338327950288L * u2);
    CHECK(std::fabs(random.normal(i) - static_cast<double>(z)) < 1e-14);
  }
}

TEST_CASE("A stream is the 64-bit FNV-1a hash of its name") {
  CHECK(gradus::stream_of("") == 0xcbf29ce484222325);
  CHECK(gradus::stream_of("a") == 0xaf63dc4c8601ec8c);
  CHECK(gradus::stream_of("foobar") == 0x85944171f73967e8);
}

TEST_CASE("Elementary functions are exact at their special points") {
  const double infinity = std::numeric_limits<double>::infinity();
  const double nan = std::numeric_limits<double>::quiet_NaN();
  CHECK(math::exp(0) == 1);
  CHECK(math::exp(-0.0) == 1);
  CHECK(math::exp(710) == infinity);
  CHECK(math::exp(infinity) == infinity);
  CHECK(math::exp(-746) == 0);
  CHECK(math::exp(-infinity) == 0);
  CHECK(std::isnan(math::exp(nan)));
  CHECK(math::log(1) == 0);
  CHECK(math::log(0) == -infinity);
  CHECK(math::log(infinity) == infinity);
  CHECK(std::isnan(math::log(-1)));
  CHECK(std::isnan(math::log(nan)));
  CHECK(math::sin(0) == 0);
  CHECK(std::signbit(math::sin(-0.0)));
  CHECK(math::cos(0) == 1);
  CHECK(std::isnan(math::sin(infinity)));
  CHECK(std::isnan(math::cos(-infinity)));
  // The multiple of pi/2 that a double comes nearest to (Muller, Elementary Functions), and a value often quoted.
  CHECK(math::cos(std::ldexp(6381956970095103.0, 797)) == Approx(-4.6871659242546276e-19).epsilon(1e-15));
  CHECK(math::sin(1e22) == Approx(-0.8522008497671888).epsilon(1e-15));
  CHECK(std::isnan(math::cos(nan)));
  CHECK(math::tanh(0) == 0);
  CHECK(std::signbit(math::tanh(-0.0)));
  CHECK(math::tanh(infinity) == 1);
  CHECK(math::tanh(-infinity) == -1);
  CHECK(math::tanh(400) == 1);
  CHECK(std::isnan(math::tanh(nan)));
  CHECK(math::erf(0) == 0);
  CHECK(math::erf(infinity) == 1);
  CHECK(math::erf(-infinity) == -1);
  CHECK(std::isnan(math::erf(nan)));
  CHECK(math::pow(2, 10) == 1024);
  CHECK(math::pow(0, 3) == 0);
  CHECK(math::pow(0, 0) == 1);
  CHECK(math::pow(0.5, infinity) == 0);
  CHECK(math::pow(2, 5000) == infinity);
  CHECK(math::pow(2, -5000) == 0);
  CHECK(std::isnan(math::pow(-2, 2)));
  CHECK(std::isnan(math::pow(nan, 2)));
  CHECK(math::sqrt(2) == std::sqrt(2.0));
}

TEST_CASE("Odd functions are odd bit for bit and powers of a running product agree") {
  const Random random(1, 1);
  for (uint64_t i = 0; i < 10000; ++i) {
    const double x = 4 * random.uniform(i);
    REQUIRE(math::sin(-x) == -math::sin(x));
    REQUIRE(math::cos(-x) == math::cos(x));
    REQUIRE(math::tanh(-x) == -math::tanh(x));
    REQUIRE(math::erf(-x) == -math::erf(x));
  }
  double product = 1;
  for (int t = 1; t <= 60; ++t) {
    product *= 0.5;
    CHECK(math::pow(0.5, t) == product);
  }
}

TEST_CASE("Elementary functions give these very bits on every machine") {
  // The bits are those of the formulas in math.cpp; another value means that a compiler fused or reordered them.
  uint64_t hash = 0;
  const Random random(5, 5);
  const auto mix = [&hash](double y) { hash = (hash ^ std::bit_cast<uint64_t>(y)) * 0x100000001B3u; };
  for (uint64_t i = 0; i < 20000; ++i) {
    const double x = 20 * random.uniform(i) - 10;
    mix(math::exp(x));
    mix(math::log(x + 10.5));
    mix(math::sin(x));
    mix(math::cos(x * 1000));
    mix(math::tanh(x / 4));
    mix(math::erf(x / 4));
    mix(math::pow(x + 10.5, x));
    mix(random.normal(i));
  }
  CHECK(hash == 0x7390dd162eec6de2);
}
