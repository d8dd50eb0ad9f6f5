#include <array>
#include <cmath>
#include <limits>
#include <utility>

#include "tensor/ops.hpp"
#include "tests/tensor/op_cases.hpp"

namespace gradus::testing {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

const Shape kBenchShape = {1024, 1024};

// ---- reductions ----

/// Rows of every length around the 16 lanes, and rows and sums long enough for many chunks.
const std::vector<Shape> kAxisShapes = {{1},        {5},      {3, 5},   {7, 16},
                                        {2, 3, 33}, {4, 300}, {300, 7}, {129, 1100}};

template <class Build>
void over_axes(Row& row, Build build) {
  for (const Shape& shape : kAxisShapes) {
    for (int axis = 0; axis < shape.rank(); ++axis) {
      // Once from the front and dropped, once from the back and kept.
      const bool keep = (axis + shape.rank()) % 2 == 1;
      const int given = keep ? axis - shape.rank() : axis;
      build(row, shape, given, keep);
    }
  }
}

std::vector<Row> reduction_rows() {
  const std::vector<Shape> totals = {{}, {1}, {3, 5}, {2, 3, 33}, {1100}, {3, 33333}, {257, 300}};
  std::vector<Row> rows;

  // 16 lanes of n/16 terms each: in a random walk the errors stay below the sum of the terms' sizes times this.
  rows.push_back(Row("sum(Tensor)", 2));
  rows.back().of([](const Tensors& in, DType) { return sum(in[0]); },
                 [](const Arrays& in) { return reference::sum(in[0]); });
  for (const Shape& shape : totals) rows.back().test({normal(shape)});
  rows.back()
      .test({normal({0})})
      .test({normal({3, 0})})
      .test({values({35}, {1, kInf, 2})})
      .test({values({35}, {kNaN, 1})});
  rows.back().bench({normal(kBenchShape)});

  rows.push_back(Row("mean(Tensor)", 3));
  rows.back().of([](const Tensors& in, DType) { return mean(in[0]); },
                 [](const Arrays& in) { return reference::mean(in[0]); });
  for (const Shape& shape : totals) rows.back().test({normal(shape)});
  rows.back().bench({normal(kBenchShape)});

  rows.push_back(Row("sum(Tensor, int, bool)", 2));
  const auto sum_over = [](Row& row, const Shape& shape, int axis, bool keep) {
    row.of([=](const Tensors& in, DType) { return sum(in[0], axis, keep); },
           [=](const Arrays& in) { return reference::sum(in[0], axis, keep); },
           "over axis " + std::to_string(axis));
    row.test({normal(shape)}, axis != 0 && axis != -shape.rank() ? std::vector<int>{0} : std::vector<int>{});
  };
  over_axes(rows.back(), sum_over);
  sum_over(rows.back(), {3, 0}, 1, false);
  sum_over(rows.back(), {3, 0}, 0, false);
  sum_over(rows.back(), {0, 3}, 0, true);
  sum_over(rows.back(), {0, 3}, -1, true);
  rows.back().bench({normal(kBenchShape)});

  rows.push_back(Row("mean(Tensor, int, bool)", 3));
  over_axes(rows.back(), [](Row& row, const Shape& shape, int axis, bool keep) {
    row.of([=](const Tensors& in, DType) { return mean(in[0], axis, keep); },
           [=](const Arrays& in) { return reference::mean(in[0], axis, keep); },
           "over axis " + std::to_string(axis));
    row.test({normal(shape)}, axis != 0 && axis != -shape.rank() ? std::vector<int>{0} : std::vector<int>{});
  });
  rows.back().bench({normal(kBenchShape)});

  rows.push_back(Row("max(Tensor, int, bool)", 0));
  over_axes(rows.back(), [](Row& row, const Shape& shape, int axis, bool keep) {
    row.of([=](const Tensors& in, DType) { return max(in[0], axis, keep); },
           [=](const Arrays& in) { return reference::max(in[0], axis, keep); },
           "over axis " + std::to_string(axis));
    row.test({distinct(shape)},
             axis != 0 && axis != -shape.rank() ? std::vector<int>{0} : std::vector<int>{});
  });
  rows.back().of([](const Tensors& in, DType) { return max(in[0], -1); },
                 [](const Arrays& in) { return reference::max(in[0], -1, false); });
  rows.back().test({values({5, 37}, {-kInf})}).test({values({5, 37}, {1, 2, kInf, -3})});
  rows.back().test(
      {values({5, 40}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, kNaN, 20, 21})});
  rows.back().bench({normal(kBenchShape)});

