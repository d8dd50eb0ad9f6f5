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
///       is 0. Where m is +infinity, the row takes another loop, in which exp(x - m) is what it tends to as every
///       infinite element grows alike: 1 for those, 0 for the others. Where a NaN stands in the row, l is NaN and so is
///       every result.

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

template <class T>
inline constexpr T kInfinity = static_cast<T>(__builtin_inf());

/// exp(x - m) where m is +infinity: 1 for +infinity, 0 below, NaN for NaN.
template <class T>
GRADUS_INLINE Vec<T> infinite_share(const Vec<T>& x) {
  return select(x == Vec<T>::set(kInfinity<T>), Vec<T>::set(T(1)), select(x == x, Vec<T>::zero(), x));
}

/// softmax_sum() where m is +infinity: the number of such elements, or NaN.
template <class T, bool kStore>
T infinite_sum(const T* x, T* y, int64_t n) {
  Vec<T> sum = Vec<T>::zero();
  for (int64_t i = 0; i < n; i += 16) {
    const Vec<T> p =
        infinite_share(load_some(x + i, n - i));  // the lanes beyond the end are 0, which counts for none
    if constexpr (kStore) store_some(p, y + i, n - i);
    sum = sum + p;
  }
  return sum_lanes(sum);
}

/// l = Σ exp(x - m); the exponentials go to y where it is not null.
template <class T, bool kStore>
GRADUS_INLINE T softmax_sum(const T* x, T m, T* y, int64_t n) {
  if (m == kInfinity<T>) return infinite_sum<T, kStore>(x, y, n);
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
    if (m == kInfinity<T>) {
      for (int64_t i = 0; i < args.n; i += 16) {
        const Vec<T> shifted =
            select(load_some(x + i, args.n - i) == shift, Vec<T>::zero(), Vec<T>::zero() - shift);
        store_some(shifted - log_sum, y + i, args.n - i);
      }
      continue;
    }
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
    const T log_sum = softmax_log(softmax_sum<T, false>(x, m, nullptr, args.n));
    const T lse = m + log_sum;
    args.lse[r] = lse;
    if (args.targets[r] < 0) {
      args.loss[r] = T(0);
    } else if (m == kInfinity<T>) {
      args.loss[r] = (x[args.targets[r]] == m ? T(0) : m) + log_sum;
    } else {
      args.loss[r] = lse - x[args.targets[r]];
    }
  }
}

/// A row of cross_entropy_grad() with softmax(x) = share(x).
template <class T, class Share>
GRADUS_INLINE void cross_entropy_grad_row(const T* x, int32_t target, T scale, T* dx, int64_t n,
                                          const Share& share) {
  const Vec<T> factor = Vec<T>::set(scale);
  // The target's difference to 1 is taken before the factor, and read before dx = x is overwritten.
  alignas(64) T at_target[16];
  ((share(Vec<T>::set(x[target])) - Vec<T>::set(T(1))) * factor).store(at_target);
  for (int64_t i = 0; i < n; i += 16) {
    store_some(drop_negligible(share(load_some(x + i, n - i))) * factor, dx + i, n - i);
  }
  dx[target] = at_target[0];
}

/// dx = factor (exp(x - lse) - one_hot(target)); dx is dense.
template <class T>
void cross_entropy_grad(const CrossEntropyArgs<T>& args) {
  for (int64_t r = 0; r < args.rows; ++r) {
    const T* x = args.x + r * args.row_stride;
    T* dx = args.dx + r * args.row_stride;
    const int32_t target = args.targets[r];
    if (target < 0) {
      for (int64_t i = 0; i < args.n; i += 16) store_some(Vec<T>::zero(), dx + i, args.n - i);
      continue;
    }
    if (args.lse[r] == kInfinity<T>) {
      const Vec<T> sum = Vec<T>::set(infinite_sum<T, false>(x, nullptr, args.n));
      cross_entropy_grad_row(
          x, target, args.factor, dx,
          args.n, [&](const Vec<T>& v) __attribute__((always_inline)) { return infinite_share(v) / sum; });
      continue;
    }
    const Vec<T> lse = Vec<T>::set(args.lse[r]);
    cross_entropy_grad_row(
        x, target, args.factor, dx,
        args.n, [&](const Vec<T>& v) __attribute__((always_inline)) { return vexp(v - lse); });
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
