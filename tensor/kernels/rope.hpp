#pragma once

#include "tensor/kernels/simd.hpp"

/// Rotary position embedding of the first R channels of a head. A lane holds one pair (x_i, x_{i+R/2}), so that the two
/// halves are two loads.
///
/// y_i = x_i cos - x_{i+R/2} sin and y_{i+R/2} = x_{i+R/2} cos + x_i sin, each one product and one fused multiply-add.

namespace gradus::kernels {
namespace {

template <class T>
void rotary(const RotaryArgs<T>& args) {
  const int64_t half = args.rotated / 2;
  const Vec<T> sign = Vec<T>::set(args.sign);
  for (int64_t r = 0; r < args.rows; ++r) {
    const T* x = args.x + r * args.x_row;
    T* y = args.y + r * args.y_row;
    const T* cosines = args.table + args.positions[r] * args.rotated;
    for (int64_t i = 0; i < half; i += 16) {
      const int64_t width = half - i;
      const Vec<T> cosine = load_some(cosines + i, width);
      const Vec<T> sine = load_some(cosines + half + i, width) * sign;
      for (int64_t h = 0; h < args.heads; ++h) {
        const T* from = x + h * args.head_width + i;
        T* to = y + h * args.head_width + i;
        const Vec<T> a = load_some(from, width);
        const Vec<T> b = load_some(from + half, width);
        store_some(fma(a, cosine, Vec<T>::zero() - b * sine), to, width);
        store_some(fma(b, cosine, a * sine), to + half, width);
      }
    }
    for (int64_t h = 0; h < args.heads; ++h) {
      for (int64_t i = args.rotated; i < args.head_width; i += 16) {
        const int64_t at = h * args.head_width + i;
        store_some(load_some(x + at, args.head_width - i), y + at, args.head_width - i);
      }
    }
  }
}

template <class T>
void fill_rope(Table<T>& table) {
  table.rotary = rotary<T>;
}

}  // namespace
}  // namespace gradus::kernels