  rows.push_back(Row("argmax(Tensor)", 0));
  rows.back().no_gradient().of([](const Tensors& in, DType) { return argmax(in[0]); },
                               [](const Arrays& in) { return reference::argmax(in[0]); });
  for (const Shape& shape : kAxisShapes)
    rows.back().test({normal(shape)}, shape.rank() > 1 ? std::vector<int>{0} : std::vector<int>{});
  // Ties go to the first.
  rows.back()
      .test({grid({9, 300}, 1)})
      .test({values({5, 37}, {-kInf})})
      .test({values({5, 37}, {0, -0.0})})
      .test({normal({0, 3})});
  rows.back().test(
      {values({5, 40}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, kNaN, 20, 21})});
  rows.back().bench({normal(kBenchShape)});
  return rows;
}

// ---- views ----

std::vector<Row> view_rows() {
  std::vector<Row> rows;

  rows.push_back(Row("reshape(Tensor, Shape)", 0));
  const auto reshaped = [&](const Shape& from, const Shape& to, const reference::Sizes& full) {
    rows.back().of([to](const Tensors& in, DType) { return reshape(in[0], to); },
                   [full](const Arrays& in) { return reference::reshape(in[0], full); },
                   "to " + to.to_string());
    rows.back().test({normal(from)});
  };
  reshaped({3, 5}, {15}, {15});
  reshaped({2, 3, 4}, {4, -1}, {4, 6});
  reshaped({1}, {}, {});
  reshaped({}, {1, 1}, {1, 1});
  reshaped({0, 4}, {2, 0}, {2, 0});
  reshaped({300, 128}, {-1, 64, 2}, {300, 64, 2});
  rows.back().bench({normal({512, 128})});

  rows.push_back(Row("transpose(Tensor, int, int)", 0));
  const auto swapped = [&](const Shape& shape, int a, int b, std::vector<int> order) {
    rows.back().of([=](const Tensors& in, DType) { return transpose(in[0], a, b); },
                   [=](const Arrays& in) { return reference::permute(in[0], order); },
                   "of " + std::to_string(a) + " and " + std::to_string(b));
    rows.back().test({normal(shape)});
  };
  swapped({3, 5}, -2, -1, {1, 0});
  swapped({3, 5}, 0, 0, {0, 1});
  swapped({2, 3, 4, 5}, 1, 2, {0, 2, 1, 3});
  swapped({2, 3, 4}, 0, -1, {2, 1, 0});
  swapped({0, 3}, 0, 1, {1, 0});
  swapped({300, 129}, 0, 1, {1, 0});
  rows.back().bench({normal(kBenchShape)});

  rows.push_back(Row("permute(Tensor, span<int>)", 0));
  const auto permuted = [&](const Shape& shape, std::vector<int> order) {
    rows.back().of([order](const Tensors& in, DType) { return permute(in[0], order); },
                   [order](const Arrays& in) { return reference::permute(in[0], order); });
    rows.back().test({normal(shape)});
  };
  permuted({3, 5}, {0, 1});
  permuted({2, 3, 4}, {2, 0, 1});
  permuted({2, 3, 4, 5}, {0, 2, 1, 3});
  permuted({2, 3, 1, 2, 1, 2, 2, 3}, {7, 6, 5, 4, 3, 2, 1, 0});
  permuted({}, {});
  permuted({20, 30, 40}, {1, 2, 0});
  rows.back().bench({normal({64, 128, 128})});

  rows.push_back(Row("slice(Tensor, int, int64_t, int64_t)", 0));
  const auto sliced = [&](const Shape& shape, int axis, int64_t begin, int64_t end) {
    rows.back().of([=](const Tensors& in, DType) { return slice(in[0], axis, begin, end); },
                   [=](const Arrays& in) { return reference::slice(in[0], axis, begin, end); },
                   std::to_string(begin) + " to " + std::to_string(end) + " of axis " + std::to_string(axis));
    rows.back().test({normal(shape)});
  };
  sliced({7}, 0, 2, 5);
  sliced({3, 5}, 1, 0, 5);
  sliced({3, 5}, -1, 4, 5);
  sliced({2, 7, 3}, 1, 1, 6);
  sliced({3, 5}, 0, 2, 2);
  sliced({300, 129}, -1, 1, 128);
  rows.back().bench({normal({300, 129})});

  rows.push_back(Row("concat(span<Tensor>, int)", 0));
  const auto joined = [&](int axis) {
    rows.back().of([axis](const Tensors& in, DType) { return concat(in, axis); },
                   [axis](const Arrays& in) { return reference::concat(in, axis); },
                   "along " + std::to_string(axis));
  };
  joined(0);
  rows.back()
      .test({normal({3, 5})})
      .test({normal({3, 5}), normal({1, 5}), normal({4, 5})})
      .test({normal({0, 5}), normal({2, 5})});
  rows.back().test({ids({3}, 0, 9), ids({4}, 0, 9)});
  joined(-1);
  rows.back()
      .test({normal({3, 5}), normal({3, 2})})
      .test({normal({300, 129}), normal({300, 1}), normal({300, 64})}, {0, 1, 2});
  joined(1);
  rows.back().test({normal({2, 3, 4}), normal({2, 1, 4}), normal({2, 0, 4})}, {0, 1, 2});
  rows.back().bench({normal({64, 128, 64}), normal({64, 128, 64})});

  rows.push_back(Row("split(Tensor, span<int64_t>, int)", 0));
  // Joined again in another order, the second part unused, so that each part and its gradient is seen.
  const auto cut = [&](const Shape& shape, std::vector<int64_t> sizes, int axis) {
    rows.back().of(
        [=](const Tensors& in, DType) {
          const Tensors parts = split(in[0], sizes, axis);
          return concat(Tensors{parts[2], parts[0]}, axis);
        },
        [=](const Arrays& in) {
          const int64_t middle = sizes[0] + sizes[1];
          return reference::concat({reference::slice(in[0], axis, middle, middle + sizes[2]),
                                    reference::slice(in[0], axis, 0, sizes[0])},
                                   axis);
        });
    rows.back().test({normal(shape)});
  };
  cut({7}, {3, 2, 2}, 0);
  cut({3, 12}, {4, 4, 4}, -1);
  cut({2, 6, 3}, {1, 5, 0}, 1);
  cut({300, 192}, {64, 64, 64}, 1);
  rows.back().bench({normal({300, 192})});

  rows.push_back(Row("broadcast_to(Tensor, Shape)", 0, 64));
  const auto stretched = [&](const Shape& from, const Shape& to) {
    rows.back().of([to](const Tensors& in, DType) { return broadcast_to(in[0], to); },
                   [to](const Arrays& in) {
                     return reference::broadcast_to(in[0], {to.begin(), to.end()});
                   },
                   "to " + to.to_string());
    rows.back().test({normal(from)});
  };
  stretched({3, 5}, {3, 5});
  stretched({5}, {3, 5});
  stretched({2, 1, 3}, {4, 2, 5, 3});
  stretched({}, {2, 2});
  stretched({1, 3}, {0, 3});
  stretched({1, 33}, {300, 33});
  stretched({129, 1}, {129, 1100});
  rows.back().bench({normal({129, 1})});

  rows.push_back(Row("contiguous(Tensor)", 0));
  rows.back().of([](const Tensors& in, DType) { return contiguous(in[0]); },
                 [](const Arrays& in) { return in[0]; });
  rows.back()
      .test({normal({3, 5})})
      .test({normal({2, 3, 4, 5})})
      .test({normal({})})
      .test({normal({0, 2})})
      .test({normal({300, 129})});
  rows.back().bench({normal(kBenchShape)});
  rows.back().of([](const Tensors& in, DType) { return contiguous(transpose(in[0], 0, 1)); },
                 [](const Arrays& in) {
                   return reference::permute(in[0], {1, 0});
                 },
                 "of a transposed");
  rows.back().test({normal({3, 5})}).test({normal({300, 129})}).bench({normal(kBenchShape)});
  return rows;
}

