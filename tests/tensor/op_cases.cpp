#include "tests/tensor/op_cases.hpp"

#include <cfloat>
#include <cmath>
#include <iterator>
#include <sstream>
#include <utility>

#include "tensor/autodiff.hpp"
#include "tensor/error.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/ops.hpp"
#include "tests/support/draw.hpp"

namespace gradus::testing {
namespace {

double to_float(double x) { return static_cast<double>(static_cast<float>(x)); }

}  // namespace

Input Input::constant() const {
  Input copy = *this;
  copy.differentiable = false;
  return copy;
}

Input normal(const Shape& shape, double size) {
  return {shape, [size](uint64_t seed, int64_t i) {
            return to_float(size * draw_normal(seed, static_cast<uint64_t>(i)));
          }};
}

Input uniform(const Shape& shape, double low, double high) {
  return {shape, [=](uint64_t seed, int64_t i) {
            return to_float(low + (high - low) * draw_uniform(seed, static_cast<uint64_t>(i)));
          }};
}

Input off_zero(const Shape& shape) {
  return {shape, [](uint64_t seed, int64_t i) {
            const double size = 0.1 + 1.9 * draw_uniform(seed, static_cast<uint64_t>(i));
            return to_float(draw_bits(seed, static_cast<uint64_t>(i)) & 1 ? size : -size);
          }};
}

Input grid(const Shape& shape, double step, double offset) {
  return {shape, [=](uint64_t seed, int64_t i) {
            const int64_t steps = static_cast<int64_t>(draw_bits(seed, static_cast<uint64_t>(i)) >> 60) - 8;
            return static_cast<double>(steps) * step + offset;
          }};
}

Input distinct(const Shape& shape) {
  // Steps of a number without a common factor with n visit all of 0 … n-1.
  const int64_t n = shape.numel() < 1 ? 1 : shape.numel();
  const int64_t step = n % 7919 == 0 ? 1 : 7919;
  return {shape, [=](uint64_t seed, int64_t i) {
            const int64_t start = static_cast<int64_t>(seed % 1000003);
            return static_cast<double>((start + i % n * step) % n - n / 2) / 64;
          }};
}

Input ids(const Shape& shape, int64_t low, int64_t high) {
  return {shape,
          [=](uint64_t seed, int64_t i) {
            return static_cast<double>(low + static_cast<int64_t>(draw_bits(seed, static_cast<uint64_t>(i)) %
                                                                  static_cast<uint64_t>(high - low)));
          },
          true, false};
}

Input values(const Shape& shape, std::vector<double> list) {
  return {shape,
          [list = std::move(list)](uint64_t, int64_t i) {
            return list[static_cast<std::size_t>(i) % list.size()];
          },
          false, false};
}

Input id_values(const Shape& shape, std::vector<double> list) {
  Input input = values(shape, std::move(list));
  input.ids = true;
  return input;
}

Row::Row(std::string name, double tolerance, double gradient_tolerance) : signature(std::move(name)) {
  model_.tolerance = tolerance;
  model_.gradient_tolerance = gradient_tolerance;
}

Row& Row::of(Op op, Reference reference, std::string label) {
  model_.op = std::move(op);
  model_.reference = std::move(reference);
  label_ = std::move(label);
  return *this;
}

Row& Row::no_gradient() {
  model_.differentiable = false;
  return *this;
}

Row& Row::gradient_scale(double scale) {
  model_.gradient_scale = scale;
  return *this;
}

Case Row::make(std::vector<Input> inputs) const {
  Case test = model_;
  test.name = signature + (label_.empty() ? "" : " " + label_) + " of";
  for (const Input& input : inputs) test.name += " " + input.shape.to_string();
  test.gradient = false;
  for (const Input& input : inputs) test.gradient |= test.differentiable && input.differentiable;
  test.inputs = std::move(inputs);
  return test;
}

Row& Row::test(std::vector<Input> inputs, std::vector<int> batched) {
  cases.push_back(make(std::move(inputs)));
  cases.back().batched = std::move(batched);
  return *this;
}

Row& Row::bench(std::vector<Input> inputs, double flops) {
  benches.push_back(make(std::move(inputs)));
  benches.back().flops = flops;
  return *this;
}

const std::vector<Row>& op_rows() {
  static const std::vector<Row> rows = [] {
    std::vector<Row> all;
    for (auto part : {elementwise_rows, shape_rows, product_rows, norm_rows, packed_rows, kernel_rows,
                      word_vector_rows}) {
      std::vector<Row> some = part();
      all.insert(all.end(), std::make_move_iterator(some.begin()), std::make_move_iterator(some.end()));
    }
    return all;
  }();
  return rows;
}

Tensors make_inputs(const Case& test, DType dtype) {
  Tensors tensors;
  for (std::size_t k = 0; k < test.inputs.size(); ++k) {
    const Input& input = test.inputs[k];
    const uint64_t seed = draw_seed(test.name) + k;
    tensors.push_back(tensor_of(input.shape, input.ids ? DType::i32 : dtype,
                                [&](int64_t i) { return input.value(seed, i); }));
  }
  return tensors;
}

Tensor make_upstream(const Case& test, const Tensor& y) {
  Case one;
  one.name = test.name + " upstream";
  one.inputs = {normal(y.shape())};
  return make_inputs(one, y.dtype())[0];
}

Array to_array(const Tensor& x) {
  Array array{{x.shape().begin(), x.shape().end()}, {}, {}};
  const auto convert = [&]<class T>(T) {
    const std::vector<T> list = x.to_vector<T>();
    array.values.assign(list.begin(), list.end());
  };
  switch (x.dtype()) {
    case DType::f32: convert(float{}); break;
    case DType::f64: convert(double{}); break;
    case DType::i32: convert(int32_t{}); break;
    case DType::bf16:
    case DType::f16: fail("to_array: the type must be f32, f64 or i32; it is ", dtype_name(x.dtype()));
  }
  return array;
}

Outcome run(const Case& test, const Tensors& inputs, DType dtype, const Tensor& upstream) {
  Tensors leaves;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    leaves.push_back(inputs[i].detach());
    if (test.gradient && test.inputs[i].differentiable) leaves[i].set_requires_grad();
  }
  Outcome outcome;
  outcome.y = test.op(leaves, dtype);
  outcome.gradients.resize(inputs.size());
  if (!test.gradient) return outcome;
  outcome.y.backward(upstream ? upstream : make_upstream(test, outcome.y));
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (!test.inputs[i].differentiable) continue;
    outcome.gradients[i] = leaves[i].grad();
    // Nothing flowed back: no gradient is a gradient of zero.
    if (!outcome.gradients[i]) outcome.gradients[i] = Tensor::zeros(inputs[i].shape(), inputs[i].dtype());
  }
  outcome.y = outcome.y.detach();
  return outcome;
}

