#include <cmath>
#include <numeric>

#include "nn/block.hpp"
#include "nn/embedding.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/storage.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/small_model.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

template <class M>
void randomise(M& module) {
  module.visit("m", [](const std::string& name, Tensor& tensor) { fill_normal(name, tensor, 0.4); });
}

template <class M>
std::vector<std::string> names_of(M& module) {
  std::vector<std::string> names;
  module.visit("", [&](const std::string& name, Tensor&) { names.push_back(name); });
  return names;
}

double gelu_of(double x) { return x * 0.5 * (1 + std::erf(x / std::sqrt(2.0))); }
double gelu_tanh_of(double x) {
  return x * 0.5 * (1 + std::tanh(std::sqrt(2 / M_PI) * (x + 0.044715 * x * x * x)));
}

static_assert(Module<Linear> && Module<Embedding> && Module<Position> && Module<Norm> && Module<Mlp> &&
              Module<Attention> && Module<Block>);

}  // namespace

TEST_CASE("a linear layer keeps its outputs first and adds its bias") {
  Linear layer("top", 2, 3, true);
  layer.weight.copy_from(Tensor::from(std::vector<float>{1, 2, 3, 4, 5, 6}, {3, 2}));
  layer.bias.copy_from(Tensor::from(std::vector<float>{10, 20, 30}, {3}));
  const Tensor y = layer(Tensor::from(std::vector<float>{1, -1}, {1, 2}));
  CHECK(y.to_vector<float>() == std::vector<float>{9, 19, 29});
  CHECK(names_of(layer) == std::vector<std::string>{"weight", "bias"});
}

TEST_CASE("an error of a layer begins with the layer's path") {
  const Linear layer("blocks.3.mlp.up", 8, 16, true);
  CHECK_THROWS_WITH(layer(Tensor::zeros({2, 7})), ContainsSubstring("blocks.3.mlp.up: "));
  const Attention attention("blocks.1.attention", {.width = 8, .heads = 2, .kv_heads = 1});
  Position none;
  CHECK_THROWS_WITH(attention(Tensor::zeros({2, 8}), none, Context::of_batch(1, 3)),
                    ContainsSubstring("blocks.1.attention: "));
  CHECK_THROWS_WITH(Attention("a", {.width = 9, .heads = 2, .kv_heads = 1}),
                    "a: the width must be a multiple of the heads; width 9, heads 2");
  CHECK_THROWS_WITH(Attention("a", {.width = 8, .heads = 4, .kv_heads = 3}),
                    "a: the heads must be a multiple of the key/value heads; heads 4, key/value heads 3");
}

TEST_CASE("an embedding looks rows up and scores rows with the same table") {
  Embedding table("e", 5, 3);
  randomise(table);
  const Tensor x = table(ids_tensor({4, 0, 4}));
  CHECK(same_bits(slice(x, 0, 0, 1), slice(table.weight, 0, 4, 5)) == "");
  CHECK(same_bits(slice(x, 0, 1, 2), slice(table.weight, 0, 0, 1)) == "");
  CHECK(same_bits(table.logits(x), matmul(x, table.weight, false, true)) == "");
}

TEST_CASE("positions are added where learned or sinusoidal, and are no rows where there are none") {
  const Tensor at = ids_tensor({4, 0, 2});
  CHECK(!Position("p", {}).rows(at).defined());
  CHECK(!Position("p", {.kind = PositionKind::rotary, .positions = 5, .rotated = 2}).rows(at).defined());

  Position learned("p", {.kind = PositionKind::learned, .positions = 5, .width = 6});
  randomise(learned);
  CHECK(names_of(learned) == std::vector<std::string>{"weight"});
  CHECK(same_bits(learned.rows(at), embedding(learned.weight, at)) == "");
  CHECK_THROWS_WITH(learned.rows(ids_tensor({0, 1, 5})), ContainsSubstring("p: "));

  Position shifted("p", {.kind = PositionKind::learned, .positions = 5, .width = 6, .first_row = 2});
  randomise(shifted);
  CHECK(shifted.weight.shape() == Shape{7, 6});
  CHECK(same_bits(shifted.rows(at), embedding(shifted.weight, ids_tensor({6, 2, 4}))) == "");
  CHECK_THROWS_WITH(shifted.rows(ids_tensor({0, 1, 5})), ContainsSubstring("p: "));

  Position sinusoidal("p", {.kind = PositionKind::sinusoidal, .positions = 5, .width = 6, .base = 100.0});
  CHECK(names_of(sinusoidal).empty());
  const std::vector<float> y = sinusoidal.rows(at).to_vector<float>();
  for (size_t c = 0; c < 6; ++c) {
    const double angle = 4 * std::pow(100.0, -static_cast<double>(c / 2 * 2) / 6);
    CHECK(y[c] == Approx(c % 2 == 0 ? std::sin(angle) : std::cos(angle)).margin(1e-6));
  }
}

