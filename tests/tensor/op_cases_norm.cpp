#include <cmath>
#include <limits>
#include <utility>

#include "tensor/kernels/kernels.hpp"
#include "tensor/ops.hpp"
#include "tests/tensor/op_cases.hpp"

namespace gradus::testing {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

const std::vector<Shape> kRowShapes = {{1, 1}, {5},      {3, 5},     {2, 3, 16}, {4, 17},
                                       {0, 5}, {7, 130}, {300, 129}, {70, 1000}};

std::vector<int> all_but_scalars(const Shape& shape) {
  return shape.rank() > 1 ? std::vector<int>{0} : std::vector<int>{};
}

std::vector<Row> softmax_rows() {
  std::vector<Row> rows;
  rows.push_back(Row("softmax(Tensor)", 2));
  rows.back().of([](const Tensors& in, DType) { return softmax(in[0]); },
                 [](const Arrays& in) { return reference::softmax(in[0]); });
  rows.push_back(Row("log_softmax(Tensor)", 1.5, 32));
  rows.back().of([](const Tensors& in, DType) { return log_softmax(in[0]); },
                 [](const Arrays& in) { return reference::log_softmax(in[0]); });
  const Input masked = values({5, 21}, {1, -kInf, 0.5, 2, -kInf, -kInf, -1}),
              hidden = values({2, 19}, {-kInf});
  const auto with_gradient = [](Input input) {
    input.differentiable = true;
    return input;
  };
  for (Row& row : rows) {
    for (const Shape& shape : kRowShapes) row.test({normal(shape, 2)}, all_but_scalars(shape));
    // Far from 0; and far apart, where y (dy - sum(dy y)) is what rounding leaves of dy - dy.
    row.test({uniform({9, 40}, 1000, 1010)}, {0});
    row.gradient_scale(1).test({uniform({9, 40}, -200, 200)}, {0}).gradient_scale(0);
    row.test({masked}, {0}).test({hidden}, {0}).test({values({5, 19}, {1, 2, kNaN, 3, 1, 1, 1, 1, 1, 1, 1,
                                                                       1, 1, 1,    1, 1, 1, 1, 1, 0, 0})});
    row.bench({normal({1024, 1000})});
  }
  rows[0].test({with_gradient(masked)}, {0}).test({with_gradient(hidden)}, {0});
  // What is masked stays at -infinity, where no slope is to be had: only the rest may ask for a gradient.
  rows[1].of(
      [](const Tensors& in, DType dtype) {
        const Tensor y = log_softmax(in[0]);
        return where(greater(y, Tensor::full({}, -1e30, dtype)), y, Tensor::zeros({}, dtype));
      },
      [](const Arrays& in) {
        const Array y = reference::log_softmax(in[0]);
        return reference::map(
            y, [](double value) { return value == -kInf ? 0 : value; },
            [](double value) { return value == -kInf ? 0 : 4 + std::fabs(value); });
      },
      "where not masked");
  rows[1].test({with_gradient(masked)}, {0}).test({with_gradient(hidden)}, {0});
  return rows;
}

std::vector<Row> layer_norm_rows() {
  std::vector<Row> rows;
  // Rows of 1 and 2 are left to the value: their gradient is a difference of equals that epsilon alone keeps from 0.
  rows.push_back(Row("layer_norm(Tensor, Tensor, Tensor, double)", 2, 64));
  Row& layer = rows.back();
  const auto with_bias = [&layer](double epsilon) {
    layer.of([=](const Tensors& in, DType) { return layer_norm(in[0], in[1], in[2], epsilon); },
             [=](const Arrays& in) { return reference::layer_norm(in[0], in[1], &in[2], epsilon); });
  };
  with_bias(1e-5);
  for (const Shape& shape : kRowShapes) {
    const int64_t n = shape.at(-1);
    if (n > 2) layer.test({normal(shape), normal({n}), normal({n})}, all_but_scalars(shape));
  }
  layer.test({normal({3, 1}).constant(), normal({1}), normal({1})})
      .test({normal({3, 2}).constant(), normal({2}), normal({2})});
  // 170 standard deviations from 0: so many digits are lost before the first sum.
  layer.gradient_scale(20)
      .test({uniform({30, 70}, 99, 101), normal({70}), normal({70})}, {0})
      .gradient_scale(0);
  layer.test({values({4, 40}, {2}), normal({40}), normal({40})});
  with_bias(0.1);
  layer.test({normal({6, 33}), normal({33}), normal({33})}, {0})
      .bench({normal({1024, 768}), normal({768}), normal({768})});
  layer.of([](const Tensors& in, DType) { return layer_norm(in[0], in[1], {}); },
           [](const Arrays& in) { return reference::layer_norm(in[0], in[1], nullptr, 1e-5); },
           "without bias");
  layer.test({normal({3, 5}), normal({5})}, {0}).test({normal({150, 257}), normal({257})}, {0});

  rows.push_back(Row("rms_norm(Tensor, Tensor, double)", 2.5, 16));
  Row& rms = rows.back();
  const auto with_epsilon = [&rms](double epsilon) {
    rms.of([=](const Tensors& in, DType) { return rms_norm(in[0], in[1], epsilon); },
           [=](const Arrays& in) { return reference::rms_norm(in[0], in[1], epsilon); });
  };
  with_epsilon(1e-5);
  for (const Shape& shape : kRowShapes) {
    const int64_t n = shape.at(-1);
    if (n > 2) rms.test({normal(shape), normal({n})}, all_but_scalars(shape));
  }
  rms.test({normal({3, 1}).constant(), normal({1})})
      .test({normal({3, 2}).constant(), normal({2})})
      .test({values({4, 40}, {0}), normal({40})});
  rms.bench({normal({1024, 768}), normal({768})});
  with_epsilon(0.1);
  rms.test({normal({6, 33}), normal({33})}, {0});
  return rows;
}

std::vector<Row> loss_rows() {
  std::vector<Row> rows;

  rows.push_back(Row("cross_entropy(Tensor, Tensor, double)", 4, 32));
  Row& loss = rows.back();
  const auto divided_by = [&loss](double divisor) {
    loss.of([=](const Tensors& in, DType) { return cross_entropy(in[0], in[1], divisor); },
            [=](const Arrays& in) { return reference::cross_entropy(in[0], in[1], divisor); },
            "divisor " + std::to_string(divisor));
  };
  divided_by(0);
  loss.test({normal({3, 5}), ids({3}, 0, 5)})
      .test({normal({1, 1}), ids({1}, 0, 1)})
      .test({normal({7, 17}, 3), id_values({7}, {3, -1, 16})});
  loss.test({normal({30, 1000}, 2), id_values({30}, {999, -1, 5, 7, 0})})
      .test({normal({300, 129}), id_values({300}, {2, -1, 128})})
      .bench({normal({1024, 2048}), ids({1024}, 0, 2048)});
  divided_by(7);
  loss.test({normal({3, 5}), ids({3}, -1, 5)}, {0, 1})
      .test({normal({30, 1000}), ids({30}, -1, 1000)}, {0, 1});
  loss.test({normal({4, 5}), id_values({4}, {-1})});
  // A saved lse of 520 is rounded to multiples of 2^-14: so much is lost of each probability.
  loss.gradient_scale(0.1).test({uniform({9, 40}, 500, 520), ids({9}, 0, 40)}, {0, 1}).gradient_scale(0);

  rows.push_back(Row("token_losses(Tensor, Tensor)", 1.5));
  rows.back().no_gradient().of([](const Tensors& in, DType) { return token_losses(in[0], in[1]); },
                               [](const Arrays& in) { return reference::token_losses(in[0], in[1]); });
  rows.back()
      .test({normal({3, 5}), ids({3}, 0, 5)}, {0, 1})
      .test({normal({1, 1}), ids({1}, 0, 1)}, {0, 1})
      .test({normal({0, 5}), ids({0}, 0, 5)});
  rows.back()
      .test({normal({70, 1000}, 2), ids({70}, -1, 1000)}, {0, 1})
      .test({normal({300, 129}), ids({300}, -1, 3)}, {0, 1});
  rows.back().test({values({3, 19}, {1, -kInf, 2, 0}), id_values({3}, {0, 2, 4})});
  rows.back().bench({normal({1024, 2048}), ids({1024}, 0, 2048)});

  // 1 / (1-p) is rounded, and so is the product.
  rows.push_back(Row("dropout(Tensor, double, Random, uint64_t)", 1));
  const auto dropped = [&](double p, uint64_t seed, uint64_t stream, uint64_t first) {
    rows.back().of([=](const Tensors& in, DType) { return dropout(in[0], p, Random(seed, stream), first); },
                   [=](const Arrays& in) { return reference::dropout(in[0], p, seed, stream, first); },
                   std::to_string(p) + " from " + std::to_string(first));
  };
  dropped(0.5, 1, 2, 0);
  rows.back().test({normal({3, 5})}).test({normal({1, 1})}).test({normal({0, 5})}).test({normal({300, 129})});
  dropped(0.1, 0x123456789abcdef0, 0xfedcba9876543210, 7);
  rows.back().test({normal({4, 33})}).test({normal({3, 33333})}).bench({normal({1024, 1024})});
  dropped(0, 3, 4, 5);
  rows.back().test({normal({4, 33})});
  dropped(0.999, 3, 4, (uint64_t{1} << 40) - 9);
  rows.back().test({normal({40, 33})});
  return rows;
}

}  // namespace

