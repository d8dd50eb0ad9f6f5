// Softmax, norms, loss, dropout, lookup and rotation where they are easy to get wrong: extreme values, masks, errors.

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include "tensor/autodiff.hpp"
#include "tensor/ops.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/use_threads.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

Tensor row(const std::vector<float>& values) {
  return Tensor::from(values, {1, static_cast<int64_t>(values.size())});
}

bool all_nan(const Tensor& x) {
  const auto values = x.to_vector<float>();
  return std::all_of(values.begin(), values.end(), [](float value) { return std::isnan(value); });
}

/// The gradient of Σ dy f(x) by x.
template <class F>
Tensor gradient(const Tensor& x, const Tensor& dy, const F& f) {
  Tensor leaf = x.clone();
  leaf.set_requires_grad();
  f(leaf).backward(dy);
  return leaf.grad();
}

}  // namespace

TEST_CASE("softmax of extreme logits is exact where it can be, and NaN only where it must be") {
  CHECK(softmax(row({1e30f, 0, -1e30f})).to_vector<float>() == std::vector<float>{1, 0, 0});
  CHECK(softmax(row({-3e38f, -3e38f, -kInf, -3e38f, -3e38f})).to_vector<float>() ==
        std::vector<float>{0.25f, 0.25f, 0, 0.25f, 0.25f});
  CHECK(softmax(row(std::vector<float>(20, -kInf))).to_vector<float>() == std::vector<float>(20, 0.0f));
  CHECK(all_nan(softmax(row({0, 1, kNaN}))));
  // A NaN may stand anywhere, also where the largest element is looked for last.
  for (int place = 0; place < 40; ++place) {
    std::vector<float> values(40, -kInf);
    values[static_cast<std::size_t>(place)] = kNaN;
    CHECK(all_nan(softmax(row(values))));
    CHECK(all_nan(log_softmax(row(values))));
  }
}

TEST_CASE("no result of softmax is denormal") {
  std::vector<float> values(64);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = -80.0f - 0.2f * static_cast<float>(i);
  values[0] = values[1] = values[2] = 0;
  for (const float y : softmax(row(values)).to_vector<float>())
    CHECK((y == 0 || y >= std::numeric_limits<float>::min()));
}

TEST_CASE("log-softmax keeps the digits that the logarithm of softmax loses") {
  const auto y = log_softmax(row({0, -1e4f, -200, 3e5f})).to_vector<float>();
  CHECK(y == std::vector<float>{-3e5f, -3.1e5f, -300200, 0});
  CHECK(log_softmax(row({-kInf, -kInf})).to_vector<float>() == std::vector<float>{-kInf, -kInf});
  CHECK(log_softmax(row({2, -kInf})).to_vector<float>() == std::vector<float>{0, -kInf});
}

TEST_CASE("a masked softmax gives no gradient to masked entries or to a row that is masked throughout") {
  const Tensor x = Tensor::from(std::vector<float>{1, -kInf, 2, -kInf, -kInf, -kInf}, {2, 3});
  const Tensor dx = gradient(x, random_tensor({2, 3}, 1), [](const Tensor& leaf) { return softmax(leaf); });
  const auto values = dx.to_vector<float>();
  CHECK(values[0] == Approx(-values[2]));
  CHECK(values[0] != 0);
  for (const std::size_t i : {1, 3, 4, 5}) CHECK(values[i] == 0);
}

TEST_CASE("a row's softmax, norm and loss do not depend on the rows beside it") {
  const Tensor x = random_tensor({37, 131}, 3), weight = random_tensor({131}, 4),
               bias = random_tensor({131}, 5), targets = random_ids({37}, 6, 131);
  const std::vector<Tensor> whole = {softmax(x), log_softmax(x), layer_norm(x, weight, bias),
                                     rms_norm(x, weight)};
  const Tensor losses = token_losses(x, targets);
  for (const int64_t r : {0, 1, 17, 36}) {
    const Tensor one = slice(x, 0, r, r + 1);
    const std::vector<Tensor> alone = {softmax(one), log_softmax(one), layer_norm(one, weight, bias),
                                       rms_norm(one, weight)};
    for (std::size_t i = 0; i < whole.size(); ++i)
      CHECK(same_bits(slice(whole[i], 0, r, r + 1), alone[i]) == "");
    CHECK(same_bits(slice(losses, 0, r, r + 1), token_losses(one, slice(targets, 0, r, r + 1))) == "");
  }
}