std::string compare(const Tensor& y, const Array& expected, double tolerance) {
  std::ostringstream text;
  text.precision(17);
  const Array got = to_array(y);
  if (got.shape != expected.shape) {
    text << "the shape is " << y.shape() << ", expected (";
    for (std::size_t i = 0; i < expected.shape.size(); ++i) text << (i ? ", " : "") << expected.shape[i];
    text << ")";
    return text.str();
  }
  const bool single = y.dtype() == DType::f32;
  // Near the smallest normal number, results may become 0: kernels avoid denormals.
  const double floor = tolerance == 0 ? 0 : 2 * (single ? double{FLT_MIN} : DBL_MIN);
  const double relative = tolerance == 0 ? 0 : single ? tolerance * FLT_EPSILON : 1e-12;
  for (std::size_t i = 0; i < got.values.size(); ++i) {
    const double right = single ? to_float(expected.values[i]) : expected.values[i];
    const double size = expected.scale.empty() ? std::fabs(expected.values[i]) : expected.scale[i];
    const double error = std::fabs(got.values[i] - expected.values[i]);
    if (got.values[i] == right || (std::isnan(got.values[i]) && std::isnan(right))) continue;
    if (std::isfinite(right) && error <= relative * size + floor) continue;
    text << place(static_cast<int64_t>(i), y.shape()) << " is " << got.values[i] << ", expected "
         << expected.values[i];
    if (tolerance != 0)
      text << "; the error is " << error / (relative * size + floor) << " of what is allowed";
    return text.str();
  }
  return "";
}

std::string compare_gradient(const Tensor& dx, const Tensor& expected, double tolerance, double scale) {
  std::ostringstream text;
  text.precision(17);
  if (!(dx.shape() == expected.shape())) {
    text << "the gradient's shape is " << dx.shape() << ", expected " << expected.shape();
    return text.str();
  }
  const Array got = to_array(dx), right = to_array(expected);
  double squares = 0;
  for (const double value : right.values) squares += value * value;
  const double typical =
      right.values.empty() ? 0 : std::sqrt(squares / static_cast<double>(right.values.size()));
  for (std::size_t i = 0; i < got.values.size(); ++i) {
    const double allowed =
        tolerance * FLT_EPSILON * (std::fabs(right.values[i]) + typical + scale) + 2 * FLT_MIN;
    const double error = std::fabs(got.values[i] - right.values[i]);
    if (error <= allowed) continue;
    text << place(static_cast<int64_t>(i), dx.shape()) << " of the gradient is " << got.values[i]
         << " in f32 and " << right.values[i] << " in f64; the error is " << error / allowed
         << " of what is allowed";
    return text.str();
  }
  return "";
}

std::string same_bits(const Outcome& a, const Outcome& b) {
  std::string difference = same_bits(a.y, b.y);
  if (!difference.empty()) return "the results differ: " + difference;
  for (std::size_t i = 0; i < a.gradients.size(); ++i) {
    difference = same_bits(a.gradients[i], b.gradients[i]);
    if (!difference.empty()) return "the gradients of input " + std::to_string(i) + " differ: " + difference;
  }
  return "";
}

}  // namespace gradus::testing
