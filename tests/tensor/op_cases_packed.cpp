#include <algorithm>
#include <cmath>
#include <functional>
#include <string>

#include "tensor/ops.hpp"
#include "tests/tensor/op_cases.hpp"

/// Rows for weights packed for inference. The references round the weights by the book, in double.

namespace gradus::testing {
namespace {

/// x rounded to `bits` significant bits, ties to even, and to multiples of 2^lowest.
double round_to(double x, int bits, int lowest) {
  if (x == 0) return 0;
  int exponent = 0;
  std::frexp(x, &exponent);
  const double step = std::ldexp(1.0, std::max(exponent - bits, lowest));
  return std::nearbyint(x / step) * step;
}

Array rounded(const Array& w, WeightFormat format) {
  Array y = w;
  if (format == WeightFormat::bf16) {
    for (double& value : y.values) value = round_to(value, 8, -133);
  }
  if (format != WeightFormat::q8) return y;
  const int64_t k = w.shape.back();
  for (int64_t row = 0; row < static_cast<int64_t>(w.values.size()); row += k) {
    for (int64_t group = 0; group < k; group += 32) {
      const auto begin = y.values.begin() + row + group;
      const auto end = y.values.begin() + row + std::min(group + 32, k);
      double largest = 0;
      std::for_each(begin, end, [&](double value) { largest = std::max(largest, std::fabs(value)); });
      const double scale = round_to(static_cast<double>(static_cast<float>(largest / 127)), 11, -24);
      std::for_each(begin, end, [&](double& value) {
        value = scale == 0 ? 0 : std::clamp(std::nearbyint(value / scale), -127.0, 127.0) * scale;
      });
    }
  }
  return y;
}

/// The packed op in f32; in f64, where there are no packed weights, its definition.
Tensor packed_linear(const Tensors& in, WeightFormat format, DType dtype, Activation activation) {
  const Tensor bias = in.size() > 2 ? in[2] : Tensor();
  const PackedWeight w(in[1].dtype() == DType::f32 ? in[1].detach() : cast(in[1].detach(), DType::f32),
                       format);
  if (dtype == DType::f64) return linear(in[0].detach(), cast(w.unpack(), dtype), bias, activation).detach();
  return linear(in[0], w, bias, activation);
}

Row linear_row() {
  Row row("linear(Tensor, PackedWeight, Tensor, Activation)", 3);
  row.no_gradient();
  const auto identity = [](double u) { return u; };
  const auto one = [](double) { return 1.0; };
  for (const WeightFormat format : {WeightFormat::f32, WeightFormat::bf16, WeightFormat::q8}) {
    const std::string name(weight_format_name(format));
    row.of([=](const Tensors& in, DType dtype) { return packed_linear(in, format, dtype, Activation::none); },
           [=](const Arrays& in) {
             return reference::linear(in[0], rounded(in[1], format), in.size() > 2 ? &in[2] : nullptr,
                                      identity, one);
           },
           name);
    // Numbers of rows around the limit between the two ways to compute; columns and sums around every block.
    for (const int64_t m : {1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 13, 24, 25, 32, 33})
      row.test({normal({m, 40}), normal({50, 40}), normal({50})}, {0});
    for (const int64_t k : {1, 2, 31, 32, 33, 65}) row.test({normal({2, k}), normal({17, k})}, {0});
    for (const int64_t n : {1, 15, 16, 63, 64, 65, 100})
      row.test({normal({1, 33}), normal({n, 33}), normal({n})});
    row.test({normal({1, 1100}), normal({385, 1100}, 0.03)})
        .test({normal({11, 1100}), normal({385, 1100}, 0.03)}, {0});
    row.test({normal({200, 385}), normal({400, 385}, 0.03), normal({400})}, {0})
        .test({normal({8, 768}), normal({1000, 768}, 0.03)}, {0});
    row.test({normal({0, 5}), normal({3, 5})}).test({normal({2, 3, 40}), normal({20, 40})}, {0});
    row.bench({normal({1, 768}), normal({3072, 768}, 0.03)}, 2.0 * 768 * 3072);
  }
  row.of([=](const Tensors& in,
             DType dtype) { return packed_linear(in, WeightFormat::q8, dtype, Activation::silu); },
         [=](const Arrays& in) {
           return reference::linear(in[0], rounded(in[1], WeightFormat::q8), &in[2], reference::silu,
                                    [](double) { return 1.2; });
         },
         "q8, silu");
  row.test({normal({7, 40}), normal({50, 40}), normal({50})}, {0});
  return row;
}

Row embedding_row() {
  Row row("embedding(PackedWeight, Tensor)", 0);
  row.no_gradient();
  for (const WeightFormat format : {WeightFormat::f32, WeightFormat::bf16, WeightFormat::q8}) {
    row.of(
        [=](const Tensors& in, DType dtype) {
          const Tensor table =
              in[0].dtype() == DType::f32 ? in[0].detach() : cast(in[0].detach(), DType::f32);
          const Tensor y = embedding(PackedWeight(table, format), in[1]);
          return dtype == DType::f64 ? cast(y, dtype).detach() : y;
        },
        [=](const Arrays& in) { return reference::embedding(rounded(in[0], format), in[1]); },
        std::string(weight_format_name(format)));
    row.test({normal({7, 3}), ids({5}, 0, 7)}, {1}).test({normal({5, 4}), ids({0}, 0, 5)});
    row.test({normal({100, 65}), ids({4, 30}, 0, 100)}, {1});
    row.bench({normal({1000, 768}), ids({64}, 0, 1000)});
  }
  return row;
}

}  // namespace

std::vector<Row> packed_rows() { return {linear_row(), embedding_row()}; }

}  // namespace gradus::testing