TEST_CASE("layer norm keeps its digits far from zero, and a constant row gives the bias") {
  std::vector<float> values(100);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = 4096 + static_cast<float>(i % 2);
  const Tensor ones = Tensor::full({100}, 1), bias = random_tensor({100}, 2);
  const auto y = layer_norm(row(values), ones, {}, 0).to_vector<float>();
  for (std::size_t i = 0; i < y.size(); ++i) CHECK(y[i] == (i % 2 == 1 ? 1.0f : -1.0f));
  CHECK(same_bits(reshape(layer_norm(Tensor::full({1, 100}, 7), random_tensor({100}, 1), bias), {100}),
                  bias) == "");
}

TEST_CASE("the gradient of a norm's weights goes on as one chain when a batch is cut") {
  const Tensor x = random_tensor({50, 70}, 1), dy = random_tensor({50, 70}, 2);
  const auto weights_after = [&](const std::vector<int64_t>& cuts, bool with_bias) {
    Tensor weight = random_tensor({70}, 3), bias = random_tensor({70}, 4);
    weight.set_requires_grad();
    bias.set_requires_grad(with_bias);
    for (std::size_t i = 0; i + 1 < cuts.size(); ++i) {
      layer_norm(slice(x, 0, cuts[i], cuts[i + 1]), weight, bias)
          .backward(slice(dy, 0, cuts[i], cuts[i + 1]));
    }
    return std::vector<Tensor>{weight.grad(), with_bias ? bias.grad() : Tensor::zeros({70})};
  };
  const std::vector<Tensor> whole = weights_after({0, 50}, true);
  const std::vector<Tensor> cut = weights_after({0, 1, 33, 50}, true);
  CHECK(same_bits(whole[0], cut[0]) == "");
  CHECK(same_bits(whole[1], cut[1]) == "");
  CHECK(same_bits(whole[0], weights_after({0, 20, 50}, false)[0]) == "");
  // A bias alone gets its gradient too.
  Tensor bias = random_tensor({70}, 4);
  bias.set_requires_grad();
  layer_norm(x, random_tensor({70}, 3), bias).backward(dy);
  CHECK(same_bits(bias.grad(), whole[1]) == "");
}

TEST_CASE("norms refuse weights that do not fit") {
  const Tensor x = random_tensor({4, 6}, 1), weight = random_tensor({6}, 2);
  CHECK_THROWS_WITH(
      layer_norm(x, random_tensor({4}, 1), {}),
      ContainsSubstring("layer_norm: weight must be one value a channel, shape (6); it is (4)"));
  CHECK_THROWS_WITH(layer_norm(x, weight, random_tensor({6, 1}, 1)), ContainsSubstring("bias must be"));
  CHECK_THROWS_WITH(rms_norm(x, Tensor::zeros({6}, DType::f64)), ContainsSubstring("same element type"));
  CHECK_THROWS_WITH(rms_norm(x, weight, -1), ContainsSubstring("epsilon must not be negative; it is -1"));
  CHECK_THROWS_WITH(rms_norm(Tensor::full({}, 1), weight), ContainsSubstring("last axis"));
  CHECK_THROWS_WITH(softmax(Tensor::full({}, 1)),
                    ContainsSubstring("softmax: x must have at least one axis"));
  CHECK_THROWS_WITH(softmax(Tensor::arange(3)),
                    ContainsSubstring("softmax: element type must be f32 or f64; it is i32"));
}