// ---- selecting ----

std::vector<Row> selecting_rows() {
  std::vector<Row> rows;

  // A popular id gathers up to 300 rows.
  rows.push_back(Row("embedding(Tensor, Tensor)", 0, 64));
  rows.back().of([](const Tensors& in, DType) { return embedding(in[0], in[1]); },
                 [](const Arrays& in) { return reference::embedding(in[0], in[1]); });
  rows.back()
      .test({normal({7, 3}), ids({5}, 0, 7)}, {1})
      .test({normal({1, 1}), ids({4}, 0, 1)})
      .test({normal({5, 4}), ids({2, 3}, 0, 5)}, {1});
  rows.back()
      .test({normal({5, 4}), ids({0}, 0, 5)})
      .test({normal({5, 4}), ids({}, 0, 5)})
      .test({normal({5, 0}), ids({3}, 0, 5)});
  rows.back()
      .test({normal({1000, 33}), ids({4, 300}, 0, 1000)}, {1})
      .test({normal({1000, 128}), ids({600}, 3, 6)}, {1});
  rows.back().bench({normal({8192, 256}), ids({1024}, 0, 8192)});

  rows.push_back(Row("gather(Tensor, Tensor)", 0, 64));
  rows.back().of([](const Tensors& in, DType) { return gather(in[0], in[1]); },
                 [](const Arrays& in) { return reference::gather(in[0], in[1]); });
  rows.back()
      .test({normal({3, 5}), ids({3, 2}, 0, 5)}, {0, 1})
      .test({normal({7}), ids({20}, 0, 7)})
      .test({normal({2, 3, 4}), ids({2, 3, 1}, 0, 4)}, {0, 1});
  rows.back().test({normal({3, 5}), ids({3, 0}, 0, 5)}).test({normal({0, 5}), ids({0, 2}, 0, 5)});
  rows.back().test({normal({300, 1000}), ids({300, 129}, 0, 1000)}, {0, 1});
  rows.back().bench({normal({1024, 1024}), ids({1024, 128}, 0, 1024)});

  rows.push_back(Row("one_hot(Tensor, int64_t, DType)", 0));
  const auto hot = [&](int64_t classes) {
    rows.back().of([classes](const Tensors& in, DType dtype) { return one_hot(in[0], classes, dtype); },
                   [classes](const Arrays& in) { return reference::one_hot(in[0], classes); },
                   std::to_string(classes));
  };
  rows.back().no_gradient();
  hot(7);
  rows.back()
      .test({ids({5}, 0, 7)}, {0})
      .test({ids({2, 3}, 0, 7)}, {0})
      .test({ids({}, 0, 7)})
      .test({ids({0}, 0, 7)});
  hot(1);
  rows.back().test({ids({5}, 0, 1)});
  hot(1000);
  rows.back().test({ids({300}, 0, 1000)}, {0}).bench({ids({1024}, 0, 1000)});
  return rows;
}

