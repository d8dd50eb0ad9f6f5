#include "models/embeddings/transform.hpp"

#include <algorithm>
#include <cmath>

#include "models/embeddings/pooling.hpp"
#include "tensor/error.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

constexpr int64_t kRowsAtOnce = 512;

void check_rows(const Tensor& x, const char* what) {
  check(x.rank() == 2 && x.size(1) >= 1, what, ": rows must be (rows, C) with C at least 1; they are ",
        x.shape());
  const int64_t bad = first_non_finite(x);
  check_world(bad < 0, what, ": rows must be finite; row ", bad < 0 ? 0 : bad / x.size(1),
              " holds a NaN or an infinity");
}

// Σ over rows of aᵀ b, in f64: a piece of rows after the other, in their order.   shape: (rows, C), (rows, D) -> (C, D)
Matrix sum_of_products(const Tensor& a, const Tensor& b, const std::vector<double>& mean_a,
                       const std::vector<double>& mean_b) {
  const int64_t rows = a.size(0), c = a.size(1), d = b.size(1);
  const int64_t pieces = (rows + kRowsAtOnce - 1) / kRowsAtOnce;
  constexpr int64_t kTogether = 16;
  Matrix sum(c, d);
  const int64_t d_padded = (d + kernels::kLanes - 1) / kernels::kLanes * kernels::kLanes;
  for (int64_t first = 0; first < pieces; first += kTogether) {
    const int64_t count = std::min(kTogether, pieces - first);
    std::vector<Matrix> parts(static_cast<std::size_t>(count));
    parallel_for_throwing(count, [&](int64_t i) {
      const int64_t begin = (first + i) * kRowsAtOnce, size = std::min(kRowsAtOnce, rows - begin);
      Matrix left(size, c), right(size, d_padded);
      for (int64_t r = 0; r < size; ++r) {
        for (int64_t k = 0; k < c; ++k)
          left.at(r, k) =
              static_cast<double>(a.data<float>()[(begin + r) * c + k]) - mean_a[static_cast<std::size_t>(k)];
        for (int64_t k = 0; k < d; ++k)
          right.at(r, k) =
              static_cast<double>(b.data<float>()[(begin + r) * d + k]) - mean_b[static_cast<std::size_t>(k)];
      }
      Matrix& y = parts[static_cast<std::size_t>(i)];
      y = Matrix(c, d_padded);
      kernels::table<double>().gemm({.a = left.values.data(),
                                     .a_row = 1,
                                     .a_k = c,
                                     .b = right.values.data(),
                                     .b_panel = kernels::kLanes,
                                     .b_row = d_padded,
                                     .c = y.values.data(),
                                     .c_row = d_padded,
                                     .m = c,
                                     .n = d_padded,
                                     .k = size});
    });
    for (const Matrix& part : parts) {
      for (int64_t r = 0; r < c; ++r) {
        for (int64_t k = 0; k < d; ++k) sum.at(r, k) += part.at(r, k);
      }
    }
  }
  return sum;
}

std::vector<double> mean_of(const Tensor& x) {
  std::vector<double> mean(static_cast<std::size_t>(x.size(1)));
  for (int64_t r = 0; r < x.size(0); ++r) {
    for (int64_t c = 0; c < x.size(1); ++c)
      mean[static_cast<std::size_t>(c)] += static_cast<double>(x.data<float>()[r * x.size(1) + c]);
  }
  for (double& value : mean) value /= static_cast<double>(x.size(0));
  return mean;
}

// (x − mean) · w.
Tensor project(const Tensor& x, const std::vector<double>& mean, const Matrix& w) {
  Tensor y = Tensor::empty({x.size(0), w.columns});
  float* const values = y.mutable_data<float>();
  const float* const rows = x.data<float>();
  const int64_t width = x.size(1);
  parallel_ranges(x.size(0), 64, [&](int64_t begin, int64_t end) {
    std::vector<double> sums(static_cast<std::size_t>(w.columns));
    for (int64_t r = begin; r < end; ++r) {
      std::fill(sums.begin(), sums.end(), 0.0);
      for (int64_t k = 0; k < width; ++k) {
        const double value = static_cast<double>(rows[r * width + k]) - mean[static_cast<std::size_t>(k)];
        for (int64_t c = 0; c < w.columns; ++c) sums[static_cast<std::size_t>(c)] += value * w.at(k, c);
      }
      for (int64_t c = 0; c < w.columns; ++c)
        values[r * w.columns + c] = static_cast<float>(sums[static_cast<std::size_t>(c)]);
    }
  });
  return y;
}

