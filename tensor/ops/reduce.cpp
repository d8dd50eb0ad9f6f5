#include "tensor/ops/reduce.hpp"

#include <algorithm>
#include <utility>
#include <vector>

#include "tensor/autodiff.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/ops.hpp"
#include "tensor/ops/common.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

constexpr int64_t kSumChunk = 4096;  // elements of one partial sum: part of the definition of sum(x)

/// A dense array seen as (outer, middle, inner), of which the middle axis is reduced.
struct Axes {
  int64_t outer = 1;
  int64_t middle = 1;
  int64_t inner = 1;
};

/// Axes begin … end-1 of the shape in the middle.
Axes split_axes(const Shape& shape, int begin, int end) {
  Axes axes;
  for (int i = 0; i < shape.rank(); ++i) {
    int64_t& part = i < begin ? axes.outer : i < end ? axes.middle : axes.inner;
    part *= shape[i];
  }
  return axes;
}

/// y (outer, inner) from a dense x (outer, middle, inner), both without autodiff: rows where inner is 1, else columns.
/// `accumulate` continues the chains of y and needs columns.
template <class T>
void sum_middle(const T* x, T* y, const Axes& axes, bool accumulate) {
  const auto& table = kernels::table<T>();
  if (axes.inner == 1 && !accumulate) {
    const int64_t grain = std::max<int64_t>(1, kElementwiseGrain / std::max<int64_t>(1, axes.middle));
    parallel_ranges(axes.outer, grain, [&](int64_t begin, int64_t end) {
      table.row_sum({.x = x + begin * axes.middle,
                     .row_stride = axes.middle,
                     .y = y + begin,
                     .rows = end - begin,
                     .n = axes.middle});
    });
    return;
  }
  const int64_t columns = (axes.inner + kColumnSumGrain - 1) / kColumnSumGrain;
  const int64_t per_chunk =
      std::max<int64_t>(1, kElementwiseGrain / std::max<int64_t>(1, axes.middle * kColumnSumGrain));
  // One cell is up to 64 columns of one outer index; many small ones share a chunk.
  parallel_ranges(axes.outer * columns, per_chunk, [&](int64_t begin, int64_t end) {
    for (int64_t cell = begin; cell < end; ++cell) {
      const int64_t outer = cell / columns;
      const int64_t column = cell % columns * kColumnSumGrain;
      const int64_t width = std::min(kColumnSumGrain, axes.inner - column);
      table.column_sum({.x = x + outer * axes.middle * axes.inner + column,
                        .row_stride = axes.inner,
                        .y = y + outer * axes.inner + column,
                        .rows = axes.middle,
                        .n = width,
                        .accumulate = accumulate});
    }
  });
}

/// The sum over axes begin … end-1, which become one axis of size 1.
Tensor sum_axes(const Tensor& x, int begin, int end) {
  const Tensor dense = x.to_contiguous();
  Shape shape;
  for (int i = 0; i < x.rank(); ++i) {
    if (i < begin || i >= end) shape.push_back(x.shape()[i]);
    if (i == begin) shape.push_back(1);
  }
  Tensor y = Tensor::empty(shape, x.dtype());
  visit_floating(x.dtype(), "sum", [&]<class T>() {
    sum_middle(dense.data<T>(), y.mutable_data<T>(), split_axes(x.shape(), begin, end), false);
  });
  return y;
}

/// The same elements of a dense tensor in another shape, without autodiff.
Tensor reshaped(const Tensor& x, const Shape& shape) { return x.view(shape, dense_strides(shape), 0); }

/// dy stretched along the reduced axes of x's shape.
Tensor stretched(const Tensor& dy, const Shape& shape, int axis) {
  Strides strides;
  for (int i = 0, from = 0; i < shape.rank(); ++i) {
    if (i == axis) {
      strides.push_back(0);
      if (dy.rank() == shape.rank()) ++from;
    } else {
      strides.push_back(dy.strides()[from++]);
    }
  }
  return dy.view(shape, strides, 0).clone();
}