TEST_CASE("rotary positions make products of queries and keys depend on their distance alone") {
  const Position position("p", {.kind = PositionKind::rotary, .positions = 64, .rotated = 8}, DType::f64);
  const Tensor q = random_tensor({1, 8}, draw_seed("q"), 1, DType::f64);
  const Tensor k = random_tensor({1, 8}, draw_seed("k"), 1, DType::f64);
  const auto product = [&](int32_t tq, int32_t tk) {
    return matmul(position.rotate(q, ids_tensor({tq}), 1), position.rotate(k, ids_tensor({tk}), 1), false,
                  true)
        .item();
  };
  CHECK(product(9, 5) == Approx(product(44, 40)));
  CHECK(product(9, 5) != Approx(product(9, 6)));
  CHECK(product(0, 0) == Approx(matmul(q, k, false, true).item()));
}

TEST_CASE("norms of both kinds do what their formulas say") {
  const Tensor x = random_tensor({2, 5}, draw_seed("x"), 1, DType::f64);
  Norm layer("n", 5, {.epsilon = 1e-3}, DType::f64);
  Norm rms("n", 5, {.kind = NormKind::rms, .epsilon = 1e-3}, DType::f64);
  CHECK(names_of(layer) == std::vector<std::string>{"weight", "bias"});
  CHECK(names_of(rms) == std::vector<std::string>{"weight"});
  randomise(layer);
  randomise(rms);
  const auto values = x.to_vector<double>();
  const double* row = values.data() + 5;
  const double mean = std::accumulate(row, row + 5, 0.0) / 5;
  double variance = 0;
  double squares = 0;
  for (int c = 0; c < 5; ++c) {
    variance += (row[c] - mean) * (row[c] - mean) / 5;
    squares += row[c] * row[c] / 5;
  }
  const auto w = layer.weight.to_vector<double>();
  const auto b = layer.bias.to_vector<double>();
  const auto y = layer(x).to_vector<double>();
  const auto wr = rms.weight.to_vector<double>();
  const auto yr = rms(x).to_vector<double>();
  for (size_t c = 0; c < 5; ++c) {
    CHECK(y[5 + c] == Approx((row[c] - mean) / std::sqrt(variance + 1e-3) * w[c] + b[c]));
    CHECK(yr[5 + c] == Approx(row[c] / std::sqrt(squares + 1e-3) * wr[c]));
  }
}

TEST_CASE("a norm can do without its bias, and multiply by 1 + weight") {
  const Tensor x = random_tensor({3, 5}, draw_seed("x"));
  Norm plain("n", 5, {.bias = false});
  CHECK(names_of(plain) == std::vector<std::string>{"weight"});
  randomise(plain);
  CHECK(same_bits(plain(x), layer_norm(x, plain.weight, Tensor::zeros({5}))) == "");
  Norm offset("n", 5, {.kind = NormKind::rms, .offset = true});
  CHECK(same_bits(offset(x), rms_norm(x, Tensor::full({5}, 1.0))) == "");
  randomise(offset);
  CHECK(same_bits(offset(x), rms_norm(x, offset.weight + 1.0)) == "");
}

TEST_CASE("layers with a window may turn their heads by angles of their own") {
  const Position position("p", {.kind = PositionKind::rotary,
                                .positions = 9,
                                .base = 100.0,
                                .rotated = 4,
                                .scaling = {.kind = RopeScalingKind::linear, .factor = 2},
                                .local_base = 10.0});
  const Tensor x = random_tensor({2, 12}, draw_seed("x"));
  const Tensor at = ids_tensor({8, 3});
  CHECK(same_bits(position.rotate(x, at, 2, true), rotary(x, at, rotary_table(9, 4, 10.0), 2)) == "");
  const double slowed[] = {0.5, 0.05};
  CHECK(same_bits(position.rotate(x, at, 2), rotary(x, at, rotary_table(9, slowed), 2)) == "");
}

