#include <cmath>

#include "tensor/kernels/kernels.hpp"
#include "tensor/ops.hpp"
#include "tests/tensor/op_cases.hpp"

/// Rows of the kernels by which word vectors are trained. Inputs whose rows are no multiple of 16 long are padded with zeros, as
/// the trainers pad them.

namespace gradus::testing {
namespace {

constexpr int64_t kContinued = 2;  // outputs whose changes go on from what stands there
constexpr double kRate = 0.125;

/// What is behind the first so many columns is 0.
template <class T>
Tensor padded(const Tensor& x, int64_t width) {
  Tensor y = Tensor::zeros({x.size(0), width}, dtype_of<T>::value);
  const Tensor dense = x.to_contiguous();
  for (int64_t r = 0; r < x.size(0); ++r) {
    for (int64_t c = 0; c < x.size(1); ++c)
      y.mutable_data<T>()[r * width + c] = dense.data<T>()[r * x.size(1) + c];
  }
  return y;
}

int64_t padded_width(int64_t width) {
  return (width + kernels::kLanes - 1) / kernels::kLanes * kernels::kLanes;
}

template <class T>
std::vector<T*> row_pointers(const Tensor& x) {
  std::vector<T*> rows;
  for (int64_t r = 0; r < x.size(0); ++r) rows.push_back(x.mutable_data<T>() + r * x.size(1));
  return rows;
}

/// Inputs (m, w), outputs (n, w), weights (n), and where the changes of inputs and of the first outputs begin; the first
/// output is what stands there. Gives the changes of inputs, then of outputs, then the scores.
template <class T>
Tensor sampled_of(const Tensors& in, bool continued) {
  const int64_t width = in[0].size(1), m = in[0].size(0), n = in[1].size(0), stride = padded_width(width);
  const Tensor x = padded<T>(in[0], stride), y = padded<T>(in[1], stride);
  const Tensor dx = padded<T>(in[3], stride), dy = padded<T>(in[4], stride);
  const std::vector<T*> inputs = row_pointers<T>(x), outputs = row_pointers<T>(y);
  const std::vector<T*> input_changes = row_pointers<T>(dx), output_changes = row_pointers<T>(dy);
  const Tensor weights = in[2].to_contiguous();
  std::vector<T> labels(static_cast<std::size_t>(n), 0);
  if (n > 0) labels[0] = 1;
  const int64_t row = (n + 15) / 16 * 16;
  Tensor scores = Tensor::zeros({m, row}, dtype_of<T>::value),
         slopes = Tensor::zeros({m, row}, dtype_of<T>::value);
  kernels::table<T>().sampled({.inputs = inputs.data(),
                               .input_changes = input_changes.data(),
                               .outputs = outputs.data(),
                               .output_changes = output_changes.data(),
                               .labels = labels.data(),
                               .weights = weights.data<T>(),
                               .rate = static_cast<T>(kRate),
                               .m = m,
                               .n = n,
                               .width = stride,
                               .continue_inputs = continued,
                               .continued_outputs = continued ? std::min(n, kContinued) : 0,
                               .changed_outputs = n,
                               .scores = scores.mutable_data<T>(),
                               .slopes = slopes.mutable_data<T>(),
                               .scores_row = row});
  return concat(
      Tensors{reshape(slice(dx, 1, 0, width), {m * width}), reshape(slice(dy, 1, 0, width), {n * width}),
              reshape(slice(scores, 1, 0, n), {m * n})},
      0);
}

Array sampled_reference(const Arrays& in, bool continued) {
  const int64_t m = in[0].shape[0], n = in[1].shape[0], width = in[0].shape[1];
  Array result = reference::zeros({(m + n) * width + m * n});
  result.scale.assign(result.values.size(), 0);
  const auto at = [width](const Array& a, int64_t r, int64_t c) {
    return a.values[static_cast<std::size_t>(r * width + c)];
  };
  for (int64_t r = 0; r < m + n; ++r) {
    const bool input = r < m;
    const bool kept = continued && (input || r - m < kContinued);
    for (int64_t c = 0; c < width; ++c) {
      const double begin = kept ? (input ? at(in[3], r, c) : at(in[4], r - m, c)) : 0;
      result.values[static_cast<std::size_t>(r * width + c)] = begin;
      result.scale[static_cast<std::size_t>(r * width + c)] = std::fabs(begin);
    }
  }
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      double s = 0, size = 0;
      for (int64_t c = 0; c < width; ++c) {
        s += at(in[0], i, c) * at(in[1], j, c);
        size += std::fabs(at(in[0], i, c) * at(in[1], j, c));
      }
      const auto score = static_cast<std::size_t>((m + n) * width + i * n + j);
      result.values[score] = s;
      result.scale[score] = size;
      const double weight = kRate * in[2].values[static_cast<std::size_t>(j)];
      const double g = weight * ((j == 0 ? 1.0 : 0.0) - reference::sigmoid(s));
      // A score's rounding error comes through the slope of the sigmoid, at most ¼.
      const double g_size = std::fabs(weight) * (1 + size / 4);
      for (int64_t c = 0; c < width; ++c) {
        const auto x = static_cast<std::size_t>(i * width + c),
                   y = static_cast<std::size_t>((m + j) * width + c);
        result.values[x] += g * at(in[1], j, c);
        result.scale[x] += g_size * std::fabs(at(in[1], j, c));
        result.values[y] += g * at(in[0], i, c);
        result.scale[y] += g_size * std::fabs(at(in[0], i, c));
      }
    }
  }
  return result;
}