TEST_CASE("cross-entropy counts no row with target -1 and divides by what it is told") {
  const Tensor logits = random_tensor({5, 9}, 1), targets = ids_tensor({3, -1, 8, 0, -1});
  const auto losses = token_losses(logits, targets).to_vector<float>();
  CHECK(losses[1] == 0);
  CHECK(losses[4] == 0);
  const double sum = static_cast<double>(losses[0]) + losses[2] + losses[3];
  CHECK(cross_entropy(logits, targets).item() == static_cast<float>(sum / 3));
  CHECK(cross_entropy(logits, targets, 10).item() == static_cast<float>(sum / 10));
  const Tensor dx = gradient(logits, Tensor::full({}, 2),
                             [&](const Tensor& leaf) { return cross_entropy(leaf, targets, 10); });
  const auto values = dx.to_vector<float>();
  const auto p = softmax(logits).to_vector<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const int target = std::array{3, -1, 8, 0, -1}[i / 9];
    const double expected = target < 0 ? 0 : 0.2 * (p[i] - (static_cast<int>(i % 9) == target ? 1 : 0));
    CHECK(values[i] == Approx(expected).margin(1e-7));
  }
}

TEST_CASE("cross-entropy of extreme logits is finite where mathematics is") {
  const Tensor logits = Tensor::from(std::vector<float>{1e4f, -1e4f, 0, -1e4f, 1e4f, 0, -kInf, 1, 1}, {3, 3});
  const auto losses = token_losses(logits, ids_tensor({0, 0, 1})).to_vector<float>();
  CHECK(losses[0] == 0);
  CHECK(losses[1] == 2e4f);
  CHECK(losses[2] == Approx(0.6931472));
  CHECK(std::isinf(cross_entropy(logits, ids_tensor({0, 0, 0})).item()));
  CHECK(std::isnan(cross_entropy(row({1, kNaN}), ids_tensor({0})).item()));
  const auto dx = gradient(logits, Tensor::full({}, 1), [&](const Tensor& leaf) {
    return cross_entropy(leaf, ids_tensor({0, 0, 1}), 1);
  });
  CHECK(dx.to_vector<float>() == std::vector<float>{0, 0, 0, -1, 1, 0, 0, -0.5f, 0.5f});
}

TEST_CASE("targets and ids outside their range are named with position, value and limit") {
  const Tensor logits = random_tensor({3, 7}, 1), table = random_tensor({7, 2}, 2);
  CHECK_THROWS_AS(cross_entropy(logits, ids_tensor({0, 7, 0})), std::invalid_argument);
  CHECK_THROWS_WITH(cross_entropy(logits, ids_tensor({0, 7, 0})),
                    ContainsSubstring("targets must be in [0, 6]") && ContainsSubstring("targets[1] is 7"));
  CHECK_THROWS_WITH(token_losses(logits, ids_tensor({0, 1, -2})),
                    ContainsSubstring("token_losses") && ContainsSubstring("targets[2] is -2"));
  CHECK_THROWS_WITH(cross_entropy(logits, ids_tensor({-1, -1, -1})),
                    ContainsSubstring("at least one target must count; all 3 are -1"));
  CHECK_THROWS_WITH(cross_entropy(logits, ids_tensor({0, 1})),
                    ContainsSubstring("one i32 a row, shape (3); they are i32 (2)"));
  CHECK_THROWS_WITH(cross_entropy(logits, ids_tensor({0, 1, 2}), -1),
                    ContainsSubstring("divisor must be positive"));
  CHECK_THROWS_WITH(embedding(table, reshape(ids_tensor({0, 1, 2, 9}), {2, 2})),
                    ContainsSubstring("ids must be in [0, 6]; element 3 of ids (2, 2) is 9"));
  CHECK_THROWS_WITH(embedding(table, ids_tensor({-1})), ContainsSubstring("element 0 of ids (1) is -1"));
  CHECK_THROWS_WITH(embedding(table, table), ContainsSubstring("ids must be i32; they are f32"));
  CHECK_THROWS_WITH(one_hot(ids_tensor({2}), 2), ContainsSubstring("one_hot: ids must be in [0, 1]"));
  CHECK_THROWS_WITH(gather(table, reshape(ids_tensor({0, 0, 0, 0, 0, 0, 2}), {7, 1})),
                    ContainsSubstring("index must be in [0, 1]; element 6"));
  CHECK_THROWS_WITH(gather(table, reshape(ids_tensor({0, 0}), {2, 1})),
                    ContainsSubstring("all axes but the last must be equal"));
  const Tensor angles = rotary_table(4, 2);
  CHECK_THROWS_WITH(rotary(random_tensor({3, 2}, 1), ids_tensor({0, 4, 1}), angles, 1),
                    ContainsSubstring("positions must be in [0, 3]; element 1 of positions (3) is 4"));
  CHECK_THROWS_WITH(rotary(random_tensor({3, 6}, 1), ids_tensor({0, 1, 2}), angles, 4),
                    ContainsSubstring("x must hold whole heads"));
  CHECK_THROWS_WITH(rotary(random_tensor({3, 6}, 1), ids_tensor({0, 1, 2}), rotary_table(4, 4), 2),
                    ContainsSubstring("an even number up to 3); it is (4, 4)"));
  CHECK_THROWS_WITH(rotary_table(4, 3), ContainsSubstring("head width must be even"));
}