// ---- what small models need besides ----

/// A row where each case names an axis: `op` and `expected` over all axes of all shapes.
template <class AxisOp, class AxisReference>
void along_axes(Row& row, AxisOp op, AxisReference expected, Input (*draw)(const Shape&)) {
  over_axes(row, [&](Row& to, const Shape& shape, int axis, bool keep) {
    to.of([=](const Tensors& in, DType) { return op(in[0], axis, keep); },
          [=](const Arrays& in) { return expected(in[0], axis, keep); }, "over axis " + std::to_string(axis));
    to.test({draw(shape)}, axis != 0 && axis != -shape.rank() ? std::vector<int>{0} : std::vector<int>{});
  });
}

Input any(const Shape& shape) { return normal(shape); }

std::vector<Row> more_reduction_rows() {
  const std::vector<Shape> totals = {{5}, {3, 5}, {2, 3, 33}, {1100}, {3, 33333}, {257, 300}};
  // A NaN behind the first 16 elements.
  const Input hidden_nan =
      values({5, 40}, {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, kNaN, 20, 21});
  std::vector<Row> rows;
  using T = const Tensor&;
  using A = const Array&;

  rows.push_back(Row("min(Tensor, int, bool)", 0, 16));
  along_axes(
      rows.back(), [](T x, int axis, bool keep) { return min(x, axis, keep); },
      [](A x, int axis, bool keep) { return reference::min(x, axis, keep); }, distinct);
  rows.back().test({values({5, 37}, {kInf})}).test({values({5, 37}, {1, 2, -kInf, -3})}).test({hidden_nan});
  rows.back().bench({normal(kBenchShape)});

  rows.push_back(Row("argmin(Tensor)", 0, 16));
  rows.back().no_gradient().of([](const Tensors& in, DType) { return argmin(in[0]); },
                               [](const Arrays& in) { return reference::argmin(in[0]); });
  for (const Shape& shape : kAxisShapes)
    rows.back().test({normal(shape)}, shape.rank() > 1 ? std::vector<int>{0} : std::vector<int>{});
  rows.back()
      .test({grid({9, 300}, 1)})
      .test({values({5, 37}, {kInf})})
      .test({hidden_nan})
      .test({normal({0, 3})});
  rows.back().bench({normal(kBenchShape)});

  rows.push_back(Row("variance(Tensor)", 8, 32));
  rows.back().of([](const Tensors& in, DType) { return variance(in[0]); },
                 [](const Arrays& in) { return reference::variance(in[0]); });
  for (const Shape& shape : totals) rows.back().test({normal(shape)});
  rows.back().bench({normal(kBenchShape)});

  rows.push_back(Row("variance(Tensor, int, int64_t, bool)", 8, 32));
  for (const int64_t correction : {0, 1}) {
    for (const Shape& shape :
         {Shape{5}, Shape{3, 5}, Shape{7, 16}, Shape{2, 3, 33}, Shape{300, 7}, Shape{129, 1100}}) {
      for (int axis = 0; axis < shape.rank(); ++axis) {
        const bool keep = (axis + shape.rank()) % 2 == 1;
        const int given = keep ? axis - shape.rank() : axis;
        rows.back().of([=](const Tensors& in, DType) { return variance(in[0], given, correction, keep); },
                       [=](const Arrays& in) { return reference::variance(in[0], given, correction, keep); },
                       "over axis " + std::to_string(given) + " less " + std::to_string(correction));
        rows.back().test({normal(shape)}, axis > 0 ? std::vector<int>{0} : std::vector<int>{});
      }
    }
  }
  // Far from 0, where mean(x²) - mean(x)² would have lost every digit.
  Input far = normal({3, 300});
  far.value = [value = far.value](uint64_t seed, int64_t i) {
    return 4096 + std::round(64 * value(seed, i)) / 64;
  };
  rows.back().of([](const Tensors& in, DType) { return variance(in[0], -1); },
                 [](const Arrays& in) {
                   Array y = reference::variance(in[0], -1, 1, false);
                   y.scale.assign(y.values.size(), 100.0);
                   return y;
                 },
                 "far from 0");
  rows.back().test({far.constant()}).bench({normal(kBenchShape)});

  rows.push_back(Row("norm(Tensor)", 2, 16));
  rows.back().of([](const Tensors& in, DType) { return norm(in[0]); },
                 [](const Arrays& in) { return reference::norm(in[0]); });
  for (const Shape& shape : totals) rows.back().test({normal(shape)});
  rows.back()
      .test({off_zero({})})
      .test({normal({0})})
      .test({values({35}, {1, kInf, 2})})
      .test({values({35}, {kNaN, 1})});
  rows.back().bench({normal(kBenchShape)});

  rows.push_back(Row("norm(Tensor, int, bool)", 2, 16));
  along_axes(
      rows.back(), [](T x, int axis, bool keep) { return norm(x, axis, keep); },
      [](A x, int axis, bool keep) { return reference::norm(x, axis, keep); }, off_zero);
  rows.back().bench({normal(kBenchShape)});

  rows.push_back(Row("cumsum(Tensor, int)", 2, 64));
  along_axes(
      rows.back(), [](T x, int axis, bool) { return cumsum(x, axis); },
      [](A x, int axis, bool) { return reference::cumsum(x, axis); }, any);
  rows.back().test({normal({3, 0})}).test({values({2, 35}, {1, 2, kInf, -3})}).bench({normal(kBenchShape)});
  return rows;
}