/// The shape without an axis, or with size 1 there.
Shape reduced_shape(const Shape& shape, int axis, bool keep_axis) {
  if (!keep_axis) return shape.without(axis);
  Shape result = shape;
  result[axis] = 1;
  return result;
}

}  // namespace

Tensor sum_to_shape(const Tensor& gradient, const Shape& shape) {
  if (gradient.shape() == shape) return gradient;
  Tensor y = gradient;
  const int missing = gradient.rank() - shape.rank();
  const auto stretched_axis = [&](int i) {
    return gradient.shape()[i] != 1 && (i < missing || shape[i - missing] == 1);
  };
  // From the back, so that the numbers of the axes still to come stay: a run of axes turns into one of size 1.
  for (int last = gradient.rank(); last > 0;) {
    if (!stretched_axis(last - 1)) {
      --last;
      continue;
    }
    int first = last - 1;
    while (first > 0 && stretched_axis(first - 1)) --first;
    y = sum_axes(y, first, last);
    last = first;
  }
  y = y.to_contiguous();
  return reshaped(y, shape);
}

void add_summed(Backward& g, int i, const Tensor& gradient, const Shape& shape) {
  if (!g.needs(i)) return;
  if (gradient.shape() == shape) {
    g.add(i, gradient);
    return;
  }
  const int64_t inner = shape.numel();
  const int missing = gradient.rank() - shape.rank();
  int same_from = gradient.rank();  // axes from here on have the size that `shape` has
  while (same_from > missing && gradient.shape()[same_from - 1] == shape[same_from - 1 - missing])
    --same_from;
  int64_t tail = 1;
  for (int axis = same_from; axis < gradient.rank(); ++axis) tail *= gradient.shape()[axis];
  if (tail != inner || inner <= 1) {
    g.add(i, sum_to_shape(gradient, shape));
    return;
  }
  // Only leading axes were stretched: rows of the input's own size, one chain over all of them.
  const Tensor dense = gradient.to_contiguous();
  bool fresh = false;
  const Tensor dx = g.into(i, fresh);
  visit_floating(dense.dtype(), "add", [&]<class T>() {
    const Axes axes{1, inner == 0 ? 0 : dense.numel() / inner, inner};
    sum_middle(dense.data<T>(), dx.mutable_data<T>(), axes, !fresh);
  });
}

Tensor sum(const Tensor& x) {
  const Tensor dense = x.to_contiguous();
  const int64_t count = x.numel();
  const int64_t chunks = (count + kSumChunk - 1) / kSumChunk;
  Tensor y = Tensor::zeros({}, x.dtype());
  visit_floating(x.dtype(), "sum", [&]<class T>() {
    const auto& table = kernels::table<T>();
    const Tensor partial = Tensor::empty({chunks}, x.dtype());
    const T* px = dense.data<T>();
    T* pp = partial.mutable_data<T>();
    T* py = y.mutable_data<T>();
    parallel_ranges(chunks, 8, [&](int64_t begin, int64_t end) {
      for (int64_t c = begin; c < end; ++c) {
        table.row_sum({.x = px + c * kSumChunk,
                       .row_stride = 0,
                       .y = pp + c,
                       .rows = 1,
                       .n = std::min(kSumChunk, count - c * kSumChunk)});
      }
    });
    parallel_for(1, [&](int64_t) {
      T total = 0;
      for (int64_t c = 0; c < chunks; ++c) total += pp[c];
      *py = total;
    });
  });
  return record("sum", std::move(y), {x}, [shape = x.shape()](Backward& g) {
    if (!g.needs(0)) return;
    Strides strides;
    for (int i = 0; i < shape.rank(); ++i) strides.push_back(0);
    g.add(0, g.dy().view(shape, strides, 0).clone());
  });
}

Tensor sum(const Tensor& x, int axis, bool keep_axis) {
  const int at = x.shape().normalize_axis(axis, "sum");
  Tensor y = reshaped(sum_axes(x, at, at + 1), reduced_shape(x.shape(), at, keep_axis));
  return record("sum", std::move(y), {x}, [shape = x.shape(), at](Backward& g) {
    if (g.needs(0)) g.add(0, stretched(g.dy(), shape, at));
  });
}

