#pragma once

#include <cstdint>

#include "tensor/kernels/simd.hpp"

/// Reductions: along a row on 16 virtual lanes and one tree; over rows as one chain for each column.

namespace gradus::kernels {
namespace {

template <class T>
void run_row_sum(const RowSumArgs<T>& args) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const T* x = args.x + r * args.row_stride;
    Vec<T> lane_sums = Vec<T>::zero();
    int64_t i = 0;
    for (; i + kLanes <= args.n; i += kLanes) lane_sums = lane_sums + Vec<T>::load(x + i);
    if (i < args.n) lane_sums = lane_sums + Vec<T>::load(x + i, args.n - i);
    args.y[r] = sum_lanes(lane_sums);
  }
}

/// kVecs · 16 columns, the last vector of `last` columns, in registers while the rows go by.
template <int kVecs, class T>
GRADUS_INLINE void column_sum_block(const ColumnSumArgs<T>& args, int64_t column, int64_t last) {
  Vec<T> sums[kVecs];
  const auto width = [&](int v) { return v == kVecs - 1 ? last : kLanes; };
  GRADUS_UNROLL for (int v = 0; v < kVecs; ++v) {
    sums[v] = args.accumulate ? load_some(args.y + column + v * kLanes, width(v)) : Vec<T>::zero();
  }
  for (int64_t r = 0; r < args.rows; ++r) {
    const T* x = args.x + r * args.row_stride + column;
    GRADUS_UNROLL for (int v = 0; v < kVecs; ++v) sums[v] = sums[v] + load_some(x + v * kLanes, width(v));
  }
  GRADUS_UNROLL for (int v = 0; v < kVecs; ++v) store_some(sums[v], args.y + column + v * kLanes, width(v));
}

template <class T>
void run_column_sum(const ColumnSumArgs<T>& args) {
  int64_t c = 0;
  for (; c + 4 * kLanes <= args.n; c += 4 * kLanes) column_sum_block<4>(args, c, kLanes);
  for (; c + kLanes <= args.n; c += kLanes) column_sum_block<1>(args, c, kLanes);
  if (c < args.n) column_sum_block<1>(args, c, args.n - c);
}

template <class T>
void run_row_max(const RowMaxArgs<T>& args) {
  if (args.n <= 0) return;
  for (int64_t r = 0; r < args.rows; ++r) {
    const T* x = args.x + r * args.row_stride;
    const Vec<T> infinity = Vec<T>::set(static_cast<T>(__builtin_inf()));
    Vec<T> largest = Vec<T>::zero() - infinity;
    Vec<T> strange = Vec<T>::zero();  // 1 in lanes that have met a NaN
    const Vec<T> one = Vec<T>::set(T(1));
    for (int64_t i = 0; i < args.n; i += kLanes) {
      const Vec<T> v = load_some(x + i, args.n - i, -static_cast<T>(__builtin_inf()));
      largest = select(v > largest, v, largest);
      strange = select(v == v, strange, one);
    }
    const bool has_nan = max_lanes(strange) > T(0);
    const T value = max_lanes(largest);
    int64_t place = 0;
    for (; place < args.n - 1; ++place) {
      T element;
      __builtin_memcpy(&element, x + place, sizeof(T));
      if (has_nan ? element != element : element == value) break;
    }
    if (args.y != nullptr) __builtin_memcpy(args.y + r, x + place, sizeof(T));
    if (args.index != nullptr) args.index[r] = static_cast<int32_t>(place);
  }
}

template <class T>
T run_squares(const SquaresArgs<T>& args) {
  Vec<T> sums = Vec<T>::zero();
  int64_t i = 0;
  for (; i + kLanes <= args.n; i += kLanes) {
    const Vec<T> v = Vec<T>::load(args.x + i);
    sums = fma(v, v, sums);
  }
  if (i < args.n) {
    const Vec<T> v = Vec<T>::load(args.x + i, args.n - i);
    sums = fma(v, v, sums);
  }
  return sum_lanes(sums);
}

template <class T>
void fill_reduce(Table<T>& table) {
  table.row_sum = &run_row_sum<T>;
  table.column_sum = &run_column_sum<T>;
  table.row_max = &run_row_max<T>;
  table.squares = &run_squares<T>;
}

}  // namespace
}  // namespace gradus::kernels
