#include "models/embeddings/decompose.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "tensor/error.hpp"
#include "tensor/math.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

// Columns stand as rows here: they are turned whole.
double dot(const double* a, const double* b, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += a[i] * b[i];
  return sum;
}

void turn(double* a, double* b, int64_t n, double c, double s) {
  for (int64_t i = 0; i < n; ++i) {
    const double x = a[i], y = b[i];
    a[i] = c * x - s * y;
    b[i] = s * x + c * y;
  }
}

// Brings two columns, and those of v beside them, to a right angle; whether they were not at one before.
bool make_right(double* a, double* b, int64_t rows, double* va, double* vb, int64_t n) {
  constexpr double kAngle = 1e-15;
  const double aa = dot(a, a, rows), bb = dot(b, b, rows), ab = dot(a, b, rows);
  if (std::fabs(ab) <= kAngle * math::sqrt(aa) * math::sqrt(bb)) return false;
  const double zeta = (bb - aa) / (2 * ab);
  const double t = (zeta >= 0 ? 1 : -1) / (std::fabs(zeta) + math::sqrt(1 + zeta * zeta));
  const double c = 1 / math::sqrt(1 + t * t), s = c * t;
  turn(a, b, rows, c, s);
  turn(va, vb, n, c, s);
  return true;
}

// Fills the columns of u that have no direction of their own, so that all are at right angles.
void complete(Matrix& u, const std::vector<double>& singular) {
  const int64_t n = u.columns;
  for (int64_t k = 0; k < n; ++k) {
    if (singular[static_cast<std::size_t>(k)] > 0) continue;
    // The axis that the others reach least, without what they reach of it.
    int64_t best = 0;
    double least = 2;
    for (int64_t r = 0; r < u.rows; ++r) {
      double reached = 0;
      for (int64_t c = 0; c < n; ++c) reached += u.at(r, c) * u.at(r, c);
      if (reached < least) {
        least = reached;
        best = r;
      }
    }
    std::vector<double> column(static_cast<std::size_t>(u.rows), 0.0);
    column[static_cast<std::size_t>(best)] = 1;
    for (int pass = 0; pass < 2; ++pass) {
      for (int64_t c = 0; c < n; ++c) {
        double along = 0;
        for (int64_t r = 0; r < u.rows; ++r) along += u.at(r, c) * column[static_cast<std::size_t>(r)];
        for (int64_t r = 0; r < u.rows; ++r) column[static_cast<std::size_t>(r)] -= along * u.at(r, c);
      }
    }
    const double length = math::sqrt(dot(column.data(), column.data(), u.rows));
    for (int64_t r = 0; r < u.rows; ++r) u.at(r, k) = column[static_cast<std::size_t>(r)] / length;
  }
}

}  // namespace

Decomposition decompose(const Matrix& a) {
  check(a.rows >= a.columns, "decompose: a matrix must have as many rows as columns, or more; it is (",
        a.rows, ", ", a.columns, ")");
  check(std::all_of(a.values.begin(), a.values.end(), [](double x) { return std::isfinite(x); }),
        "decompose: a matrix must be finite; it holds a NaN or an infinity");
  const int64_t rows = a.rows, n = a.columns;
  Matrix columns = transposed(a);
  Matrix v(n, n);
  for (int64_t i = 0; i < n; ++i) v.at(i, i) = 1;
  // A round pairs all columns, the sweep's n - 1 rounds each with each: the first stays, the others go around.
  std::vector<int64_t> circle(static_cast<std::size_t>(n + n % 2));
  std::iota(circle.begin(), circle.end(), int64_t{0});
  const auto places = std::ssize(circle);
  constexpr int kMostSweeps = 60;
  for (int sweep = 0; sweep < kMostSweeps && n > 1; ++sweep) {
    bool turned_any = false;
    for (int64_t round = 0; round + 1 < places; ++round) {
      std::vector<char> turned(static_cast<std::size_t>(places / 2));
      parallel_for(places / 2, [&](int64_t pair) {
        const int64_t i = circle[static_cast<std::size_t>(pair)];
        const int64_t j = circle[static_cast<std::size_t>(places - 1 - pair)];
        if (i >= n || j >= n) return;  // of an odd number one waits
        const auto [p, q] = std::minmax(i, j);
        turned[static_cast<std::size_t>(pair)] =
            make_right(&columns.at(p, 0), &columns.at(q, 0), rows, &v.at(p, 0), &v.at(q, 0), n);
      });
      for (const char one : turned) turned_any = turned_any || one != 0;
      std::rotate(circle.begin() + 1, circle.end() - 1, circle.end());
    }
    if (!turned_any) break;
  }
  std::vector<double> lengths(static_cast<std::size_t>(n));
  for (int64_t i = 0; i < n; ++i)
    lengths[static_cast<std::size_t>(i)] = math::sqrt(dot(&columns.at(i, 0), &columns.at(i, 0), rows));
  std::vector<int64_t> order(static_cast<std::size_t>(n));
  std::iota(order.begin(), order.end(), int64_t{0});
  std::stable_sort(order.begin(), order.end(), [&](int64_t x, int64_t y) {
    return lengths[static_cast<std::size_t>(x)] > lengths[static_cast<std::size_t>(y)];
  });
  Decomposition result;
  result.u = Matrix(rows, n);
  result.v = Matrix(n, n);
  const double largest = n > 0 ? lengths[static_cast<std::size_t>(order[0])] : 0;
  for (int64_t k = 0; k < n; ++k) {
    const int64_t from = order[static_cast<std::size_t>(k)];
    double length = lengths[static_cast<std::size_t>(from)];
    if (length <= largest * 1e-14) length = 0;  // what rounding leaves of nothing
    result.singular.push_back(length);
    for (int64_t r = 0; r < n; ++r) result.v.at(r, k) = v.at(from, r);
    for (int64_t r = 0; r < rows && length > 0; ++r) result.u.at(r, k) = columns.at(from, r) / length;
  }
  if (rows == n) complete(result.u, result.singular);
  return result;
}

Matrix multiply(const Matrix& a, const Matrix& b) {
  check(a.columns == b.rows, "multiply: inner sizes must match; they are ", a.columns, " and ", b.rows);
  Matrix y(a.rows, b.columns);
  parallel_for(a.rows, [&](int64_t r) {
    for (int64_t k = 0; k < a.columns; ++k) {
      const double x = a.at(r, k);
      for (int64_t c = 0; c < b.columns; ++c) y.at(r, c) += x * b.at(k, c);
    }
  });
  return y;
}

Matrix transposed(const Matrix& a) {
  Matrix y(a.columns, a.rows);
  for (int64_t r = 0; r < a.rows; ++r) {
    for (int64_t c = 0; c < a.columns; ++c) y.at(c, r) = a.at(r, c);
  }
  return y;
}

}  // namespace gradus
