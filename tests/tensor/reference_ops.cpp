#include "tests/tensor/reference_ops.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstddef>
#include <limits>

namespace gradus::reference {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

std::size_t at(int64_t index) { return static_cast<std::size_t>(index); }

int64_t last(const Array& x) { return x.shape.back(); }
int64_t rows(const Array& x) { return last(x) == 0 ? 0 : count(x.shape) / last(x); }

/// The place in an array of `shape`, stretched to `full`, that the element `flat` of `full` comes from.
int64_t stretched(int64_t flat, const Sizes& full, const Sizes& shape) {
  int64_t place = 0;
  int64_t step = 1;
  const std::size_t shift = full.size() - shape.size();
  for (std::size_t i = full.size(); i-- > 0;) {
    const int64_t coordinate = flat % full[i];
    flat /= full[i];
    if (i < shift) continue;
    if (shape[i - shift] != 1) place += coordinate * step;
    step *= shape[i - shift];
  }
  return place;
}

Sizes broadcast(const Sizes& a, const Sizes& b) {
  Sizes full(std::max(a.size(), b.size()), 1);
  for (std::size_t i = 0; i < full.size(); ++i) {
    const int64_t from_a = i < a.size() ? a[a.size() - 1 - i] : 1;
    const int64_t from_b = i < b.size() ? b[b.size() - 1 - i] : 1;
    full[full.size() - 1 - i] = from_a == 1 ? from_b : from_a;
  }
  return full;
}

/// max and ln sum exp(x - max) of a row.
std::array<double, 2> log_sum(const double* x, int64_t n) {
  double top = -kInfinity;
  for (int64_t i = 0; i < n; ++i) top = std::max(top, x[i]);
  double total = 0;
  for (int64_t i = 0; i < n; ++i) total += std::exp(x[i] - top);
  return {top, std::log(total)};
}

}  // namespace

int64_t count(const Sizes& shape) {
  int64_t product = 1;
  for (const int64_t size : shape) product *= size;
  return product;
}

Array zeros(const Sizes& shape) { return {shape, std::vector<double>(at(count(shape)), 0.0), {}}; }

Array map(const Array& x, const Function& f, const Function& scale) {
  Array y = zeros(x.shape);
  if (scale) y.scale.resize(y.values.size());
  for (std::size_t i = 0; i < y.values.size(); ++i) {
    y.values[i] = f(x.values[i]);
    if (scale) y.scale[i] = scale(x.values[i]);
  }
  return y;
}

Array zip(const Array& a, const Array& b, const Function2& f, const Function2& scale) {
  Array y = zeros(broadcast(a.shape, b.shape));
  if (scale) y.scale.resize(y.values.size());
  for (std::size_t i = 0; i < y.values.size(); ++i) {
    const double left = a.values[at(stretched(static_cast<int64_t>(i), y.shape, a.shape))];
    const double right = b.values[at(stretched(static_cast<int64_t>(i), y.shape, b.shape))];
    y.values[i] = f(left, right);
    if (scale) y.scale[i] = scale(left, right);
  }
  return y;
}

Array where(const Array& condition, const Array& a, const Array& b) {
  Array y = zeros(broadcast(condition.shape, broadcast(a.shape, b.shape)));
  for (int64_t i = 0; i < count(y.shape); ++i) {
    const Array& chosen = condition.values[at(stretched(i, y.shape, condition.shape))] != 0 ? a : b;
    y.values[at(i)] = chosen.values[at(stretched(i, y.shape, chosen.shape))];
  }
  return y;
}

