// AdamW, the norm of gradients, schedules and initial values.

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "nn/init.hpp"
#include "nn/optim.hpp"
#include "nn/schedule.hpp"
#include "tensor/storage.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/use_threads.hpp"

using namespace gradus;
using Catch::Matchers::ContainsSubstring;
using gradus::testing::random_tensor;
using gradus::testing::same_bits;
using gradus::testing::UseThreads;

namespace {

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

std::vector<double> numbers(const Tensor& tensor) {
  if (tensor.dtype() == DType::f64) return tensor.to_vector<double>();
  const std::vector<float> values = tensor.to_vector<float>();
  return {values.begin(), values.end()};
}

/// Kingma and Ba's algorithm as printed, with decoupled decay, one element at a time.
struct ReferenceAdamW {
  std::vector<double> x, m, v;
  double power1 = 1, power2 = 1;

  explicit ReferenceAdamW(std::vector<double> start) : x(std::move(start)), m(x.size()), v(x.size()) {}
  void step(const std::vector<double>& gradient, double rate, double clip, double decay,
            const AdamWOptions& options) {
    power1 *= options.beta1;
    power2 *= options.beta2;
    for (std::size_t i = 0; i < x.size(); ++i) {
      const double g = clip * gradient[i];
      m[i] = options.beta1 * m[i] + (1 - options.beta1) * g;
      v[i] = options.beta2 * v[i] + (1 - options.beta2) * g * g;
      const double m_hat = m[i] / (1 - power1);
      const double v_hat = v[i] / (1 - power2);
      x[i] = x[i] - rate * decay * x[i] - rate * m_hat / (std::sqrt(v_hat) + options.epsilon);
    }
  }
};

}  // namespace

TEST_CASE("AdamW follows the double reference over many steps, with decay on matrices alone") {
  const DType dtype = GENERATE(DType::f32, DType::f64);
  const double tolerance = dtype == DType::f64 ? 1e-12 : 2e-5;
  const AdamWOptions options{0.8, 0.99, 1e-6, 0.5};
  const Tensor matrix = random_tensor({37, 11}, 1, 1, dtype);
  const Tensor bias = random_tensor({21}, 2, 1, dtype);
  ReferenceAdamW matrix_reference(numbers(matrix));
  ReferenceAdamW bias_reference(numbers(bias));
  AdamW optimizer({{"matrix", matrix}, {"bias", bias}}, options);
  for (uint64_t step = 0; step < 60; ++step) {
    const Tensor matrix_gradient = random_tensor({37, 11}, 100 + step, 0.1, dtype);
    const Tensor bias_gradient = random_tensor({21}, 300 + step, 10, dtype);
    matrix.set_grad(matrix_gradient);
    bias.set_grad(bias_gradient);
    const double rate = 0.01 / static_cast<double>(1 + step % 7);
    const double clip = step % 3 == 0 ? 0.25 : 1.0;
    optimizer.step(rate, clip);
    matrix_reference.step(numbers(matrix_gradient), rate, clip, 0.5, options);
    bias_reference.step(numbers(bias_gradient), rate, clip, 0.0, options);
  }
  CHECK(optimizer.steps() == 60);
  const std::vector<double> x = numbers(matrix), b = numbers(bias), v = numbers(optimizer.state()[1].tensor);
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) worst = std::max(worst, std::abs(x[i] - matrix_reference.x[i]));
  for (std::size_t i = 0; i < b.size(); ++i) worst = std::max(worst, std::abs(b[i] - bias_reference.x[i]));
  for (std::size_t i = 0; i < v.size(); ++i) worst = std::max(worst, std::abs(v[i] - matrix_reference.v[i]));
  CHECK(worst < tolerance);
}

TEST_CASE("AdamW gives the same bits at any number of threads and after its state was saved and loaded") {
  const Shape shape = {3, 20000};  // several blocks, the last one short
  const auto train = [&](int threads, bool interrupted) {
    const UseThreads set(threads);
    const Tensor x = random_tensor(shape, 5);
    const Tensor y = random_tensor({5}, 6);
    AdamW optimizer({{"x", x}, {"y", y}});
    for (uint64_t step = 0; step < 6; ++step) {
      if (interrupted && step == 3) {
        std::vector<NamedTensor> saved = optimizer.state();
        for (NamedTensor& part : saved) part.tensor = part.tensor.clone();
        std::reverse(saved.begin(), saved.end());
        AdamW again({{"x", x}, {"y", y}});
        again.load_state(saved, optimizer.steps());
        optimizer = std::move(again);
      }
      x.set_grad(random_tensor(shape, 50 + step));
      y.set_grad(random_tensor({5}, 70 + step));
      optimizer.step(1e-3, 0.5);
    }
    return x;
  };
  const Tensor alone = train(1, false);
  CHECK(same_bits(alone, train(2, false)) == "");
  CHECK(same_bits(alone, train(4, false)) == "");
  CHECK(same_bits(alone, train(2, true)) == "");
}

