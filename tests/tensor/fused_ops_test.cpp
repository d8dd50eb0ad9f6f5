#include <cfloat>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "tensor/autodiff.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/ops.hpp"
#include "tensor/storage.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/visibilities.hpp"
#include "tests/tensor/op_cases.hpp"

/// Each fused op beside its slow definition in small ops.

namespace gradus::testing {
namespace {

/// The largest difference in units of `tolerance` times the f32 epsilon times the size of the largest element.
double distance(const Tensor& a, const Tensor& b) {
  REQUIRE(a.shape() == b.shape());
  const Array left = to_array(a), right = to_array(b);
  double largest = 0, difference = 0;
  for (std::size_t i = 0; i < left.values.size(); ++i) {
    largest = std::max(largest, std::fabs(right.values[i]));
    const double d = std::fabs(left.values[i] - right.values[i]);
    difference = d <= difference ? difference : d;  // keeps a NaN
  }
  return difference == 0 ? 0 : difference / (FLT_EPSILON * largest);
}

/// Both results, and the gradients of both with respect to each leaf, from one random upstream gradient.
struct Pair {
  Outcome fused, slow;
};
Pair both(const std::function<Tensor(const Tensors&)>& fused,
          const std::function<Tensor(const Tensors&)>& slow, const Tensors& inputs) {
  const auto outcome = [&](const std::function<Tensor(const Tensors&)>& f) {
    Tensors leaves;
    for (const Tensor& input : inputs) {
      leaves.push_back(input.detach());
      leaves.back().set_requires_grad();
    }
    Outcome result;
    result.y = f(leaves);
    result.y.backward(random_tensor(result.y.shape(), 99));
    for (const Tensor& leaf : leaves) result.gradients.push_back(leaf.grad());
    result.y = result.y.detach();
    return result;
  };
  return {outcome(fused), outcome(slow)};
}

void check_close(const Pair& pair, double tolerance) {
  CHECK(distance(pair.fused.y, pair.slow.y) <= tolerance);
  for (std::size_t i = 0; i < pair.fused.gradients.size(); ++i) {
    INFO("gradient of input " << i);
    CHECK(distance(pair.fused.gradients[i], pair.slow.gradients[i]) <= tolerance);
  }
}

Tensor activate(const Tensor& x, Activation activation) {
  switch (activation) {
    case Activation::none: return x;
    case Activation::relu: return relu(x);
    case Activation::relu_squared: return relu_squared(x);
    case Activation::gelu: return gelu(x);
    case Activation::gelu_tanh: return gelu_tanh(x);
    case Activation::silu: return silu(x);
  }
  return {};
}

const Activation kActivations[] = {Activation::none, Activation::relu,      Activation::relu_squared,
                                   Activation::gelu, Activation::gelu_tanh, Activation::silu};

// ---- linear ----

TEST_CASE("linear equals act(matmul + bias) bit for bit") {
  for (const std::string& isa : available_isas()) {
    const UseIsa use(isa);
    for (const auto& [m, k, n] :
         {std::array<int64_t, 3>{3, 5, 7}, {1, 64, 33}, {130, 257, 70}, {300, 64, 1000}}) {
      const Tensor x = random_tensor({m, k}, 1), w = random_tensor({n, k}, 2, 0.2),
                   bias = random_tensor({n}, 3);
      for (const Activation activation : kActivations) {
        INFO(isa << ", " << m << " by " << k << " by " << n << ", activation "
                 << static_cast<int>(activation));
        CHECK(same_bits(linear(x, w, bias, activation),
                        activate(matmul(x, w, false, true) + bias, activation)) == "");
        CHECK(same_bits(linear(x, w, {}, activation), activate(matmul(x, w, false, true), activation)) == "");
      }
    }
  }
}

TEST_CASE("linear has the gradients of act(matmul + bias)") {
  const Tensors inputs = {random_tensor({130, 65}, 1), random_tensor({70, 65}, 2, 0.2),
                          random_tensor({70}, 3)};
  for (const Activation activation : kActivations) {
    INFO("activation " << static_cast<int>(activation));
    check_close(both([&](const Tensors& in) { return linear(in[0], in[1], in[2], activation); },
                     [&](const Tensors& in) {
                       return activate(matmul(in[0], in[1], false, true) + in[2], activation);
                     },
                     inputs),
                16);
  }
}

using Catch::Matchers::ContainsSubstring;

TEST_CASE("linear refuses an activation and a weight format that it does not know") {
  const Tensor x = random_tensor({2, 8}, 1), w = random_tensor({4, 8}, 2);
  const auto unknown = static_cast<Activation>(99);
  CHECK_THROWS_WITH(linear(x, w, {}, unknown), ContainsSubstring("activation") && ContainsSubstring("99"));
  CHECK_THROWS_WITH(linear(x, PackedWeight(w, WeightFormat::q8), {}, unknown), ContainsSubstring("99"));
  CHECK_THROWS_WITH(PackedWeight(w, static_cast<WeightFormat>(99)), ContainsSubstring("99"));
}

/// Fused multiply-adds in ascending k: what every path of the matrix product promises.
TEST_CASE("each element of a matrix product is one chain of fused multiply-adds") {
  for (const std::string& isa : available_isas()) {
    if (!has_fma(isa)) continue;
    const UseIsa use(isa);
    for (const auto& [m, k, n] : {std::array<int64_t, 3>{1, 1100, 35}, {7, 300, 16}, {130, 1100, 50}}) {
      const Tensor a = random_tensor({m, k}, 4), b = random_tensor({k, n}, 5);
      const std::vector<float> left = a.to_vector<float>(), right = b.to_vector<float>();
      std::vector<float> chain(static_cast<std::size_t>(m * n), 0.0f);
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t p = 0; p < k; ++p) {
          for (int64_t j = 0; j < n; ++j) {
            float& sum = chain[static_cast<std::size_t>(i * n + j)];
            sum = std::fma(left[static_cast<std::size_t>(i * k + p)],
                           right[static_cast<std::size_t>(p * n + j)], sum);
          }
        }
      }
      const Tensor expected = Tensor::from(std::span<const float>(chain), {m, n});
      INFO(isa << ", " << m << " by " << k << " by " << n);
      CHECK(same_bits(matmul(a, b), expected) == "");
      CHECK(same_bits(matmul(contiguous(transpose(a)), b, true), expected) == "");
      CHECK(same_bits(matmul(a, contiguous(transpose(b)), false, true), expected) == "");
    }
  }
}

