#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <sstream>
#include <string>
#include <vector>

#include "tensor/autodiff.hpp"
#include "tests/support/tensors.hpp"

/// Gradients against central differences.
///
/// With L = Σ dy · f(x) for a random dy (with dy = 1 a softmax's gradient that is zero, or wrong by any factor, would
/// pass), each derivative is compared with
/// dL/dx ≈ (8 (L(x+h) - L(x-h)) - (L(x+2h) - L(x-2h))) / 12h, whose error is of order h⁴, in f64.

namespace gradus::testing {

struct GradCheck {
  double step = 0x1p-10;
  double tolerance = 1e-7;  ///< times the derivative's size plus the root mean square of the input's
  int64_t elements = 64;    ///< compared one by one, for each input; all of them if there are no more
  int directions = 2;       ///< random signs of all elements of an input at once, which see every element
  double direction_step = 0x1p-13;
  uint64_t seed = 1;
};

namespace detail {

/// Σ dy (high - low). Where both are equal, infinite ones too, the term is 0.
inline double weighted_difference(const Tensor& dy, const Tensor& high, const Tensor& low) {
  const std::vector<double> w = dy.to_vector<double>(), a = high.to_vector<double>(),
                            b = low.to_vector<double>();
  double total = 0;
  for (std::size_t i = 0; i < w.size(); ++i) {
    if (a[i] != b[i]) total += w[i] * (a[i] - b[i]);
  }
  return total;
}

}  // namespace detail

/// Nothing if the gradient of f at f64 `inputs` is right, else op, input, element and both values of the first that is
/// not. Inputs not named in `differentiable` stay as they are.
inline std::string check_gradient(const std::string& op,
                                  const std::function<Tensor(const std::vector<Tensor>&)>& f,
                                  const std::vector<Tensor>& inputs, const std::vector<int>& differentiable,
                                  const GradCheck& settings = {}) {
  std::vector<Tensor> leaves;
  for (const Tensor& input : inputs) leaves.push_back(input.clone());
  for (const int i : differentiable) leaves[static_cast<std::size_t>(i)].set_requires_grad();
  const Tensor y = f(leaves);
  const Tensor dy = random_tensor(y.shape(), settings.seed, 1, DType::f64);
  y.backward(dy);

  const NoGrad quiet;
  std::vector<Tensor> moved;
  for (const Tensor& input : inputs) moved.push_back(input.clone());

  for (const int i : differentiable) {
    const Tensor& leaf = leaves[static_cast<std::size_t>(i)];
    const int64_t n = leaf.numel();
    const std::vector<double> x = inputs[static_cast<std::size_t>(i)].to_vector<double>();
    std::vector<double> dx(x.size(), 0.0);
    if (const Tensor gradient = leaf.grad()) {
      if (!(gradient.shape() == leaf.shape())) {
        return op + ": the gradient of input " + std::to_string(i) + " has shape " +
               gradient.shape().to_string() + ", the input " + leaf.shape().to_string();
      }
      dx = gradient.to_vector<double>();
    }
    double squares = 0;
    for (const double value : dx) squares += value * value;

    // The derivative along a direction; u(e) is its element e.
    const auto numeric = [&](double step, const std::function<double(int64_t)>& u) {
      const auto moved_by = [&](double distance) {
        double* values = moved[static_cast<std::size_t>(i)].mutable_data<double>();
        for (int64_t e = 0; e < n; ++e) values[e] = x[static_cast<std::size_t>(e)] + distance * u(e);
        return f(moved).clone();  // a view would follow the next move
      };
      const Tensor up = moved_by(step), down = moved_by(-step), far_up = moved_by(2 * step),
                   far_down = moved_by(-2 * step);
      return (8 * detail::weighted_difference(dy, up, down) -
              detail::weighted_difference(dy, far_up, far_down)) /
             (12 * step);
    };
    const auto report = [&](const std::string& where, double got, double expected) {
      std::ostringstream text;
      text.precision(12);
      text << op << ": the derivative with respect to " << where << " of input " << i << " " << leaf.shape()
           << " is wrong; backward gives " << got << ", central differences give " << expected;
      return text.str();
    };

    const double typical = n == 0 ? 0 : std::sqrt(squares / static_cast<double>(n));
    for (int64_t c = 0; c < std::min(n, settings.elements); ++c) {
      const int64_t element =
          n <= settings.elements
              ? c
              : static_cast<int64_t>(draw_bits(settings.seed + 1, static_cast<uint64_t>(c)) %
                                     static_cast<uint64_t>(n));
      const double got = dx[static_cast<std::size_t>(element)];
      if (!std::isfinite(x[static_cast<std::size_t>(element)])) continue;
      const double expected = numeric(settings.step, [&](int64_t e) { return e == element ? 1.0 : 0.0; });
      if (!(std::fabs(got - expected) <= settings.tolerance * (std::fabs(got) + typical) + 1e-9)) {
        return report("element " + std::to_string(element), got, expected);
      }
    }
    for (int d = 0; d < settings.directions && n > 0; ++d) {
      const auto sign = [&](int64_t e) {
        if (!std::isfinite(x[static_cast<std::size_t>(e)])) return 0.0;
        return draw_bits(settings.seed + 2 + static_cast<uint64_t>(d), static_cast<uint64_t>(e)) & 1 ? 1.0
                                                                                                     : -1.0;
      };
      double got = 0;
      for (int64_t e = 0; e < n; ++e) got += dx[static_cast<std::size_t>(e)] * sign(e);
      const double expected = numeric(settings.direction_step, sign);
      if (!(std::fabs(got - expected) <=
            10 * settings.tolerance * (std::fabs(got) + std::sqrt(squares)) + 1e-8)) {
        return report("a random direction", got, expected);
      }
    }
    // Back in place for the next input.
    std::copy(x.begin(), x.end(), moved[static_cast<std::size_t>(i)].mutable_data<double>());
  }
  return "";
}

}  // namespace gradus::testing