TEST_CASE("AdamW's moments fade to exact zero and its writes count") {
  const Tensor x = Tensor::zeros({40});
  AdamW optimizer({{"x", x}}, {0.5, 0.5, 1e-8, 0.0});
  x.set_grad(random_tensor({40}, 9, 1e-3, DType::f32));
  optimizer.step(1e-3, 1.0);
  const uint64_t version = x.storage()->version();
  x.set_grad(Tensor::zeros({40}));
  for (int step = 0; step < 200; ++step) optimizer.step(1e-3, 1.0);
  CHECK(x.storage()->version() >= version + 200);
  for (const NamedTensor& moment : optimizer.state()) {
    for (const double value : numbers(moment.tensor)) CHECK(value == 0.0);
  }
  for (const double value : numbers(x)) CHECK(std::isfinite(value));
}

TEST_CASE("AdamW refuses what it cannot update, by name") {
  const Tensor x = Tensor::zeros({4, 2});
  CHECK_THROWS_WITH(AdamW({{"a", x}, {"b", x}}), ContainsSubstring("must not share memory; b shares"));
  CHECK_THROWS_WITH(AdamW({{"a", x}, {"a", Tensor::zeros({1})}}), ContainsSubstring("a stands twice"));
  CHECK_THROWS_WITH(AdamW({{"ids", Tensor::arange(3)}}), ContainsSubstring("ids is not"));
  CHECK_THROWS_WITH(AdamW({{"x", x}}, {1.0, 0.95, 1e-8, 0.1}),
                    ContainsSubstring("beta1 and beta2 must be in [0, 1)"));
  AdamW optimizer({{"x", x}});
  CHECK_THROWS_WITH(optimizer.step(1e-3, 1), ContainsSubstring("x has none"));
  x.set_grad(Tensor::zeros({4, 2}));
  CHECK_THROWS_WITH(optimizer.step(kNaN, 1), ContainsSubstring("must be finite"));
  CHECK(optimizer.steps() == 0);
  std::vector<NamedTensor> state = optimizer.state();
  CHECK_THROWS_WITH(optimizer.load_state({state[0]}, 1), ContainsSubstring("v.x is missing"));
  CHECK_THROWS_WITH(optimizer.load_state({state[0], state[1], {"m.y", x}}, 1), ContainsSubstring("m.y"));
  CHECK_THROWS_WITH(optimizer.load_state({state[0], {"v.x", Tensor::zeros({8})}}, 1),
                    ContainsSubstring("(8), not f32 (4, 2)"));
  CHECK_THROWS_WITH(optimizer.load_state(state, -1), ContainsSubstring("must not be negative"));
}

TEST_CASE(
    "AdamW leaves an optional parameter without a gradient as it is, and the others as if it were not "
    "there") {
  const Tensor pooler = random_tensor({3, 7}, 2);
  const Tensor with = random_tensor({40000}, 1);
  AdamW optimizer({{"pooler", pooler}, {"x", with}}, {.optional = {"pooler"}});
  for (const uint64_t seed : {10, 11, 12}) {
    with.set_grad(random_tensor({40000}, seed));
    if (seed == 12) pooler.set_grad(random_tensor({3, 7}, 20));
    optimizer.step(1e-2);
    CHECK((same_bits(pooler, random_tensor({3, 7}, 2)) == "") == (seed != 12));
    CHECK((same_bits(optimizer.state()[0].tensor, Tensor::zeros({3, 7})) == "") == (seed != 12));
  }
  const Tensor x = random_tensor({40000}, 1);
  AdamW alone({{"x", x}});
  for (const uint64_t seed : {10, 11, 12}) {
    x.set_grad(random_tensor({40000}, seed));
    alone.step(1e-2);
  }
  CHECK(same_bits(with, x) == "");
  CHECK_THROWS_WITH(AdamW({{"x", x}}, {.optional = {"y"}}),
                    ContainsSubstring("optional must name parameters; y is none of them"));
}