std::vector<Row> more_view_rows() {
  std::vector<Row> rows;

  rows.push_back(Row("select(Tensor, int, int64_t)", 0, 16));
  const auto selected = [&](const Shape& shape, int axis, int64_t index) {
    rows.back().of([=](const Tensors& in, DType) { return select(in[0], axis, index); },
                   [=](const Arrays& in) { return reference::select(in[0], axis, index); },
                   std::to_string(index) + " of axis " + std::to_string(axis));
    rows.back().test({normal(shape)});
  };
  selected({7}, 0, 3);
  selected({3, 5}, 0, -1);
  selected({3, 5}, -1, 0);
  selected({2, 7, 3}, 1, -7);
  selected({0, 5}, 1, 4);
  selected({300, 129}, -1, 128);
  rows.back().bench({normal({300, 129})});
  // Two parts of one tensor, which share the buffer of its gradient.
  rows.back().of([](const Tensors& in, DType) { return mul(select(in[0], 1, 0), select(in[0], 1, -1)); },
                 [](const Arrays& in) {
                   return reference::zip(reference::select(in[0], 1, 0), reference::select(in[0], 1, -1),
                                         [](double a, double b) { return a * b; });
                 },
                 "twice");
  rows.back().test({normal({5, 7})}, {0}).test({normal({5, 1})}, {0});

  rows.push_back(Row("stack(span<Tensor>, int)", 0, 16));
  for (const int axis : {0, 1, 2, -1, -3}) {
    rows.back().of([axis](const Tensors& in, DType) { return stack(in, axis); },
                   [axis](const Arrays& in) { return reference::stack(in, axis); },
                   "along " + std::to_string(axis));
    rows.back()
        .test({normal({3, 5}), normal({3, 5}), normal({3, 5})})
        .test({normal({300, 129}), normal({300, 129})});
    rows.back().test({normal({0, 5}), normal({0, 5})}).test({ids({3, 4}, 0, 9), ids({3, 4}, 0, 9)});
  }
  rows.back().bench({normal({64, 8192}), normal({64, 8192})});
  rows.back().of([](const Tensors& in, DType) { return stack(in, -1); },
                 [](const Arrays& in) { return reference::stack(in, -1); });
  rows.back().test({normal({}), normal({})}).test({normal({17})});

  for (const bool upper : {false, true}) {
    rows.push_back(Row(upper ? "triu(Tensor, int64_t)" : "tril(Tensor, int64_t)", 0, 16));
    for (const int64_t diagonal :
         {int64_t{0}, int64_t{2}, int64_t{-2}, int64_t{1} << 62, -(int64_t{1} << 62)}) {
      rows.back().of(
          [=](const Tensors& in, DType) { return upper ? triu(in[0], diagonal) : tril(in[0], diagonal); },
          [=](const Arrays& in) { return reference::triangle(in[0], diagonal, upper); },
          "from " + std::to_string(diagonal));
      rows.back()
          .test({normal({5, 5})})
          .test({normal({3, 7})})
          .test({normal({2, 3, 9, 4})}, {0})
          .test({normal({300, 129})});
      rows.back()
          .test({normal({0, 3})})
          .test({normal({2, 3, 0})})
          .test({normal({1, 1})})
          .test({ids({4, 4}, 0, 9)});
    }
    rows.back().bench({normal(kBenchShape)});
  }
  return rows;
}