TEST_CASE("dropout draws the mask that its documentation defines, wherever rows are cut") {
  const double p = GENERATE(0.1, 0.5, 0.999);
  const Random random(0x0123456789abcdef, stream_of("blocks.3.mlp.dropout"));
  const uint64_t first = (uint64_t{1} << 40) + 3;
  const int64_t rows = 29, width = 701;  // more than one chunk, and no row begins with a block
  const Tensor x = random_tensor({rows, width}, 1);
  const Tensor y = dropout(x, p, random, first);
  const auto before = x.to_vector<float>(), after = y.to_vector<float>();
  bool equal = true;
  int64_t kept = 0;
  for (std::size_t i = 0; i < after.size(); ++i) {
    const uint64_t e = first + i;
    const bool drops = random.block(e / 4)[e % 4] < p * 4294967296.0;
    equal = equal && after[i] == (drops ? 0.0f : before[i] * static_cast<float>(1 / (1 - p)));
    kept += drops ? 0 : 1;
  }
  CHECK(equal);
  CHECK(static_cast<double>(kept) / static_cast<double>(rows * width) == Approx(1 - p).margin(0.015));
  for (const int64_t cut : {1, 2, 13}) {
    const Tensor head = dropout(slice(x, 0, 0, cut), p, random, first);
    const Tensor tail =
        dropout(slice(x, 0, cut, rows), p, random, first + static_cast<uint64_t>(cut * width));
    CHECK(same_bits(y, concat(std::vector<Tensor>{head, tail}, 0)) == "");
  }
  // The gradient passes where the value did.
  const Tensor dx = gradient(x, x, [&](const Tensor& leaf) { return dropout(leaf, p, random, first); });
  CHECK(same_bits(dx, y) == "");
}

TEST_CASE("dropout of probability 0 is the identity, and a dropped NaN or infinity is 0") {
  const Random random(1, 2);
  const Tensor x = random_tensor({3, 5}, 1);
  CHECK(dropout(x, 0, random, 0).same(x));
  const auto y =
      dropout(row({kNaN, kInf, kNaN, kInf, kNaN, kInf, kNaN, kInf}), 0.5, random, 0).to_vector<float>();
  for (std::size_t i = 0; i < y.size(); ++i) CHECK((y[i] == 0) == (random.block(i / 4)[i % 4] < 0x80000000u));
  CHECK_THROWS_WITH(dropout(x, 1, random, 0), ContainsSubstring("p must be in [0, 1); it is 1"));
  CHECK_THROWS_WITH(dropout(x, -0.1, random, 0), ContainsSubstring("p must be in [0, 1)"));
}

TEST_CASE("lookup and its gradient equal the product with one-hot rows bit for bit") {
  const Tensor id = random_ids({300}, 3, 50);  // every id several times
  const Tensor dy = random_tensor({300, 33}, 4);
  const auto run = [&](bool dense) {
    Tensor table = random_tensor({50, 33}, 1);
    table.set_requires_grad();
    const Tensor y = dense ? matmul(one_hot(id, 50), table) : embedding(table, id);
    y.backward(dy);
    return std::vector<Tensor>{y.detach(), table.grad()};
  };
  const std::vector<Tensor> looked_up = run(false), multiplied = run(true);
  CHECK(same_bits(looked_up[0], multiplied[0]) == "");
  CHECK(same_bits(looked_up[1], multiplied[1]) == "");
}