TEST_CASE("the global norm is that of all gradients together, at any number of threads") {
  const Tensor a = random_tensor({50000}, 1), b = random_tensor({3, 7}, 2), c = Tensor::zeros({2});
  const Tensor wide = random_tensor({9}, 4, 1, DType::f64);
  a.set_grad(random_tensor({50000}, 11, 0.1, DType::f32));
  b.set_grad(random_tensor({3, 7}, 12));
  wide.set_grad(random_tensor({9}, 13, 3, DType::f64));
  const std::vector<NamedTensor> parameters = {{"a", a}, {"b", b}, {"c", c}, {"wide", wide}};
  double sum = 0;
  for (const Tensor& tensor : {a, b, wide}) {
    for (const double g : numbers(tensor.grad())) sum += g * g;
  }
  const double norm = global_norm(parameters);
  CHECK(norm == Approx(std::sqrt(sum)).epsilon(1e-6));
  for (const int threads : {1, 2, 4}) {
    const UseThreads set(threads);
    CHECK(global_norm(parameters) == norm);
  }
  CHECK(global_norm({{"c", c}}) == 0.0);
}

TEST_CASE("a norm that is not finite names the parameter, the element and its value") {
  const Tensor a = Tensor::zeros({5}), b = Tensor::zeros({2, 3});
  a.set_grad(Tensor::full({5}, 1));
  b.set_grad(Tensor::from(std::vector<float>{0, 1, 2, 3, INFINITY, NAN}, {2, 3}));
  const std::vector<NamedTensor> parameters = {{"first", a}, {"blocks.1.weight", b}};
  CHECK_THROWS_AS(global_norm(parameters), std::runtime_error);
  CHECK_THROWS_WITH(global_norm(parameters),
                    ContainsSubstring("blocks.1.weight (2, 3) has inf at element 4"));
  CHECK_THROWS_WITH(check_finite(parameters), ContainsSubstring("blocks.1.weight"));
  b.set_grad(Tensor::full({2, 3}, 1e30));
  CHECK_NOTHROW(check_finite(parameters));
  CHECK_THROWS_WITH(global_norm(parameters), ContainsSubstring("the squares overflow"));
}

TEST_CASE("clipping shortens long gradients to the limit and leaves short ones alone") {
  CHECK(clip_factor(4.0, 1.0) == 0.25);
  CHECK(clip_factor(1.0, 1.0) == 1.0);
  CHECK(clip_factor(0.5, 1.0) == 1.0);
  CHECK(clip_factor(0.0, 1.0) == 1.0);
  CHECK(clip_factor(1e9, 0.0) == 1.0);
  CHECK_THROWS_WITH(clip_factor(1.0, -1.0), ContainsSubstring("must not be negative"));
  CHECK_THROWS_AS(clip_factor(kNaN, 1.0), std::invalid_argument);
}

TEST_CASE("schedules give the rates that their formulas give by hand") {
  using Kind = Schedule::Kind;
  Schedule schedule{Kind::cosine, 1.0, 0.1, 4, 104, 0};
  CHECK(learning_rate(schedule, 0) == Approx(0.2));
  CHECK(learning_rate(schedule, 3) == Approx(0.8));
  CHECK(learning_rate(schedule, 4) == 1.0);
  // A quarter of the way: 0.1 + 0.9 (1 + √½) / 2.
  CHECK(learning_rate(schedule, 29) == Approx(0.8681980515339464));
  CHECK(learning_rate(schedule, 54) == Approx(0.55));
  CHECK(learning_rate(schedule, 79) == Approx(0.2318019484660536));
  CHECK(learning_rate(schedule, 104) == 0.1);
  CHECK(learning_rate(schedule, 100000) == 0.1);
  schedule.kind = Kind::linear;
  CHECK(learning_rate(schedule, 3) == Approx(0.8));
  CHECK(learning_rate(schedule, 29) == Approx(0.775));
  CHECK(learning_rate(schedule, 103) == Approx(0.109));
  CHECK(learning_rate(schedule, 104) == 0.1);
  schedule.kind = Kind::constant;
  CHECK(learning_rate(schedule, 0) == Approx(0.2));
  CHECK(learning_rate(schedule, 4) == 1.0);
  CHECK(learning_rate(schedule, 5000) == 1.0);
  schedule.kind = Kind::wsd;
  schedule.decay = 20;
  CHECK(learning_rate(schedule, 0) == Approx(0.2));
  CHECK(learning_rate(schedule, 84) == 1.0);
  CHECK(learning_rate(schedule, 94) == Approx(0.55));
  CHECK(learning_rate(schedule, 104) == 0.1);
  schedule.decay = 0;  // nothing falls before the end
  CHECK(learning_rate(schedule, 103) == 1.0);
  CHECK(learning_rate(schedule, 104) == 0.1);
  // A warm-up that takes all steps leaves nothing to fall.
  for (const Kind kind : {Kind::linear, Kind::cosine, Kind::wsd}) {
    CHECK(learning_rate({kind, 1.0, 0.1, 10, 10, 0}, 9) == Approx(10.0 / 11));
    CHECK(learning_rate({kind, 1.0, 0.1, 10, 10, 0}, 10) == 0.1);
  }
  // A rate that stays may be below the lowest of the others.
  CHECK(learning_rate({Kind::constant, 1e-4, 1e-3, 0, 10, 0}, 5) == 1e-4);
  // Without a warm-up the first step has the full rate.
  CHECK(learning_rate({Kind::cosine, 1e-3, 1e-4, 0, 2000, 0}, 0) == Approx(1e-3));
  CHECK(learning_rate({Kind::cosine, 1e-3, 1e-4, 100, 2000, 0}, 1050) == Approx(5.5e-4));
}

