#include <cmath>
#include <functional>
#include <stdexcept>
#include <string>
#include <vector>

#include "tensor/autodiff.hpp"
#include "tensor/detail/tensor_impl.hpp"
#include "tensor/ops.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/grad_check.hpp"
#include "tests/tensor/for_each_case.hpp"
#include "tests/tensor/op_cases.hpp"

/// Values and gradients of every row of the op table; bits are in op_bits_test.cpp.

namespace gradus::testing {
namespace {

using Catch::Matchers::ContainsSubstring;

Arrays to_arrays(const Tensors& inputs) {
  Arrays arrays;
  for (const Tensor& input : inputs) arrays.push_back(to_array(input));
  return arrays;
}

TEST_CASE("every op has the value of its double reference, in f64 and in f32 on each instruction set") {
  for_each_case([](const Case& test) -> std::string {
    const NoGrad quiet;
    for (const DType dtype : {DType::f64, DType::f32}) {
      const Tensors inputs = make_inputs(test, dtype);
      const Array expected = test.reference(to_arrays(inputs));
      for (const std::string& isa :
           dtype == DType::f64 ? std::vector<std::string>{"scalar"} : available_isas()) {
        const UseIsa use(isa);
        const std::string problem = compare(test.op(inputs, dtype), expected, test.tolerance);
        if (!problem.empty()) return std::string(dtype_name(dtype)) + " on " + isa + ": " + problem;
      }
    }
    return "";
  });
}

TEST_CASE("every op's gradient agrees with central differences for a random upstream gradient") {
  for_each_case([](const Case& test) -> std::string {
    if (!test.gradient) return "";
    std::vector<int> differentiable;
    int64_t total = 0;
    for (std::size_t i = 0; i < test.inputs.size(); ++i) {
      if (test.inputs[i].differentiable) differentiable.push_back(static_cast<int>(i));
      total += test.inputs[i].shape.numel();
    }
    GradCheck settings;
    settings.elements = total <= 600 ? 40 : total <= 6000 ? 8 : 0;
    settings.seed = draw_seed(test.name);
    return check_gradient(
        "f64", [&](const Tensors& in) { return test.op(in, DType::f64); }, make_inputs(test, DType::f64),
        differentiable, settings);
  });
}

TEST_CASE("every op's f32 gradient is close to its f64 gradient on each instruction set") {
  for_each_case([](const Case& test) -> std::string {
    if (!test.gradient) return "";
    const Outcome precise = run(test, make_inputs(test, DType::f64), DType::f64);
    const Tensors inputs = make_inputs(test, DType::f32);
    for (const std::string& isa : available_isas()) {
      const UseIsa use(isa);
      const Outcome outcome = run(test, inputs, DType::f32);
      for (std::size_t i = 0; i < inputs.size(); ++i) {
        if (!outcome.gradients[i]) continue;
        if (outcome.gradients[i].dtype() != DType::f32) return "the gradient of an f32 input is not f32";
        const std::string problem = compare_gradient(outcome.gradients[i], precise.gradients[i],
                                                     test.gradient_tolerance, test.gradient_scale);
        if (!problem.empty()) return "on " + isa + ", input " + std::to_string(i) + ": " + problem;
      }
    }
    return "";
  });
}

TEST_CASE("an op without a gradient gives a result that needs none") {
  for_each_case([](const Case& test) -> std::string {
    if (test.differentiable) return "";
    Tensors inputs = make_inputs(test, DType::f32);
    for (Tensor& input : inputs) {
      if (is_floating(input.dtype())) input.set_requires_grad();
    }
    return test.op(inputs, DType::f32).requires_grad() ? "the result requires a gradient" : "";
  });
}

TEST_CASE("no op leaves a node behind after backward") {
  const int64_t before = live_nodes();
  for_each_case([before](const Case& test) -> std::string {
    if (!test.gradient || test.inputs[0].shape.numel() > 1000) return "";
    run(test, make_inputs(test, DType::f32), DType::f32);
    return live_nodes() == before ? "" : std::to_string(live_nodes() - before) + " nodes are left";
  });
}

// ---- where a formula has a kink or a tie, ops.hpp says who gets the gradient ----

std::vector<float> gradient_of(const std::function<Tensor(const Tensor&)>& f, std::vector<float> x) {
  Tensor leaf = Tensor::from(std::span<const float>(x), {static_cast<int64_t>(x.size())});
  leaf.set_requires_grad();
  const Tensor y = f(leaf);
  std::vector<float> dy(static_cast<std::size_t>(y.numel()));
  for (std::size_t i = 0; i < dy.size(); ++i) dy[i] = static_cast<float>(i + 1);
  y.backward(Tensor::from(std::span<const float>(dy), y.shape()));
  return leaf.grad().to_vector<float>();
}

TEST_CASE("abs, relu and relu_squared have gradient 0 at 0") {
  const std::vector<float> x = {-2, 0, 3, 0};
  CHECK(gradient_of([](const Tensor& t) { return abs(t); }, x) == std::vector<float>{-1, 0, 3, 0});
  CHECK(gradient_of([](const Tensor& t) { return relu(t); }, x) == std::vector<float>{0, 0, 3, 0});
  CHECK(gradient_of([](const Tensor& t) { return relu_squared(t); }, x) == std::vector<float>{0, 0, 18, 0});
}

TEST_CASE("maximum and minimum give the gradient of a tie to their first operand") {
  const std::vector<float> other = {1, 2, 3, 4};
  const Tensor constant = Tensor::from(std::span<const float>(other), {4});
  const std::vector<float> x = {1, 1, 3, 9};
  CHECK(gradient_of([&](const Tensor& t) { return maximum(t, constant); }, x) ==
        std::vector<float>{1, 0, 3, 4});
  CHECK(gradient_of([&](const Tensor& t) { return maximum(constant, t); }, x) ==
        std::vector<float>{0, 0, 0, 4});
  CHECK(gradient_of([&](const Tensor& t) { return minimum(t, constant); }, x) ==
        std::vector<float>{1, 2, 3, 0});
  CHECK(gradient_of([&](const Tensor& t) { return minimum(constant, t); }, x) ==
        std::vector<float>{0, 2, 0, 0});
}

TEST_CASE("max gives the gradient to the first of several largest") {
  const auto largest = [](const Tensor& t) { return max(reshape(t, {2, 4}), -1); };
  CHECK(gradient_of(largest, {1, 5, 5, 0, 7, 7, 7, 7}) == std::vector<float>{0, 1, 0, 0, 2, 0, 0, 0});
}

TEST_CASE("min and topk give the gradient of equal elements to the first of them") {
  const auto smallest = [](const Tensor& t) { return min(reshape(t, {2, 4}), -1); };
  CHECK(gradient_of(smallest, {1, 0, 5, 0, 7, 7, 7, 7}) == std::vector<float>{0, 1, 0, 0, 2, 0, 0, 0});
  const auto two = [](const Tensor& t) { return topk(t, 2).values; };
  CHECK(gradient_of(two, {1, 5, 5, 5}) == std::vector<float>{0, 1, 2, 0});
}

TEST_CASE("clamp passes the gradient on at its bounds, and nothing beyond them or at NaN") {
  const auto clamped = [](const Tensor& t) { return clamp(t, -1, 2); };
  CHECK(gradient_of(clamped, {-1.5, -1, 0, 2, 2.5, NAN}) == std::vector<float>{0, 2, 3, 4, 0, 0});
}

TEST_CASE("the norm of zeros has gradient 0") {
  CHECK(gradient_of([](const Tensor& t) { return norm(t); }, {0, 0}) == std::vector<float>{0, 0});
  const auto rows = [](const Tensor& t) { return norm(reshape(t, {2, 2}), -1); };
  CHECK(gradient_of(rows, {0, 0, 3, 4}) == std::vector<float>{0, 0, 1.2f, 1.6f});
}

TEST_CASE("pow has gradient 0 for the exponent 0, and 0 at 0 for whole exponents above 1") {
  const auto power = [](double exponent) { return [=](const Tensor& t) { return pow(t, exponent); }; };
  CHECK(gradient_of(power(0), {0, 2, -3}) == std::vector<float>{0, 0, 0});
  CHECK(gradient_of(power(3), {0, 2, -3}) == std::vector<float>{0, 24, 81});
}

TEST_CASE("what the general ops cannot do is an error that says what to do") {
  const Tensor x = Tensor::zeros({2, 3});
  CHECK_THROWS_WITH(pow(x, INFINITY), ContainsSubstring("the exponent must be finite"));
  CHECK_THROWS_WITH(pow(Tensor::arange(2), 2),
                    ContainsSubstring("pow: element type must be f32 or f64; it is i32"));
  CHECK_THROWS_WITH(clamp(x, 1, 0), ContainsSubstring("low must not be above high; they are 1 and 0"));
  CHECK_THROWS_WITH(clamp(x, NAN, 0), ContainsSubstring("low must not be above high"));
  CHECK_THROWS_WITH(variance(x, 0, 2),
                    ContainsSubstring("more elements than the correction; axis 0 of shape (2, 3)"));
  CHECK_THROWS_WITH(variance(Tensor::zeros({1})), ContainsSubstring("at least 2 elements; shape (1)"));
  CHECK_THROWS_WITH(variance(Tensor::zeros({})), ContainsSubstring("at least 2 elements; shape ()"));
  CHECK_THROWS_WITH(cumsum(Tensor::zeros({}), 0), ContainsSubstring("cumsum: the tensor must have an axis"));
  CHECK_THROWS_WITH(select(Tensor::zeros({0, 3}), 0, 0),
                    ContainsSubstring("select: the axis must have elements; axis 0 of shape (0, 3)"));
  const Tensor parts[] = {Tensor::zeros({2}), Tensor()};
  CHECK_THROWS_WITH(stack(parts, 0),
                    ContainsSubstring("stack: all parts must be tensors; part 1 is an empty handle"));
  CHECK_THROWS_WITH(min(Tensor::zeros({2, 0}), 1), ContainsSubstring("min: the axis must have between 1"));
  CHECK_THROWS_WITH(min(Tensor::arange(2), 0), ContainsSubstring("min: element type must be f32 or f64"));
  CHECK_THROWS_WITH(argmin(Tensor::zeros({})),
                    ContainsSubstring("argmin: the tensor must have at least one axis"));
  CHECK_THROWS_WITH(topk(x, 4), ContainsSubstring("k is 4, axis 1 of shape (2, 3)"));
  CHECK_THROWS_WITH(select(x, 1, 3), ContainsSubstring("the index must be in [-3, 2]; it is 3"));
  CHECK_THROWS_WITH(stack(Tensors{}, 0), ContainsSubstring("at least one part"));
  CHECK_THROWS_WITH(stack(Tensors{x, Tensor::zeros({3, 2})}, 0), ContainsSubstring("part 1 is (3, 2)"));
  CHECK_THROWS_WITH(stack(Tensors{x}, 3), ContainsSubstring("axis must be in [-3, 2]"));
  CHECK_THROWS_WITH(tril(Tensor::zeros({3})), ContainsSubstring("at least two axes; it is (3)"));
  CHECK_THROWS_WITH(1.0 / Tensor::arange(2), ContainsSubstring("div: element type must be f32 or f64"));
}

TEST_CASE("a masked row of softmax passes back zeros") {
  const float hidden = -INFINITY;
  const auto probabilities = [](const Tensor& t) { return softmax(reshape(t, {2, 3})); };
  const std::vector<float> dx = gradient_of(probabilities, {hidden, hidden, hidden, 0, hidden, 0});
  // The second row: y = (1/2, 0, 1/2), dy = (4, 5, 6).
  CHECK(dx == std::vector<float>{0, 0, 0, -0.5f, 0, 0.5f});
}

TEST_CASE("one tensor used as both operands gathers both gradients") {
  CHECK(gradient_of([](const Tensor& t) { return mul(t, t); }, {1, -2, 3}) == std::vector<float>{2, -8, 18});
  CHECK(gradient_of([](const Tensor& t) { return sub(t, t); }, {1, -2, 3}) == std::vector<float>{0, 0, 0});
}

}  // namespace
}  // namespace gradus::testing