Tensor mean(const Tensor& x) {
  check(x.numel() > 0, "mean: the tensor must have elements; shape ", x.shape(), "; check what was selected");
  return div(sum(x), Tensor::full({}, static_cast<double>(x.numel()), x.dtype()));
}

Tensor mean(const Tensor& x, int axis, bool keep_axis) {
  const int at = x.shape().normalize_axis(axis, "mean");
  check(x.shape()[at] > 0, "mean: the axis must have elements; axis ", at, " of shape ", x.shape(),
        "; check what was selected");
  return div(sum(x, at, keep_axis), Tensor::full({}, static_cast<double>(x.shape()[at]), x.dtype()));
}

namespace {

/// y = √sums in the shape given; `sums` are those of x², with size 1 along what was summed.
Tensor root_of(const Tensor& x, const Tensor& sums, const Shape& shape) {
  const Tensor root = sqrt(sums);
  Tensor y = reshaped(root, shape);
  if (!will_record({&x})) return y;
  return record("norm", y, {x}, [sx = Saved("norm", x), sy = Saved("norm", root)](Backward& g) {
    const Tensor kept = sy.get();
    const Tensor zero = Tensor::full({}, 0, kept.dtype());
    // At 0 there is no direction, and 0 is among the subgradients.
    const Tensor slope = where(equal(kept, zero), zero, div(reshaped(g.dy(), kept.shape()), kept));
    g.add(0, mul(sx.get(), slope));
  });
}

}  // namespace

Tensor variance(const Tensor& x) {
  check(x.numel() > 1, "variance: the tensor must have at least 2 elements; shape ", x.shape(),
        "; there is no spread of one");
  return variance(reshape(x, {-1}), 0);
}

Tensor variance(const Tensor& x, int axis, int64_t correction, bool keep_axis) {
  const int at = x.shape().normalize_axis(axis, "variance");
  check(x.shape()[at] > correction, "variance: the axis must have more elements than the correction; axis ",
        at, " of shape ", x.shape(), ", correction ", correction,
        "; give more elements or a smaller correction");
  const Tensor d = sub(x, mean(x, at, true));
  return div(sum(square(d), at, keep_axis), static_cast<double>(x.shape()[at] - correction));
}

Tensor norm(const Tensor& x) {
  Shape kept;
  for (int i = 0; i < x.rank(); ++i) kept.push_back(1);
  return root_of(x, reshaped(sum(square(x.detach())), kept), {});
}

Tensor norm(const Tensor& x, int axis, bool keep_axis) {
  const int at = x.shape().normalize_axis(axis, "norm");
  return root_of(x, sum(square(x.detach()), at, true), reduced_shape(x.shape(), at, keep_axis));
}