TEST_CASE("linear sees a write to its weight between two calls") {
  const Tensor x = random_tensor({9, 33}, 1), w = random_tensor({20, 33}, 2);
  const NoGrad quiet;
  linear(x, w);
  const Tensor other = random_tensor({20, 33}, 3);
  w.copy_from(other);
  CHECK(same_bits(linear(x, w), linear(x, other)) == "");
}

// ---- a batch in pieces ----

/// The leaves' gradients after one backward over all rows, or over the pieces one after the other.
Tensors gradients_in_pieces(const std::function<Tensor(const Tensor& x, const Tensors& leaves)>& f,
                            const Tensor& x, const Tensors& parameters, const std::vector<int64_t>& pieces) {
  Tensors leaves;
  for (const Tensor& parameter : parameters) {
    leaves.push_back(parameter.detach());
    leaves.back().set_requires_grad();
  }
  int64_t begin = 0;
  for (const int64_t piece : pieces) {
    const Tensor y = f(slice(x, 0, begin, begin + piece), leaves);
    const Tensor upstream = random_tensor({x.size(0), y.size(-1)}, 77);
    y.backward(slice(upstream, 0, begin, begin + piece).clone());
    begin += piece;
  }
  Tensors gradients;
  for (const Tensor& leaf : leaves) gradients.push_back(leaf.grad());
  return gradients;
}

