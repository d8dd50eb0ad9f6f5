#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gradus {

/// A matrix in f64, row after row: what is small enough for decompositions, and needs their precision.
struct Matrix {
  int64_t rows = 0, columns = 0;
  std::vector<double> values;

  Matrix() = default;
  Matrix(int64_t r, int64_t c) : rows(r), columns(c), values(static_cast<std::size_t>(r * c), 0.0) {}
  double& at(int64_t r, int64_t c) { return values[static_cast<std::size_t>(r * columns + c)]; }
  double at(int64_t r, int64_t c) const { return values[static_cast<std::size_t>(r * columns + c)]; }
};

/// A = U · diag(s) · Vᵀ, the s descending and not negative.
struct Decomposition {
  Matrix u;                      ///< (rows, n), n = columns
  std::vector<double> singular;  ///< n
  Matrix v;                      ///< (n, n), its columns of length 1 and at right angles
};
/// shape: A (rows, n) with rows >= n. Of a symmetric matrix without negative eigenvalues, v's columns are the eigenvectors and s
/// the eigenvalues.
/// note: columns of u whose s is 0 are 0, but for square matrices, where they complete the others to a rotation or reflection.
/// note: the same bits with any number of threads: each round turns pairs of columns that have none in common.
/// ref: Hestenes (1958), one-sided Jacobi; Brent and Luk (1985), its rounds
Decomposition decompose(const Matrix& a);

/// y = a · b, each a chain in ascending order.   shape: (m,k), (k,n) -> (m,n)
Matrix multiply(const Matrix& a, const Matrix& b);
Matrix transposed(const Matrix& a);

}  // namespace gradus