TEST_CASE("angles of far positions are made when a text needs them, the same as all at once") {
  const Position position("p", {.kind = PositionKind::rotary, .positions = 20000, .rotated = 4});
  const Tensor x = random_tensor({3, 8}, draw_seed("x"));
  for (const int32_t far : {5, 4095, 4096, 19999}) {
    const Tensor at = ids_tensor({far, 0, 17});
    CHECK(same_bits(position.rotate(x, at, 2), rotary(x, at, rotary_table(20000, 4), 2)) == "");
  }
  const DryRunMemory counted;
  const Position planned("p", {.kind = PositionKind::rotary, .positions = 20000, .rotated = 4});
  CHECK(counted.statistics().in_use >= 20000 * 4 * sizeof(float));
}

TEST_CASE("a position beyond the last is an error, however many angles there are") {
  const Position position("p", {.kind = PositionKind::rotary, .positions = 20000, .rotated = 4});
  const Tensor x = random_tensor({3, 8}, draw_seed("x"));
  CHECK_THROWS_WITH(position.rotate(x, ids_tensor({20000, 0, 1}), 2),
                    ContainsSubstring("positions must be in [0, 19999]"));
}

TEST_CASE("scalings of rotary positions give the frequencies of their formulas") {
  const auto frequencies = [](const RopeScaling& scaling) { return rotary_frequencies(8, 10000.0, scaling); };
  // 1, 0.1, 0.01, 0.001: waves of 6.3, 63, 628 and 6283 positions.
  const auto check_all = [&](const RopeScaling& scaling, const std::vector<double>& expected) {
    const std::vector<double> found = frequencies(scaling);
    REQUIRE(found.size() == 4);
    for (size_t i = 0; i < 4; ++i) CHECK(found[i] == Approx(expected[i]).epsilon(1e-12));
  };
  check_all({}, {1, 0.1, 0.01, 0.001});
  check_all({.kind = RopeScalingKind::linear, .factor = 4}, {0.25, 0.025, 0.0025, 0.00025});
  // 1000 positions: waves shorter than 250 stay, longer than 1000 are slowed, 628 lies between.
  const double turns = 1000 * 0.01 / (2 * M_PI), between = (turns - 1) / 3;
  check_all({.kind = RopeScalingKind::llama3, .factor = 8, .original_positions = 1000},
            {1, 0.1, (1 - between) * 0.01 / 8 + between * 0.01, 0.001 / 8});
  // Channels that turn 32 times and once in 1000 positions: 8 ln(1000 / (2π n)) / (2 ln 10000) = 0.70 and 2.20, so 0 and 3.
  check_all({.kind = RopeScalingKind::yarn, .factor = 8, .original_positions = 1000},
            {1, 0.1 / 8 / 3 + 0.1 * 2 / 3, 0.01 / 8 * 2 / 3 + 0.01 / 3, 0.001 / 8});
  const double low = 8 * std::log(1000 / (2 * M_PI * 32)) / (2 * std::log(1e4)),
               high = 8 * std::log(1000 / (2 * M_PI)) / (2 * std::log(1e4));
  const auto mixed = [&](double i, double f) {
    const double slowed = std::clamp((i - low) / (high - low), 0.0, 1.0);
    return slowed * f / 8 + (1 - slowed) * f;
  };
  check_all({.kind = RopeScalingKind::yarn, .factor = 8, .original_positions = 1000, .truncate = false},
            {mixed(0, 1), mixed(1, 0.1), mixed(2, 0.01), mixed(3, 0.001)});

  CHECK(rotary_amplitude({.kind = RopeScalingKind::linear, .factor = 8}) == 1);
  CHECK(rotary_amplitude({.kind = RopeScalingKind::yarn, .factor = 8}) == Approx(0.1 * std::log(8) + 1));
  CHECK(rotary_amplitude({.kind = RopeScalingKind::yarn, .factor = 8, .attention_factor = 1.5}) == 1.5);
  CHECK(rotary_amplitude({.kind = RopeScalingKind::yarn, .factor = 8, .mscale = 2, .mscale_all_dim = 0.5}) ==
        Approx((0.2 * std::log(8) + 1) / (0.05 * std::log(8) + 1)));
  CHECK_THROWS_WITH(frequencies({.kind = RopeScalingKind::linear, .factor = 0}),
                    ContainsSubstring("factor must be positive"));
  CHECK_THROWS_WITH(frequencies({.kind = RopeScalingKind::llama3, .factor = 2}),
                    ContainsSubstring("original_positions must be positive"));
}