TEST_CASE("a schedule that cannot be is an error") {
  using Kind = Schedule::Kind;
  CHECK_THROWS_WITH(learning_rate({}, -1), ContainsSubstring("must not be negative; it is -1"));
  CHECK_THROWS_WITH(learning_rate({Kind::cosine, 1e-4, 1e-3, 0, 10, 0}, 0),
                    ContainsSubstring("not above the highest"));
  CHECK_THROWS_WITH(learning_rate({Kind::linear, 1e-3, 1e-4, -1, 10, 0}, 0), ContainsSubstring("warm-up"));
  for (const double rate : {kNaN, -1e-3, std::numeric_limits<double>::infinity()}) {
    CHECK_THROWS_WITH(learning_rate({Kind::constant, rate, 1e-4, 0, 10, 0}, 0), ContainsSubstring("rates"));
  }
  CHECK_THROWS_WITH(learning_rate({Kind::cosine, 1e-3, kNaN, 0, 10, 0}, 0), ContainsSubstring("rates"));
  CHECK_THROWS_WITH(learning_rate({Kind::wsd, 1e-3, 1e-4, 0, 10, -1}, 0), ContainsSubstring("decay"));
  CHECK_THROWS_WITH(learning_rate({Kind::wsd, 1e-3, 1e-4, 6, 10, 5}, 0),
                    ContainsSubstring("must fit into the steps"));
  CHECK_THROWS_WITH(schedule_kind("cosin"),
                    ContainsSubstring("constant, linear, cosine or wsd; it is \"cosin\""));
  for (const Kind kind : {Kind::constant, Kind::linear, Kind::cosine, Kind::wsd}) {
    CHECK(schedule_kind(schedule_name(kind)) == kind);
  }
}

TEST_CASE("an initial value depends on seed, stream and index alone") {
  const Random random(7, stream_of("blocks.0.weight"));
  const Tensor small = Tensor::empty({3}), large = Tensor::empty({100, 123}),
               wide = Tensor::empty({100, 123}, DType::f64);
  init_normal(small, 0.5, random);
  init_normal(wide, 0.5, random);
  for (const int threads : {1, 2, 4}) {
    const UseThreads set(threads);
    init_normal(large, 0.5, random);
    const auto values = large.to_vector<float>();
    const auto exact = wide.to_vector<double>();
    bool equal = true;
    for (std::size_t i = 0; i < values.size(); ++i) {
      equal = equal && exact[i] == 0.5 * random.normal(i) && values[i] == static_cast<float>(exact[i]);
    }
    CHECK(equal);
    CHECK(small.to_vector<float>() == std::vector<float>(values.begin(), values.begin() + 3));
  }
  const Tensor other = Tensor::empty({3});
  init_normal(other, 0.5, Random(7, stream_of("blocks.1.weight")));
  CHECK(same_bits(small, other) != "");
  init_normal(other, 0.5, Random(8, stream_of("blocks.0.weight")));
  CHECK(same_bits(small, other) != "");
}

