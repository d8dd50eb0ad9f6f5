#include <algorithm>
#include <cmath>
#include <utility>

#include "tensor/kernels/kernels.hpp"
#include "tensor/ops.hpp"
#include "tensor/ops/common.hpp"
#include "tensor/ops/loss.hpp"

namespace gradus {
namespace {

constexpr int64_t kGrain = 8192;  // elements of one chunk; of rows it holds whole ones

int64_t row_grain(int64_t width) { return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width)); }

void check_logits(const char* op, const Tensor& logits, const Tensor& targets) {
  check(logits.rank() == 2 && logits.size(1) >= 1, op, ": logits must be (rows, vocabulary); they are ",
        logits.shape(), "; reshape them");
  check(targets.dtype() == DType::i32 && targets.shape() == Shape{logits.size(0)}, op,
        ": targets must be one i32 a row, shape (", logits.size(0), "); they are ",
        dtype_name(targets.dtype()), " ", targets.shape(), "; reshape or cast them");
}

/// How many targets are not -1; an error naming the first that is neither -1 nor a class.
int64_t count_targets(const char* op, const Tensor& targets, int64_t classes) {
  const auto* values = targets.data<int32_t>();
  int64_t counted = targets.numel();
  int64_t bad = -1;
  parallel_for(1, [&](int64_t) {  // where nothing runs (see DryRunMemory) there is nothing to read either
    for (int64_t n = 0; n < targets.numel() && bad < 0; ++n) {
      const int32_t target = load_element(values + n);
      if (target < -1 || target >= classes) bad = n;
      if (target == -1) --counted;
    }
  });
  check(bad < 0, op, ": targets must be in [0, ", classes - 1,
        "], or -1 for rows that do not count; targets[", bad, "] is ",
        bad < 0 ? 0 : load_element(values + bad), "; check that the tokenizer belongs to the model");
  return counted;
}

/// The log-sum-exp of each row of dense logits and its loss, 0 where the target is -1.
std::pair<Tensor, Tensor> row_losses(const char* op, const Tensor& logits, const Tensor& targets) {
  const int64_t rows = logits.size(0);
  const int64_t classes = logits.size(1);
  const Tensor lse = Tensor::empty({rows}, logits.dtype());
  const Tensor loss = Tensor::empty({rows}, logits.dtype());
  visit_floating(logits.dtype(), op, [&]<class T>() {
    const T* x = logits.data<T>();
    const auto* target = targets.data<int32_t>();
    T* lse_data = lse.mutable_data<T>();
    T* loss_data = loss.mutable_data<T>();
    parallel_ranges(rows, row_grain(classes), [&](int64_t begin, int64_t end) {
      kernels::table<T>().cross_entropy({.x = x + begin * classes,
                                         .row_stride = classes,
                                         .targets = target + begin,
                                         .lse = lse_data + begin,
                                         .loss = loss_data + begin,
                                         .rows = end - begin,
                                         .n = classes});
    });
  });
  return {lse, loss};
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& targets, double divisor) {
  double nothing_before = 0;
  return detail::cross_entropy_part(logits, targets, divisor, nothing_before);
}