TEST_CASE("parameters get the same gradient bits from a batch in pieces as from the whole") {
  struct Layer {
    const char* name;
    std::function<Tensor(const Tensor&, const Tensors&)> f;
    Tensor x;
    Tensors parameters;
  };
  const Layer layers[] = {
      {"linear",
       [](const Tensor& x, const Tensors& p) { return linear(x, p[0], p[1], Activation::gelu_tanh); },
       random_tensor({300, 65}, 1),
       {random_tensor({70, 65}, 2, 0.2), random_tensor({70}, 3)}},
      {"layer_norm",
       [](const Tensor& x, const Tensors& p) { return layer_norm(x, p[0], p[1]); },
       random_tensor({300, 65}, 4),
       {random_tensor({65}, 5), random_tensor({65}, 6)}},
      {"rms_norm",
       [](const Tensor& x, const Tensors& p) { return rms_norm(x, p[0]); },
       random_tensor({300, 65}, 7),
       {random_tensor({65}, 8)}},
      {"embedding",
       [](const Tensor& x, const Tensors& p) { return embedding(p[0], x); },
       random_ids({300}, 9, 20),
       {random_tensor({20, 33}, 10)}},
  };
  for (const Layer& layer : layers) {
    const Tensors whole = gradients_in_pieces(layer.f, layer.x, layer.parameters, {300});
    for (const std::vector<int64_t>& pieces : {std::vector<int64_t>{150, 150}, {1, 298, 1}, {37, 100, 163}}) {
      const Tensors parts = gradients_in_pieces(layer.f, layer.x, layer.parameters, pieces);
      for (std::size_t i = 0; i < whole.size(); ++i) {
        INFO(layer.name << ", parameter " << i << ", " << pieces.size() << " pieces");
        CHECK(same_bits(whole[i], parts[i]) == "");
      }
    }
  }
}

TEST_CASE("what backward makes again has the bits of what forward made, and takes no memory between them") {
  constexpr int64_t kRows = 1100, kWidth = 1024;  // beyond kRecomputeBytes
  const Tensor x = random_tensor({kRows, kWidth}, 1), other = random_tensor({kRows, kWidth}, 2);
  const Tensor w = random_tensor({7, kWidth}, 3, 0.1), square = random_tensor({kWidth, kWidth}, 4, 0.03);
  const Tensor scale = random_tensor({kWidth}, 5), shift = random_tensor({kWidth}, 6);
  const Tensor upstream = random_tensor({kRows, 7}, 7);
  const struct {
    const char* name;
    std::function<Tensor(const Tensor&)> f;
  } makers[] = {
      {"layer_norm", [&](const Tensor& in) { return layer_norm(in, scale, shift); }},
      {"rms_norm", [&](const Tensor& in) { return rms_norm(in, scale); }},
      {"linear", [&](const Tensor& in) { return linear(in, square, scale, Activation::gelu_tanh); }},
      {"swiglu", [&](const Tensor& in) { return swiglu(in, other); }},
  };
  for (const auto& maker : makers) {
    INFO(maker.name);
    // A copy of a result can not be made again: it is kept.
    const auto run = [&](bool kept, std::size_t& held) {
      Tensor in = x.clone(), weight = w.clone();
      in.set_requires_grad();
      weight.set_requires_grad();
      const std::size_t before = memory_statistics().in_use;
      const Tensor y = [&] {
        const Tensor made = maker.f(in);
        return linear(kept ? reshape(made, {kRows, kWidth}) * 1.0 : made, weight);
      }();
      held = memory_statistics().in_use - before;
      y.backward(upstream);
      return Tensors{in.grad(), weight.grad()};
    };
    std::size_t kept_bytes = 0, bytes = 0;
    const Tensors kept = run(true, kept_bytes);
    const Tensors again = run(false, bytes);
    for (std::size_t i = 0; i < kept.size(); ++i) CHECK(same_bits(kept[i], again[i]) == "");
    CHECK(bytes + kRows * kWidth * sizeof(float) <= kept_bytes);
  }
}

