#pragma once

#include "tensor/kernels/simd.hpp"

/// The AdamW update and dropout.

namespace gradus::kernels {
namespace {

// Below these sizes moments are stored as 0 (see AdamWArgs); a gradient enters the second moment from the last one on,
// so that (1 - beta2) times its square is no denormal number either.
inline constexpr double kSmallestMoment = 1e-30;
inline constexpr double kSmallestVariance = 1e-37;
inline constexpr double kSmallestSquared = 1e-16;

/// One pass: x, m and v are read and written once, everything else stays in registers.
template <class T>
void adamw(const AdamWArgs<T>& args) {
  const Vec<T> zero = Vec<T>::zero();
  const Vec<T> clip = Vec<T>::set(args.clip);
  const Vec<T> rate1 = Vec<T>::set(args.one_minus_beta1);
  const Vec<T> rate2 = Vec<T>::set(args.one_minus_beta2);
  const Vec<T> decay = Vec<T>::set(args.decay_factor);
  const Vec<T> step = Vec<T>::set(args.step_size);
  const Vec<T> scale = Vec<T>::set(args.v_scale);
  const Vec<T> epsilon = Vec<T>::set(args.epsilon);
  const Vec<T> smallest_moment = Vec<T>::set(static_cast<T>(kSmallestMoment));
  const Vec<T> smallest_variance = Vec<T>::set(static_cast<T>(kSmallestVariance));
  const Vec<T> smallest_squared = Vec<T>::set(static_cast<T>(kSmallestSquared));
  for (int64_t i = 0; i < args.n; i += 16) {
    const int64_t left = args.n - i;
    Vec<T> g = load_some(args.grad + i, left);
    g = select(absolute(g) < smallest_moment, zero, g) * clip;
    Vec<T> m = load_some(args.m + i, left);
    m = fma(rate1, g - m, m);
    m = select(absolute(m) < smallest_moment, zero, m);
    g = select(absolute(g) < smallest_squared, zero, g);
    Vec<T> v = load_some(args.v + i, left);
    v = fma(rate2, g * g - v, v);
    v = select(v < smallest_variance, zero, v);
    const Vec<T> x = load_some(args.x + i, left);
    store_some(x * decay - step * m / fma(sqrt(v), scale, epsilon), args.x + i, left);
    store_some(m, args.m + i, left);
    store_some(v, args.v + i, left);
  }
}

// 64-bit lanes whose low halves are the words of a generator; the high halves hold what shifts left there, and nobody
// looks: a product takes low halves alone.
#if GRADUS_ISA_ID == GRADUS_ISA_ID_avx512
typedef uint64_t Words __attribute__((vector_size(64)));
GRADUS_INLINE Words multiply_low_halves(Words a, Words b) {
  return (Words)_mm512_mul_epu32((__m512i)a, (__m512i)b);
}
#elif GRADUS_ISA_ID == GRADUS_ISA_ID_avx2
typedef uint64_t Words __attribute__((vector_size(32)));
GRADUS_INLINE Words multiply_low_halves(Words a, Words b) {
  return (Words)_mm256_mul_epu32((__m256i)a, (__m256i)b);
}
#elif GRADUS_ISA_ID == GRADUS_ISA_ID_sse2
typedef uint64_t Words __attribute__((vector_size(16)));
GRADUS_INLINE Words multiply_low_halves(Words a, Words b) {
  return (Words)_mm_mul_epu32((__m128i)a, (__m128i)b);
}
#else
typedef uint64_t Words __attribute__((vector_size(16)));
GRADUS_INLINE Words multiply_low_halves(Words a, Words b) { return (a & 0xFFFFFFFFu) * (b & 0xFFFFFFFFu); }
#endif

inline constexpr int kDropoutBlocks = 16;

/// Philox4x32-10 (see tensor/random.hpp) of blocks first … first + kDropoutBlocks - 1: words 4b … 4b+3 are block first + b.
/// Two vectors of blocks go side by side, for a product waits for the one before.
GRADUS_INLINE void philox_words(uint64_t first, uint64_t stream, uint64_t seed, uint32_t* words) {
  constexpr int kVectors = 2;
  constexpr int kSize = static_cast<int>(sizeof(Words) / sizeof(uint64_t));
  const Words none = {};
  const Words low_half = none + 0xFFFFFFFFu;
  const Words multiplier0 = none + 0xD2511F53u;
  const Words multiplier1 = none + 0xCD9E8D57u;
  for (int b = 0; b < kDropoutBlocks; b += kVectors * kSize) {
    Words x0[kVectors], x1[kVectors], x2[kVectors], x3[kVectors];
    GRADUS_UNROLL for (int v = 0; v < kVectors; ++v) {
      for (int i = 0; i < kSize; ++i) x0[v][i] = first + static_cast<uint64_t>(b + v * kSize + i);
      x1[v] = x0[v] >> 32;
      x2[v] = none + stream;
      x3[v] = none + (stream >> 32);
    }
    uint32_t key0 = static_cast<uint32_t>(seed);
    uint32_t key1 = static_cast<uint32_t>(seed >> 32);
    for (int round = 0; round < 10; ++round) {
      GRADUS_UNROLL for (int v = 0; v < kVectors; ++v) {
        const Words p = multiply_low_halves(x0[v], multiplier0);
        const Words q = multiply_low_halves(x2[v], multiplier1);
        x0[v] = (q >> 32) ^ x1[v] ^ (none + key0);
        x1[v] = q;
        x2[v] = (p >> 32) ^ x3[v] ^ (none + key1);
        x3[v] = p;
      }
      key0 += 0x9E3779B9u;
      key1 += 0xBB67AE85u;
    }
    GRADUS_UNROLL for (int v = 0; v < kVectors; ++v) {
      const Words first_pair = (x0[v] & low_half) | (x1[v] << 32);
      const Words second_pair = (x2[v] & low_half) | (x3[v] << 32);
      for (int i = 0; i < kSize; ++i) {
        const uint64_t pairs[2] = {first_pair[i], second_pair[i]};
        __builtin_memcpy(words + 4 * (b + v * kSize + i), pairs, sizeof(pairs));
      }
    }
  }
}

template <class T>
void dropout(const DropoutArgs<T>& args) {
  constexpr int64_t kWords = 4 * kDropoutBlocks;
  const Vec<T> zero = Vec<T>::zero();
  const Vec<T> scale = Vec<T>::set(args.scale);
  // Words of the first block that belong to elements before.
  const int64_t skip = static_cast<int64_t>(args.first % 4);
  uint64_t block = args.first / 4;
  for (int64_t done = -skip; done < args.n; done += kWords, block += kDropoutBlocks) {
    alignas(64) uint32_t words[kWords];
    alignas(64) T kept[kWords];
    philox_words(block, args.stream, args.seed, words);
    for (int64_t w = 0; w < kWords; ++w) kept[w] = words[w] < args.threshold ? T(0) : T(1);
    for (int64_t w = done < 0 ? -done : 0; w < kWords && done + w < args.n; w += 16) {
      const int64_t to_end = args.n - (done + w);
      const int64_t width = kWords - w < to_end ? kWords - w : to_end;
      const Vec<T> x = load_some(args.x + done + w, width);
      store_some(select(load_some(kept + w, width) > zero, x * scale, zero), args.y + done + w, width);
    }
  }
}

template <class T>
void fill_optim(Table<T>& table) {
  table.adamw = adamw<T>;
  table.dropout = dropout<T>;
}

}  // namespace
}  // namespace gradus::kernels