TEST_CASE("a feed-forward layer bends each channel as its kind says") {
  const std::vector<std::pair<MlpKind, double (*)(double)>> kinds = {
      {MlpKind::gelu, gelu_of},
      {MlpKind::gelu_tanh, gelu_tanh_of},
      {MlpKind::relu, [](double x) { return x > 0 ? x : 0; }},
      {MlpKind::relu_squared, [](double x) { return x > 0 ? x * x : 0; }},
      {MlpKind::silu, [](double x) { return x / (1 + std::exp(-x)); }},
      {MlpKind::swiglu, [](double x) { return x / (1 + std::exp(-x)); }},
      {MlpKind::geglu, gelu_of},
      {MlpKind::geglu_tanh, gelu_tanh_of},
  };
  const Tensor x = random_tensor({3, 4}, draw_seed("x"), 1, DType::f64);
  for (const auto& [kind, act] : kinds) {
    Mlp mlp("mlp", kind, 4, 7, true, DType::f64);
    randomise(mlp);
    const bool gated = kind.gate;
    CHECK(names_of(mlp).size() == (gated ? 6u : 4u));
    const auto up = mlp.up(x).to_vector<double>();
    auto bent = (gated ? mlp.gate(x) : mlp.up(x)).to_vector<double>();
    for (size_t i = 0; i < bent.size(); ++i) bent[i] = act(bent[i]) * (gated ? up[i] : 1.0);
    const auto expected = mlp.down(Tensor::from(bent, {3, 7})).to_vector<double>();
    const auto y = mlp(x).to_vector<double>();
    for (size_t i = 0; i < y.size(); ++i) CHECK(y[i] == Approx(expected[i]).margin(1e-12));
  }
}

TEST_CASE(
    "attention equals its formula in small ops, with grouped heads of a width of their own, normalised") {
  constexpr int64_t kTime = 6, kHeads = 4, kGroups = 2, kWidth = 10, kHead = 3;
  Attention layer("a",
                  {.width = kWidth,
                   .heads = kHeads,
                   .kv_heads = kGroups,
                   .head_width = kHead,
                   .output_bias = false,
                   .query_key_norm = true,
                   .norm = {.kind = NormKind::rms, .epsilon = 1e-3},
                   .visibility = Visibility::causal(3),
                   .scale = 0.7},
                  DType::f64);
  CHECK(names_of(layer) == std::vector<std::string>{"qkv.weight", "qkv.bias", "query_norm.weight",
                                                    "key_norm.weight", "output.weight"});
  randomise(layer);
  const Tensor x = random_tensor({kTime, kWidth}, draw_seed("x"), 1, DType::f64);
  const Position none;
  const auto y = layer(x, none, Context::of_batch(1, kTime)).to_vector<double>();

  const Tensor rows = layer.qkv(x);
  std::vector<Tensor> heads;
  for (int64_t h = 0; h < kHeads; ++h) {
    const int64_t g = h / (kHeads / kGroups);
    const Tensor q = rms_norm(slice(rows, 1, h * kHead, (h + 1) * kHead), layer.query_norm.weight, 1e-3);
    const Tensor k =
        rms_norm(slice(rows, 1, (kHeads + g) * kHead, (kHeads + g + 1) * kHead), layer.key_norm.weight, 1e-3);
    const Tensor v = slice(rows, 1, (kHeads + kGroups + g) * kHead, (kHeads + kGroups + g + 1) * kHead);
    auto scores = mul(matmul(q, k, false, true), 0.7).to_vector<double>();
    for (int64_t t = 0; t < kTime; ++t) {
      for (int64_t j = 0; j < kTime; ++j) {
        if (j > t || j <= t - 3) scores[static_cast<size_t>(t * kTime + j)] = -INFINITY;
      }
    }
    heads.push_back(matmul(softmax(Tensor::from(scores, {kTime, kTime})), v));
  }
  const auto expected = layer.output(concat(heads, 1)).to_vector<double>();
  for (size_t i = 0; i < y.size(); ++i) CHECK(y[i] == Approx(expected[i]).margin(1e-10));
}