TEST_CASE("a result that was written is kept as it is, not made again") {
  Tensor x = random_tensor({1100, 1024}, 1);
  x.set_requires_grad();
  Tensor w = random_tensor({3, 1024}, 2);
  w.set_requires_grad();
  const Tensor y = rms_norm(x, Tensor::full({1024}, 1));
  y.detach().copy_from(Tensor::full({1100, 1024}, 0.5));
  sum(linear(y, w)).backward();
  CHECK(w.grad().to_vector<float>()[0] == 550);
}

TEST_CASE("the loss overwrites logits only where nobody else holds them") {
  Tensor x = random_tensor({40, 8}, 1);
  x.set_requires_grad();
  const Tensor w = random_tensor({50, 8}, 2), targets = random_ids({40}, 3, 50);
  const Tensor logits = linear(x, w);
  const Tensor before = logits.detach().clone();
  cross_entropy(logits, targets).backward();
  CHECK(same_bits(logits.detach(), before) == "");
  const Tensor held = x.grad();
  x.clear_grad();
  cross_entropy(linear(x, w), targets).backward();
  CHECK(same_bits(x.grad(), held) == "");
}

TEST_CASE("a loss gives each row the same gradient bits however rows are grouped") {
  // With a common divisor, pieces of a batch are what the whole is.
  const Tensor logits = random_tensor({30, 1000}, 1, 2), targets = random_ids({30}, 2, 1000);
  const auto gradient = [&](int64_t begin, int64_t end) {
    Tensor leaf = slice(logits, 0, begin, end).clone();
    leaf.set_requires_grad();
    cross_entropy(leaf, slice(targets, 0, begin, end), 30).backward();
    return leaf.grad();
  };
  const Tensor whole = gradient(0, 30);
  for (const auto& [begin, end] : {std::pair<int64_t, int64_t>{0, 1}, {7, 20}, {29, 30}}) {
    CHECK(same_bits(gradient(begin, end), slice(whole, 0, begin, end)) == "");
  }
}

TEST_CASE("dropout draws the same mask for a row wherever it stands") {
  const Random draws(5, stream_of("blocks.3.mlp.dropout"));
  const int64_t width = 33;
  const Tensor x = random_tensor({40, width}, 1);
  const Tensor whole = dropout(x, 0.3, draws, 1000);
  for (const int64_t begin : {1, 7, 39}) {
    const Tensor rows =
        dropout(slice(x, 0, begin, 40), 0.3, draws, 1000 + static_cast<uint64_t>(begin * width));
    CHECK(same_bits(rows, slice(whole, 0, begin, 40)) == "");
  }
  const Tensor other = dropout(x, 0.3, Random(6, draws.stream()), 1000);
  CHECK(same_bits(whole, other) != "");
}

// ---- normalising, activations, loss, embedding ----

TEST_CASE("layer_norm equals its formula in small ops") {
  const Tensors inputs = {random_tensor({70, 129}, 1), random_tensor({129}, 2), random_tensor({129}, 3)};
  check_close(both([](const Tensors& in) { return layer_norm(in[0], in[1], in[2], 1e-5); },
                   [](const Tensors& in) {
                     const Tensor centred = in[0] - mean(in[0], -1, true);
                     return centred * rsqrt(mean(square(centred), -1, true) + 1e-5) * in[1] + in[2];
                   },
                   inputs),
              64);
}

TEST_CASE("rms_norm equals its formula in small ops") {
  check_close(
      both([](const Tensors& in) { return rms_norm(in[0], in[1], 1e-5); },
           [](const Tensors& in) { return in[0] * rsqrt(mean(square(in[0]), -1, true) + 1e-5) * in[1]; },
           {random_tensor({70, 129}, 1), random_tensor({129}, 2)}),
      64);
}

