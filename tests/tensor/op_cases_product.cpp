#include <cmath>
#include <numeric>
#include <utility>

#include "tensor/ops.hpp"
#include "tests/support/visibilities.hpp"
#include "tests/tensor/op_cases.hpp"

namespace gradus::testing {
namespace {

// A chain of K roundings is off by about √K/2 units of a random walk whose size is √K; against the sum of the terms'
// sizes, about K, that is below one unit at any K.
constexpr double kChain = 3;

Row matmul_row() {
  Row row("matmul(Tensor, Tensor, bool, bool)", kChain, 32);
  const auto form = [&row](bool ta, bool tb) {
    row.of([=](const Tensors& in, DType) { return matmul(in[0], in[1], ta, tb); },
           [=](const Arrays& in) { return reference::matmul(in[0], in[1], ta, tb); },
           std::string(ta ? "t" : "n") + (tb ? "t" : "n"));
  };
  form(false, false);
  row.test({normal({3, 4}), normal({4, 5})}, {0})
      .test({normal({1, 1}), normal({1, 1})})
      .test({normal({7, 1}), normal({1, 17})}, {0});
  // Every number of rows up to a whole tile and beyond: the last rows of a tile go through other code.
  for (const int64_t m : {2, 5, 6, 8, 11, 12, 13, 23, 24, 25})
    row.test({normal({m, 9}), normal({9, 33})}, {0});
  for (const int64_t n : {1, 15, 16, 31, 32, 47, 49}) row.test({normal({5, 7}), normal({7, n})}, {0});
  row.test({normal({13, 1100}), normal({1100, 35})}, {0}).test({normal({130, 257}), normal({257, 300})}, {0});
  row.test({normal({3, 0}), normal({0, 5})})
      .test({normal({0, 4}), normal({4, 5})})
      .test({normal({3, 4}), normal({4, 0})});
  // Leading axes: a batch, one matrix against many, and both stretched.
  row.test({normal({4, 3, 5}), normal({4, 5, 2})}, {0, 1}).test({normal({4, 3, 5}), normal({5, 2})}, {0});
  row.test({normal({3, 5}), normal({4, 5, 2})})
      .test({normal({2, 1, 3, 4}), normal({1, 3, 4, 2})})
      .test({normal({0, 3, 4}), normal({4, 2})});
  row.test({normal({7, 33, 65}), normal({7, 65, 20})}, {0, 1})
      .test({normal({3, 1, 40, 33}), normal({2, 33, 17})});
  row.bench({normal({512, 768}), normal({768, 768})}, 2.0 * 512 * 768 * 768);
  form(true, false);
  row.test({normal({4, 3}), normal({4, 5})})
      .test({normal({1100, 13}), normal({1100, 35})})
      .test({normal({4, 5, 3}), normal({4, 5, 2})}, {0, 1});
  row.test({normal({0, 3}), normal({0, 5})})
      .test({normal({257, 130}), normal({257, 65})})
      .test({normal({3, 1}), normal({3, 1})});
  // More than one piece of k, of columns and of rows where the transposed factor is packed.
  row.test({normal({1100, 29}), normal({1100, 35})})
      .test({normal({11, 20}), normal({11, 3100})})
      .test({normal({11, 3100}), normal({11, 20})});
  row.bench({normal({768, 512}), normal({768, 768})}, 2.0 * 512 * 768 * 768);
  form(false, true);
  row.test({normal({3, 4}), normal({5, 4})}, {0})
      .test({normal({13, 1100}), normal({35, 1100})}, {0})
      .test({normal({4, 3, 5}), normal({2, 5})}, {0});
  row.test({normal({130, 65}), normal({257, 65})}, {0}).test({normal({2, 3, 4}), normal({3, 1, 5, 4})});
  row.bench({normal({512, 768}), normal({768, 768})}, 2.0 * 512 * 768 * 768);
  form(true, true);
  row.test({normal({4, 3}), normal({5, 4})})
      .test({normal({1100, 13}), normal({35, 1100})})
      .test({normal({4, 5, 3}), normal({4, 2, 5})}, {0, 1});
  row.test({normal({65, 130}), normal({70, 65})});
  row.bench({normal({768, 512}), normal({768, 768})}, 2.0 * 512 * 768 * 768);
  return row;
}

Row linear_row() {
  Row row("linear(Tensor, Tensor, Tensor, Activation)", kChain, 32);
  struct Kind {
    Activation activation;
    const char* name;
    double (*f)(double);
    double (*slope)(double);
  };
  const auto one = [](double) { return 1.0; };
  // The steepest slopes of GELU and SiLU are 1.13 and 1.10.
  const auto steep = [](double) { return 1.2; };
  const Kind kinds[] = {
      {Activation::none, "none", [](double u) { return u; }, one},
      {Activation::relu, "relu", [](double u) { return u > 0 ? u : 0.0; }, one},
      {Activation::relu_squared, "relu_squared", [](double u) { return u > 0 ? u * u : 0.0; },
       [](double u) { return u > 0 ? 2 * u : 0.0; }},
      {Activation::gelu, "gelu", reference::gelu, steep},
      {Activation::gelu_tanh, "gelu_tanh", reference::gelu_tanh, steep},
      {Activation::silu, "silu", reference::silu, steep},
  };
  for (const Kind& kind : kinds) {
    const Activation activation = kind.activation;
    // A pre-activation is an odd multiple of 1/32, and thus never near the kink of relu.
    const auto x = [](const Shape& shape) { return grid(shape, 0.25); };
    const auto bias = [](const Shape& shape) { return grid(shape, 0.0625, 0.03125); };
    row.of([=](const Tensors& in, DType) { return linear(in[0], in[1], in[2], activation); },
           [f = kind.f, slope = kind.slope](const Arrays& in) {
             return reference::linear(in[0], in[1], &in[2], f, slope);
           },
           kind.name);
    row.test({x({7, 5}), x({3, 5}), bias({3})}, {0}).test({x({2, 9, 33}), x({50, 33}), bias({50})}, {0});
    row.test({x({130, 257}), x({70, 257}), bias({70})}, {0});
    row.bench({normal({512, 768}), normal({768, 768}, 0.03), normal({768})}, 2.0 * 512 * 768 * 768);
  }
  row.of([=](const Tensors& in, DType) { return linear(in[0], in[1]); },
         [one](const Arrays& in) {
           return reference::linear(
               in[0], in[1], nullptr, [](double u) { return u; }, one);
         },
         "without bias");
  row.test({normal({7, 5}), normal({3, 5})}, {0})
      .test({normal({5}), normal({3, 5})})
      .test({normal({1, 1}), normal({1, 1})});
  row.test({normal({0, 5}), normal({3, 5})})
      .test({normal({2, 3, 4}), normal({17, 4})}, {0})
      .test({normal({1, 64}), normal({100, 64})});
  row.test({normal({300, 1100}), normal({35, 1100}, 0.03)}, {0})
      .test({normal({33, 64}), normal({1000, 64})}, {0});
  row.bench({normal({512, 768}), normal({3072, 768}, 0.03)}, 2.0 * 512 * 768 * 3072);
  row.bench({normal({1, 768}), normal({3072, 768}, 0.03)}, 2.0 * 768 * 3072);
  row.of(
      [=](const Tensors& in, DType) { return linear(in[0], in[1], {}, Activation::silu); },
      [steep](const Arrays& in) { return reference::linear(in[0], in[1], nullptr, reference::silu, steep); },
      "without bias, silu");
  row.test({normal({7, 5}), normal({3, 5})}, {0});
  return row;
}

std::vector<Row> rotary_rows() {
  std::vector<Row> rows;

  // Cosine and sine of an angle that is itself rounded only in f64.
  rows.push_back(Row("rotary_table(int64_t, int64_t, double, DType)", 1));
  const auto table = [&](int64_t positions, int64_t width, double base) {
    rows.back().of([=](const Tensors&, DType dtype) { return rotary_table(positions, width, base, dtype); },
                   [=](const Arrays&) { return reference::rotary_table(positions, width, base); },
                   std::to_string(positions) + " by " + std::to_string(width));
    rows.back().test({});
  };
  rows.back().no_gradient();
  table(5, 8, 10000);
  table(1, 2, 10000);
  table(0, 4, 10000);
  table(300, 80, 10000);
  table(1100, 64, 500000);
  rows.back().bench({});

  rows.push_back(Row("rotary_frequencies(int64_t, double)", 1));
  rows.back().no_gradient().of(
      [](const Tensors&, DType dtype) {
        return cast(Tensor::from(rotary_frequencies(6, 500.0), {3}), dtype);
      },
      [](const Arrays&) {
        return Array{{3}, {1, std::pow(500.0, -1 / 3.0), std::pow(500.0, -2 / 3.0)}, {}};
      });
  rows.back().test({});
  rows.back().bench({});
  rows.push_back(Row("rotary_table(int64_t, span<double>, double, DType)", 1));
  rows.back().no_gradient().of(
      [](const Tensors&, DType dtype) { return rotary_table(70, rotary_frequencies(10, 300.0), 1.5, dtype); },
      [](const Arrays&) {
        Array expected = reference::rotary_table(70, 10, 300.0);
        for (double& value : expected.values) value *= 1.5;
        for (double& scale : expected.scale) scale *= 1.5;
        return expected;
      });
  rows.back().test({});
  rows.back().bench({});

  rows.push_back(Row("rotary(Tensor, Tensor, Tensor, int64_t)", 1.5));
  const auto turned = [&](int64_t n, int64_t heads, int64_t width, int64_t rotated = 0) {
    rows.back().of([=](const Tensors& in, DType) { return rotary(in[0], in[1], in[2], heads); },
                   [=](const Arrays& in) { return reference::rotary(in[0], in[1], in[2], heads); },
                   std::to_string(heads) + " heads" + (rotated > 0 ? ", turned in part" : ""));
    return std::vector<Input>{normal({n, heads * width}), ids({n}, 0, 40),
                              uniform({40, rotated > 0 ? rotated : width}, -1, 1).constant()};
  };
  rows.back().test(turned(5, 1, 2), {0, 1});
  rows.back().test(turned(3, 2, 8), {0, 1});
  rows.back().test(turned(0, 2, 8));
  rows.back().test(turned(17, 3, 6), {0, 1});
  rows.back().test(turned(300, 5, 24), {0, 1});
  rows.back().test(turned(129, 2, 80), {0, 1});
  rows.back().test(turned(5, 3, 7, 4), {0, 1});
  rows.back().test(turned(33, 2, 80, 20), {0, 1});
  rows.back().test(turned(2, 1, 64, 32), {0, 1});
  rows.back().test(turned(1100, 4, 64), {0, 1});
  rows.back().bench(turned(1024, 12, 64));
  return rows;
}

struct Heads {
  int64_t query, kv, width;
};

/// Scores err by the length of their chain, and a probability by its score's error; the reference's scale carries that.
std::vector<Row> attention_rows() {
  std::vector<Row> rows;

  const auto offsets = [](const Ragged& sequences) {
    const std::vector<int32_t> list(sequences.offsets.begin(), sequences.offsets.end());
    return Tensor::from(std::span<const int32_t>(list), {sequences.count() + 1});
  };
  rows.push_back(Row("uniform_sequences(int64_t, int64_t)", 0));
  rows.back().no_gradient().of([offsets](const Tensors&, DType) { return offsets(uniform_sequences(4, 25)); },
                               [](const Arrays&) {
                                 return Array{{5}, {0, 25, 50, 75, 100}, {}};
                               });
  rows.back().test({});
  rows.push_back(Row("ragged_sequences(span<int64_t>)", 0));
  rows.back().no_gradient().of(
      [offsets](const Tensors&, DType) {
        return offsets(ragged_sequences(std::vector<int64_t>{3, 0, 7}));
      },
      [](const Arrays&) {
        return Array{{4}, {0, 3, 3, 10}, {}};
      });
  rows.back().test({});

  rows.push_back(
      Row("attention(Tensor, Tensor, Tensor, Ragged, int64_t, int64_t, Visibility, double)", 2, 128));
  const auto attended = [&](std::vector<int64_t> lengths, Heads heads, Visibility visibility,
                            double scale = 0) {
    std::string label = std::to_string(heads.query) + "/" + std::to_string(heads.kv) + " heads of " +
                        std::to_string(heads.width) + ", " + words_of(visibility) + ", lengths";
    int64_t n = 0;
    for (const int64_t length : lengths) {
      n += length;
      label += " " + std::to_string(length);
    }
    rows.back().of(
        [=](const Tensors& in, DType) {
          return attention(in[0], in[1], in[2], ragged_sequences(lengths), heads.query, heads.kv, visibility,
                           scale);
        },
        [=](const Arrays& in) {
          return reference::attention(in[0], in[1], in[2], lengths, heads.query, heads.kv, visibility.before,
                                      visibility.after, scale);
        },
        label);
    return std::vector<Input>{normal({n, heads.query * heads.width}), normal({n, heads.kv * heads.width}),
                              normal({n, heads.kv * heads.width})};
  };
  for (const Visibility& visible : kVisibilities) {
    rows.back().test(attended({5}, {2, 1, 8}, visible));
    // One key: q and k have no influence, and their gradients are what rounding leaves of a difference of equals.
    rows.back().gradient_scale(1).test(attended({1}, {1, 1, 2}, visible)).gradient_scale(0);
    rows.back().test(attended({3, 0, 1, 7}, {2, 2, 4}, visible, 0.7));
    rows.back().test(attended({0}, {2, 1, 4}, visible));
    rows.back().test(attended({17, 48, 49}, {1, 1, 24}, visible));
    rows.back().test(attended({129, 1, 128, 43}, {6, 2, 24}, visible));
    rows.back().test(attended({300}, {2, 1, 32}, visible));
    rows.back().test(attended({260}, {1, 1, 80}, visible));
  }
  rows.back().test(attended({300}, {4, 2, 64}, Visibility::causal()));
  rows.back().test(attended({64, 64, 64}, {3, 3, 33}, Visibility::causal()));
  rows.back().bench(attended({1024}, {12, 12, 64}, Visibility::causal()), 2.0 * 1024 * 1024 * 12 * 64);
  rows.back().bench(attended(std::vector<int64_t>(12, 64), {4, 4, 32}, Visibility::causal()),
                    2.0 * 12 * 64 * 64 * 4 * 32);

  rows.push_back(
      Row("attention_cached(Tensor, Tensor, Tensor, Ragged, span<KeyValueCache*>, int64_t, int64_t, "
          "Visibility, double)",
          2));
  rows.back().no_gradient();
  // Several sequences in rounds: pieces[b][r] rows of sequence b come in round r, so that one may bring its prompt while
  // another brings a token or nothing.
  const auto cached = [&](std::vector<std::vector<int64_t>> pieces, Heads heads, int64_t window = 0) {
    const Visibility visibility = Visibility::causal(window);
    std::vector<int64_t> lengths;
    int64_t n = 0;
    std::string label;
    for (const auto& of_sequence : pieces) {
      lengths.push_back(std::accumulate(of_sequence.begin(), of_sequence.end(), int64_t{0}));
      n += lengths.back();
      label += (label.empty() ? "" : ", ") + std::to_string(lengths.back()) + " rows";
    }
    rows.back().of(
        [=](const Tensors& in, DType dtype) {
          // The cache holds f32: an f64 run of this row computes in f32 and says so by its type.
          Tensors inputs;
          for (const Tensor& x : in) inputs.push_back(dtype == DType::f64 ? cast(x, DType::f32) : x);
          const Ragged whole = ragged_sequences(lengths);
          std::vector<KeyValueCache> caches;
          for (const int64_t length : lengths) caches.emplace_back(length + 3, heads.kv, heads.width);
          std::vector<KeyValueCache*> pointers;
          for (KeyValueCache& cache : caches) pointers.push_back(&cache);
          std::vector<Tensors> parts(lengths.size());
          for (std::size_t round = 0; round < pieces[0].size(); ++round) {
            std::vector<int64_t> fresh;
            for (const auto& of_sequence : pieces) fresh.push_back(of_sequence[round]);
            const Ragged batch = ragged_sequences(fresh);
            const auto rows_of = [&](const Tensor& x) {
              Tensors of_each;
              for (std::size_t b = 0; b < lengths.size(); ++b) {
                const int64_t begin = whole.offsets[b] + caches[b].rows;
                of_each.push_back(slice(x, 0, begin, begin + fresh[b]));
              }
              return of_each.size() == 1 ? of_each[0] : concat(of_each, 0);  // a view of what was given
            };
            const Tensor q = rows_of(inputs[0]), k = rows_of(inputs[1]), v = rows_of(inputs[2]);
            const Tensor y = attention_cached(q, k, v, batch, pointers, heads.query, heads.kv, visibility);
            for (std::size_t b = 0; b < lengths.size(); ++b)
              parts[b].push_back(slice(y, 0, batch.offsets[b], batch.offsets[b + 1]));
          }
          Tensors sequences;
          for (const Tensors& of_sequence : parts) sequences.push_back(concat(of_sequence, 0));
          return concat(sequences, 0);
        },
        [=](const Arrays& in) {
          return reference::attention(in[0], in[1], in[2], lengths, heads.query, heads.kv, visibility.before,
                                      visibility.after, 0);
        },
        std::to_string(pieces[0].size()) + " rounds of " + label +
            (window > 0 ? ", window " + std::to_string(window) : ""));
    return std::vector<Input>{normal({n, heads.query * heads.width}), normal({n, heads.kv * heads.width}),
                              normal({n, heads.kv * heads.width})};
  };
  rows.back().test(cached({{1}}, {1, 1, 2}));
  rows.back().test(cached({{5, 1, 1, 3}}, {4, 2, 8}));
  rows.back().test(cached({{130, 1, 1, 1, 60, 107}}, {2, 1, 24}));
  rows.back().test(cached({{3, 1, 1}, {0, 17, 1}, {130, 0, 1}, {1, 1, 49}}, {4, 2, 8}));
  rows.back().test(cached({{127, 1, 1, 1}, {0, 0, 0, 1}, {20, 1, 108, 1}}, {3, 1, 33}));
  rows.back().test(cached({{130, 1, 1, 1, 60, 107}, {3, 1, 1, 0, 140, 1}}, {2, 1, 24}, 20));
  rows.back().bench(cached({{1024}}, {12, 12, 64}), 2.0 * 1024 * 1024 * 12 * 64);
  return rows;
}

}  // namespace

std::vector<Row> product_rows() {
  std::vector<Row> rows;
  rows.push_back(matmul_row());
  rows.push_back(linear_row());
  for (auto part : {rotary_rows, attention_rows}) {
    for (Row& row : part()) rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace gradus::testing
