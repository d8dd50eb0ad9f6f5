#pragma once

#include <array>
#include <cstdint>
#include <cstring>

#include "tensor/autodiff.hpp"
#include "tensor/detail/visit_floating.hpp"
#include "tensor/error.hpp"
#include "tensor/parallel.hpp"
#include "tensor/tensor.hpp"

/// What the files of tensor/ops share. Private to them.

namespace gradus {

/// Elements of one chunk of an elementwise op.
inline constexpr int64_t kElementwiseGrain = 8192;
/// Columns of one chunk of a sum over rows, which is one chain for each column and thus not cut along rows.
inline constexpr int64_t kColumnSumGrain = 64;

/// An error naming the op unless both have the same element type.
inline void check_same_dtype(const char* op, const Tensor& a, const Tensor& b) {
  check(a.dtype() == b.dtype(), op, ": operands must have the same element type; they are ",
        dtype_name(a.dtype()), " and ", dtype_name(b.dtype()), "; use cast()");
}

/// An error naming the first id outside 0 … limit-1 and where it stands; `what` names the ids, `advice` says what to do.
void check_ids(const char* op, const char* what, const Tensor& ids, int64_t limit, const char* advice);
/// An error unless ids are i32.
void check_id_type(const char* op, const char* what, const Tensor& ids);

/// An element at any address: external memory may be misaligned.
template <class T>
inline T load_element(const T* p) {
  T value;
  std::memcpy(&value, static_cast<const void*>(p), sizeof(T));
  return value;
}

/// A loop over the elements of a shape in row-major order with N strided operands. Axes of size 1 are dropped, and
/// neighbours merged where every operand allows it: dense operands of one shape become a single axis.
template <int N>
struct Loop {
  Shape shape;                     // at least one axis
  std::array<Strides, N> strides;  // 0 along stretched axes

  Loop(const Shape& full, const std::array<const Tensor*, N>& operands) {
    for (int i = 0; i < full.rank(); ++i) {
      if (full[i] == 1) continue;
      std::array<int64_t, N> step;
      for (int o = 0; o < N; ++o) {
        const Tensor& x = *operands[o];
        const int axis = i - (full.rank() - x.rank());
        step[o] = axis < 0 || x.shape()[axis] == 1 ? 0 : x.strides()[axis];
      }
      const int last = shape.rank() - 1;
      bool merge = last >= 0;
      for (int o = 0; o < N && merge; ++o) merge = strides[o][last] == step[o] * full[i];
      if (merge) {
        shape[last] *= full[i];
        for (int o = 0; o < N; ++o) strides[o][last] = step[o];
      } else {
        shape.push_back(full[i]);
        for (int o = 0; o < N; ++o) strides[o].push_back(step[o]);
      }
    }
    if (shape.rank() == 0) {
      shape.push_back(1);
      for (int o = 0; o < N; ++o) strides[o].push_back(0);
    }
  }

  /// The step of operand o from an element to the next one of a run.
  int64_t step(int o) const { return strides[o][shape.rank() - 1]; }

  /// Calls body(first, offsets, count) in parallel for runs along the last axis that together cover all elements:
  /// `first` is the number of the run's first element in row-major order, offsets[o] its offset in operand o.
  template <class Body>
  void for_each_run(Body&& body) const {
    const int last = shape.rank() - 1;
    parallel_ranges(shape.numel(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
      std::array<int64_t, Shape::kMaxRank> index{};
      std::array<int64_t, N> offsets{};
      int64_t rest = begin;
      for (int i = last; i >= 0; --i) {
        index[i] = rest % shape[i];
        rest /= shape[i];
        for (int o = 0; o < N; ++o) offsets[o] += index[i] * strides[o][i];
      }
      for (int64_t first = begin; first < end;) {
        const int64_t left = shape[last] - index[last];
        const int64_t count = left < end - first ? left : end - first;
        body(first, offsets, count);
        first += count;
        index[last] += count;
        for (int o = 0; o < N; ++o) offsets[o] += count * strides[o][last];
        for (int i = last; i > 0 && index[i] == shape[i]; --i) {
          for (int o = 0; o < N; ++o) offsets[o] += strides[o][i - 1] - shape[i] * strides[o][i];
          index[i] = 0;
          ++index[i - 1];
        }
      }
    });
  }
};

}  // namespace gradus
