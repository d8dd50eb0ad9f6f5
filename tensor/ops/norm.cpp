#include <algorithm>

#include "tensor/kernels/kernels.hpp"
#include "tensor/ops.hpp"
#include "tensor/ops/common.hpp"

namespace gradus {
namespace {

constexpr int64_t kGrain = 8192;  // elements of one chunk, which holds whole rows

void check_row_vector(const char* op, const char* what, const Tensor& vector, const Tensor& x) {
  check(vector.shape() == Shape{x.size(-1)}, op, ": ", what, " must be one value a channel, shape (",
        x.size(-1), "); it is ", vector.shape(), ", x is ", x.shape(), "; give it the size of x's last axis");
  check_same_dtype(op, x, vector);
}

/// The rows of x normalised; the mean of each row (where defined) and its 1/σ are written too.
Tensor normalized(const Tensor& x, const Tensor& weight, const Tensor& bias, const Tensor& mean,
                  const Tensor& rstd, double epsilon) {
  const int64_t n = x.size(-1);
  const Tensor y = Tensor::empty(x.shape(), x.dtype());
  visit_floating(x.dtype(), "norm", [&]<class T>() {
    const T* x_data = x.data<T>();
    const T* weight_data = weight.data<T>();
    const T* bias_data = bias ? bias.data<T>() : nullptr;
    T* y_data = y.mutable_data<T>();
    T* mean_data = mean ? mean.mutable_data<T>() : nullptr;
    T* rstd_data = rstd.mutable_data<T>();
    parallel_ranges(x.numel() / n, std::max<int64_t>(1, kGrain / n), [&](int64_t begin, int64_t end) {
      kernels::NormArgs<T> args{};
      args.x = x_data + begin * n;
      args.weight = weight_data;
      args.bias = bias_data;
      args.y = y_data + begin * n;
      args.mean = mean_data == nullptr ? nullptr : mean_data + begin;
      args.rstd = rstd_data + begin;
      args.rows = end - begin;
      args.n = n;
      args.epsilon = static_cast<T>(epsilon);
      kernels::table<T>().norm(args);
    });
  });
  return y;
}

/// Both norms: with a mean that is subtracted (layer norm) or without (RMS norm).
Tensor normalize(const char* op, const Tensor& x, const Tensor& weight, const Tensor& bias, double epsilon,
                 bool centered) {
  check(x.rank() >= 1 && x.size(-1) >= 1, op, ": x must have a last axis with at least one channel; it is ",
        x.shape(), "; reshape it");
  check_row_vector(op, "weight", weight, x);
  if (bias) check_row_vector(op, "bias", bias, x);
  check(epsilon >= 0, op, ": epsilon must not be negative; it is ", epsilon, "; 1e-5 is usual");

  const int64_t n = x.size(-1);
  const int64_t rows = x.numel() / n;
  const int64_t grain = std::max<int64_t>(1, kGrain / n);
  const Tensor input = x.to_contiguous();
  const Tensor scale = weight.to_contiguous();
  const Tensor shift = bias ? bias.to_contiguous() : Tensor();
  const Tensor mean = centered ? Tensor::empty({rows}, x.dtype()) : Tensor();
  const Tensor rstd = Tensor::empty({rows}, x.dtype());
  const Tensor y = normalized(input, scale, shift, mean, rstd, epsilon);
  const Saved saved_x(op, input);
  const Saved saved_weight(op, scale);

  const Tensor result = record(op, y, {x, weight, bias},
                               [rows, n, grain, centered, op, saved_x, saved_weight,
                                saved_mean = Saved(op, mean), saved_rstd = Saved(op, rstd)](Backward& g) {
                                 const Tensor kept_x = saved_x.get();
                                 const Tensor kept_mean = saved_mean.get();
                                 const Tensor kept_rstd = saved_rstd.get();
                                 visit_floating(kept_x.dtype(), op, [&]<class T>() {
                                   const T* x_data = kept_x.data<T>();
                                   const T* dy_data = g.dy().data<T>();
                                   // Kernels take one argument struct for both directions; gradients read mean and rstd.
                                   T* mean_data = centered ? const_cast<T*>(kept_mean.data<T>()) : nullptr;
                                   T* rstd_data = const_cast<T*>(kept_rstd.data<T>());

                                   // dx = (g - mean(g) - x̂ mean(g x̂)) / σ with g = dy weight, a row at a time.
                                   if (g.needs(0)) {
                                     const Tensor dx = Tensor::empty(kept_x.shape(), kept_x.dtype());
                                     const Tensor kept_weight = saved_weight.get();
                                     const T* weight_data = kept_weight.data<T>();
                                     T* dx_data = dx.mutable_data<T>();
                                     parallel_ranges(rows, grain, [&](int64_t begin, int64_t end) {
                                       kernels::NormArgs<T> args{};
                                       args.x = x_data + begin * n;
                                       args.weight = weight_data;
                                       args.mean = centered ? mean_data + begin : nullptr;
                                       args.rstd = rstd_data + begin;
                                       args.dy = dy_data + begin * n;
                                       args.dx = dx_data + begin * n;
                                       args.rows = end - begin;
                                       args.n = n;
                                       kernels::table<T>().norm_grad(args);
                                     });
                                     g.add(0, dx);
                                   }

                                   // dweight = Σ dy x̂ and dbias = Σ dy, each column one chain from 0 that goes on from call to call.
                                   if (!g.needs(1) && !g.needs(2)) return;
                                   const auto chains = [&](int i) {
                                     bool fresh = true;
                                     const Tensor sums =
                                         g.needs(i) ? g.into(i, fresh) : Tensor::empty({n}, kept_x.dtype());
                                     if (fresh) sums.copy_from(Tensor::zeros({n}, kept_x.dtype()));
                                     return sums;
                                   };
                                   const Tensor dweight = chains(1);
                                   const Tensor dbias = g.needs(2) ? chains(2) : Tensor();
                                   T* dweight_data = dweight.mutable_data<T>();
                                   T* dbias_data = dbias ? dbias.mutable_data<T>() : nullptr;
                                   parallel_ranges(n, kColumnSumGrain, [&](int64_t begin, int64_t end) {
                                     kernels::table<T>().norm_weight_grad({.x = x_data,
                                                                           .mean = mean_data,
                                                                           .rstd = rstd_data,
                                                                           .dy = dy_data,
                                                                           .dweight = dweight_data,
                                                                           .dbias = dbias_data,
                                                                           .rows = rows,
                                                                           .n = n,
                                                                           .begin = begin,
                                                                           .end = end,
                                                                           .accumulate = true});
                                   });
                                 });
                               });
  return recomputable(
      result, [centered, rows, epsilon, saved_x, saved_weight, saved_bias = Saved(op, shift)] {
        const Tensor kept_x = saved_x.get();
        const Tensor recomputed_mean = centered ? Tensor::empty({rows}, kept_x.dtype()) : Tensor();
        const Tensor recomputed_rstd = Tensor::empty({rows}, kept_x.dtype());
        return normalized(kept_x, saved_weight.get(), saved_bias.get(), recomputed_mean, recomputed_rstd,
                          epsilon);
      });
}

}  // namespace

Tensor layer_norm(const Tensor& x, const Tensor& weight, const Tensor& bias, double epsilon) {
  return normalize("layer_norm", x, weight, bias, epsilon, true);
}

Tensor rms_norm(const Tensor& x, const Tensor& weight, double epsilon) {
  return normalize("rms_norm", x, weight, Tensor(), epsilon, false);
}

}  // namespace gradus