Array matmul(const Array& a, const Array& b, bool transpose_a, bool transpose_b) {
  const auto matrix = [](const Array& x, bool transposed) {
    Sizes shape(x.shape.end() - 2, x.shape.end());
    if (transposed) std::swap(shape[0], shape[1]);
    return shape;
  };
  const Sizes left = matrix(a, transpose_a);
  const Sizes right = matrix(b, transpose_b);
  const int64_t m = left[0], k = left[1], n = right[1];
  const Sizes batch_a(a.shape.begin(), a.shape.end() - 2);
  const Sizes batch_b(b.shape.begin(), b.shape.end() - 2);
  const Sizes batch = broadcast(batch_a, batch_b);
  Sizes shape = batch;
  shape.push_back(m);
  shape.push_back(n);
  Array y = zeros(shape);
  y.scale.assign(y.values.size(), 0.0);
  for (int64_t s = 0; s < count(batch); ++s) {
    const double* pa = a.values.data() + stretched(s, batch, batch_a) * m * k;
    const double* pb = b.values.data() + stretched(s, batch, batch_b) * k * n;
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        double total = 0, size = 0;
        for (int64_t p = 0; p < k; ++p) {
          const double term =
              pa[transpose_a ? p * m + i : i * k + p] * pb[transpose_b ? j * k + p : p * n + j];
          total += term;
          size += std::fabs(term);
        }
        y.values[at((s * m + i) * n + j)] = total;
        y.scale[at((s * m + i) * n + j)] = size;
      }
    }
  }
  return y;
}

Array linear(const Array& x, const Array& w, const Array* bias, const Function& activation,
             const Function& slope) {
  const int64_t k = last(x), n = w.shape[0];
  Sizes shape = x.shape;
  shape.back() = n;
  Array flat = matmul(reshape(x, {k == 0 ? count(shape) / n : count(x.shape) / k, k}), w, false, true);
  Array y = reshape(flat, shape);
  for (std::size_t i = 0; i < y.values.size(); ++i) {
    const double offset = bias ? bias->values[i % at(n)] : 0.0;
    const double pre = y.values[i] + offset;
    y.values[i] = activation(pre);
    y.scale[i] = slope(pre) * (y.scale[i] + std::fabs(offset)) + std::fabs(y.values[i]);
  }
  return y;
}

Array reshape(const Array& x, const Sizes& shape) {
  Array y = x;
  y.shape = shape;
  return y;
}

Array permute(const Array& x, const std::vector<int>& order) {
  Sizes shape, steps(x.shape.size(), 1), reordered;
  for (std::size_t i = x.shape.size(); i-- > 1;) steps[i - 1] = steps[i] * x.shape[i];
  for (const int axis : order) {
    shape.push_back(x.shape[at(axis)]);
    reordered.push_back(steps[at(axis)]);
  }
  Array y = zeros(shape);
  for (int64_t i = 0; i < count(shape); ++i) {
    int64_t flat = i, place = 0;
    for (std::size_t a = shape.size(); a-- > 0;) {
      place += flat % shape[a] * reordered[a];
      flat /= shape[a];
    }
    y.values[at(i)] = x.values[at(place)];
  }
  return y;
}

Array broadcast_to(const Array& x, const Sizes& shape) {
  Array y = zeros(shape);
  for (int64_t i = 0; i < count(shape); ++i) y.values[at(i)] = x.values[at(stretched(i, shape, x.shape))];
  return y;
}

Array embedding(const Array& table, const Array& ids) {
  const int64_t width = table.shape[1];
  Sizes shape = ids.shape;
  shape.push_back(width);
  Array y{shape, {}, {}};
  for (const double id : ids.values) {
    const auto row = table.values.begin() + static_cast<int64_t>(id) * width;
    y.values.insert(y.values.end(), row, row + width);
  }
  return y;
}

Array gather(const Array& x, const Array& index) {
  Array y = zeros(index.shape);
  for (int64_t i = 0; i < count(index.shape); ++i) {
    const int64_t row = i / last(index);
    y.values[at(i)] = x.values[at(row * last(x) + static_cast<int64_t>(index.values[at(i)]))];
  }
  return y;
}

Array one_hot(const Array& ids, int64_t classes) {
  Sizes shape = ids.shape;
  shape.push_back(classes);
  Array y = zeros(shape);
  for (std::size_t i = 0; i < ids.values.size(); ++i) {
    y.values[i * at(classes) + static_cast<std::size_t>(ids.values[i])] = 1;
  }
  return y;
}

