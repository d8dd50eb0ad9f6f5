#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "tensor/autodiff.hpp"
#include "tensor/ops.hpp"
#include "tensor/ops/common.hpp"
#include "tensor/ops/reduce.hpp"

namespace gradus {
namespace {

/// Replaces a size of -1 by what makes the number of elements fit.
Shape resolve_shape(const Tensor& x, const Shape& shape) {
  Shape result = shape;
  int open = -1;
  int64_t known = 1;
  for (int i = 0; i < shape.rank(); ++i) {
    if (shape[i] == -1) {
      check(open < 0, "reshape: at most one size may be -1; the new shape is ", shape,
            "; give the other sizes");
      open = i;
    } else {
      check(shape[i] >= 0, "reshape: sizes must not be negative (but for one -1); the new shape is ", shape);
      check(!__builtin_mul_overflow(known, shape[i], &known),
            "reshape: the number of elements must fit in 63 bits; ", "the new shape is ", shape);
    }
  }
  if (open >= 0) {
    check(known > 0 && x.numel() % known == 0,
          "reshape: the sizes given must divide the number of elements; x is ", x.shape(), " (", x.numel(),
          " elements), the new shape is ", shape, "; give all sizes");
    result[open] = x.numel() / known;
    return result;
  }
  check(known == x.numel(), "reshape: the number of elements must stay the same; x is ", x.shape(), " (",
        x.numel(), " elements), the new shape is ", shape, " (", known, "); use -1 for one size");
  return result;
}

/// A view of elements begin … end-1 of an axis, without autodiff.
Tensor region(const Tensor& x, int axis, int64_t begin, int64_t end) {
  Shape shape = x.shape();
  shape[axis] = end - begin;
  // An empty part has no first element to start from.
  return x.view(shape, x.strides(), shape.numel() == 0 ? 0 : begin * x.strides()[axis]);
}

Tensor permuted(const Tensor& x, const std::array<int, Shape::kMaxRank>& order) {
  Shape shape = x.shape();
  Strides strides = x.strides();
  for (int i = 0; i < x.rank(); ++i) {
    shape[i] = x.shape()[order[i]];
    strides[i] = x.strides()[order[i]];
  }
  return x.view(shape, strides, 0);
}

/// Sets a dense tensor to 0.
void clear(const Tensor& x) {
  std::byte* bytes = x.mutable_bytes();
  parallel_ranges(static_cast<int64_t>(x.nbytes()), kElementwiseGrain * 8, [&](int64_t begin, int64_t end) {
    std::memset(bytes + begin, 0, static_cast<std::size_t>(end - begin));  // all bits zero is 0 in every type
  });
}

/// y += x for a strided y; x is dense and of the same shape.
void add_into(const Tensor& y, const Tensor& x) {
  const Loop<2> loop(y.shape(), {&y, &x});
  visit_floating(y.dtype(), "slice", [&]<class T>() {
    T* py = y.mutable_data<T>();
    const T* px = x.data<T>();
    loop.for_each_run([&](int64_t, const std::array<int64_t, 2>& at, int64_t count) {
      for (int64_t i = 0; i < count; ++i) py[at[0] + i * loop.step(0)] += px[at[1] + i * loop.step(1)];
    });
  });
}

/// Adds dy to the part of input 0's gradient that part(gradient) shows.
/// note: in place, for the parts of one tensor together touch each element of its gradient once.
template <class Part>
void add_to_part(Backward& g, const Part& part_of) {
  if (!g.needs(0)) return;
  bool fresh = false;
  const Tensor dx = g.into(0, fresh);
  const Tensor part = part_of(dx);
  if (fresh) {
    clear(dx);
    part.copy_from(g.dy());
  } else {
    add_into(part, g.dy());
  }
}

/// Of row i of each matrix the first i + diagonal + 1 elements, or where `upper` all but the first i + diagonal; the others
/// 0. Without autodiff.
Tensor triangle(const Tensor& x, int64_t diagonal, bool upper) {
  const Tensor dense = x.to_contiguous();
  const Tensor y = Tensor::empty(x.shape(), x.dtype());
  const int64_t height = x.size(-2);
  const int64_t width = x.size(-1);
  const auto size = static_cast<int64_t>(dtype_bytes(x.dtype()));
  const std::byte* from = dense.bytes();
  std::byte* to = y.mutable_bytes();
  const int64_t shift = std::clamp(diagonal, -height, width) + (upper ? 0 : 1);
  const int64_t rows = width == 0 ? 0 : x.numel() / width;
  parallel_ranges(rows, std::max<int64_t>(1, kElementwiseGrain / std::max<int64_t>(1, width)),
                  [&](int64_t begin, int64_t end) {
                    for (int64_t r = begin; r < end; ++r) {
                      const int64_t left = std::clamp<int64_t>(r % height + shift, 0, width) * size;
                      const int64_t row = r * width * size;
                      const auto kept = static_cast<std::size_t>(upper ? width * size - left : left);
                      const int64_t first = row + (upper ? left : 0);
                      std::memset(to + row, 0, static_cast<std::size_t>(width * size));
                      std::memcpy(to + first, from + first, kept);
                    }
                  });
  return y;
}

Tensor record_triangle(const char* op, const Tensor& x, int64_t diagonal, bool upper) {
  check(x.rank() >= 2, op, ": the tensor must have at least two axes; it is ", x.shape(), "; use reshape()");
  return record(op, triangle(x, diagonal, upper), {x},
                [=](Backward& g) { g.add(0, triangle(g.dy(), diagonal, upper)); });
}

}  // namespace

Tensor reshape(const Tensor& x, const Shape& shape) {
  const Shape target = resolve_shape(x, shape);
  Tensor y = x.to_contiguous().view(target, dense_strides(target), 0);
  return record("reshape", std::move(y), {x}, [from = x.shape()](Backward& g) {
    if (g.needs(0)) g.add(0, g.dy().view(from, dense_strides(from), 0));
  });
}

Tensor permute(const Tensor& x, std::span<const int> order) {
  std::array<int, Shape::kMaxRank> axes{};
  std::array<int, Shape::kMaxRank> inverse{};
  std::array<bool, Shape::kMaxRank> seen{};
  const auto text = [&] {
    Shape numbers;  // for its text alone
    for (int axis : order.first(std::min<std::size_t>(order.size(), Shape::kMaxRank)))
      numbers.push_back(axis);
    return numbers.to_string();
  };
  check(static_cast<int>(order.size()) == x.rank(), "permute: the order must name each axis once; x is ",
        x.shape(), ", the order has ", order.size(), " entries; give one for each axis");
  for (int i = 0; i < x.rank(); ++i) {
    axes[i] = x.shape().normalize_axis(order[i], "permute");
    if (seen[axes[i]]) {
      fail("permute: the order must name each axis once; x is ", x.shape(), ", the order is ", text(),
           "; give each of 0 ... rank-1 once");
    }
    seen[axes[i]] = true;
    inverse[axes[i]] = i;
  }
  return record("permute", permuted(x, axes), {x}, [inverse](Backward& g) {
    if (g.needs(0)) g.add(0, permuted(g.dy(), inverse));
  });
}

Tensor transpose(const Tensor& x, int axis_a, int axis_b) {
  const int a = x.shape().normalize_axis(axis_a, "transpose");
  const int b = x.shape().normalize_axis(axis_b, "transpose");
  std::array<int, Shape::kMaxRank> order{};
  for (int i = 0; i < x.rank(); ++i) order[i] = i == a ? b : i == b ? a : i;
  return record("transpose", permuted(x, order), {x}, [order](Backward& g) {
    if (g.needs(0)) g.add(0, permuted(g.dy(), order));
  });
}

Tensor slice(const Tensor& x, int axis, int64_t begin, int64_t end) {
  const int at = x.shape().normalize_axis(axis, "slice");
  check(begin >= 0 && begin <= end && end <= x.shape()[at],
        "slice: 0 <= begin <= end <= size must hold; begin is ", begin, ", end is ", end, ", axis ", at,
        " of shape ", x.shape(), "; the size is ", x.shape()[at]);
  return record("slice", region(x, at, begin, end), {x}, [at, begin, end](Backward& g) {
    add_to_part(g, [&](const Tensor& dx) { return region(dx, at, begin, end); });
  });
}

Tensor select(const Tensor& x, int axis, int64_t index) {
  const int at = x.shape().normalize_axis(axis, "select");
  const int64_t size = x.shape()[at];
  check(size > 0, "select: the axis must have elements; axis ", at, " of shape ", x.shape());
  check(index >= -size && index < size, "select: the index must be in [", -size, ", ", size - 1, "]; it is ",
        index, ", axis ", at, " of shape ", x.shape(), "; the last one is -1");
  const auto part = [at, place = index < 0 ? index + size : index](const Tensor& from) {
    const Tensor row = region(from, at, place, place + 1);
    return row.view(row.shape().without(at), row.strides().without(at), 0);
  };
  return record("select", part(x), {x}, [part](Backward& g) { add_to_part(g, part); });
}

Tensor concat(std::span<const Tensor> parts, int axis) {
  check(!parts.empty(), "concat: at least one part is needed; none was given");
  const Tensor& first = parts.front();
  const int at = first.shape().normalize_axis(axis, "concat");
  Shape shape = first.shape();
  shape[at] = 0;
  std::vector<int64_t> ends;
  for (const Tensor& part : parts) {
    check_same_dtype("concat", first, part);
    bool fits = part.rank() == first.rank();
    for (int i = 0; i < first.rank() && fits; ++i) fits = i == at || part.shape()[i] == first.shape()[i];
    check(fits, "concat: all sizes but that of axis ", at, " must be equal; part 0 is ", first.shape(),
          ", part ", ends.size(), " is ", part.shape(), "; use reshape() or slice()");
    shape[at] += part.shape()[at];
    ends.push_back(shape[at]);
  }
  Tensor y = Tensor::empty(shape, first.dtype());
  for (std::size_t i = 0; i < parts.size(); ++i) {
    region(y, at, i == 0 ? 0 : ends[i - 1], ends[i]).copy_from(parts[i]);
  }
  return record("concat", std::move(y), {parts.begin(), parts.end()},
                [at, ends = std::move(ends)](Backward& g) {
                  for (std::size_t i = 0; i < ends.size(); ++i) {
                    const int input = static_cast<int>(i);
                    if (g.needs(input)) g.add(input, region(g.dy(), at, i == 0 ? 0 : ends[i - 1], ends[i]));
                  }
                });
}

Tensor stack(std::span<const Tensor> parts, int axis) {
  check(!parts.empty(), "stack: at least one part is needed; none was given; give the tensors to join");
  for (std::size_t i = 0; i < parts.size(); ++i)
    check(parts[i].defined(), "stack: all parts must be tensors; part ", i, " is an empty handle");
  const Shape& first = parts.front().shape();
  check(axis >= -first.rank() - 1 && axis <= first.rank(), "stack: axis must be in [", -first.rank() - 1,
        ", ", first.rank(), "]; axis ", axis, " of parts of shape ", first, "; it counts the new axis too");
  const int at = axis < 0 ? axis + first.rank() + 1 : axis;
  Shape thick;
  for (int i = 0; i <= first.rank(); ++i) thick.push_back(i < at ? first[i] : i == at ? 1 : first[i - 1]);
  std::vector<Tensor> slabs;
  for (const Tensor& part : parts) {
    check(part.shape() == first, "stack: all parts must have the same shape; part 0 is ", first, ", part ",
          slabs.size(), " is ", part.shape(), "; use concat() for parts of different sizes");
    slabs.push_back(reshape(part, thick));
  }
  return concat(slabs, at);
}

std::vector<Tensor> split(const Tensor& x, std::span<const int64_t> sizes, int axis) {
  const int at = x.shape().normalize_axis(axis, "split");
  int64_t total = 0;
  for (int64_t size : sizes) {
    check(size >= 0 && !__builtin_add_overflow(total, size, &total),
          "split: sizes must not be negative; size ", size);
  }
  check(total == x.shape()[at], "split: the sizes must add up to the size of the axis; they add up to ",
        total, ", axis ", at, " of shape ", x.shape());
  std::vector<Tensor> parts;
  int64_t begin = 0;
  for (int64_t size : sizes) {
    parts.push_back(slice(x, at, begin, begin + size));
    begin += size;
  }
  return parts;
}

Tensor broadcast_to(const Tensor& x, const Shape& shape) {
  const int missing = shape.rank() - x.rank();
  bool fits = missing >= 0;
  Strides strides = shape;
  for (int i = 0; i < shape.rank() && fits; ++i) {
    const int from = i - missing;
    const bool stretch = from < 0 || x.shape()[from] != shape[i];
    fits = !stretch || from < 0 || x.shape()[from] == 1;
    strides[i] = stretch ? 0 : x.strides()[from];
  }
  check(fits, "broadcast_to: every size must be equal or 1, from the last axis back; x is ", x.shape(),
        ", the new shape is ", shape, "; use reshape() to place axes of size 1");
  return record("broadcast_to", x.view(shape, strides, 0), {x},
                [from = x.shape()](Backward& g) { add_summed(g, 0, g.dy(), from); });
}

Tensor contiguous(const Tensor& x) {
  if (x.is_contiguous()) return x;
  return record("contiguous", x.to_contiguous(), {x}, [](Backward& g) { g.add(0, g.dy()); });
}

Tensor tril(const Tensor& x, int64_t diagonal) { return record_triangle("tril", x, diagonal, false); }
Tensor triu(const Tensor& x, int64_t diagonal) { return record_triangle("triu", x, diagonal, true); }

}  // namespace gradus