Row topk_row() {
  Row row("topk(Tensor, int64_t, int)", 0, 16);
  const auto of = [&](int64_t k, int axis, bool indices) {
    const std::string label =
        std::to_string(k) + " along " + std::to_string(axis) + (indices ? ", places" : "");
    if (indices) {
      row.of([=](const Tensors& in, DType) { return topk(in[0], k, axis).indices; },
             [=](const Arrays& in) { return reference::topk_indices(in[0], k, axis); }, label);
    } else {
      row.of([=](const Tensors& in, DType) { return topk(in[0], k, axis).values; },
             [=](const Arrays& in) { return reference::topk_values(in[0], k, axis); }, label);
    }
  };
  for (const bool indices : {false, true}) {
    if (indices) row.no_gradient();
    of(3, -1, indices);
    row.test({distinct({3, 5})}, {0})
        .test({distinct({3})})
        .test({distinct({2, 3, 33})}, {0})
        .test({distinct({129, 1100})}, {0});
    row.test({normal({0, 4})})
        .test({values({5, 37}, {0, -0.0, -kInf, 2, kInf, 2, kInf})})
        .test({values({2, 6}, {1, kNaN, 3, kNaN, 2, 0})});
    if (!indices) row.bench({normal(kBenchShape)});
    of(2, 0, indices);
    row.test({distinct({5})}).test({distinct({7, 3})}).test({distinct({300, 7})}).test({distinct({4, 2, 3})});
    of(5, 1, indices);
    row.test({distinct({3, 5})}, {0})
        .test({distinct({2, 7, 3})}, {0})
        .test({grid({9, 300}, 1).constant()}, {0});
    of(0, -1, indices);
    row.test({distinct({3, 5})}, {0});
  }
  return row;
}

std::vector<Row> more_selecting_rows() { return {topk_row()}; }

}  // namespace

std::vector<Row> shape_rows() {
  std::vector<Row> rows;
  for (auto part : {reduction_rows, more_reduction_rows, view_rows, more_view_rows, selecting_rows,
                    more_selecting_rows}) {
    for (Row& row : part()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace gradus::testing