Array softmax(const Array& x) {
  Array y = log_softmax(x);
  for (std::size_t i = 0; i < y.values.size(); ++i) {
    // An error in the exponent becomes a relative one: e^(a + d) = e^a (1 + d).
    const double distance = y.values[i] == -kInfinity ? 0 : std::fabs(y.values[i]);
    y.values[i] = std::exp(y.values[i]);
    y.scale[i] = y.values[i] * (1 + distance);
  }
  return y;
}

Array log_softmax(const Array& x) {
  Array y = zeros(x.shape);
  y.scale.assign(y.values.size(), 0.0);
  const int64_t n = last(x);
  for (int64_t r = 0; r < rows(x); ++r) {
    const double* row = x.values.data() + r * n;
    const auto [top, total] = log_sum(row, n);
    for (int64_t i = 0; i < n; ++i) {
      const bool nothing = row[i] == -kInfinity;
      y.values[at(r * n + i)] = nothing ? -kInfinity : row[i] - top - total;
      // The sum is at least 1, so that its relative error is an absolute one of its logarithm.
      y.scale[at(r * n + i)] = nothing ? 0 : std::fabs(row[i] - top) + std::fabs(total) + 1;
    }
  }
  return y;
}

Array layer_norm(const Array& x, const Array& weight, const Array* bias, double epsilon) {
  Array y = zeros(x.shape);
  y.scale.assign(y.values.size(), 0.0);
  const int64_t n = last(x);
  for (int64_t r = 0; r < rows(x); ++r) {
    const double* row = x.values.data() + r * n;
    double mean = 0, size = 0, variance = 0;
    for (int64_t i = 0; i < n; ++i) {
      mean += row[i] / static_cast<double>(n);
      size += std::fabs(row[i]) / static_cast<double>(n);
    }
    for (int64_t i = 0; i < n; ++i) variance += (row[i] - mean) * (row[i] - mean);
    variance /= static_cast<double>(n);
    const double sigma = std::sqrt(variance + epsilon);
    for (int64_t i = 0; i < n; ++i) {
      const double w = weight.values[at(i)], b = bias ? bias->values[at(i)] : 0.0;
      y.values[at(r * n + i)] = (row[i] - mean) / sigma * w + b;
      y.scale[at(r * n + i)] = (std::fabs(row[i]) + size) / sigma * std::fabs(w) + std::fabs(b);
    }
  }
  return y;
}

Array rms_norm(const Array& x, const Array& weight, double epsilon) {
  Array y = zeros(x.shape);
  const int64_t n = last(x);
  for (int64_t r = 0; r < rows(x); ++r) {
    const double* row = x.values.data() + r * n;
    double squares = 0;
    for (int64_t i = 0; i < n; ++i) squares += row[i] * row[i];
    const double root = std::sqrt(squares / static_cast<double>(n) + epsilon);
    for (int64_t i = 0; i < n; ++i) y.values[at(r * n + i)] = row[i] / root * weight.values[at(i)];
  }
  return y;
}

Array rotary_table(int64_t positions, int64_t head_width, double base) {
  Array y = zeros({positions, head_width});
  y.scale.assign(y.values.size(), 1.0);
  const int64_t half = head_width / 2;
  for (int64_t t = 0; t < positions; ++t) {
    for (int64_t i = 0; i < half; ++i) {
      const double frequency =
          std::pow(base, -2.0 * static_cast<double>(i) / static_cast<double>(head_width));
      const double angle = static_cast<double>(t) * frequency;
      y.values[at(t * head_width + i)] = std::cos(angle);
      y.values[at(t * head_width + half + i)] = std::sin(angle);
      // In f64 the angle's own rounding counts.
      y.scale[at(t * head_width + i)] = y.scale[at(t * head_width + half + i)] = 1 + angle / 64;
    }
  }
  return y;
}