Matrix first_columns(const Matrix& a, int64_t count) {
  Matrix y(a.rows, count);
  for (int64_t r = 0; r < a.rows; ++r) {
    for (int64_t c = 0; c < count; ++c) y.at(r, c) = a.at(r, c);
  }
  return y;
}

}  // namespace

std::string_view name_of(Reduction reduction) {
  switch (reduction) {
    case Reduction::pca: return "pca";
    case Reduction::abtt: return "abtt";
    case Reduction::truncate: return "truncate";
  }
  return "?";
}

Reduction parse_reduction(std::string_view name) {
  for (const Reduction reduction : {Reduction::pca, Reduction::abtt, Reduction::truncate}) {
    if (name_of(reduction) == name) return reduction;
  }
  fail("reduce: the method must be one of pca, abtt, truncate; it is '", name, "'");
}

Components components_of(const Tensor& x) {
  check_rows(x, "components");
  check(x.size(0) >= 2, "components: there must be two rows or more; there are ", x.size(0));
  const Tensor dense = x.to_contiguous();
  Components result;
  result.mean = mean_of(dense);
  Matrix covariance = sum_of_products(dense, dense, result.mean, result.mean);
  for (double& value : covariance.values) value /= static_cast<double>(x.size(0) - 1);
  Decomposition found = decompose(covariance);
  for (int64_t c = 0; c < found.v.columns; ++c) {
    double largest = 0;
    for (int64_t r = 0; r < found.v.rows; ++r) {
      if (std::fabs(found.v.at(r, c)) > std::fabs(largest)) largest = found.v.at(r, c);
    }
    for (int64_t r = 0; r < found.v.rows && largest < 0; ++r) found.v.at(r, c) = -found.v.at(r, c);
  }
  result.directions = std::move(found.v);
  result.variance = std::move(found.singular);
  return result;
}

Tensor reduce_rows(const Tensor& x, int64_t to, Reduction reduction) {
  check(x.rank() == 2 && to >= 1 && to <= x.size(1), "reduce: rows must be left with 1 to ",
        x.rank() == 2 ? x.size(1) : 0, " numbers; ", to, " are asked for");
  const Tensor dense = x.to_contiguous();
  const int64_t width = dense.size(1);
  switch (reduction) {
    case Reduction::truncate: return dense.view({dense.size(0), to}, {width, 1}, 0).clone();
    case Reduction::pca: {
      const Components found = components_of(dense);
      return project(dense, found.mean, first_columns(found.directions, to));
    }
    case Reduction::abtt: {
      const Components found = components_of(dense);
      // I − Σ d dᵀ over the first directions.
      Matrix without(width, width);
      for (int64_t i = 0; i < width; ++i) without.at(i, i) = 1;
      for (int64_t k = 0; k < std::max<int64_t>(1, width / 100); ++k) {
        for (int64_t i = 0; i < width; ++i) {
          for (int64_t j = 0; j < width; ++j)
            without.at(i, j) -= found.directions.at(i, k) * found.directions.at(j, k);
        }
      }
      const Tensor rest = project(dense, found.mean, without);
      return to == width ? rest : reduce_rows(rest, to, Reduction::pca);
    }
  }
  fail("reduce: the method must be a known one; it is number ", static_cast<int>(reduction));
}

Matrix procrustes(const Tensor& x, const Tensor& y) {
  check_rows(x, "align");
  check_rows(y, "align");
  check(x.shape() == y.shape(),
        "align: both must have rows for the same words, as wide as each other; they are ", x.shape(), " and ",
        y.shape());
  const std::vector<double> none(static_cast<std::size_t>(x.size(1)), 0.0);
  const Decomposition found = decompose(
      sum_of_products(normalize_rows(x).to_contiguous(), normalize_rows(y).to_contiguous(), none, none));
  return multiply(found.u, transposed(found.v));
}

Tensor transform_rows(const Tensor& x, const Matrix& w) {
  check(x.rank() == 2 && x.size(1) == w.rows, "transform: rows must be ", w.rows, " wide; they are ",
        x.shape());
  return project(x.to_contiguous(), std::vector<double>(static_cast<std::size_t>(w.rows), 0.0), w);
}

}  // namespace gradus