TEST_CASE("softmax and log_softmax equal their formulas in small ops") {
  const Tensors inputs = {random_tensor({70, 129}, 1, 3)};
  const auto shifted = [](const Tensor& x) { return x - max(x, -1, true).detach(); };
  check_close(both([](const Tensors& in) { return softmax(in[0]); },
                   [&](const Tensors& in) {
                     const Tensor e = exp(shifted(in[0]));
                     return e / sum(e, -1, true);
                   },
                   inputs),
              32);
  check_close(
      both([](const Tensors& in) { return log_softmax(in[0]); },
           [&](const Tensors& in) { return shifted(in[0]) - log(sum(exp(shifted(in[0])), -1, true)); },
           inputs),
      32);
}

TEST_CASE("swiglu equals silu(gate) times up") {
  check_close(both([](const Tensors& in) { return swiglu(in[0], in[1]); },
                   [](const Tensors& in) { return silu(in[0]) * in[1]; },
                   {random_tensor({70, 129}, 1), random_tensor({70, 129}, 2)}),
              8);
}

TEST_CASE("gelu, gelu_tanh and silu equal their formulas in small ops") {
  const Tensors inputs = {random_tensor({70, 129}, 1, 2)};
  check_close(both([](const Tensors& in) { return gelu(in[0]); },
                   [](const Tensors& in) { return in[0] * (erf(in[0] * std::sqrt(0.5)) + 1) * 0.5; }, inputs),
              8);
  check_close(both([](const Tensors& in) { return gelu_tanh(in[0]); },
                   [](const Tensors& in) {
                     const Tensor u =
                         (in[0] + in[0] * in[0] * in[0] * 0.044715) * std::sqrt(2 / 3.14159265358979323846);
                     return in[0] * (tanh(u) + 1) * 0.5;
                   },
                   inputs),
              8);
  check_close(both([](const Tensors& in) { return silu(in[0]); },
                   [](const Tensors& in) { return in[0] * sigmoid(in[0]); }, inputs),
              8);
}

TEST_CASE("cross_entropy equals the mean of log_softmax at the targets") {
  const Tensor targets = random_ids({30}, 2, 1000);
  check_close(both([&](const Tensors& in) { return cross_entropy(in[0], targets); },
                   [&](const Tensors& in) {
                     return neg(mean(gather(log_softmax(in[0]), reshape(targets, {30, 1}))));
                   },
                   {random_tensor({30, 1000}, 1, 2)}),
              32);
  const Tensor logits = random_tensor({30, 1000}, 3);
  CHECK(distance(mean(token_losses(logits, targets)), cross_entropy(logits, targets)) <= 4);
}

TEST_CASE("embedding equals one_hot times the table bit for bit") {
  for (const std::string& isa : available_isas()) {
    const UseIsa use(isa);
    INFO(isa);
    const Tensor table = random_tensor({1000, 33}, 1), ids = random_ids({4, 75}, 2, 1000);
    CHECK(same_bits(embedding(table, ids), matmul(one_hot(ids, 1000), table)) == "");
  }
}

TEST_CASE("embedding has the gradient of one_hot times the table") {
  // Few ids, thus long sums; one_hotᵀ · dy adds the rows of an id in the same, ascending order.
  const Tensor ids = random_ids({300}, 2, 7);
  const Pair pair =
      both([&](const Tensors& in) { return embedding(in[0], ids); },
           [&](const Tensors& in) { return matmul(one_hot(ids, 20), in[0]); }, {random_tensor({20, 33}, 1)});
  CHECK(same_bits(pair.fused.gradients[0], pair.slow.gradients[0]) == "");
}