TEST_CASE("a weight made by its name holds what the initialisers put into a tensor of that shape") {
  const auto filled = [](const auto& init) {
    const Tensor x = Tensor::empty({6, 50});
    init(x, Random(9, stream_of("head.weight")));
    return x;
  };
  const Shape shape{6, 50};
  CHECK(same_bits(normal(shape, 0.3, 9, "head.weight"),
                  filled([](const Tensor& x, const Random& random) { init_normal(x, 0.3, random); })) == "");
  CHECK(same_bits(uniform(shape, 0.3, 9, "head.weight"),
                  filled([](const Tensor& x, const Random& random) { init_uniform(x, 0.3, random); })) == "");
  CHECK(same_bits(xavier_normal(shape, 9, "head.weight"), filled([](const Tensor& x, const Random& random) {
                    init_xavier_normal(x, 50, 6, random);
                  })) == "");
  CHECK(same_bits(xavier_uniform(shape, 9, "head.weight"), filled([](const Tensor& x, const Random& random) {
                    init_xavier_uniform(x, 50, 6, random);
                  })) == "");
  CHECK(same_bits(kaiming_normal(shape, 9, "head.weight"), filled([](const Tensor& x, const Random& random) {
                    init_kaiming_normal(x, 50, random);
                  })) == "");
  CHECK(same_bits(kaiming_uniform(shape, 9, "head.weight"), filled([](const Tensor& x, const Random& random) {
                    init_kaiming_uniform(x, 50, random);
                  })) == "");
  CHECK(same_bits(normal(shape, 0.3, 9, "head.weight"), normal(shape, 0.3, 9, "other.weight")) != "");
  CHECK(same_bits(normal(shape, 0.3, 9, "head.weight"), normal(shape, 0.3, 8, "head.weight")) != "");
  CHECK(normal({3}, 1, 9, "w", DType::f64).dtype() == DType::f64);
  CHECK_THROWS_WITH(kaiming_normal({3}, 9, "w"),
                    ContainsSubstring("the shape must be (out, in)") && ContainsSubstring("it is (3)"));
}

TEST_CASE("initialisers have the spread of their formulas") {
  const Random random(3, stream_of("test"));
  const Tensor x = Tensor::empty({300, 200});
  const auto moments = [&](double& mean, double& deviation, double& largest) {
    const std::vector<double> values = numbers(x);
    double sum = 0, squares = 0;
    largest = 0;
    for (const double value : values) {
      sum += value;
      squares += value * value;
      largest = std::max(largest, std::abs(value));
    }
    mean = sum / static_cast<double>(values.size());
    deviation = std::sqrt(squares / static_cast<double>(values.size()) - mean * mean);
  };
  const auto check_spread = [&](double expected, double bound) {
    double mean = 0, deviation = 0, largest = 0;
    moments(mean, deviation, largest);
    CHECK(std::abs(mean) < 0.02 * expected);  // 60000 draws: five standard errors
    CHECK(deviation == Approx(expected).epsilon(0.015));
    if (bound > 0) {
      CHECK(largest <= bound);
      CHECK(largest > 0.999 * bound);
    } else {
      CHECK(largest > 3.5 * expected);
    }
  };
  init_normal(x, 0.02, random);
  check_spread(0.02, 0);
  init_uniform(x, 0.3, random);
  check_spread(0.3 / std::sqrt(3.0), 0.3);
  init_xavier_normal(x, 200, 300, random);
  check_spread(0.06324555320336758, 0);  // √(2/500)
  init_xavier_uniform(x, 200, 300, random);
  check_spread(0.06324555320336758, 0.10954451150103323);  // √(6/500)
  init_kaiming_normal(x, 200, random);
  check_spread(0.1, 0);  // √(2/200)
  init_kaiming_uniform(x, 200, random);
  check_spread(0.1, 0.17320508075688773);  // √(6/200)
  init_ones(x);
  CHECK(numbers(x) == std::vector<double>(60000, 1.0));
  init_zeros(x);
  CHECK(numbers(x) == std::vector<double>(60000, 0.0));
  CHECK_THROWS_WITH(init_normal(x, -1, random),
                    ContainsSubstring("std must be finite and not negative; it is -1"));
  CHECK_THROWS_WITH(init_xavier_normal(x, 0, 0, random), ContainsSubstring("fans must be positive"));
  CHECK_THROWS_WITH(init_zeros(Tensor::arange(3)), ContainsSubstring("of f32 or f64; it is i32"));
}
