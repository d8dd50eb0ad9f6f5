// Softmax and log-softmax. Every op of this library has the shape that these two show:
//
//   check what was given, allocate the result, cut the work into chunks that follow from the shape alone, call a kernel
//   for each, and record() a backward that stands right here, so that derivative and saved tensors are read together.
//
// tensor/ops.hpp states the formulas; tensor/kernels/softmax.hpp does the arithmetic.

#include <algorithm>

#include "tensor/kernels/kernels.hpp"
#include "tensor/ops.hpp"
#include "tensor/ops/common.hpp"

namespace gradus {
namespace {

using kernels::SoftmaxArgs;

constexpr int64_t kGrain = 8192;  // elements of one chunk, which holds whole rows

/// Runs a kernel over the rows of `all`, whose unused arrays are null.
template <class T>
void run_rows(void (*kernel)(const SoftmaxArgs<T>&), const SoftmaxArgs<T>& all) {
  parallel_ranges(
      all.rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, all.n)), [&](int64_t begin, int64_t end) {
        const auto from = [&](auto* array) { return array == nullptr ? nullptr : array + begin * all.n; };
        kernel({.x = from(all.x),
                .y = from(all.y),
                .dy = from(all.dy),
                .dx = from(all.dx),
                .rows = end - begin,
                .n = all.n});
      });
}

int64_t count_rows(const char* op, const Tensor& x) {
  check(x.rank() >= 1, op, ": x must have at least one axis; it is a scalar; reshape it to (1)");
  return x.size(-1) == 0 ? 0 : x.numel() / x.size(-1);
}

}  // namespace

Tensor softmax(const Tensor& x) {
  const int64_t rows = count_rows("softmax", x);
  const int64_t n = x.size(-1);
  const Tensor dense = x.to_contiguous();
  const Tensor y = Tensor::empty(x.shape(), x.dtype());
  visit_floating(x.dtype(), "softmax", [&]<class T>() {
    run_rows<T>(kernels::table<T>().softmax,
                {.x = dense.data<T>(), .y = y.mutable_data<T>(), .rows = rows, .n = n});
  });
  // The derivative needs the result alone: dx = y (dy - Σ dy y).
  return record("softmax", y, {x}, [rows, n, saved = Saved("softmax", y)](Backward& g) {
    const Tensor result = saved.get();
    const Tensor dx = Tensor::empty(result.shape(), result.dtype());
    visit_floating(result.dtype(), "softmax", [&]<class T>() {
      // Kernels take one argument struct for both directions; the gradient reads y.
      auto* y_data = const_cast<T*>(result.data<T>());
      run_rows<T>(kernels::table<T>().softmax_grad,
                  {.y = y_data, .dy = g.dy().data<T>(), .dx = dx.mutable_data<T>(), .rows = rows, .n = n});
    });
    g.add(0, dx);
  });
}

Tensor log_softmax(const Tensor& x) {
  const int64_t rows = count_rows("log_softmax", x);
  const int64_t n = x.size(-1);
  const Tensor dense = x.to_contiguous();
  const Tensor y = Tensor::empty(x.shape(), x.dtype());
  visit_floating(x.dtype(), "log_softmax", [&]<class T>() {
    run_rows<T>(kernels::table<T>().log_softmax,
                {.x = dense.data<T>(), .y = y.mutable_data<T>(), .rows = rows, .n = n});
  });
  // softmax(x) = exp(y), so again y is all that is saved: dx = dy - exp(y) Σ dy.
  return record("log_softmax", y, {x}, [rows, n, saved = Saved("log_softmax", y)](Backward& g) {
    const Tensor result = saved.get();
    const Tensor dx = Tensor::empty(result.shape(), result.dtype());
    visit_floating(result.dtype(), "log_softmax", [&]<class T>() {
      auto* y_data = const_cast<T*>(result.data<T>());  // read, as above
      run_rows<T>(kernels::table<T>().log_softmax_grad,
                  {.y = y_data, .dy = g.dy().data<T>(), .dx = dx.mutable_data<T>(), .rows = rows, .n = n});
    });
    g.add(0, dx);
  });
}

}  // namespace gradus