TEST_CASE("rotary turns each pair by its position's angle and keeps its length") {
  const int64_t heads = 3, width = 24, half = width / 2;
  const Tensor x = random_tensor({50, heads * width}, 1), positions = random_ids({50}, 2, 300),
               table = rotary_table(300, width);
  const Tensor angles = embedding(table, positions);
  const Tensor split_x = reshape(x, {50, heads, width});
  const Tensor first = slice(split_x, -1, 0, half), second = slice(split_x, -1, half, width);
  const Tensor c = reshape(slice(angles, -1, 0, half), {50, 1, half}),
               s = reshape(slice(angles, -1, half, width), {50, 1, half});
  const std::vector<Tensor> parts = {first * c - second * s, second * c + first * s};
  const Tensor y = rotary(x, positions, table, heads);
  CHECK(distance(y, reshape(concat(parts, -1), {50, heads * width})) <= 2);
  CHECK(distance(sum(square(y), -1), sum(square(x), -1)) <= 16);
}

// ---- attention ----

/// softmax(scale q kᵀ + mask) v of one sequence, head by head.
Tensor slow_attention(const Tensor& q, const Tensor& k, const Tensor& v, int64_t heads, int64_t kv_heads,
                      const Visibility& visibility, double scale) {
  const int64_t time = q.size(0), width = q.size(1) / heads;
  std::vector<Tensor> columns;
  for (int64_t h = 0; h < heads; ++h) {
    const int64_t g = h / (heads / kv_heads);
    const auto head = [&](const Tensor& x, int64_t i) { return slice(x, 1, i * width, (i + 1) * width); };
    Tensor scores = matmul(head(q, h), head(k, g), false, true) * scale;
    const Tensor places = cast(Tensor::arange(time), DType::f32);
    const Tensor rows = reshape(places, {time, 1}), keys = reshape(places, {1, time});
    const Tensor hidden = Tensor::full({}, -INFINITY);
    if (visibility.after < time)
      scores = where(greater(keys, rows + static_cast<double>(visibility.after)), hidden, scores);
    if (visibility.before < time)
      scores = where(greater(rows, keys + static_cast<double>(visibility.before)), hidden, scores);
    columns.push_back(matmul(softmax(scores), head(v, g)));
  }
  return concat(columns, 1);
}

TEST_CASE("attention equals softmax(scale q kᵀ + mask) v with grouped heads and ragged batches") {
  struct Setting {
    std::vector<int64_t> lengths;
    int64_t heads, kv_heads, width;
  };
  const Setting settings[] = {{{300}, 2, 1, 32},
                              {{7, 0, 130, 1}, 6, 2, 24},
                              {{40, 40}, 4, 4, 8},
                              {{257}, 3, 1, 80},
                              {{129}, 2, 2, 64}};
  for (const Setting& s : settings) {
    int64_t n = 0;
    for (const int64_t length : s.lengths) n += length;
    const Tensors inputs = {random_tensor({n, s.heads * s.width}, 1),
                            random_tensor({n, s.kv_heads * s.width}, 2),
                            random_tensor({n, s.kv_heads * s.width}, 3)};
    const double scale = 1 / std::sqrt(static_cast<double>(s.width));
    for (const Visibility& visibility : kVisibilities) {
      INFO("longest of " << s.lengths.size() << " sequences, " << s.heads << "/" << s.kv_heads << " heads of "
                         << s.width << ", " << words_of(visibility));
      check_close(both(
                      [&](const Tensors& in) {
                        return attention(in[0], in[1], in[2], ragged_sequences(s.lengths), s.heads,
                                         s.kv_heads, visibility);
                      },
                      [&](const Tensors& in) {
                        std::vector<Tensor> parts;
                        int64_t begin = 0;
                        for (const int64_t length : s.lengths) {
                          const auto rows = [&](const Tensor& x) {
                            return slice(x, 0, begin, begin + length);
                          };
                          if (length > 0) {
                            parts.push_back(slow_attention(rows(in[0]), rows(in[1]), rows(in[2]), s.heads,
                                                           s.kv_heads, visibility, scale));
                          }
                          begin += length;
                        }
                        return concat(parts, 0);
                      },
                      inputs),
                  32);
    }
  }
}