TEST_CASE("a sequence's rows are the same bits alone, among others, and token by token with a cache") {
  const Position position("p", {.kind = PositionKind::rotary, .positions = 512, .rotated = 8});
  Attention layer("a", {.width = 32, .heads = 4, .kv_heads = 2});
  randomise(layer);
  // Several key blocks, and sequences that begin anywhere in a tile.
  const int64_t lengths[] = {3, 300, 1, 130};
  const Tensor x = random_tensor({434, 32}, draw_seed("x"));
  const Tensor together = layer(x, position, Context::of_lengths(lengths));
  int64_t begin = 0;
  for (const int64_t length : lengths) {
    const Tensor rows = slice(x, 0, begin, begin + length);
    const Tensor expected = slice(together, 0, begin, begin + length);
    const int64_t alone[] = {length};
    CHECK(same_bits(layer(rows, position, Context::of_lengths(alone)), expected) == "");

    const NoGrad quiet;
    LayerCaches caches = {KeyValueCache(length, 2, 8)};
    KeyValueCache* const of_layer[] = {&caches[0]};
    for (int64_t t = 0; t < length;) {
      const int64_t step = t == 0 ? std::min<int64_t>(length, 37) : 1;  // a prompt, then one at a time
      const Context context = Context::of_caches({&caches}, {step});
      const Tensor y = layer(slice(rows, 0, t, t + step), position, context, of_layer);
      REQUIRE(same_bits(y, slice(expected, 0, t, t + step)) == "");
      t += step;
    }
    begin += length;
  }
}

TEST_CASE("a token sees nothing of those after it") {
  Block block("b", {.attention = {.width = 16, .heads = 2, .kv_heads = 2}, .inner = 24});
  randomise(block);
  const Position none;
  const Tensor x = random_tensor({9, 16}, draw_seed("x"));
  Tensor changed = x.clone();
  for (int c = 0; c < 16; ++c) changed.mutable_data<float>()[5 * 16 + c] += 1;
  const Tensor y = block(x, none, Context::of_batch(1, 9));
  const Tensor z = block(changed, none, Context::of_batch(1, 9));
  CHECK(same_bits(slice(y, 0, 0, 5), slice(z, 0, 0, 5)) == "");
  for (int64_t t = 5; t < 9; ++t) CHECK(same_bits(slice(y, 0, t, t + 1), slice(z, 0, t, t + 1)) != "");
}

TEST_CASE("a dropout mask follows a row's global number and the layer's path, not the batch") {
  const Dropout dropout_a("blocks.0.mlp.dropout", 0.4);
  const Dropout dropout_b("blocks.1.mlp.dropout", 0.4);
  const Tensor x = Tensor::full({24, 5}, 1.0);  // an odd width: rows begin inside blocks of random words
  const auto context = [](uint64_t step, uint64_t first_sequence, int64_t batch) {
    return Context::for_training(batch, 4, 99, step, 6, first_sequence);
  };
  const Tensor whole = dropout_a(x, context(3, 0, 6));
  CHECK(same_bits(dropout_a(slice(x, 0, 0, 8), context(3, 0, 2)), slice(whole, 0, 0, 8)) == "");
  CHECK(same_bits(dropout_a(slice(x, 0, 8, 24), context(3, 2, 4)), slice(whole, 0, 8, 24)) == "");
  CHECK(same_bits(dropout_a(x, context(4, 0, 6)), whole) != "");
  CHECK(same_bits(dropout_b(x, context(3, 0, 6)), whole) != "");
  CHECK(dropout_a(x, Context::of_batch(6, 4)).same(x));
  CHECK(Dropout("a", 0.0)(x, context(3, 0, 6)).same(x));

  Context first = context(3, 2, 4);
  CHECK(first.first_row == (3 * 6 + 2) * 4);
  CHECK(first.positions.to_vector<int32_t>() ==
        std::vector<int32_t>{0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3, 0, 1, 2, 3});
}

TEST_CASE("a block adds what attention and the feed-forward layer find, each with a dropout of its own") {
  Block block("b", {.attention = {.width = 16, .heads = 2, .kv_heads = 1}, .inner = 24, .dropout = 0.3});
  randomise(block);
  const Position position("p", {.kind = PositionKind::rotary, .positions = 8, .rotated = 8});
  const Tensor x = random_tensor({12, 16}, draw_seed("x"));
  const Context context = Context::for_training(2, 6, 1, 2, 2, 0);
  const Tensor found = block.attention(block.attention_norm(x), position, context);
  const Tensor y = x + Dropout("b.attention.dropout", 0.3)(found, context);
  const Tensor expected = y + Dropout("b.mlp.dropout", 0.3)(block.mlp(block.mlp_norm(y)), context);
  CHECK(same_bits(block(x, position, context), expected) == "");
  CHECK(names_of(block).front() == "attention_norm.weight");
  CHECK(names_of(block).size() == 12);
}