template <class T>
Tensor sum_rows_of(const Tensor& x) {
  const int64_t width = x.size(1), stride = padded_width(width);
  const Tensor rows = padded<T>(x, stride);
  const std::vector<T*> pointers = row_pointers<T>(rows);
  Tensor y = Tensor::zeros({stride}, dtype_of<T>::value);
  kernels::table<T>().sum_rows({.rows = pointers.data(),
                                .count = x.size(0),
                                .scale = static_cast<T>(0.25),
                                .y = y.mutable_data<T>(),
                                .width = stride});
  return slice(y, 0, 0, width);
}

Array sum_rows_reference(const Array& x) {
  Array y = reference::zeros({x.shape[1]});
  y.scale = y.values;
  for (std::size_t i = 0; i < x.values.size(); ++i) {
    y.values[i % y.values.size()] += 0.25 * x.values[i];
    y.scale[i % y.values.size()] += 0.25 * std::fabs(x.values[i]);
  }
  return y;
}

/// A table (r, w), changes (s, w), factors (e), and of each addition its row and its change.
template <class T>
Tensor add_rows_of(const Tensors& in) {
  const int64_t width = in[0].size(1), stride = padded_width(width);
  const Tensor table = padded<T>(in[0], stride), changes = padded<T>(in[1], stride);
  const Tensor factors = in[2].to_contiguous(), targets = in[3].to_contiguous(),
               sources = in[4].to_contiguous();
  kernels::table<T>().add_rows({.table = table.mutable_data<T>(),
                                .table_row = stride,
                                .targets = targets.data<int32_t>(),
                                .changes = changes.data<T>(),
                                .sources = sources.data<int32_t>(),
                                .factors = factors.data<T>(),
                                .count = factors.numel(),
                                .width = stride});
  return slice(table, 1, 0, width).to_contiguous();
}

Array add_rows_reference(const Arrays& in) {
  Array y = in[0];
  y.scale = reference::map(in[0], [](double x) { return std::fabs(x); }).values;
  const auto width = static_cast<std::size_t>(in[0].shape[1]);
  for (std::size_t e = 0; e < in[2].values.size(); ++e) {
    const auto to = static_cast<std::size_t>(in[3].values[e]),
               from = static_cast<std::size_t>(in[4].values[e]);
    for (std::size_t c = 0; c < width; ++c) {
      const double added = in[2].values[e] * in[1].values[from * width + c];
      y.values[to * width + c] += added;
      y.scale[to * width + c] += std::fabs(added);
    }
  }
  return y;
}