std::vector<Row> norm_rows() {
  std::vector<Row> rows;
  for (auto part : {softmax_rows, layer_norm_rows, loss_rows}) {
    for (Row& row : part()) rows.push_back(std::move(row));
  }
  return rows;
}

namespace {

template <class T>
Tensor squares_of(const Tensor& x) {
  const Tensor dense = x.to_contiguous();
  const double total =
      static_cast<double>(kernels::table<T>().squares({.x = dense.data<T>(), .n = dense.numel()}));
  return Tensor::full({}, total, dtype_of<T>::value);
}

template <class T>
Tensor adamw_of(const Tensors& in, const reference::AdamW& s) {
  const Tensor x = in[0].clone(), grad = in[1].to_contiguous(), m = in[2].clone(), v = in[3].clone();
  const auto narrow = [](double value) { return static_cast<T>(value); };
  kernels::table<T>().adamw({.x = x.mutable_data<T>(),
                             .grad = grad.data<T>(),
                             .m = m.mutable_data<T>(),
                             .v = v.mutable_data<T>(),
                             .n = x.numel(),
                             .clip = narrow(s.clip),
                             .one_minus_beta1 = narrow(s.one_minus_beta1),
                             .one_minus_beta2 = narrow(s.one_minus_beta2),
                             .decay_factor = narrow(s.decay_factor),
                             .step_size = narrow(s.step_size),
                             .v_scale = narrow(s.v_scale),
                             .epsilon = narrow(s.epsilon)});
  return concat(Tensors{x, m, v}, 0);
}

}  // namespace

