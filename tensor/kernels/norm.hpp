#pragma once

#include "tensor/kernels/simd.hpp"

/// Layer norm and RMS norm of rows, with gradients.
///
/// A row's mean and mean square each take their own pass over the row, which is in the nearest cache by then: squares of
/// differences to the mean keep their digits, where "mean of squares minus square of mean" loses them. Two rows go side
/// by side, because the sum of a row is one chain of additions that waits for its predecessor most of the time.

namespace gradus::kernels {
namespace {

inline constexpr int kNormRows = 2;

#define GRADUS_INLINE_LAMBDA __attribute__((always_inline))

/// body(i, width) for i = 0, 16, 32 … < n with width 16, a constant once inlined, except in a short last vector: GCC
/// keeps sums in registers only where the way for short vectors stays out of the loop.
template <class Body>
GRADUS_INLINE void each_vector(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + 16 <= n; i += 16) body(i, 16);
  if (i < n) body(i, n - i);
}

/// 1/√(Σ/n + epsilon) in every lane.
template <class T>
GRADUS_INLINE Vec<T> norm_rstd(const Vec<T>& squares, T n, T epsilon) {
  const T mean_square = sum_lanes(squares) / n;
  return Vec<T>::set(T(1)) / sqrt(Vec<T>::set(mean_square + epsilon));
}

/// x̂ = (x - mean) rstd, or x rstd.
template <class T, bool kCentered>
GRADUS_INLINE Vec<T> norm_hat(const Vec<T>& x, const Vec<T>& mean, const Vec<T>& rstd) {
  if constexpr (kCentered) return (x - mean) * rstd;
  return x * rstd;
}

template <class T, bool kCentered, int R>
GRADUS_INLINE void norm_some_rows(const NormArgs<T>& args, int64_t first) {
  const int64_t n = args.n;
  const T* x = args.x + first * n;
  T* y = args.y + first * n;
  Vec<T> mean[R];
  Vec<T> squares[R];
  Vec<T> rstd[R];
  T center[R] = {};
  GRADUS_UNROLL for (int r = 0; r < R; ++r) mean[r] = squares[r] = Vec<T>::zero();
  if constexpr (kCentered) {
    each_vector(n, [&](int64_t i, int64_t width) GRADUS_INLINE_LAMBDA {
      GRADUS_UNROLL for (int r = 0; r < R; ++r) mean[r] = mean[r] + load_some(x + r * n + i, width);
    });
    GRADUS_UNROLL for (int r = 0; r < R; ++r) {
      const T value = sum_lanes(mean[r]) / static_cast<T>(n);
      args.mean[first + r] = center[r] = value;
      mean[r] = Vec<T>::set(value);
    }
  }
  each_vector(n, [&](int64_t i, int64_t width) GRADUS_INLINE_LAMBDA {
    GRADUS_UNROLL for (int r = 0; r < R; ++r) {
      // The lanes beyond the row hold its mean, whose difference is 0.
      const Vec<T> d = load_some(x + r * n + i, width, center[r]) - mean[r];
      squares[r] = fma(d, d, squares[r]);
    }
  });
  GRADUS_UNROLL for (int r = 0; r < R; ++r) {
    rstd[r] = norm_rstd(squares[r], static_cast<T>(n), args.epsilon);
    rstd[r].store(args.rstd + first + r, 1);
  }
  each_vector(n, [&](int64_t i, int64_t width) GRADUS_INLINE_LAMBDA {
    const Vec<T> weight = load_some(args.weight + i, width);
    const Vec<T> bias = args.bias != nullptr ? load_some(args.bias + i, width) : Vec<T>::zero();
    GRADUS_UNROLL for (int r = 0; r < R; ++r) {
      const Vec<T> hat = norm_hat<T, kCentered>(load_some(x + r * n + i, width), mean[r], rstd[r]);
      store_some(args.bias != nullptr ? fma(hat, weight, bias) : hat * weight, y + r * n + i, width);
    }
  });
}

/// With g = dy weight: dx = (g - Σg/n - x̂ Σ(g x̂)/n) rstd, without the term Σg/n for RMS norm.
template <class T, bool kCentered, int R>
GRADUS_INLINE void norm_grad_some_rows(const NormArgs<T>& args, int64_t first) {
  const int64_t n = args.n;
  const T* x = args.x + first * n;
  const T* dy = args.dy + first * n;
  T* dx = args.dx + first * n;
  Vec<T> mean[R];
  Vec<T> rstd[R];
  Vec<T> sum[R];
  Vec<T> dot[R];
  GRADUS_UNROLL for (int r = 0; r < R; ++r) {
    mean[r] = Vec<T>::set(kCentered ? args.mean[first + r] : T(0));
    rstd[r] = Vec<T>::set(args.rstd[first + r]);
    sum[r] = dot[r] = Vec<T>::zero();
  }
  each_vector(n, [&](int64_t i, int64_t width) GRADUS_INLINE_LAMBDA {
    const Vec<T> weight = load_some(args.weight + i, width);  // 0 beyond the row, and so is g
    GRADUS_UNROLL for (int r = 0; r < R; ++r) {
      const Vec<T> hat = norm_hat<T, kCentered>(load_some(x + r * n + i, width), mean[r], rstd[r]);
      const Vec<T> g = load_some(dy + r * n + i, width) * weight;
      if constexpr (kCentered) sum[r] = sum[r] + g;
      dot[r] = fma(g, hat, dot[r]);
    }
  });
  const T divisor = static_cast<T>(n);
  GRADUS_UNROLL for (int r = 0; r < R; ++r) {
    if constexpr (kCentered) sum[r] = Vec<T>::set(sum_lanes(sum[r]) / divisor);
    dot[r] = Vec<T>::set(-(sum_lanes(dot[r]) / divisor));
  }
  each_vector(n, [&](int64_t i, int64_t width) GRADUS_INLINE_LAMBDA {
    const Vec<T> weight = load_some(args.weight + i, width);
    GRADUS_UNROLL for (int r = 0; r < R; ++r) {
      const Vec<T> hat = norm_hat<T, kCentered>(load_some(x + r * n + i, width), mean[r], rstd[r]);
      Vec<T> g = load_some(dy + r * n + i, width) * weight;
      if constexpr (kCentered) g = g - sum[r];
      store_some(fma(hat, dot[r], g) * rstd[r], dx + r * n + i, width);
    }
  });
}

template <class T, bool kCentered>
void norm_forward(const NormArgs<T>& args) {
  int64_t r = 0;
  for (; r + kNormRows <= args.rows; r += kNormRows) norm_some_rows<T, kCentered, kNormRows>(args, r);
  for (; r < args.rows; ++r) norm_some_rows<T, kCentered, 1>(args, r);
}

template <class T, bool kCentered>
void norm_backward(const NormArgs<T>& args) {
  int64_t r = 0;
  for (; r + kNormRows <= args.rows; r += kNormRows) norm_grad_some_rows<T, kCentered, kNormRows>(args, r);
  for (; r < args.rows; ++r) norm_grad_some_rows<T, kCentered, 1>(args, r);
}

template <class T>
void norm(const NormArgs<T>& args) {
  if (args.mean != nullptr) {
    norm_forward<T, true>(args);
  } else {
    norm_forward<T, false>(args);
  }
}

template <class T>
void norm_grad(const NormArgs<T>& args) {
  if (args.mean != nullptr) {
    norm_backward<T, true>(args);
  } else {
    norm_backward<T, false>(args);
  }
}

/// Columns [c, c + 16 V), whose sums stay in registers while the rows pass by; the last vector may be short.
template <class T, bool kCentered, int V>
GRADUS_INLINE void norm_weight_grad_columns(const NormWeightGradArgs<T>& args, int64_t c) {
  const int64_t width = args.end - c;
  Vec<T> dweight[V];
  Vec<T> dbias[V];
  GRADUS_UNROLL for (int v = 0; v < V; ++v) {
    dweight[v] = dbias[v] = Vec<T>::zero();
    if (args.accumulate) {
      dweight[v] = load_some(args.dweight + c + 16 * v, width - 16 * v);
      if (args.dbias != nullptr) dbias[v] = load_some(args.dbias + c + 16 * v, width - 16 * v);
    }
  }
  for (int64_t r = 0; r < args.rows; ++r) {
    const T* x = args.x + r * args.n + c;
    const T* dy = args.dy + r * args.n + c;
    const Vec<T> mean = Vec<T>::set(kCentered ? args.mean[r] : T(0));
    const Vec<T> rstd = Vec<T>::set(args.rstd[r]);
    GRADUS_UNROLL for (int v = 0; v < V; ++v) {
      const Vec<T> g = load_some(dy + 16 * v, width - 16 * v);
      dweight[v] =
          fma(g, norm_hat<T, kCentered>(load_some(x + 16 * v, width - 16 * v), mean, rstd), dweight[v]);
      dbias[v] = dbias[v] + g;
    }
  }
  GRADUS_UNROLL for (int v = 0; v < V; ++v) {
    store_some(dweight[v], args.dweight + c + 16 * v, width - 16 * v);
    if (args.dbias != nullptr) store_some(dbias[v], args.dbias + c + 16 * v, width - 16 * v);
  }
}

template <class T, bool kCentered>
void norm_weight_grad_range(const NormWeightGradArgs<T>& args) {
  int64_t c = args.begin;
  for (; c + 64 <= args.end; c += 64) norm_weight_grad_columns<T, kCentered, 4>(args, c);
  for (; c < args.end; c += 16) norm_weight_grad_columns<T, kCentered, 1>(args, c);
}

template <class T>
void norm_weight_grad(const NormWeightGradArgs<T>& args) {
  if (args.mean != nullptr) {
    norm_weight_grad_range<T, true>(args);
  } else {
    norm_weight_grad_range<T, false>(args);
  }
}

template <class T>
void fill_norm(Table<T>& table) {
  table.norm = norm<T>;
  table.norm_grad = norm_grad<T>;
  table.norm_weight_grad = norm_weight_grad<T>;
}

#undef GRADUS_INLINE_LAMBDA

}  // namespace
}  // namespace gradus::kernels