/// Words (r, w) and contexts (r, w), whose last two elements are a bias and a constant 1, their squares, logarithms and weights
/// of the cells, and of each its word and context. Gives both tables, squares and all, and the loss.
template <class T>
Tensor count_cells_of(const Tensors& in) {
  const int64_t rows = in[0].size(0), width = in[0].size(1), stride = padded_width(width);
  const auto joined = [&](const Tensor& x, const Tensor& squares, int64_t constant) {
    Tensor table = Tensor::full({rows, 2 * stride}, 1, dtype_of<T>::value);
    const Tensor values = padded<T>(x, stride), sums = squares.to_contiguous();
    for (int64_t r = 0; r < rows; ++r) {
      for (int64_t c = 0; c < stride; ++c)
        table.mutable_data<T>()[r * 2 * stride + c] = c == constant ? T(1) : values.data<T>()[r * stride + c];
      for (int64_t c = 0; c < width; ++c)
        table.mutable_data<T>()[r * 2 * stride + stride + c] = sums.data<T>()[r * width + c];
    }
    return table;
  };
  const Tensor words = joined(in[0], in[2], width - 1), contexts = joined(in[1], in[3], width - 2);
  const Tensor logs = in[4].to_contiguous(), weights = in[5].to_contiguous();
  const Tensor of_word = in[6].to_contiguous(), of_context = in[7].to_contiguous();
  std::vector<kernels::CountCell> cells;
  for (int64_t e = 0; e < logs.numel(); ++e)
    cells.push_back({of_word.data<int32_t>()[e], of_context.data<int32_t>()[e],
                     static_cast<float>(logs.data<T>()[e]), static_cast<float>(weights.data<T>()[e])});
  const double loss = kernels::table<T>().count_cells({.words = words.mutable_data<T>(),
                                                       .contexts = contexts.mutable_data<T>(),
                                                       .width = stride,
                                                       .constant_of_word = width - 1,
                                                       .constant_of_context = width - 2,
                                                       .rate = static_cast<T>(kRate),
                                                       .cells = cells.data(),
                                                       .count = std::ssize(cells)});
  Tensors parts;
  for (const Tensor& table : {words, contexts}) {
    parts.push_back(reshape(slice(table, 1, 0, width), {rows * width}));
    parts.push_back(reshape(slice(table, 1, stride, stride + width), {rows * width}));
  }
  parts.push_back(Tensor::full({1}, loss, dtype_of<T>::value));
  return concat(parts, 0);
}

Array count_cells_reference(const Arrays& in) {
  const auto rows = static_cast<std::size_t>(in[0].shape[0]),
             width = static_cast<std::size_t>(in[0].shape[1]);
  std::vector<double> x = in[0].values, y = in[1].values, x_squares = in[2].values, y_squares = in[3].values;
  for (std::size_t r = 0; r < rows; ++r) x[r * width + width - 1] = y[r * width + width - 2] = 1;
  double loss = 0;
  for (std::size_t e = 0; e < in[4].values.size(); ++e) {
    double* a = &x[static_cast<std::size_t>(in[6].values[e]) * width];
    double* b = &y[static_cast<std::size_t>(in[7].values[e]) * width];
    double* a_squares = &x_squares[static_cast<std::size_t>(in[6].values[e]) * width];
    double* b_squares = &y_squares[static_cast<std::size_t>(in[7].values[e]) * width];
    double d = -in[4].values[e];
    for (std::size_t c = 0; c < width; ++c) d += a[c] * b[c];
    loss += 0.5 * in[5].values[e] * d * d;
    for (std::size_t c = 0; c < width; ++c) {
      const double step_a = kRate * in[5].values[e] * d * b[c], step_b = kRate * in[5].values[e] * d * a[c];
      if (c != width - 1) a[c] -= step_a / std::sqrt(a_squares[c]);
      if (c != width - 2) b[c] -= step_b / std::sqrt(b_squares[c]);
      a_squares[c] += step_a * step_a;
      b_squares[c] += step_b * step_b;
    }
  }
  Array result = reference::zeros({static_cast<int64_t>(4 * rows * width + 1)});
  result.values.clear();
  for (const auto* part : {&x, &x_squares, &y, &y_squares})
    result.values.insert(result.values.end(), part->begin(), part->end());
  result.values.push_back(loss);
  // Errors grow from cell to cell: they are held against the size of what is added up, about 1 a step.
  for (const double value : result.values)
    result.scale.push_back(std::fabs(value) + static_cast<double>(width));
  return result;
}

}  // namespace