TEST_CASE("a sequence alone gets the same bits from attention as in any batch") {
  const int64_t heads = 6, kv_heads = 2, width = 24;
  const std::vector<int64_t> lengths = {17, 300, 1, 128, 0, 129};
  int64_t n = 0;
  for (const int64_t length : lengths) n += length;
  const Tensors all = {random_tensor({n, heads * width}, 1), random_tensor({n, kv_heads * width}, 2),
                       random_tensor({n, kv_heads * width}, 3)};
  const Tensor upstream = random_tensor({n, heads * width}, 4);
  const auto outcome = [&](int64_t begin, int64_t end, const std::vector<int64_t>& of,
                           const Visibility& visibility) {
    Tensors leaves;
    for (const Tensor& x : all) {
      leaves.push_back(slice(x, 0, begin, end).clone());
      leaves.back().set_requires_grad();
    }
    Outcome result;
    result.y = attention(leaves[0], leaves[1], leaves[2], ragged_sequences(of), heads, kv_heads, visibility);
    result.y.backward(slice(upstream, 0, begin, end).clone());
    for (const Tensor& leaf : leaves) result.gradients.push_back(leaf.grad());
    return result;
  };
  for (const Visibility& visibility : kVisibilities) {
    const Outcome batch = outcome(0, n, lengths, visibility);
    int64_t begin = 0;
    for (const int64_t length : lengths) {
      const int64_t end = begin + length;
      const Outcome alone = outcome(begin, end, {length}, visibility);
      Outcome part;
      part.y = slice(batch.y, 0, begin, end);
      for (const Tensor& gradient : batch.gradients) part.gradients.push_back(slice(gradient, 0, begin, end));
      INFO("a sequence of " << length << ", " << words_of(visibility));
      CHECK(same_bits(alone, part) == "");
      begin = end;
    }
  }
}

TEST_CASE("a causal row gets the same bits whatever follows it, with a window or without") {
  const int64_t heads = 2, width = 32;
  const Tensor q = random_tensor({300, heads * width}, 1), k = random_tensor({300, heads * width}, 2),
               v = random_tensor({300, heads * width}, 3);
  for (const int64_t window : {0, 1, 5, 130}) {
    const auto attend = [&](int64_t time) {
      const auto head = [&](const Tensor& x) { return slice(x, 0, 0, time); };
      return attention(head(q), head(k), head(v), uniform_sequences(1, time), heads, heads,
                       Visibility::causal(window));
    };
    const Tensor whole = attend(300);
    for (const int64_t time : {1, 47, 48, 49, 127, 128, 129, 257, 299}) {
      INFO("window " << window << ", the first " << time);
      CHECK(same_bits(attend(time), slice(whole, 0, 0, time)) == "");
    }
  }
}

TEST_CASE("what a window hides does not reach a row, be it NaN") {
  const int64_t n = 400, d = 16;
  const Tensor q = random_tensor({n, d}, 1);
  const auto attend = [&](float hidden, const Visibility& visibility) {
    Tensor k = random_tensor({n, d}, 2), v = random_tensor({n, d}, 3);
    for (int64_t i = 0; i < 130 * d; ++i) k.mutable_data<float>()[i] = v.mutable_data<float>()[i] = hidden;
    return attention(q, k, v, uniform_sequences(1, n), 1, 1, visibility);
  };
  for (const Visibility& visibility : {Visibility::causal(50), Visibility::both_ways(98)}) {
    // Row 179 is the first that sees none of the rows before 130.
    const auto rows = [&](float hidden) { return slice(attend(hidden, visibility), 0, 179, n); };
    CHECK(same_bits(rows(NAN), rows(0.5f)) == "");
  }
}

}  // namespace
}  // namespace gradus::testing