namespace {

/// Runs row_max over the last axis of a dense x; y or index may be undefined.
void largest_of_rows(const char* op, const Tensor& x, const Tensor& y, const Tensor& index) {
  const int64_t n = x.size(-1);
  check(n > 0 && n <= int64_t{1} << 31, op, ": the axis must have between 1 and 2^31 elements; it has ", n,
        " in shape ", x.shape(), "; check what was selected");
  const int64_t rows = x.numel() / n;
  visit_floating(x.dtype(), op, [&]<class T>() {
    const auto kernel = kernels::table<T>().row_max;
    const T* px = x.data<T>();
    T* py = y.defined() ? y.mutable_data<T>() : nullptr;
    int32_t* pi = index.defined() ? index.mutable_data<int32_t>() : nullptr;
    parallel_ranges(rows, std::max<int64_t>(1, kElementwiseGrain / n), [&](int64_t begin, int64_t end) {
      kernel({.x = px + begin * n,
              .row_stride = n,
              .y = py ? py + begin : nullptr,
              .index = pi ? pi + begin : nullptr,
              .rows = end - begin,
              .n = n});
    });
  });
}

/// Dense, with `axis` last.
Tensor axis_to_back(const Tensor& x, int axis) {
  Shape shape;
  Strides strides;
  for (int i = 0; i < x.rank(); ++i) {
    if (i == axis) continue;
    shape.push_back(x.shape()[i]);
    strides.push_back(x.strides()[i]);
  }
  shape.push_back(x.shape()[axis]);
  strides.push_back(x.strides()[axis]);
  return x.view(shape, strides, 0).to_contiguous();
}

/// max() under the name of the op that asks.
Tensor largest_along(const char* op, const Tensor& x, int axis, bool keep_axis) {
  const int at = x.shape().normalize_axis(axis, op);
  const Shape shape = reduced_shape(x.shape(), at, keep_axis);
  Tensor y = Tensor::empty(shape, x.dtype());
  const bool recorded = will_record({&x});
  const Tensor index = recorded ? Tensor::empty(shape, DType::i32) : Tensor();
  largest_of_rows(op, axis_to_back(x, at), y, index);
  if (!recorded) return y;
  return record(op, std::move(y), {x}, [op, index, full = x.shape(), at](Backward& g) {
    const Axes axes = split_axes(full, at, at + 1);
    Tensor dx = Tensor::zeros(full, g.dy().dtype());
    visit_floating(dx.dtype(), op, [&]<class T>() {
      const auto* pi = index.data<int32_t>();
      const T* pdy = g.dy().data<T>();
      T* pdx = dx.mutable_data<T>();
      parallel_ranges(axes.outer * axes.inner, kElementwiseGrain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; ++i) {
          const int64_t outer = i / axes.inner;
          pdx[(outer * axes.middle + pi[i]) * axes.inner + i % axes.inner] = pdy[i];
        }
      });
    });
    g.add(0, dx);
  });
}

Tensor largest_place(const char* op, const Tensor& x) {
  check(x.rank() > 0, op, ": the tensor must have at least one axis; it is a scalar; use reshape()");
  const Tensor index = Tensor::empty(x.shape().without(x.rank() - 1), DType::i32);
  largest_of_rows(op, x.to_contiguous(), Tensor(), index);
  return index;
}

/// neg(x), whose type errors name the op that asks.
Tensor negated(const char* op, const Tensor& x) {
  visit_floating(x.dtype(), op, []<class T>() {});
  return neg(x);
}

/// Sums of the elements up to each one of an axis, or from each one on where `backwards`, without autodiff.
Tensor running_sums(const Tensor& x, int axis, bool backwards) {
  const Tensor dense = x.to_contiguous();
  const Tensor y = Tensor::empty(x.shape(), x.dtype());
  const Axes axes = split_axes(x.shape(), axis, axis + 1);
  visit_floating(x.dtype(), "cumsum", [&]<class T>() {
    const T* px = dense.data<T>();
    T* py = y.mutable_data<T>();
    const int64_t grain = std::max<int64_t>(1, kElementwiseGrain / std::max<int64_t>(1, axes.middle));
    parallel_ranges(axes.outer * axes.inner, grain, [&](int64_t begin, int64_t end) {
      for (int64_t chain = begin; chain < end; ++chain) {
        const int64_t first = chain / axes.inner * axes.middle * axes.inner + chain % axes.inner;
        T total = 0;
        for (int64_t m = 0; m < axes.middle; ++m) {
          const int64_t place = first + (backwards ? axes.middle - 1 - m : m) * axes.inner;
          total += load_element(px + place);
          py[place] = total;
        }
      }
    });
  });
  return y;
}

}  // namespace

Tensor max(const Tensor& x, int axis, bool keep_axis) { return largest_along("max", x, axis, keep_axis); }

Tensor min(const Tensor& x, int axis, bool keep_axis) {
  return neg(largest_along("min", negated("min", x), axis, keep_axis));
}

Tensor argmax(const Tensor& x) { return no_grad("argmax", largest_place("argmax", x)); }
Tensor argmin(const Tensor& x) {
  return no_grad("argmin", largest_place("argmin", negated("argmin", x.detach())));
}

Tensor cumsum(const Tensor& x, int axis) {
  const int at = x.shape().normalize_axis(axis, "cumsum");
  return record("cumsum", running_sums(x, at, false), {x}, [at](Backward& g) {
    if (g.needs(0)) g.add(0, running_sums(g.dy(), at, true));
  });
}

}  // namespace gradus