std::vector<Row> word_vector_rows() {
  std::vector<Row> rows;
  rows.push_back(Row("kernels::sampled", 8));
  rows.back().no_gradient();
  for (const bool continued : {false, true}) {
    rows.back().of(
        [continued](const Tensors& in, DType dtype) {
          return dtype == DType::f64 ? sampled_of<double>(in, continued) : sampled_of<float>(in, continued);
        },
        [continued](const Arrays& in) { return sampled_reference(in, continued); },
        continued ? "continued" : "");
    struct Sizes {
      int64_t m, n, width;
    };
    for (const Sizes& s : std::vector<Sizes>{{1, 1, 1},
                                             {1, 6, 100},
                                             {6, 6, 100},
                                             {10, 11, 100},
                                             {3, 17, 33},
                                             {7, 40, 300},
                                             {200, 6, 16},
                                             {4, 13, 130}}) {
      rows.back().test({normal({s.m, s.width}, 0.3), normal({s.n, s.width}, 0.3), uniform({s.n}, 0, 5),
                        normal({s.m, s.width}, 0.1), normal({s.n, s.width}, 0.1)});
    }
  }
  rows.back().bench({normal({6, 100}, 0.3), normal({11, 100}, 0.3), uniform({11}, 0, 5),
                     normal({6, 100}, 0.1), normal({11, 100}, 0.1)},
                    6.0 * 6 * 11 * 100);

  rows.push_back(Row("kernels::sum_rows", 1));
  rows.back().no_gradient().of(
      [](const Tensors& in, DType dtype) {
        return dtype == DType::f64 ? sum_rows_of<double>(in[0]) : sum_rows_of<float>(in[0]);
      },
      [](const Arrays& in) { return sum_rows_reference(in[0]); });
  for (const int64_t count : {1, 2, 6, 19, 114}) rows.back().test({normal({count, 100})});
  rows.back()
      .test({normal({5, 1})})
      .test({normal({3, 300})})
      .test({normal({4, 129})})
      .bench({normal({19, 100})});

  rows.push_back(Row("kernels::add_rows", 2));
  rows.back().no_gradient().of(
      [](const Tensors& in, DType dtype) {
        return dtype == DType::f64 ? add_rows_of<double>(in) : add_rows_of<float>(in);
      },
      add_rows_reference);
  for (const int64_t count : {1, 7, 100}) {
    rows.back().test(
        {normal({9, 100}), normal({4, 100}), normal({count}), ids({count}, 0, 9), ids({count}, 0, 4)});
    rows.back().test(
        {normal({3, 17}), normal({2, 17}), normal({count}), ids({count}, 0, 3), ids({count}, 0, 2)});
  }
  rows.back().bench(
      {normal({1000, 100}), normal({100, 100}), normal({300}), ids({300}, 0, 1000), ids({300}, 0, 100)});

  rows.push_back(Row("kernels::count_cells", 64));
  rows.back().no_gradient().of(
      [](const Tensors& in, DType dtype) {
        return dtype == DType::f64 ? count_cells_of<double>(in) : count_cells_of<float>(in);
      },
      count_cells_reference);
  for (const int64_t width : {3, 52, 102}) {
    for (const int64_t count : {1, 40}) {
      rows.back().test({normal({6, width}, 0.1), normal({6, width}, 0.1), uniform({6, width}, 1, 2),
                        uniform({6, width}, 1, 2), normal({count}), uniform({count}, 0, 1),
                        ids({count}, 0, 6), ids({count}, 0, 6)});
    }
  }
  rows.back().bench(
      {normal({500, 102}, 0.1), normal({500, 102}, 0.1), uniform({500, 102}, 1, 2), uniform({500, 102}, 1, 2),
       normal({2000}), uniform({2000}, 0, 1), ids({2000}, 0, 500), ids({2000}, 0, 500)},
      2000 * 14.0 * 102);
  return rows;
}

}  // namespace gradus::testing
