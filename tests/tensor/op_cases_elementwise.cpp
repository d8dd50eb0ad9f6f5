#include <cmath>
#include <limits>
#include <string>
#include <utility>

#include "tensor/ops.hpp"
#include "tests/tensor/op_cases.hpp"

namespace gradus::testing {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

/// Scalars, empty, odd, more than one register, and long enough for several chunks.
const std::vector<Shape> kShapes = {{}, {1}, {0, 4}, {3, 5}, {17}, {2, 3, 31}, {3, 33333}};
const Shape kBenchShape = {1024, 1024};

using Draw = std::function<Input(const Shape&)>;
Draw between(double low, double high) {
  return [=](const Shape& shape) { return uniform(shape, low, high); };
}

Row unary(const std::string& name, Tensor (*op)(const Tensor&), reference::Function f, double tolerance,
          const Draw& draw, std::vector<double> special, reference::Function scale = {}) {
  Row row(name + "(Tensor)", tolerance);
  row.of([op](const Tensors& in, DType) { return op(in[0]); },
         [f, scale](const Arrays& in) { return reference::map(in[0], f, scale); });
  for (const Shape& shape : kShapes)
    row.test({draw(shape)}, shape.rank() > 0 ? std::vector<int>{0} : std::vector<int>{});
  // Every lane of a register meets every special value.
  special.push_back(kNaN);
  const int64_t n = static_cast<int64_t>(special.size());
  row.test({values({17, n}, std::move(special))});
  row.bench({draw(kBenchShape)});
  return row;
}

std::vector<Row> unary_rows() {
  const auto size = [](double x) { return std::fabs(x); };
  const auto one = [](double) { return 1.0; };
  std::vector<Row> rows;
  rows.push_back(unary("neg", neg, [](double x) { return -x; }, 0, off_zero, {0, kInf, -kInf, 1e-42}));
  rows.push_back(
      unary("abs", abs, [](double x) { return std::fabs(x); }, 0, off_zero, {0, -0.0, kInf, -kInf}));
  rows.push_back(
      unary("square", square, [](double x) { return x * x; }, 0, off_zero, {0, kInf, -kInf, 1e10}));
  rows.push_back(
      unary("sqrt", sqrt, [](double x) { return std::sqrt(x); }, 0, between(0.1, 4), {0, -1, kInf, 1e30}));
  // Two correctly rounded steps: the root, then the quotient.
  rows.push_back(unary("rsqrt", rsqrt, [](double x) { return 1 / std::sqrt(x); }, 1.5, between(0.1, 4),
                       {0, -1, kInf, 1e30}));
  rows.push_back(unary("exp", exp, [](double x) { return std::exp(x); }, 1, between(-4, 4),
                       {0, kInf, -kInf, 88, 88.7, 89, -86, -88, -104, 710, -746, 1e-30}));
  rows.push_back(unary("log", log, [](double x) { return std::log(x); }, 1, between(0.05, 4),
                       {0, -1, kInf, 1, 0x1.000002p0, 0x1.fffffep-1, 2e-38, 3e38}));
  // Near a multiple of pi the result is small, and only its distance from the exact one is bounded.
  rows.push_back(unary(
      "sin", sin, [](double x) { return std::sin(x); }, 1, between(-20, 20),
      {0, 3.1415927410125732, -100, 1000, 1e-20}, one));
  rows.push_back(unary(
      "cos", cos, [](double x) { return std::cos(x); }, 1, between(-20, 20),
      {0, 1.5707963705062866, -100, 1000, 1e-20}, one));
  rows.push_back(unary("tanh", tanh, [](double x) { return std::tanh(x); }, 2, between(-4, 4),
                       {0, 1e-20, 1e-3, 0.5, 9, -30, 100, kInf, -kInf}));
  rows.push_back(unary("erf", erf, [](double x) { return std::erf(x); }, 1.5, between(-3, 3),
                       {0, 1e-20, 1e-3, 0.5, 5, -30, kInf, -kInf}));
  rows.push_back(unary("sigmoid", sigmoid, reference::sigmoid, 2, between(-6, 6),
                       {0, 20, -20, -80, 100, -1000, kInf, -kInf}));
  rows.push_back(unary("relu", relu, [](double x) { return x > 0   ? x
                                                           : x < 0 ? 0.0
                                                                   : x; }, 0, off_zero,
                       {0, kInf, -kInf, 1e-30}));
  rows.push_back(unary("relu_squared", relu_squared, [](double x) { return x > 0   ? x * x
                                                                           : x < 0 ? 0.0
                                                                                   : x; },
                       0, off_zero, {0, kInf, -kInf, -3, 3}));
  // In the left tail 1 + erf cancels, which leaves an error of the size of x.
  rows.push_back(unary("gelu", gelu, reference::gelu, 1.5, between(-4, 4),
                       {0, 1e-20, -9, 9, -50, 50, -1e30, 1e30}, size));
  rows.push_back(unary("gelu_tanh", gelu_tanh, reference::gelu_tanh, 2, between(-4, 4),
                       {0, 1e-20, -9, 9, -50, 50, -1e4, 1e4}, size));
  rows.push_back(
      unary("silu", silu, reference::silu, 2, between(-6, 6), {0, 1e-20, -20, 20, -85, 1000, -1000}, size));

  // Far out, gradients must be exactly 0 or 1 and not 0 · infinity.
  const std::vector<double> far = {-1e4, -300, -88.5, 88.5, 300, 1e4};
  for (Row& row : rows) {
    for (const char* name : {"tanh", "sigmoid", "erf", "gelu", "gelu_tanh", "silu", "relu"}) {
      if (row.signature != std::string(name) + "(Tensor)") continue;
      Input input = values({6}, far);
      input.differentiable = true;
      row.test({input}, {0});
    }
  }
  return rows;
}

/// Pairs of shapes: equal, stretched on either side and on both, a scalar, empty, and long.
const std::vector<std::pair<Shape, Shape>> kPairs = {{{3, 5}, {3, 5}},
                                                     {{3, 5}, {5}},
                                                     {{4, 1, 3}, {2, 1}},
                                                     {{}, {3, 4}},
                                                     {{1}, {1}},
                                                     {{0, 3}, {1, 3}},
                                                     {{7, 33}, {7, 1}},
                                                     {{300, 129}, {129}},
                                                     {{300, 129}, {300, 1}},
                                                     {{3, 1}, {3, 1100}},
                                                     {{2, 17, 1}, {17, 200}},
                                                     {{3, 33333}, {3, 33333}}};

Row binary(const std::string& signature, std::function<Tensor(const Tensor&, const Tensor&)> op,
           reference::Function2 f, const Draw& draw_a, const Draw& draw_b) {
  // The gradient of a stretched operand is a sum over up to 1100 elements.
  Row row(signature, 0, 32);
  row.of([op](const Tensors& in, DType) { return op(in[0], in[1]); },
         [f](const Arrays& in) { return reference::zip(in[0], in[1], f); });
  for (const auto& [a, b] : kPairs) {
    const bool rows_match = a.rank() > 0 && a.rank() == b.rank() && a[0] == b[0];
    row.test({draw_a(a), draw_b(b)}, rows_match ? std::vector<int>{0, 1} : std::vector<int>{});
  }
  row.bench({draw_a(kBenchShape), draw_b(kBenchShape)});
  return row;
}

std::vector<Row> binary_rows() {
  const Draw any = [](const Shape& shape) { return normal(shape); };
  const Draw whole = [](const Shape& shape) { return grid(shape, 0.25); };
  const Draw between_whole = [](const Shape& shape) { return grid(shape, 0.25, 0.125); };
  const auto plus = [](double a, double b) { return a + b; };
  const auto minus = [](double a, double b) { return a - b; };
  const auto times = [](double a, double b) { return a * b; };
  const auto over = [](double a, double b) { return a / b; };
  std::vector<Row> rows;
  using T = const Tensor&;
  rows.push_back(binary(
      "add(Tensor, Tensor)", [](T a, T b) { return add(a, b); }, plus, any, any));
  rows.push_back(binary(
      "sub(Tensor, Tensor)", [](T a, T b) { return sub(a, b); }, minus, any, any));
  rows.push_back(binary(
      "mul(Tensor, Tensor)", [](T a, T b) { return mul(a, b); }, times, any, any));
  rows.push_back(binary(
      "div(Tensor, Tensor)", [](T a, T b) { return div(a, b); }, over, any, off_zero));
  rows.back().test({values({3, 4}, {1, -1, 0, kInf, kNaN}), values({3, 4}, {0, -0.0, 2, kInf})});
  rows.push_back(binary(
      "maximum(Tensor, Tensor)", [](T a, T b) { return maximum(a, b); },
      [](double a, double b) { return a < b ? b : a; }, whole, between_whole));
  rows.back().test({values({35}, {1, 2, kInf, -kInf, -3}), values({35}, {2, 1, 0, 0, -3, kInf, -kInf})});
  rows.push_back(binary(
      "minimum(Tensor, Tensor)", [](T a, T b) { return minimum(a, b); },
      [](double a, double b) { return b < a ? b : a; }, whole, between_whole));
  rows.back().test({values({35}, {1, 2, kInf, -kInf, -3}), values({35}, {2, 1, 0, 0, -3, kInf, -kInf})});
  rows.push_back(binary(
      "operator+(Tensor, Tensor)", [](T a, T b) { return a + b; }, plus, any, any));
  rows.push_back(binary(
      "operator-(Tensor, Tensor)", [](T a, T b) { return a - b; }, minus, any, any));
  rows.push_back(binary(
      "operator*(Tensor, Tensor)", [](T a, T b) { return a * b; }, times, any, any));
  rows.push_back(binary(
      "operator/(Tensor, Tensor)", [](T a, T b) { return a / b; }, over, any, off_zero));
  return rows;
}

/// One tensor and a number. The numbers are exact in f32 so that results are correctly rounded.
Row with_number(const std::string& signature, std::function<Tensor(const Tensor&, double)> op,
                reference::Function2 f) {
  Row row(signature, 0);
  for (const double value : {0.0, 1.0, -2.5, 0.375}) {
    row.of(
        [op, value](const Tensors& in, DType) { return op(in[0], value); },
        [f, value](const Arrays& in) { return reference::map(in[0], [&](double x) { return f(x, value); }); },
        "with " + std::to_string(value));
    for (const Shape& shape : kShapes)
      row.test({normal(shape)}, shape.rank() > 0 ? std::vector<int>{0} : std::vector<int>{});
  }
  row.bench({normal(kBenchShape)});
  return row;
}

std::vector<Row> number_rows() {
  const auto plus = [](double x, double value) { return x + value; };
  const auto times = [](double x, double value) { return x * value; };
  std::vector<Row> rows;
  rows.push_back(with_number(
      "add(Tensor, double)", [](const Tensor& x, double v) { return add(x, v); }, plus));
  rows.push_back(with_number(
      "mul(Tensor, double)", [](const Tensor& x, double v) { return mul(x, v); }, times));
  rows.push_back(with_number(
      "operator+(Tensor, double)", [](const Tensor& x, double v) { return x + v; }, plus));
  rows.push_back(with_number(
      "operator*(Tensor, double)", [](const Tensor& x, double v) { return x * v; }, times));
  return rows;
}

Row comparison(const std::string& name, Tensor (*op)(const Tensor&, const Tensor&), reference::Function2 f) {
  Row row(name + "(Tensor, Tensor)", 0);
  row.no_gradient().of([op](const Tensors& in, DType) { return op(in[0], in[1]); },
                       [f](const Arrays& in) { return reference::zip(in[0], in[1], f); });
  for (const auto& [a, b] : kPairs) row.test({grid(a, 0.5), grid(b, 0.5)});
  row.test({ids({5, 40}, -3, 3), ids({40}, -3, 3)});
  row.test({values({5, 5}, {1, 2, kNaN, kInf, -kInf, 0}), values({5, 5}, {kInf, 2, kNaN, -0.0})});
  row.bench({normal(kBenchShape), normal(kBenchShape)});
  return row;
}

Row where_row() {
  Row row("where(Tensor, Tensor, Tensor)", 0, 64);
  row.of([](const Tensors& in, DType) { return where(in[0], in[1], in[2]); },
         [](const Arrays& in) { return reference::where(in[0], in[1], in[2]); });
  row.test({ids({3, 5}, -1, 2), normal({3, 5}), normal({3, 5})}, {0, 1, 2});
  row.test({ids({7, 1}, 0, 2), normal({33}), normal({1})});
  row.test({ids({2, 1, 4}, 0, 2), normal({3, 1}), normal({})});
  row.test({ids({3, 33333}, 0, 2), normal({3, 33333}), normal({3, 1})}, {0, 1, 2});
  row.test({ids({0, 4}, 0, 2), normal({0, 4}), normal({4})});
  // What is not chosen does not matter, whatever it is.
  row.test(
      {id_values({35}, {1, 0, 1}), values({35}, {1, kNaN, 3, kInf, -2}), values({35}, {kNaN, 5, kInf, 7})});
  row.bench({ids(kBenchShape, 0, 2), normal(kBenchShape), normal(kBenchShape)});
  return row;
}

Row swiglu_row() {
  Row row("swiglu(Tensor, Tensor)", 2.5);
  row.of([](const Tensors& in, DType) { return swiglu(in[0], in[1]); },
         [](const Arrays& in) {
           return reference::zip(in[0], in[1],
                                 [](double gate, double up) { return reference::silu(gate) * up; });
         });
  for (const Shape& shape : kShapes) {
    row.test({normal(shape, 2), normal(shape)},
             shape.rank() > 0 ? std::vector<int>{0, 1} : std::vector<int>{});
  }
  row.bench({normal(kBenchShape), normal(kBenchShape)});
  return row;
}

Row cast_row() {
  Row row("cast(Tensor, DType)", 0);
  const std::vector<double> ties = {0,
                                    -0.0,
                                    1,
                                    1.00390625,
                                    1.01171875,
                                    -1.01171875,
                                    1.00048828125,
                                    1.00146484375,
                                    2049,
                                    65504,
                                    65519.5,
                                    -65520,
                                    3.4e38,
                                    6e-8,
                                    2.9e-8,
                                    -3e-8,
                                    1e-40,
                                    6e-5,
                                    kInf,
                                    -kInf,
                                    1 + 0x1p-8 + 0x1p-30,
                                    kNaN};
  const auto through = [](DType type) {
    return [type](const Tensors& in, DType dtype) { return cast(cast(in[0], type), dtype); };
  };
  const auto maps = [](double (*f)(double)) {
    return [f](const Arrays& in) { return reference::map(in[0], f); };
  };
  row.of([](const Tensors& in, DType) { return cast(in[0], DType::f64); }, maps([](double x) { return x; }),
         "to f64");
  row.test({normal({3, 5})}, {0}).test({normal({3, 33333})}, {0}).test({normal({})}).test({normal({0, 3})});
  row.test({values({7, 22}, ties)});
  row.of([](const Tensors& in, DType) { return cast(in[0], DType::f32); },
         maps([](double x) { return static_cast<double>(static_cast<float>(x)); }), "to f32");
  row.test({values({7, 22}, ties)}).bench({normal(kBenchShape)});
  row.no_gradient();
  row.of(through(DType::bf16), maps(reference::to_bf16), "to bf16 and back");
  row.test({normal({3, 5})})
      .test({normal({3, 33333}, 1e-3)})
      .test({values({7, 22}, ties)})
      .bench({normal(kBenchShape)});
  row.of(through(DType::f16), maps(reference::to_f16), "to f16 and back");
  row.test({normal({3, 5})})
      .test({normal({3, 33333}, 1e-4)})
      .test({values({7, 22}, ties)})
      .bench({normal(kBenchShape)});
  row.of([](const Tensors& in, DType) { return cast(in[0], DType::i32); },
         maps([](double x) { return std::trunc(x); }), "to i32");
  row.test({normal({3, 5}, 10)})
      .test({values({8}, {0.5, -0.5, 1.5, -1.999, 2147483520.0, -2147483648.0, 0, -7})});
  row.of([](const Tensors& in, DType dtype) { return cast(in[0], dtype); }, maps([](double x) { return x; }),
         "of i32");
  row.test({ids({3, 5}, -100, 100)}).test({ids({3, 3333}, -100000, 100000)});
  return row;
}

/// One tensor and several numbers, all exact in f32.
Row of_numbers(const std::string& signature, std::function<Tensor(const Tensor&, double)> op,
               reference::Function2 f, const Draw& draw, std::vector<double> numbers, double tolerance = 0) {
  Row row(signature, tolerance, 16);
  for (const double value : numbers) {
    row.of(
        [op, value](const Tensors& in, DType) { return op(in[0], value); },
        [f, value](const Arrays& in) { return reference::map(in[0], [&](double x) { return f(x, value); }); },
        "with " + std::to_string(value));
    for (const Shape& shape : kShapes)
      row.test({draw(shape)}, shape.rank() > 0 ? std::vector<int>{0} : std::vector<int>{});
    row.test({values({17, 9}, {0, 1, -1, 3, -0.5, 1e10, kInf, -kInf, kNaN})});
  }
  row.bench({draw(kBenchShape)});
  return row;
}

std::vector<Row> scalar_rows() {
  const Draw any = [](const Shape& shape) { return normal(shape); };
  const auto minus = [](double x, double value) { return x - value; };
  const auto minus_from = [](double x, double value) { return value - x; };
  const auto over = [](double x, double value) { return x / value; };
  const auto over_from = [](double x, double value) { return value / x; };
  const std::vector<double> some = {0.0, 1.0, -2.5, 0.375};
  std::vector<Row> rows;
  using T = const Tensor&;
  const auto add_row = [&](const char* signature, Tensor (*op)(T, double), const reference::Function2& f,
                           const Draw& draw, const std::vector<double>& numbers) {
    rows.push_back(of_numbers(signature, op, f, draw, numbers));
  };
  add_row(
      "sub(Tensor, double)", [](T x, double v) { return sub(x, v); }, minus, any, some);
  add_row(
      "operator-(Tensor, double)", [](T x, double v) { return x - v; }, minus, any, some);
  add_row(
      "sub(double, Tensor)", [](T x, double v) { return sub(v, x); }, minus_from, any, some);
  add_row(
      "operator-(double, Tensor)", [](T x, double v) { return v - x; }, minus_from, any, some);
  add_row("div(Tensor, double)", [](T x, double v) { return div(x, v); }, over, any, {1.0, -2.5, 3.0});
  add_row("operator/(Tensor, double)", [](T x, double v) { return x / v; }, over, any, {1.0, -2.5, 3.0});
  add_row(
      "div(double, Tensor)", [](T x, double v) { return div(v, x); }, over_from, off_zero, some);
  add_row(
      "operator/(double, Tensor)", [](T x, double v) { return v / x; }, over_from, off_zero, some);
  add_row(
      "operator+(double, Tensor)", [](T x, double v) { return v + x; },
      [](double x, double value) { return value + x; }, any, some);
  add_row(
      "operator*(double, Tensor)", [](T x, double v) { return v * x; },
      [](double x, double value) { return value * x; }, any, some);
  add_row(
      "operator-(Tensor)", [](T x, double) { return -x; }, [](double x, double) { return -x; }, any, {0.0});
  return rows;
}

Row pow_row() {
  const auto raised = [](double x, double exponent) { return std::pow(x, exponent); };
  const auto op = [](const Tensor& x, double exponent) { return pow(x, exponent); };
  // Negative bases too where the exponent is whole.
  Row row =
      of_numbers("pow(Tensor, double)", op, raised, off_zero, {-3.0, -2.0, -1.0, 0.0, 1.0, 2.0, 3.0, 5.0}, 1);
  for (const double exponent : {-1.5, 0.5, 0.3, 2.5}) {
    row.of([=](const Tensors& in, DType) { return pow(in[0], exponent); },
           [=](const Arrays& in) {
             return reference::map(in[0], [&](double x) { return std::pow(x, exponent); });
           },
           "with " + std::to_string(exponent));
    row.test({uniform({3, 5}, 0.1, 4)}, {0}).test({uniform({3, 33333}, 0.1, 4)}, {0});
    // 0.5 is the root, which is NaN at -infinity, where std::pow is infinite.
    row.test({values({17, 6}, {0, 1, -1, 1e10, kInf, kNaN})});
  }
  return row;
}

Row clamp_row() {
  Row row("clamp(Tensor, double, double)", 0, 16);
  for (const auto& [low, high] : std::vector<std::pair<double, double>>{
           {-0.5, 1.0}, {0.0, kInf}, {-kInf, 0.25}, {-kInf, kInf}, {0.5, 0.5}}) {
    row.of([low = low, high = high](const Tensors& in, DType) { return clamp(in[0], low, high); },
           [low = low, high = high](const Arrays& in) {
             return reference::map(in[0], [&](double x) { return x < low ? low : x > high ? high : x; });
           },
           std::to_string(low) + " to " + std::to_string(high));
    for (const Shape& shape : kShapes)
      row.test({grid(shape, 0.25, 0.125)}, shape.rank() > 0 ? std::vector<int>{0} : std::vector<int>{});
    row.test({values({17, 6}, {-0.5, 1, 0, kInf, -kInf, kNaN})});
  }
  row.bench({normal(kBenchShape)});
  return row;
}

}  // namespace

std::vector<Row> elementwise_rows() {
  std::vector<Row> rows;
  for (auto part : {unary_rows, binary_rows, number_rows, scalar_rows}) {
    for (Row& row : part()) rows.push_back(std::move(row));
  }
  rows.push_back(comparison("equal", equal, [](double a, double b) { return a == b ? 1.0 : 0.0; }));
  rows.push_back(comparison("less", less, [](double a, double b) { return a < b ? 1.0 : 0.0; }));
  rows.push_back(comparison("greater", greater, [](double a, double b) { return a > b ? 1.0 : 0.0; }));
  rows.push_back(where_row());
  rows.push_back(pow_row());
  rows.push_back(clamp_row());
  rows.push_back(swiglu_row());
  rows.push_back(cast_row());
  return rows;
}

}  // namespace gradus::testing