Tensor detail::cross_entropy_part(const Tensor& logits, const Tensor& targets, double divisor,
                                  double& running) {
  check_logits("cross_entropy", logits, targets);
  check(divisor >= 0 && std::isfinite(divisor),
        "cross_entropy: the divisor must be positive, or 0 for the rows that count; "
        "it is ",
        divisor, "; give the number of target tokens of the whole batch");
  const Tensor ids = targets.to_contiguous();
  const int64_t classes = logits.size(1);
  const int64_t counted = count_targets("cross_entropy", ids, classes);
  check(counted > 0 || divisor > 0, "cross_entropy: at least one target must count; all ", ids.numel(),
        " are -1; give a divisor, or leave such batches out");
  if (divisor == 0) divisor = static_cast<double>(counted);

  const Tensor input = logits.to_contiguous();
  const std::pair<Tensor, Tensor> losses = row_losses("cross_entropy", input, ids);
  visit_floating(input.dtype(), "cross_entropy", [&]<class T>() {
    const T* loss_data = losses.second.data<T>();
    parallel_for(1, [&, rows = input.size(0)](int64_t) {
      for (int64_t n = 0; n < rows; ++n) running += static_cast<double>(loss_data[n]);
    });
  });
  const Tensor y = Tensor::full({}, running / divisor, input.dtype());

  return record("cross_entropy", y, {logits},
                [classes, divisor, saved_logits = Saved("cross_entropy", input),
                 saved_ids = Saved("cross_entropy", ids),
                 saved_lse = Saved("cross_entropy", losses.first)](Backward& g) {
                  Tensor x = saved_logits.take();
                  const Tensor kept_ids = saved_ids.get();
                  const Tensor kept_lse = saved_lse.get();
                  // The logits are the largest tensor of a step: their gradient takes their place.
                  const Tensor dx = last_owner(x) ? x : Tensor::empty(x.shape(), x.dtype());
                  const double factor = g.dy().item() / divisor;
                  visit_floating(x.dtype(), "cross_entropy", [&]<class T>() {
                    const T* x_data = x.data<T>();
                    const auto* target = kept_ids.data<int32_t>();
                    // One argument struct for both directions; the gradient reads it.
                    T* lse_data = const_cast<T*>(kept_lse.data<T>());
                    T* dx_data = dx.mutable_data<T>();
                    parallel_ranges(x.size(0), row_grain(classes), [&](int64_t begin, int64_t end) {
                      kernels::table<T>().cross_entropy_grad({.x = x_data + begin * classes,
                                                              .row_stride = classes,
                                                              .targets = target + begin,
                                                              .lse = lse_data + begin,
                                                              .dx = dx_data + begin * classes,
                                                              .factor = static_cast<T>(factor),
                                                              .rows = end - begin,
                                                              .n = classes});
                    });
                  });
                  x = Tensor();
                  g.add(0, dx);
                });
}

Tensor token_losses(const Tensor& logits, const Tensor& targets) {
  check_logits("token_losses", logits, targets);
  const Tensor ids = targets.to_contiguous();
  count_targets("token_losses", ids, logits.size(1));
  return no_grad("token_losses", row_losses("token_losses", logits.to_contiguous(), ids).second);
}

Tensor dropout(const Tensor& x, double p, const Random& random, uint64_t first_index) {
  check(p >= 0 && p < 1, "dropout: p must be in [0, 1); it is ", p, "; 0.1 drops one element of ten");
  check(is_floating(x.dtype()), "dropout: element type must be f32 or f64; it is ", dtype_name(x.dtype()),
        "; use cast()");
  if (p == 0) return x;
  // word < p·2³² for whole words is word < ⌈p·2³²⌉.
  const auto threshold = static_cast<uint32_t>(std::min(std::ceil(p * 0x1p32), 4294967295.0));
  const auto apply = [p, random, first_index, threshold](const Tensor& from) {
    const Tensor input = from.to_contiguous();
    const Tensor to = Tensor::empty(from.shape(), from.dtype());
    visit_floating(from.dtype(), "dropout", [&]<class T>() {
      const T* from_data = input.data<T>();
      T* to_data = to.mutable_data<T>();
      parallel_ranges(from.numel(), kGrain, [&](int64_t begin, int64_t end) {
        kernels::table<T>().dropout({.x = from_data + begin,
                                     .y = to_data + begin,
                                     .n = end - begin,
                                     .seed = random.seed(),
                                     .stream = random.stream(),
                                     .first = first_index + static_cast<uint64_t>(begin),
                                     .threshold = threshold,
                                     .scale = static_cast<T>(1 / (1 - p))});
      });
    });
    return to;
  };
  // The mask is not saved: it is a function of the index and can be drawn again.
  return record("dropout", apply(x), {x}, [apply](Backward& g) { g.add(0, apply(g.dy())); });
}

}  // namespace gradus
