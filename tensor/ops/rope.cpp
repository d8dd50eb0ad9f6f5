#include <algorithm>
#include <vector>

#include "tensor/kernels/kernels.hpp"
#include "tensor/math.hpp"
#include "tensor/ops.hpp"
#include "tensor/ops/common.hpp"

namespace gradus {
namespace {

constexpr int64_t kGrain = 8192;  // elements of one chunk, which holds whole rows

/// Rotates the rows of x forwards (sign 1) or backwards (sign -1); the heads of a row stand side by side.
Tensor rotate(const Tensor& x, const Tensor& positions, const Tensor& table, int64_t heads, double sign) {
  const int64_t rows = x.size(0);
  const int64_t width = x.size(1);
  // Queries and keys are often slices of one wider product: rows apart, channels together.
  const Tensor input = x.strides()[1] == 1 ? x : x.to_contiguous();
  const int64_t x_row = input.strides()[0];
  const Tensor y = Tensor::empty(x.shape(), x.dtype());
  visit_floating(x.dtype(), "rotary", [&]<class T>() {
    const T* x_data = input.data<T>();
    const T* table_data = table.data<T>();
    const auto* position_data = positions.data<int32_t>();
    T* y_data = y.mutable_data<T>();
    parallel_ranges(rows, std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width)),
                    [&](int64_t begin, int64_t end) {
                      kernels::table<T>().rotary({.x = x_data + begin * x_row,
                                                  .x_row = x_row,
                                                  .y = y_data + begin * width,
                                                  .y_row = width,
                                                  .positions = position_data + begin,
                                                  .table = table_data,
                                                  .rows = end - begin,
                                                  .heads = heads,
                                                  .head_width = width / heads,
                                                  .rotated = table.size(1),
                                                  .sign = static_cast<T>(sign)});
                    });
  });
  return y;
}

void check_positions(int64_t positions) {
  check(positions >= 0 && positions <= int64_t{1} << 30,
        "rotary_table: positions must be in [0, 2^30]; they are ", positions,
        "; give the longest sequence there will be");
}

}  // namespace

Tensor rotary_table(int64_t positions, int64_t head_width, double base, DType dtype) {
  return rotary_table(positions, rotary_frequencies(head_width, base), 1.0, dtype);
}

std::vector<double> rotary_frequencies(int64_t head_width, double base) {
  check(head_width >= 2 && head_width % 2 == 0,
        "rotary_table: head width must be even, for channels turn in pairs; it is ", head_width,
        "; choose another number of heads or another width");
  check(base > 0, "rotary_table: base must be positive; it is ", base, "; 10000 is usual");
  const int64_t half = head_width / 2;
  std::vector<double> frequencies(static_cast<std::size_t>(half));
  for (int64_t i = 0; i < half; ++i) {
    frequencies[static_cast<std::size_t>(i)] =
        math::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(head_width));
  }
  return frequencies;
}

Tensor rotary_table(int64_t positions, std::span<const double> frequencies, double amplitude, DType dtype) {
  check_positions(positions);
  check(!frequencies.empty(),
        "rotary_table: there must be a frequency for each pair of channels; there is none");
  const int64_t half = std::ssize(frequencies);
  const int64_t head_width = 2 * half;
  const Tensor table = Tensor::empty({positions, head_width}, dtype);
  visit_floating(dtype, "rotary_table", [&]<class T>() {
    T* data = table.mutable_data<T>();
    parallel_ranges(positions, 64, [&](int64_t begin, int64_t end) {
      for (int64_t t = begin; t < end; ++t) {
        for (int64_t i = 0; i < half; ++i) {
          const double angle = static_cast<double>(t) * frequencies[static_cast<std::size_t>(i)];
          data[t * head_width + i] = static_cast<T>(amplitude * math::cos(angle));
          data[t * head_width + half + i] = static_cast<T>(amplitude * math::sin(angle));
        }
      }
    });
  });
  return no_grad("rotary_table", table);
}

Tensor rotary(const Tensor& x, const Tensor& positions, const Tensor& table, int64_t heads) {
  check(x.rank() == 2, "rotary: x must be (rows, heads times head width); it is ", x.shape(), "; reshape it");
  check(heads >= 1 && x.size(1) % heads == 0, "rotary: x must hold whole heads; x is ", x.shape(), ", heads ",
        heads, "; choose another number of heads or another width");
  check(positions.shape() == Shape{x.size(0)} && positions.dtype() == DType::i32,
        "rotary: positions must be one i32 a row, shape (", x.size(0), "); they are ",
        dtype_name(positions.dtype()), " ", positions.shape(), "; give each row its place in its sequence");
  check(table.rank() == 2 && table.size(1) % 2 == 0 && table.size(1) <= x.size(1) / heads,
        "rotary: the table must be (positions, channels of a head that turn, an even number up to ",
        x.size(1) / heads, "); it is ", table.shape(), "; make it with rotary_table()");
  check_same_dtype("rotary", x, table);
  const Tensor rows = positions.to_contiguous();
  const Tensor angles = table.to_contiguous();
  check_ids("rotary", "positions", rows, angles.size(0), "make the table longer or the sequence shorter");

  const Tensor y = rotate(x, rows, angles, heads, 1.0);
  // A rotation's transpose is its inverse: the same angles backwards; an amplitude is its own transpose.
  return record(
      "rotary", y, {x},
      [heads, saved_rows = Saved("rotary", rows), saved_angles = Saved("rotary", angles)](Backward& g) {
        g.add(0, rotate(g.dy(), saved_rows.get(), saved_angles.get(), heads, -1.0));
      });
}

}  // namespace gradus
