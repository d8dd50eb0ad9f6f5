#pragma once

#include "tensor/kernels/simd.hpp"
#include "tensor/kernels/vector_math.hpp"

/// Softmax, log-softmax and the cross-entropy loss of rows, with gradients.
///
/// Each row takes two passes for its maximum m and l = Σ exp(x - m) on 16 lanes, and one for the result. A row is small
/// enough to stay in a near cache meanwhile, so that memory is read once.
///
/// note: softmax divides by l instead of multiplying by 1/l: each y is the quotient rounded once, at the cost of a
///       division that hides behind the exponential.
/// note: infinities need no branches in the loops. Where m is -infinity, 0 stands for it, so that every exp is 0 and l
///       is 0. Where m is +infinity or a NaN stands in the row, l is NaN and so is every result.

namespace gradus::kernels {
namespace {

/// What an op multiplies by less than this is a factor of 0: it would only leave denormal numbers, at 80 times the cost.
template <class T>
inline constexpr T kNegligible = static_cast<T>(sizeof(T) == 4 ? 1e-30 : 1e-290);

template <class T>
GRADUS_INLINE Vec<T> drop_negligible(const Vec<T>& p) {
  return select(p < Vec<T>::set(kNegligible<T>), Vec<T>::zero(), p);
}

/// The largest element of a row, or 0 where that is -infinity.
/// note: NaN may get lost here; the sum of exponentials shows it.
template <class T>
GRADUS_INLINE T softmax_shift(const T* x, int64_t n) {
  const T lowest = static_cast<T>(-__builtin_inf());
  Vec<T> largest = Vec<T>::set(lowest);
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) largest = max(largest, Vec<T>::load(x + i));
  if (i < n) largest = max(largest, Vec<T>::load(x + i, n - i, lowest));
  const T m = max_lanes(largest);
  return m == lowest ? T(0) : m;
}

/// l = Σ exp(x - m); the exponentials go to y where it is not null.
template <class T, bool kStore>
GRADUS_INLINE T softmax_sum(const T* x, T m, T* y, int64_t n) {
  const Vec<T> shift = Vec<T>::set(m);
  Vec<T> sum = Vec<T>::zero();
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) {
    const Vec<T> p = vexp(Vec<T>::load(x + i) - shift);
    if constexpr (kStore) p.store(y + i);
    sum = sum + p;
  }
  if (i < n) {
    const Vec<T> p = vexp(Vec<T>::load(x + i, n - i, static_cast<T>(-__builtin_inf())) - shift);
    if constexpr (kStore) p.store(y + i, n - i);
    sum = sum + p;
  }
  return sum_lanes(sum);
}

/// ln l, with the ln 0 of an empty sum taken as 0.
template <class T>
GRADUS_INLINE T softmax_log(T sum) {
  alignas(64) T lane[16];
  vlog(Vec<T>::set(sum == T(0) ? T(1) : sum)).store(lane);
  return lane[0];
}

template <class T>
void softmax(const SoftmaxArgs<T>& args) {
  // The result of a division is denormal from here down.
  const T smallest = static_cast<T>(sizeof(T) == 4 ? 1.1754944e-38 : 2.2250738585072014e-308);
  for (int64_t r = 0; r < args.rows; ++r) {
    const T* x = args.x + r * args.n;
    T* y = args.y + r * args.n;
    const T l = softmax_sum<T, true>(x, softmax_shift(x, args.n), y, args.n);
    const Vec<T> sum = Vec<T>::set(l == T(0) ? T(1) : l);
    const Vec<T> floor = sum * Vec<T>::set(smallest);
    for (int64_t i = 0; i < args.n; i += 16) {
      const Vec<T> p = load_some(y + i, args.n - i);
      store_some(select(p < floor, Vec<T>::zero(), p) / sum, y + i, args.n - i);
    }
  }
}

