#include <algorithm>
#include <cstring>
#include <numeric>
#include <vector>

#include "tensor/ops.hpp"
#include "tensor/ops/common.hpp"

namespace gradus {
namespace {

constexpr int64_t kGrain = 16384;  // elements of one chunk, which holds whole rows

int64_t row_grain(int64_t width) { return std::max<int64_t>(1, kGrain / std::max<int64_t>(1, width)); }

/// The places of the k largest elements of each row of a dense x in descending order, (…, k).
Tensor largest_places(const Tensor& x, int64_t k) {
  const int64_t n = x.size(-1);
  check(n <= int64_t{1} << 31, "topk: the axis must have at most 2^31 elements; it has ", n, " in shape ",
        x.shape(), "; check what was selected");
  Shape shape = x.shape();
  shape[x.rank() - 1] = k;
  const Tensor places = Tensor::empty(shape, DType::i32);
  visit_floating(x.dtype(), "topk", [&]<class T>() {
    const T* x_data = x.data<T>();
    auto* place = places.mutable_data<int32_t>();
    parallel_ranges(k == 0 ? 0 : x.numel() / n, row_grain(n), [&](int64_t begin, int64_t end) {
      std::vector<int32_t> order(static_cast<std::size_t>(n));
      for (int64_t r = begin; r < end; ++r) {
        std::iota(order.begin(), order.end(), 0);
        // A total order: what std::partial_sort leaves open does not matter.
        std::partial_sort(order.begin(), order.begin() + k, order.end(),
                          [row = x_data + r * n](int32_t a, int32_t b) {
                            const T left = load_element(row + a);
                            const T right = load_element(row + b);
                            const bool left_nan = left != left;
                            const bool right_nan = right != right;
                            if (left_nan != right_nan) return left_nan;
                            return left != right && !left_nan ? left > right : a < b;
                          });
        std::copy(order.begin(), order.begin() + k, place + r * k);
      }
    });
  });
  return places;
}

}  // namespace

Tensor embedding(const Tensor& table, const Tensor& ids) {
  check(table.rank() == 2, "embedding: the table must be (ids, channels); it is ", table.shape(),
        "; reshape it");
  check_id_type("embedding", "ids", ids);
  const Tensor rows = ids.to_contiguous();
  check_ids("embedding", "ids", rows, table.size(0), "check that the tokenizer belongs to the model");
  const Tensor source = table.to_contiguous();
  const int64_t width = table.size(1);
  Shape shape = ids.shape();
  shape.push_back(width);
  const Tensor y = Tensor::empty(shape, table.dtype());
  visit_floating(table.dtype(), "embedding", [&]<class T>() {
    const T* table_data = source.data<T>();
    const auto* id = rows.data<int32_t>();
    T* y_data = y.mutable_data<T>();
    parallel_ranges(rows.numel(), row_grain(width), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        std::memcpy(static_cast<void*>(y_data + r * width),
                    static_cast<const void*>(table_data + load_element(id + r) * width),
                    static_cast<std::size_t>(width) * sizeof(T));
      }
    });
  });
  // Most rows of a table get no gradient in a step: the rows that do are kept as they are until grad() is asked for.
  return record("embedding", y, {table},
                [saved = Saved("embedding", rows)](Backward& g) { g.add_rows(0, saved.get(), g.dy()); });
}

Tensor gather(const Tensor& x, const Tensor& index) {
  check_id_type("gather", "index", index);
  check(x.rank() >= 1 && index.rank() == x.rank(),
        "gather: x and index must have the same number of axes, at least one; x is ", x.shape(),
        ", index is ", index.shape(), "; reshape one of them");
  for (int axis = 0; axis + 1 < x.rank(); ++axis) {
    check(x.shape()[axis] == index.shape()[axis], "gather: all axes but the last must be equal; x is ",
          x.shape(), ", index is ", index.shape(), "; reshape or broadcast one of them");
  }
  const Tensor places = index.to_contiguous();
  const int64_t from = x.size(-1);
  const int64_t to = index.size(-1);
  check_ids("gather", "index", places, from, "check how the index was made");
  const Tensor source = x.to_contiguous();
  const int64_t rows = to == 0 ? 0 : index.numel() / to;
  const Tensor y = Tensor::empty(index.shape(), x.dtype());
  visit_floating(x.dtype(), "gather", [&]<class T>() {
    const T* x_data = source.data<T>();
    const auto* place = places.data<int32_t>();
    T* y_data = y.mutable_data<T>();
    parallel_ranges(rows, row_grain(to), [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) {
        for (int64_t j = r * to; j < (r + 1) * to; ++j) {
          y_data[j] = load_element(x_data + r * from + load_element(place + j));
        }
      }
    });
  });
  return record("gather", y, {x},
                [rows, from, to, shape = x.shape(), saved = Saved("gather", places)](Backward& g) {
                  const Tensor kept_places = saved.get();
                  const Tensor dx = Tensor::zeros(shape, g.dy().dtype());
                  visit_floating(dx.dtype(), "gather", [&]<class T>() {
                    const T* dy_data = g.dy().data<T>();
                    const auto* place = kept_places.data<int32_t>();
                    T* dx_data = dx.mutable_data<T>();
                    parallel_ranges(rows, row_grain(to), [&](int64_t begin, int64_t end) {
                      for (int64_t r = begin; r < end; ++r) {
                        for (int64_t j = r * to; j < (r + 1) * to; ++j)
                          dx_data[r * from + load_element(place + j)] += dy_data[j];
                      }
                    });
                  });
                  g.add(0, dx);
                });
}

TopK topk(const Tensor& x, int64_t k, int axis) {
  const int at = x.shape().normalize_axis(axis, "topk");
  check(k >= 0 && k <= x.shape()[at], "topk: k must be between 0 and the size of the axis; k is ", k,
        ", axis ", at, " of shape ", x.shape(), "; ask for fewer");
  const Tensor rows = transpose(x, at, -1);
  const Tensor places = largest_places(rows.to_contiguous(), k);
  const auto in_place = [at](const Tensor& y) { return contiguous(transpose(y, at, -1)); };
  return {in_place(gather(rows, places)), in_place(places)};
}

Tensor one_hot(const Tensor& ids, int64_t classes, DType dtype) {
  check_id_type("one_hot", "ids", ids);
  check(classes >= 1, "one_hot: classes must be at least 1; they are ", classes,
        "; give the size of the vocabulary");
  const Tensor rows = ids.to_contiguous();
  check_ids("one_hot", "ids", rows, classes, "give more classes");
  Shape shape = ids.shape();
  shape.push_back(classes);
  const Tensor y = Tensor::zeros(shape, dtype);
  visit_floating(dtype, "one_hot", [&]<class T>() {
    const auto* id = rows.data<int32_t>();
    T* y_data = y.mutable_data<T>();
    parallel_ranges(rows.numel(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t r = begin; r < end; ++r) y_data[r * classes + load_element(id + r)] = T(1);
    });
  });
  return no_grad("one_hot", y);
}

}  // namespace gradus
