#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>
#include <numeric>

#include "tests/tensor/reference_ops.hpp"

/// What works along an axis.

namespace gradus::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::size_t at(int64_t index) { return static_cast<std::size_t>(index); }

int axis_of(const Array& x, int axis) { return axis < 0 ? axis + static_cast<int>(x.shape.size()) : axis; }

/// An array seen as (outer, size of the axis, inner).
struct AxisView {
  int64_t outer = 1, size = 1, inner = 1;
};
AxisView around(const Array& x, int axis) {
  AxisView view;
  for (int i = 0; i < static_cast<int>(x.shape.size()); ++i) {
    (i < axis ? view.outer : i == axis ? view.size : view.inner) *= x.shape[at(i)];
  }
  return view;
}

/// Turns the elements along an axis into `size` others: fold(elements, values, scales).
template <class Fold>
Array along(const Array& x, int given_axis, int64_t size, Fold fold) {
  const int axis = axis_of(x, given_axis);
  const AxisView view = around(x, axis);
  Sizes shape = x.shape;
  shape[at(axis)] = size;
  Array y = zeros(shape);
  y.scale.resize(y.values.size());
  std::vector<double> line(at(view.size)), values(at(size)), scales(at(size));
  for (int64_t o = 0; o < view.outer; ++o) {
    for (int64_t i = 0; i < view.inner; ++i) {
      for (int64_t s = 0; s < view.size; ++s)
        line[at(s)] = x.values[at((o * view.size + s) * view.inner + i)];
      fold(line, values, scales);
      for (int64_t s = 0; s < size; ++s) {
        y.values[at((o * size + s) * view.inner + i)] = values[at(s)];
        y.scale[at((o * size + s) * view.inner + i)] = scales[at(s)];
      }
    }
  }
  return y;
}

/// Reduces an axis; `fold` gets the elements along it and returns (value, scale).
template <class Fold>
Array reduce(const Array& x, int axis, bool keep_axis, Fold fold) {
  Array y = along(x, axis, 1, [&](const std::vector<double>& line, auto& values, auto& scales) {
    const std::array<double, 2> result = fold(line);
    values[0] = result[0];
    scales[0] = result[1];
  });
  if (!keep_axis) y.shape.erase(y.shape.begin() + axis_of(x, axis));
  return y;
}

std::array<double, 2> add_up(const std::vector<double>& terms) {
  double total = 0, size = 0;
  for (const double term : terms) {
    total += term;
    size += std::fabs(term);
  }
  return {total, size};
}

std::array<double, 2> average(const std::vector<double>& terms) {
  const auto [total, size] = add_up(terms);
  const double n = static_cast<double>(terms.size());
  return {total / n, size / n};
}

double euclidean(const std::vector<double>& terms) {
  double squares = 0;
  for (const double term : terms) squares += term * term;
  return std::sqrt(squares);
}

std::array<double, 2> spread(const std::vector<double>& terms, double divisor) {
  const double mean = average(terms)[0];
  double squares = 0, size = 0;
  for (const double term : terms) {
    squares += (term - mean) * (term - mean);
    size += term * term;
  }
  return {squares / divisor, size / divisor};
}

Array flat(const Array& x) { return reshape(x, {count(x.shape)}); }

/// The places of the elements in descending order, equal ones in ascending, NaN before all.
std::vector<std::size_t> descending(const std::vector<double>& terms) {
  std::vector<std::size_t> places(terms.size());
  std::iota(places.begin(), places.end(), std::size_t{0});
  std::stable_sort(places.begin(), places.end(), [&](std::size_t a, std::size_t b) {
    if (std::isnan(terms[a]) || std::isnan(terms[b])) return std::isnan(terms[a]) && !std::isnan(terms[b]);
    return terms[a] > terms[b];
  });
  return places;
}

}  // namespace

Array sum(const Array& x) { return reduce(reshape(x, {count(x.shape)}), 0, false, add_up); }
Array sum(const Array& x, int axis, bool keep_axis) { return reduce(x, axis, keep_axis, add_up); }
Array mean(const Array& x) { return reduce(reshape(x, {count(x.shape)}), 0, false, average); }
Array mean(const Array& x, int axis, bool keep_axis) { return reduce(x, axis, keep_axis, average); }

Array max(const Array& x, int axis, bool keep_axis) {
  return reduce(x, axis, keep_axis, [](const std::vector<double>& terms) -> std::array<double, 2> {
    double top = -kInfinity;
    for (const double term : terms) {
      if (std::isnan(term)) return {term, 0};
      top = std::max(top, term);
    }
    return {top, std::fabs(top)};
  });
}

Array argmax(const Array& x) {
  return reduce(x, -1, false, [](const std::vector<double>& terms) -> std::array<double, 2> {
    std::size_t best = 0;
    for (std::size_t i = 0; i < terms.size(); ++i) {
      if (std::isnan(terms[i])) return {static_cast<double>(i), 0};
      if (terms[i] > terms[best]) best = i;
    }
    return {static_cast<double>(best), 0};
  });
}