Array rotary(const Array& x, const Array& positions, const Array& table, int64_t heads) {
  Array y = zeros(x.shape);
  y.scale.assign(y.values.size(), 0.0);
  const int64_t width = x.shape[1], head = width / heads, turned = table.shape[1], half = turned / 2;
  for (int64_t r = 0; r < x.shape[0]; ++r) {
    const double* angles = table.values.data() + static_cast<int64_t>(positions.values[at(r)]) * turned;
    for (int64_t h = 0; h < heads; ++h) {
      for (int64_t i = 0; i < half; ++i) {
        const int64_t first = r * width + h * head + i, second = first + half;
        const double a = x.values[at(first)], b = x.values[at(second)], c = angles[i], s = angles[half + i];
        y.values[at(first)] = a * c - b * s;
        y.values[at(second)] = b * c + a * s;
        y.scale[at(first)] = std::fabs(a * c) + std::fabs(b * s);
        y.scale[at(second)] = std::fabs(b * c) + std::fabs(a * s);
      }
      for (int64_t i = turned; i < head; ++i) {
        const int64_t same = r * width + h * head + i;
        y.values[at(same)] = x.values[at(same)];
        y.scale[at(same)] = std::fabs(x.values[at(same)]);
      }
    }
  }
  return y;
}

Array attention(const Array& q, const Array& k, const Array& v, const std::vector<int64_t>& lengths,
                int64_t heads, int64_t kv_heads, int64_t before, int64_t after, double scale) {
  const int64_t head = q.shape[1] / heads, q_row = q.shape[1], k_row = k.shape[1];
  if (scale == 0) scale = 1 / std::sqrt(static_cast<double>(head));
  Array y = zeros(q.shape);
  y.scale.assign(y.values.size(), 0.0);
  int64_t first = 0;
  for (const int64_t time : lengths) {
    for (int64_t h = 0; h < heads; ++h) {
      const int64_t g = h / (heads / kv_heads);
      for (int64_t t = 0; t < time; ++t) {
        std::vector<int64_t> seen;
        for (int64_t j = 0; j < time; ++j) {
          if (j >= t - before && j <= t + after) seen.push_back(j);
        }
        const int64_t keys = std::ssize(seen);
        std::vector<double> score(at(keys));
        double noise = 1;
        for (int64_t j = 0; j < keys; ++j) {
          double dot = 0, size = 0;
          for (int64_t d = 0; d < head; ++d) {
            const double term = q.values[at((first + t) * q_row + h * head + d)] *
                                k.values[at((first + seen[at(j)]) * k_row + g * head + d)];
            dot += term;
            size += std::fabs(term);
          }
          score[at(j)] = scale * dot;
          noise = std::max(noise, 1 + scale * size);
        }
        const auto [top, total] = log_sum(score.data(), keys);
        for (int64_t j = 0; j < keys; ++j) {
          const double p = std::exp(score[at(j)] - top - total);
          for (int64_t d = 0; d < head; ++d) {
            const int64_t to = (first + t) * q_row + h * head + d;
            const double term = p * v.values[at((first + seen[at(j)]) * k_row + g * head + d)];
            y.values[at(to)] += term;
            y.scale[at(to)] += std::fabs(term) * noise;
          }
        }
      }
    }
    first += time;
  }
  return y;
}

Array token_losses(const Array& logits, const Array& targets) {
  const int64_t n = logits.shape[0], v = logits.shape[1];
  Array y = zeros({n});
  y.scale.assign(at(n), 0.0);
  for (int64_t r = 0; r < n; ++r) {
    const int64_t target = static_cast<int64_t>(targets.values[at(r)]);
    if (target < 0) continue;
    const double* row = logits.values.data() + r * v;
    const auto [top, total] = log_sum(row, v);
    y.values[at(r)] = top + total - row[target];
    y.scale[at(r)] = std::fabs(top) + std::fabs(total) + std::fabs(row[target]) + 1;
  }
  return y;
}

