#pragma once

#include <cstdint>

#include "tensor/kernels/kernels.hpp"
#include "tensor/ops.hpp"
#include "tensor/tensor.hpp"

/// Matrix products between the ops and the kernel: packing, chunks and threads. Private to tensor/ops.

namespace gradus::detail {

/// A matrix anywhere in memory: element (i, j) = data[i·row + j·column].
template <class T>
struct Matrix {
  const T* data;
  int64_t row;
  int64_t column;
};

/// The kernel that applies an activation; null for none.
template <class T>
using ActivationKernel = void (*)(const kernels::UnaryArgs<T>&);
template <class T>
ActivationKernel<T> activation_kernel(Activation activation);

/// C (m,n) = activation(A (m,k) · B (k,n) (+ C where `accumulate`) (+ bias)); C is row-major with stride c_row.
template <class T>
struct Product {
  int64_t m, n, k;
  Matrix<T> a;
  Matrix<T> b;
  T* c;
  int64_t c_row;
  bool accumulate = false;
  const T* bias = nullptr;
  ActivationKernel<T> activation = nullptr;  // null: none
};

/// How a product is cut where a test wants another way, to show that none changes a bit. 0: as ever; sizes are rounded as
/// they must be.
struct Cuts {
  kernels::GemmBlocking kernel;
  /// Of C, for one thread at a time.
  int64_t chunk_rows = 0, chunk_columns = 0;
  /// Of the factors of a weight's gradient, packed at once; with a depth, those of small products are packed too.
  int64_t piece_depth = 0, piece_rows = 0, piece_columns = 0;
};
/// Forces the cuts of all products in the program while it lives; for tests, on one thread.
class ForceCuts {
 public:
  explicit ForceCuts(const Cuts& cuts);
  ~ForceCuts();
  ForceCuts(const ForceCuts&) = delete;
  ForceCuts& operator=(const ForceCuts&) = delete;

 private:
  const Cuts cuts_;
};

/// A product of fewer multiply-adds than this (about 10 µs) is one chunk: handing half of it, and the panels, to another
/// core would cost more than it saves.
inline constexpr int64_t kWorthSharing = int64_t{1} << 19;

/// Packs B into scratch, and A where it is transposed and large, then multiplies, all in parallel.
template <class T>
void multiply(const Product<T>& product);

/// The product alone, with B's panels as kernels::PackArgs describes them; product.b is not read.
template <class T>
void multiply_panels(const Product<T>& product, const T* panels);

/// The same where B is (a transpose of) a parameter: its panels are kept beside it while nothing is being recorded and
/// few rows make packing the larger part, as in generation; they are fresh while the storage's version is.
template <class T>
void multiply_parameter(const Product<T>& product, const Tensor& parameter);

/// Rows of K elements next to each other, (numel/K, K), whatever lies between the rows.
Tensor as_rows(const Tensor& x);
/// The activation of each element: a new tensor, or `pre` itself where there is none.
Tensor activated_rows(const Tensor& pre, Activation activation);
/// The same in place, of a block (m,n) whose rows are `row` apart.
template <class T>
void activate(T* block, int64_t row, int64_t m, int64_t n, ActivationKernel<T> activation) {
  if (activation == nullptr) return;
  for (int64_t r = 0; r < m; ++r) activation({.x = block + r * row, .y = block + r * row, .n = n});
}

}  // namespace gradus::detail
