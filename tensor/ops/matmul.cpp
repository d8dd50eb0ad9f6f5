#include <utility>
#include <vector>

#include "tensor/autodiff.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/ops.hpp"
#include "tensor/ops/common.hpp"
#include "tensor/ops/product.hpp"
#include "tensor/ops/reduce.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

using detail::activated_rows;
using detail::as_rows;
using detail::Matrix;
using detail::Product;

/// The last two axes swapped, without autodiff.
Tensor transposed(const Tensor& x) {
  Shape shape = x.shape();
  Strides strides = x.strides();
  std::swap(shape[x.rank() - 2], shape[x.rank() - 1]);
  std::swap(strides[x.rank() - 2], strides[x.rank() - 1]);
  return x.view(shape, strides, 0);
}

template <class T>
Matrix<T> matrix_at(const Tensor& x, int64_t offset) {
  const int rank = x.rank();
  return {x.data<T>() + offset, x.strides()[rank - 2], x.strides()[rank - 1]};
}

/// y = a · b over the last two axes, leading axes broadcast; any strides.
Tensor product_of(const Tensor& a, const Tensor& b) {
  const int64_t m = a.size(-2);
  const int64_t k = a.size(-1);
  const int64_t n = b.size(-1);
  const auto leading = [](const Tensor& x) {
    Shape shape;
    for (int i = 0; i + 2 < x.rank(); ++i) shape.push_back(x.shape()[i]);
    return shape;
  };
  const Shape batch = broadcast_shape(leading(a), leading(b), "matmul");
  Shape shape = batch;
  shape.push_back(m);
  shape.push_back(n);
  Tensor y = Tensor::empty(shape, a.dtype());
  // The offset of batch element `index` in an operand: its axes align at the back, and size 1 does not move.
  const auto offset_of = [&](const Tensor& x, int64_t index) {
    int64_t offset = 0;
    const int missing = batch.rank() - (x.rank() - 2);
    for (int i = batch.rank() - 1; i >= 0; --i) {
      const int64_t at = index % batch[i];
      index /= batch[i];
      if (i >= missing && x.shape()[i - missing] != 1) offset += at * x.strides()[i - missing];
    }
    return offset;
  };
  visit_floating(a.dtype(), "matmul", [&]<class T>() {
    T* to = y.mutable_data<T>();
    const int64_t count = batch.numel();
    for (int64_t i = 0; i < count; ++i) {
      detail::multiply<T>({.m = m,
                           .n = n,
                           .k = k,
                           .a = matrix_at<T>(a, offset_of(a, i)),
                           .b = matrix_at<T>(b, offset_of(b, i)),
                           .c = to + i * m * n,
                           .c_row = n});
    }
  });
  return y;
}

void check_product(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  check_same_dtype("matmul", a, b);
  check(a.rank() >= 2 && b.rank() >= 2, "matmul: both operands must have at least 2 axes; a is ", a.shape(),
        ", b is ", b.shape(), "; use reshape()");
  const int64_t inner_a = a.size(transpose_a ? -2 : -1);
  const int64_t inner_b = b.size(transpose_b ? -1 : -2);
  if (inner_a == inner_b) return;
  const bool would_fit = inner_a == b.size(transpose_b ? -2 : -1);
  fail("matmul: inner dimensions must match; a is ", a.shape(), transpose_a ? " transposed" : "", ", b is ",
       b.shape(), transpose_b ? " transposed" : "",
       would_fit ? (transpose_b ? "; did you mean b as it is?" : "; did you mean transpose(b)?") : "");
}

}  // namespace

Tensor matmul(const Tensor& a, const Tensor& b, bool transpose_a, bool transpose_b) {
  check_product(a, b, transpose_a, transpose_b);
  Tensor y = product_of(transpose_a ? transposed(a) : a, transpose_b ? transposed(b) : b);
  if (!will_record({&a, &b})) return y;
  return record("matmul", y, {a, b},
                [sa = Saved("matmul", a), sb = Saved("matmul", b), transpose_a, transpose_b](Backward& g) {
                  const Tensor kept_a = sa.get(), kept_b = sb.get();
                  const Tensor left = transpose_a ? transposed(kept_a) : kept_a;
                  const Tensor right = transpose_b ? transposed(kept_b) : kept_b;
                  // Each gradient is laid out as its input is, so a transposed input swaps the product's operands.
                  if (g.needs(0)) {
                    const Tensor da = transpose_a ? product_of(right, transposed(g.dy()))
                                                  : product_of(g.dy(), transposed(right));
                    g.add(0, sum_to_shape(da, kept_a.shape()));
                  }
                  if (g.needs(1)) {
                    const Tensor db = transpose_b ? product_of(transposed(g.dy()), left)
                                                  : product_of(transposed(left), g.dy());
                    g.add(1, sum_to_shape(db, kept_b.shape()));
                  }
                });
}

namespace {

kernels::Unary unary_of(Activation activation) {
  switch (activation) {
    case Activation::relu: return kernels::Unary::relu;
    case Activation::relu_squared: return kernels::Unary::relu_squared;
    case Activation::gelu: return kernels::Unary::gelu;
    case Activation::gelu_tanh: return kernels::Unary::gelu_tanh;
    case Activation::silu: return kernels::Unary::silu;
    case Activation::none: break;
  }
  fail("linear: the activation must be one that bends; it is number ", static_cast<int>(activation));
}

}  // namespace

