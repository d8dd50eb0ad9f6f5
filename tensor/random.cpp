#include "tensor/random.hpp"

#include "tensor/math.hpp"

namespace gradus {
namespace {

__extension__ using uint128 = unsigned __int128;

// The multipliers and key increments of Philox4x32.
constexpr uint32_t kMultiplier0 = 0xD2511F53u;
constexpr uint32_t kMultiplier1 = 0xCD9E8D57u;
constexpr uint32_t kKeyStep0 = 0x9E3779B9u;  // golden ratio
constexpr uint32_t kKeyStep1 = 0xBB67AE85u;  // sqrt(3) - 1
constexpr int kRounds = 10;

constexpr double kTwoPi = 0x1.921fb54442d18p+2;

uint64_t join(uint32_t low, uint32_t high) { return static_cast<uint64_t>(high) << 32 | low; }

}  // namespace

std::array<uint32_t, 4> Random::block(uint64_t index) const {
  std::array<uint32_t, 4> x = {static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32),
                               static_cast<uint32_t>(stream_), static_cast<uint32_t>(stream_ >> 32)};
  uint32_t key0 = static_cast<uint32_t>(seed_);
  uint32_t key1 = static_cast<uint32_t>(seed_ >> 32);
  for (int round = 0; round < kRounds; ++round) {
    const uint64_t a = static_cast<uint64_t>(kMultiplier0) * x[0];
    const uint64_t b = static_cast<uint64_t>(kMultiplier1) * x[2];
    x = {static_cast<uint32_t>(b >> 32) ^ x[1] ^ key0, static_cast<uint32_t>(b),
         static_cast<uint32_t>(a >> 32) ^ x[3] ^ key1, static_cast<uint32_t>(a)};
    key0 += kKeyStep0;
    key1 += kKeyStep1;
  }
  return x;
}

uint64_t Random::bits(uint64_t index) const {
  const auto x = block(index);
  return join(x[0], x[1]);
}

double Random::uniform(uint64_t index) const { return static_cast<double>(bits(index) >> 11) * 0x1p-53; }

uint64_t Random::below(uint64_t index, uint64_t bound) const {
  return static_cast<uint64_t>(static_cast<uint128>(bits(index)) * bound >> 64);
}

double Random::normal(uint64_t index) const {
  const auto x = block(index);
  const double u1 =
      static_cast<double>((join(x[0], x[1]) >> 11) + 1) * 0x1p-53;  // (0, 1]: the logarithm is finite
  const double u2 = static_cast<double>(join(x[2], x[3]) >> 11) * 0x1p-53;
  return math::sqrt(-2.0 * math::log(u1)) * math::cos(kTwoPi * u2);
}

uint64_t stream_of(std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325u;
  for (const char c : name) {
    hash ^= static_cast<unsigned char>(c);
    hash *= 0x100000001B3u;
  }
  return hash;
}

}  // namespace gradus
