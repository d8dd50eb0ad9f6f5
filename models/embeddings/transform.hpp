#pragma once

#include <cstdint>
#include <string_view>

#include "models/embeddings/decompose.hpp"
#include "tensor/tensor.hpp"

/// Tables of vectors turned into others: fewer numbers a row, or another space.

namespace gradus {

enum class Reduction {
  pca,   ///< onto the directions of the largest variance, from the mean
  abtt,  ///< "all but the top": without the mean and the C/100 directions of the largest variance; then as pca
  truncate,  ///< the first numbers of each row
};
std::string_view name_of(Reduction reduction);
/// An error lists the possible names.
Reduction parse_reduction(std::string_view name);

/// The directions in which rows vary most, and how much.
struct Components {
  std::vector<double> mean;      ///< C
  Matrix directions;             ///< (C, C): a direction a column, its largest number positive
  std::vector<double> variance;  ///< Σ (x · direction)² / (rows - 1), descending
};
/// shape: x (rows, C) f32, of two rows or more, finite.
/// ref: Pearson (1901); of signs scikit-learn's svd_flip
Components components_of(const Tensor& x);

/// y = rows with `to` numbers each.   shape: (rows, C) f32 -> (rows, to).
/// pca: (x − mean) · directions[:, :to];  abtt: x − mean − its parts along the first max(1, C/100) directions, and where to < C
/// of that the pca;  truncate: x[:, :to].
/// ref: of abtt Mu and Viswanath (2018)
Tensor reduce_rows(const Tensor& x, int64_t to, Reduction reduction);

/// The rotation (with reflections) W that brings rows x nearest to rows y: argmin |x W − y| = U Vᵀ of xᵀ y = U s Vᵀ.
/// shape: x, y (rows, C) f32 -> (C, C). note: rows are taken at length 1, so that each pair counts the same.
/// ref: Schönemann (1966)
Matrix procrustes(const Tensor& x, const Tensor& y);
/// y = x · w, rounded to f32.   shape: (rows, C) f32, (C, D) -> (rows, D)
Tensor transform_rows(const Tensor& x, const Matrix& w);

}  // namespace gradus