Array min(const Array& x, int axis, bool keep_axis) {
  return reduce(x, axis, keep_axis, [](const std::vector<double>& terms) -> std::array<double, 2> {
    for (const double term : terms) {
      if (std::isnan(term)) return {term, 0};
    }
    const double least = *std::min_element(terms.begin(), terms.end());
    return {least, std::fabs(least)};
  });
}

Array argmin(const Array& x) {
  return reduce(x, -1, false, [](const std::vector<double>& terms) -> std::array<double, 2> {
    const auto strange =
        std::find_if(terms.begin(), terms.end(), [](double term) { return std::isnan(term); });
    const auto found = strange == terms.end() ? std::min_element(terms.begin(), terms.end()) : strange;
    return {static_cast<double>(found - terms.begin()), 0};
  });
}

Array variance(const Array& x) {
  return reduce(flat(x), 0, false, [](const std::vector<double>& terms) {
    return spread(terms, static_cast<double>(terms.size()) - 1);
  });
}
Array variance(const Array& x, int axis, int64_t correction, bool keep_axis) {
  return reduce(x, axis, keep_axis, [correction](const std::vector<double>& terms) {
    return spread(terms, static_cast<double>(terms.size()) - static_cast<double>(correction));
  });
}

Array norm(const Array& x) { return norm(flat(x), 0, false); }
Array norm(const Array& x, int axis, bool keep_axis) {
  return reduce(x, axis, keep_axis, [](const std::vector<double>& terms) -> std::array<double, 2> {
    return {euclidean(terms), euclidean(terms)};
  });
}

Array cumsum(const Array& x, int axis) {
  const int64_t size = x.shape[at(axis_of(x, axis))];
  return along(x, axis, size, [](const std::vector<double>& line, auto& values, auto& scales) {
    double total = 0, sizes = 0;
    for (std::size_t i = 0; i < line.size(); ++i) {
      values[i] = total += line[i];
      scales[i] = sizes += std::fabs(line[i]);
    }
  });
}

Array topk_values(const Array& x, int64_t k, int axis) {
  return along(x, axis, k, [](const std::vector<double>& line, auto& values, auto& scales) {
    const std::vector<std::size_t> order = descending(line);
    for (std::size_t i = 0; i < values.size(); ++i) scales[i] = std::fabs(values[i] = line[order[i]]);
  });
}

Array topk_indices(const Array& x, int64_t k, int axis) {
  return along(x, axis, k, [](const std::vector<double>& line, auto& values, auto&) {
    const std::vector<std::size_t> order = descending(line);
    for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<double>(order[i]);
  });
}

Array slice(const Array& x, int given_axis, int64_t begin, int64_t end) {
  const int axis = axis_of(x, given_axis);
  const AxisView view = around(x, axis);
  Sizes shape = x.shape;
  shape[at(axis)] = end - begin;
  Array y = zeros(shape);
  for (int64_t o = 0, to = 0; o < view.outer; ++o) {
    for (int64_t s = begin; s < end; ++s) {
      for (int64_t i = 0; i < view.inner; ++i)
        y.values[at(to++)] = x.values[at((o * view.size + s) * view.inner + i)];
    }
  }
  return y;
}

Array concat(const std::vector<Array>& parts, int given_axis) {
  const int axis = axis_of(parts[0], given_axis);
  Sizes shape = parts[0].shape;
  shape[at(axis)] = 0;
  for (const Array& part : parts) shape[at(axis)] += part.shape[at(axis)];
  Array y{shape, {}, {}};
  for (int64_t o = 0; o < around(parts[0], axis).outer; ++o) {
    for (const Array& part : parts) {
      const AxisView view = around(part, axis);
      const auto from = part.values.begin() + o * view.size * view.inner;
      y.values.insert(y.values.end(), from, from + view.size * view.inner);
    }
  }
  return y;
}

Array select(const Array& x, int given_axis, int64_t index) {
  const int axis = axis_of(x, given_axis);
  const int64_t place = index < 0 ? index + x.shape[at(axis)] : index;
  Array y = slice(x, axis, place, place + 1);
  y.shape.erase(y.shape.begin() + axis);
  return y;
}

Array stack(const std::vector<Array>& parts, int axis) {
  std::vector<Array> thick = parts;
  const int place = axis < 0 ? axis + static_cast<int>(parts[0].shape.size()) + 1 : axis;
  for (Array& part : thick) part.shape.insert(part.shape.begin() + place, 1);
  return concat(thick, place);
}

Array triangle(const Array& x, int64_t diagonal, bool upper) {
  Array y = x;
  const int64_t width = x.shape.back(), height = x.shape[x.shape.size() - 2];
  for (int64_t n = 0; n < count(x.shape); ++n) {
    const int64_t above = n % width - n / width % height;  // how far above the main diagonal
    if (upper ? above < diagonal : above > diagonal) y.values[at(n)] = 0;
  }
  return y;
}

}  // namespace gradus::reference