template <class T>
detail::ActivationKernel<T> detail::activation_kernel(Activation activation) {
  if (activation == Activation::none) return nullptr;
  return kernels::table<T>().unary[static_cast<int>(unary_of(activation))];
}
template detail::ActivationKernel<float> detail::activation_kernel<float>(Activation);
template detail::ActivationKernel<double> detail::activation_kernel<double>(Activation);

Tensor detail::activated_rows(const Tensor& pre, Activation activation) {
  if (activation == Activation::none) return pre;
  const Tensor y = Tensor::empty(pre.shape(), pre.dtype());
  visit_floating(pre.dtype(), "linear", [&]<class T>() {
    const auto apply = activation_kernel<T>(activation);
    const T* from = pre.data<T>();
    T* to = y.mutable_data<T>();
    parallel_ranges(y.numel(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
      apply({.x = from + begin, .y = to + begin, .n = end - begin});
    });
  });
  return y;
}

Tensor linear(const Tensor& x, const Tensor& w, const Tensor& bias, Activation activation) {
  check_same_dtype("linear", x, w);
  check(x.rank() >= 1 && w.rank() == 2 && x.size(-1) == w.size(1),
        "linear: x must be (..., K) and w (N, K); x is ", x.shape(), ", w is ", w.shape());
  const int64_t n = w.size(0);
  const int64_t k = w.size(1);
  if (bias.defined()) {
    check_same_dtype("linear", x, bias);
    check(bias.rank() == 1 && bias.size(0) == n, "linear: bias must be (", n, "); it is ", bias.shape());
  }
  const Tensor rows = as_rows(x);
  const Tensor flat_bias = bias.defined() ? bias.to_contiguous() : Tensor();
  const int64_t m = rows.size(0);
  Shape shape = x.shape();
  shape[x.rank() - 1] = n;
  Tensor pre = Tensor::empty(shape, x.dtype());
  visit_floating(x.dtype(), "linear", [&]<class T>() {
    // w is read as its transpose: element (k, n) of the second factor stands at n·row + k·column.
    const Matrix<T> transpose{w.data<T>(), w.strides()[1], w.strides()[0]};
    detail::multiply_parameter<T>({.m = m,
                                   .n = n,
                                   .k = k,
                                   .a = {rows.data<T>(), rows.strides()[0], 1},
                                   .b = transpose,
                                   .c = pre.mutable_data<T>(),
                                   .c_row = n,
                                   .bias = bias.defined() ? flat_bias.data<T>() : nullptr},
                                  w);
  });
  const bool activated = activation != Activation::none;
  const Tensor y = activated_rows(pre, activation);
  if (!will_record({&x, &w, &bias})) return y;
  std::vector<Tensor> inputs{x, w};
  if (bias.defined()) inputs.push_back(bias);
  const Saved spre = activated ? Saved("linear", pre) : Saved();
  const Tensor result = record(
      "linear", y, inputs,
      [m, n, k, sx = Saved("linear", x), sw = Saved("linear", w), activated, activation, spre,
       shape_x = x.shape(), has_bias = bias.defined()](Backward& g) {
        const Tensor input = g.needs(1) ? as_rows(sx.get()) : Tensor();
        const Tensor weight = sw.get();
        visit_floating(weight.dtype(), "linear", [&]<class T>() {
          const auto& table = kernels::table<T>();
          Tensor dpre = g.dy();
          if (activated) {
            dpre = Tensor::empty(g.dy().shape(), weight.dtype());
            const auto apply = table.unary_grad[static_cast<int>(unary_of(activation))];
            const Tensor kept = spre.get();
            const T* from = kept.template data<T>();
            const T* dy = g.dy().template data<T>();
            T* to = dpre.mutable_data<T>();
            parallel_ranges(dpre.numel(), kElementwiseGrain, [&](int64_t begin, int64_t end) {
              apply({.x = from + begin, .y = nullptr, .dy = dy + begin, .dx = to + begin, .n = end - begin});
            });
          }
          const T* du = dpre.data<T>();
          if (g.needs(0)) {
            Tensor dx = Tensor::empty(shape_x, weight.dtype());
            const Matrix<T> as_is{weight.data<T>(), weight.strides()[0], weight.strides()[1]};
            detail::multiply_parameter<T>(
                {.m = m, .n = k, .k = n, .a = {du, n, 1}, .b = as_is, .c = dx.mutable_data<T>(), .c_row = k},
                weight);
            g.add(0, dx);
          }
          if (g.needs(1)) {
            bool fresh = false;
            Tensor dw = g.into(1, fresh);
            detail::multiply<T>({.m = n,
                                 .n = k,
                                 .k = m,
                                 .a = {du, 1, n},
                                 .b = {input.data<T>(), input.strides()[0], 1},
                                 .c = dw.mutable_data<T>(),
                                 .c_row = k,
                                 .accumulate = !fresh});
          }
          if (has_bias && g.needs(2)) {
            bool fresh = false;
            Tensor db = g.into(2, fresh);
            T* to = db.mutable_data<T>();
            parallel_ranges(n, kColumnSumGrain, [&](int64_t begin, int64_t end) {
              table.column_sum({.x = du + begin,
                                .row_stride = n,
                                .y = to + begin,
                                .rows = m,
                                .n = end - begin,
                                .accumulate = !fresh});
            });
          }
        });
      });
  if (!activated) return result;
  return recomputable(result, [spre, activation] { return activated_rows(spre.get(), activation); });
}

}  // namespace gradus