/// dx = y (dy - Σ dy y).
template <class T>
void softmax_grad(const SoftmaxArgs<T>& args) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const T* y = args.y + r * args.n;
    const T* dy = args.dy + r * args.n;
    T* dx = args.dx + r * args.n;
    Vec<T> sum = Vec<T>::zero();
    for (int64_t i = 0; i < args.n; i += 16) {
      const Vec<T> p = drop_negligible(load_some(y + i, args.n - i));
      sum = fma(load_some(dy + i, args.n - i), p, sum);
    }
    const Vec<T> dot = Vec<T>::set(sum_lanes(sum));
    for (int64_t i = 0; i < args.n; i += 16) {
      const Vec<T> p = drop_negligible(load_some(y + i, args.n - i));
      store_some(p * (load_some(dy + i, args.n - i) - dot), dx + i, args.n - i);
    }
  }
}

template <class T>
void log_softmax(const SoftmaxArgs<T>& args) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const T* x = args.x + r * args.n;
    T* y = args.y + r * args.n;
    const T m = softmax_shift(x, args.n);
    const Vec<T> shift = Vec<T>::set(m);
    const Vec<T> log_sum = Vec<T>::set(softmax_log(softmax_sum<T, false>(x, m, nullptr, args.n)));
    for (int64_t i = 0; i < args.n; i += 16) {
      store_some((load_some(x + i, args.n - i) - shift) - log_sum, y + i, args.n - i);
    }
  }
}

/// dx = dy - exp(y) Σ dy.
template <class T>
void log_softmax_grad(const SoftmaxArgs<T>& args) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const T* y = args.y + r * args.n;
    const T* dy = args.dy + r * args.n;
    T* dx = args.dx + r * args.n;
    Vec<T> sum = Vec<T>::zero();
    for (int64_t i = 0; i < args.n; i += 16) sum = sum + load_some(dy + i, args.n - i);
    const Vec<T> negative = Vec<T>::zero() - Vec<T>::set(sum_lanes(sum));
    for (int64_t i = 0; i < args.n; i += 16) {
      const Vec<T> p = drop_negligible(vexp(load_some(y + i, args.n - i)));
      store_some(fma(p, negative, load_some(dy + i, args.n - i)), dx + i, args.n - i);
    }
  }
}

template <class T>
void cross_entropy(const CrossEntropyArgs<T>& args) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const T* x = args.x + r * args.row_stride;
    const T m = softmax_shift(x, args.n);
    const T lse = m + softmax_log(softmax_sum<T, false>(x, m, nullptr, args.n));
    args.lse[r] = lse;
    args.loss[r] = args.targets[r] < 0 ? T(0) : lse - x[args.targets[r]];
  }
}

/// dx = factor (exp(x - lse) - one_hot(target)); dx is dense.
template <class T>
void cross_entropy_grad(const CrossEntropyArgs<T>& args) {
  const Vec<T> factor = Vec<T>::set(args.factor);
  for (int64_t r = 0; r < args.rows; ++r) {
    const T* x = args.x + r * args.row_stride;
    T* dx = args.dx + r * args.row_stride;
    const int32_t target = args.targets[r];
    if (target < 0) {
      for (int64_t i = 0; i < args.n; i += 16) store_some(Vec<T>::zero(), dx + i, args.n - i);
      continue;
    }
    const Vec<T> lse = Vec<T>::set(args.lse[r]);
    // The target's difference to 1 is taken before the factor, and read before dx = x is overwritten.
    alignas(64) T at_target[16];
    ((vexp(Vec<T>::set(x[target]) - lse) - Vec<T>::set(T(1))) * factor).store(at_target);
    for (int64_t i = 0; i < args.n; i += 16) {
      const Vec<T> p = vexp(load_some(x + i, args.n - i) - lse);
      store_some(drop_negligible(p) * factor, dx + i, args.n - i);
    }
    dx[target] = at_target[0];
  }
}

template <class T>
void fill_softmax(Table<T>& table) {
  table.softmax = softmax<T>;
  table.softmax_grad = softmax_grad<T>;
  table.log_softmax = log_softmax<T>;
  table.log_softmax_grad = log_softmax_grad<T>;
  table.cross_entropy = cross_entropy<T>;
  table.cross_entropy_grad = cross_entropy_grad<T>;
}

}  // namespace
}  // namespace gradus::kernels