Array cross_entropy(const Array& logits, const Array& targets, double divisor) {
  Array y = sum(token_losses(logits, targets));
  if (divisor == 0)
    divisor = static_cast<double>(
        std::count_if(targets.values.begin(), targets.values.end(), [](double id) { return id >= 0; }));
  y.values[0] /= divisor;
  y.scale[0] /= divisor;
  return y;
}

namespace {

/// ref: Salmon, Moraes, Dror, Shaw (SC 2011), section 3.3: Philox with four words and ten rounds.
std::array<uint32_t, 4> philox(uint64_t seed, uint64_t stream, uint64_t index) {
  const auto low = [](uint64_t bits) { return static_cast<uint32_t>(bits & 0xffffffffu); };
  const auto high = [](uint64_t bits) { return static_cast<uint32_t>(bits >> 32); };
  std::array<uint32_t, 4> x = {low(index), high(index), low(stream), high(stream)};
  uint32_t key0 = low(seed), key1 = high(seed);
  for (int round = 0; round < 10; ++round) {
    const uint64_t product0 = uint64_t{0xD2511F53u} * x[0];
    const uint64_t product1 = uint64_t{0xCD9E8D57u} * x[2];
    x = {high(product1) ^ x[1] ^ key0, low(product1), high(product0) ^ x[3] ^ key1, low(product0)};
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
  return x;
}

}  // namespace

Array dropout(const Array& x, double p, uint64_t seed, uint64_t stream, uint64_t first_index) {
  Array y = zeros(x.shape);
  for (std::size_t i = 0; i < y.values.size(); ++i) {
    const uint64_t element = first_index + i;
    const double word = philox(seed, stream, element / 4)[element % 4];
    y.values[i] = word < p * 0x1p32 ? 0.0 : x.values[i] / (1 - p);
  }
  return y;
}

Array adamw(const Array& x, const Array& grad, const Array& m, const Array& v, const AdamW& s) {
  const std::size_t n = x.values.size();
  Array y = zeros({3 * static_cast<int64_t>(n)});
  y.scale.assign(3 * n, 0.0);
  for (std::size_t i = 0; i < n; ++i) {
    const double g = s.clip * grad.values[i];
    double moment = m.values[i] + s.one_minus_beta1 * (g - m.values[i]);
    double square = v.values[i] + s.one_minus_beta2 * (g * g - v.values[i]);
    if (std::fabs(moment) < 1e-30) moment = 0;
    if (std::fabs(square) < 1e-37) square = 0;
    const double kept = x.values[i] * s.decay_factor;
    const double denominator = std::sqrt(square) * s.v_scale + s.epsilon;
    y.values[i] = kept - s.step_size * moment / denominator;
    y.values[n + i] = moment;
    y.values[2 * n + i] = square;
    y.scale[n + i] = std::fabs(m.values[i]) + std::fabs(g);
    y.scale[2 * n + i] = std::fabs(v.values[i]) + g * g;
    y.scale[i] = std::fabs(kept) + s.step_size * y.scale[n + i] / denominator;
  }
  return y;
}

double sigmoid(double x) { return x < 0 ? std::exp(x) / (1 + std::exp(x)) : 1 / (1 + std::exp(-x)); }
double gelu(double x) { return 0.5 * x * std::erfc(-x / std::sqrt(2.0)); }
double gelu_tanh(double x) {
  const double u = std::sqrt(2 / 3.141592653589793) * (x + 0.044715 * x * x * x);
  return x * sigmoid(2 * u);
}
double silu(double x) { return x * sigmoid(x); }

double round_to(double x, int bits, int lowest, double largest) {
  if (x == 0 || !std::isfinite(x)) return x;
  int exponent = 0;
  std::frexp(x, &exponent);
  const double step = std::ldexp(1.0, std::max(exponent - bits, lowest));
  const double rounded = std::nearbyint(x / step) * step;
  return std::fabs(rounded) > largest ? std::copysign(kInfinity, x) : rounded;
}

}  // namespace gradus::reference