TEST_CASE("gather adds the gradients of an element that was taken several times") {
  const Tensor index = Tensor::from(std::vector<int32_t>{2, 2, 0, 2, 1, 1, 0, 1}, {2, 4});
  const Tensor dy = Tensor::from(std::vector<float>{1, 2, 4, 8, 16, 32, 64, 128}, {2, 4});
  const Tensor x = random_tensor({2, 3}, 1);
  const auto y = gather(x, index).to_vector<float>(), values = x.to_vector<float>();
  CHECK(y == std::vector<float>{values[2], values[2], values[0], values[2], values[4], values[4], values[3],
                                values[4]});
  const Tensor dx = gradient(x, dy, [&](const Tensor& leaf) { return gather(leaf, index); });
  CHECK(dx.to_vector<float>() == std::vector<float>{4, 0, 11, 64, 176, 0});
}

TEST_CASE(
    "the rotary table holds cosines and sines, and rotation keeps lengths and depends on distance alone") {
  const auto table = rotary_table(1000, 8, 10000.0, DType::f64).to_vector<double>();
  for (const int t : {0, 1, 7, 999}) {
    for (int i = 0; i < 4; ++i) {
      const double angle = t * std::pow(10000.0, -i / 4.0);
      CHECK(table[static_cast<std::size_t>(t * 8 + i)] == Approx(std::cos(angle)).margin(1e-11));
      CHECK(table[static_cast<std::size_t>(t * 8 + 4 + i)] == Approx(std::sin(angle)).margin(1e-11));
    }
  }
  // Two heads of width 40; queries and keys are slices of one wider product.
  const Tensor wide = random_tensor({2, 160}, 1), angles = rotary_table(600, 40);
  const Tensor q = slice(wide, 1, 0, 80), k = slice(wide, 1, 80, 160);
  const auto product = [&](int32_t query, int32_t key) {
    const Tensor a = rotary(q, ids_tensor({query, query}), angles, 2),
                 b = rotary(k, ids_tensor({key, key}), angles, 2);
    return sum(a * b, 1).to_vector<float>();
  };
  const auto near = product(5, 3), far = product(505, 503), other = product(5, 4);
  for (std::size_t r = 0; r < 2; ++r) {
    CHECK(near[r] == Approx(far[r]).margin(1e-3));
    CHECK(std::abs(near[r] - other[r]) > 1e-2);
  }
  CHECK(sum(square(rotary(q, ids_tensor({17, 400}), angles, 2))).item() ==
        Approx(sum(square(q)).item()).epsilon(1e-5));
  CHECK(same_bits(rotary(q, ids_tensor({0, 0}), angles, 2), q) == "");
}

TEST_CASE("results and gradients are the same bits at 1, 2 and 4 threads") {
  const Tensor x = random_tensor({200, 300}, 1), weight = random_tensor({300}, 2),
               bias = random_tensor({300}, 3), targets = random_ids({200}, 4, 300);
  const auto run = [&](int threads) {
    const UseThreads use(threads);
    Tensor leaf = x.clone(), w = weight.clone(), b = bias.clone();
    leaf.set_requires_grad();
    w.set_requires_grad();
    b.set_requires_grad();
    const Tensor normal = dropout(layer_norm(leaf, w, b), 0.2, Random(1, 2), 77);
    const Tensor turned = rotary(normal, random_ids({200}, 5, 64), rotary_table(64, 60), 5);
    const Tensor loss = cross_entropy(log_softmax(rms_norm(softmax(turned) + turned, w)), targets);
    loss.backward();
    return std::vector<Tensor>{loss.detach(), leaf.grad(), w.grad(), b.grad()};
  };
  const std::vector<Tensor> one = run(1);
  for (const int threads : {2, 4}) {
    const std::vector<Tensor> several = run(threads);
    for (std::size_t i = 0; i < one.size(); ++i) CHECK(same_bits(one[i], several[i]) == "");
  }
}