std::vector<Row> kernel_rows() {
  std::vector<Row> rows;

  rows.push_back(Row("kernels::squares", 2));
  rows.back().no_gradient().of(
      [](const Tensors& in, DType dtype) {
        return dtype == DType::f64 ? squares_of<double>(in[0]) : squares_of<float>(in[0]);
      },
      [](const Arrays& in) { return reference::sum(reference::map(in[0], [](double x) { return x * x; })); });
  for (const int64_t n : {0, 1, 5, 15, 16, 17, 31, 48, 1100, 10007}) rows.back().test({normal({n})});
  rows.back().bench({normal({1 << 20})}, 2.0 * (1 << 20));

  rows.push_back(Row("kernels::adamw", 2));
  // Powers of two where a rounded setting would hide the kernel's own rounding.
  const reference::AdamW settings = {0.5, 0.125, 0.0625, 0.984375, 0.0078125, 2, 0x1p-20};
  rows.back().no_gradient().of(
      [settings](const Tensors& in, DType dtype) {
        return dtype == DType::f64 ? adamw_of<double>(in, settings) : adamw_of<float>(in, settings);
      },
      [settings](const Arrays& in) { return reference::adamw(in[0], in[1], in[2], in[3], settings); });
  for (const int64_t n : {0, 1, 5, 16, 17, 1100}) {
    rows.back().test({normal({n}), normal({n}), normal({n}, 0.1), uniform({n}, 0, 0.01)});
  }
  // Moments too small to keep, of either sign, become 0; those just above stay.
  rows.back().test({normal({38}), values({38}, {0}), values({38}, {1e-31, -1e-31, 2e-30, -2e-30, 0, 1e-44}),
                    values({38}, {1e-38, 2e-37, 0, 1e-44, 1e-37})});
  rows.back().bench(
      {normal({1 << 18}), normal({1 << 18}), normal({1 << 18}, 0.1), uniform({1 << 18}, 0, 0.01)});
  return rows;
}

}  // namespace gradus::testing
