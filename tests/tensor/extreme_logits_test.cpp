#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <vector>

#include "tensor/autodiff.hpp"
#include "tensor/ops.hpp"
#include "tests/support/catch.hpp"
#include "tests/tensor/op_cases.hpp"

/// What softmax, the losses and attention make of huge, infinite and masked logits and of NaN, as tensor/ops.hpp says it:
/// values and gradients, in f64 and on each instruction set in f32, in short rows and in rows of several vectors.

namespace gradus::testing {
namespace {

constexpr double kInf = std::numeric_limits<double>::infinity();
constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

using ThreeValues = std::vector<double>;

Tensor tensor(const std::vector<double>& values, const Shape& shape, DType dtype) {
  const Tensor exact = Tensor::from(std::span<const double>(values), shape);
  return dtype == DType::f64 ? exact : cast(exact, dtype);
}

std::vector<double> to_list(const Tensor& x) { return to_array(x).values; }

bool close(double a, double b, double margin = 0) {
  if (std::isnan(a) || std::isnan(b)) return std::isnan(a) && std::isnan(b);
  return a == b || std::fabs(a - b) <= margin + 1e-6 * std::fabs(b);
}
bool close(const std::vector<double>& a, const std::vector<double>& b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (!close(a[i], b[i])) return false;
  }
  return true;
}

/// Runs `body` in f64, and in f32 with each instruction set.
void everywhere(const std::function<void(DType)>& body) {
  {
    INFO("f64");
    body(DType::f64);
  }
  for (const std::string& isa : available_isas()) {
    INFO("f32 on " << isa);
    const UseIsa use(isa);
    body(DType::f32);
  }
}

/// Value and gradient of f at x (shape `shape`) for the upstream gradient 1, 2, 3 …
struct Result {
  std::vector<double> y, dx;
};
Result evaluate(const std::vector<double>& x, const Shape& shape, DType dtype,
                const std::function<Tensor(const Tensor&)>& f) {
  Tensor leaf = tensor(x, shape, dtype);
  leaf.set_requires_grad();
  const Tensor y = f(leaf);
  std::vector<double> upstream(static_cast<std::size_t>(y.numel()));
  for (std::size_t i = 0; i < upstream.size(); ++i) upstream[i] = static_cast<double>(i + 1);
  y.backward(tensor(upstream, y.shape(), dtype));
  return {to_list(y.detach()), to_list(leaf.grad())};
}

struct Extreme {
  const char* name;
  ThreeValues x;
  ThreeValues softmax;
  ThreeValues softmax_gradient;  // for the upstream gradient 1, 2, 3 …
  ThreeValues log_softmax;
};
// ln 2
constexpr double kLn2 = 0.69314718055994531;
const std::vector<Extreme> kRows = {
    {"1e4 apart", {1e4, -1e4, 0}, {1, 0, 0}, {0, 0, 0}, {0, -2e4, -1e4}},
    {"equal and huge", {1e4, 1e4, -1e4}, {0.5, 0.5, 0}, {-0.25, 0.25, 0}, {-kLn2, -kLn2, -2e4 - kLn2}},
    {"equal and far below", {-1e4, -1e4, -kInf}, {0.5, 0.5, 0}, {-0.25, 0.25, 0}, {-kLn2, -kLn2, -kInf}},
    {"one masked", {0, -kInf, 0}, {0.5, 0, 0.5}, {-0.5, 0, 0.5}, {-kLn2, -kInf, -kLn2}},
    {"all but one masked", {-kInf, 7, -kInf}, {0, 1, 0}, {0, 0, 0}, {-kInf, 0, -kInf}},
    {"all masked", {-kInf, -kInf, -kInf}, {0, 0, 0}, {0, 0, 0}, {-kInf, -kInf, -kInf}},
    {"one +infinity", {1e4, kInf, -kInf}, {0, 1, 0}, {0, 0, 0}, {-kInf, 0, -kInf}},
    {"two of +infinity", {kInf, 5, kInf}, {0.5, 0, 0.5}, {-0.5, 0, 0.5}, {-kLn2, -kInf, -kLn2}},
    {"NaN", {0, kNaN, 1}, {kNaN, kNaN, kNaN}, {kNaN, kNaN, kNaN}, {kNaN, kNaN, kNaN}},
    {"NaN beside a mask", {-kInf, kNaN, -kInf}, {kNaN, kNaN, kNaN}, {kNaN, kNaN, kNaN}, {kNaN, kNaN, kNaN}},
    {"NaN beside +infinity", {kInf, 1, kNaN}, {kNaN, kNaN, kNaN}, {kNaN, kNaN, kNaN}, {kNaN, kNaN, kNaN}},
};

/// Three values in a row of `width` masked ones, the first at 0, the others at the end: places of different vectors.
std::vector<double> spread(const ThreeValues& three, std::size_t width, double fill) {
  std::vector<double> row(width, fill);
  row[0] = three[0];
  row[width - 2] = three[1];
  row[width - 1] = three[2];
  return row;
}
ThreeValues gather3(const std::vector<double>& row) {
  return {row[0], row[row.size() - 2], row[row.size() - 1]};
}

const std::size_t kWidths[] = {3, 16, 17, 37, 64};

}  // namespace

TEST_CASE("softmax of extreme logits has the value and the gradient that ops.hpp defines") {
  everywhere([](DType dtype) {
    for (const Extreme& row : kRows) {
      for (const std::size_t width : kWidths) {
        INFO(row.name << ", width " << width);
        const Shape shape{1, static_cast<int64_t>(width)};
        const Result result =
            evaluate(spread(row.x, width, -kInf), shape, dtype, [](const Tensor& x) { return softmax(x); });
        CHECK(close(gather3(result.y), row.softmax));
        // The upstream gradient of the last two places grows with the width; in a short row it is 1, 2, 3.
        if (width == 3) CHECK(close(result.dx, row.softmax_gradient));
        for (std::size_t i = 1; i + 2 < width; ++i) {
          const double masked = std::isnan(row.softmax[0]) ? kNaN : 0;
          REQUIRE(close(result.y[i], masked));
          REQUIRE(close(result.dx[i], masked));
        }
      }
    }
  });
}

TEST_CASE("log_softmax of extreme logits has the value and the gradient that ops.hpp defines") {
  everywhere([](DType dtype) {
    for (const Extreme& row : kRows) {
      for (const std::size_t width : kWidths) {
        INFO(row.name << ", width " << width);
        const Shape shape{1, static_cast<int64_t>(width)};
        const Result result = evaluate(spread(row.x, width, -kInf), shape, dtype,
                                       [](const Tensor& x) { return log_softmax(x); });
        CHECK(close(gather3(result.y), row.log_softmax));
        const auto n = static_cast<double>(width);
        const double total = n * (n + 1) / 2;
        const double upstream[] = {1, n - 1, n};
        for (std::size_t i = 0; i < 3; ++i)
          CHECK(close(gather3(result.dx)[i], upstream[i] - row.softmax[i] * total));
        for (std::size_t i = 1; i + 2 < width; ++i) {
          REQUIRE(close(result.dx[i], std::isnan(row.softmax[0]) ? kNaN : static_cast<double>(i + 1)));
        }
      }
    }
  });
}

TEST_CASE("the loss of extreme logits is that of log_softmax, value and gradient, and never hides a NaN") {
  everywhere([](DType dtype) {
    for (const Extreme& row : kRows) {
      for (const std::size_t width : kWidths) {
        for (std::size_t t = 0; t < 3; ++t) {
          INFO(row.name << ", width " << width << ", target " << t);
          const std::size_t place = t == 0 ? 0 : width - 3 + t;
          const std::vector<double> x = spread(row.x, width, -kInf);
          const Shape shape{1, static_cast<int64_t>(width)};
          const Tensor target = Tensor::from(std::vector<int32_t>{static_cast<int32_t>(place)}, {1});
          const double loss = -row.log_softmax[t];
          // Logits of 1e4 leave the log-sum-exp that much room, and the probabilities made from it.
          const double margin = dtype == DType::f64 ? 1e-11 : 1e-3;
          CHECK(close(to_list(token_losses(tensor(x, shape, dtype), target))[0], loss, margin));
          const Result result = evaluate(
              x, shape, dtype, [&](const Tensor& logits) { return cross_entropy(logits, target, 2); });
          CHECK(close(result.y[0], loss / 2, margin));
          for (std::size_t i = 0; i < 3; ++i)
            CHECK(close(gather3(result.dx)[i], (row.softmax[i] - (i == t ? 1 : 0)) / 2, margin));
          for (std::size_t i = 1; i + 2 < width; ++i)
            REQUIRE(close(result.dx[i], std::isnan(row.softmax[0]) ? kNaN : 0));
        }
      }
    }
  });
}

TEST_CASE("a row that does not count may hold anything, and extreme rows leave the others alone") {
  everywhere([](DType dtype) {
    const std::vector<double> x = {kNaN, kInf, -kInf, 1, 2, 3, kInf, kInf, 0};
    const Tensor targets = Tensor::from(std::vector<int32_t>{-1, 2, -1}, {3});
    const Result result =
        evaluate(x, {3, 3}, dtype, [&](const Tensor& logits) { return cross_entropy(logits, targets); });
    const Result alone = evaluate({1, 2, 3}, {1, 3}, dtype, [&](const Tensor& logits) {
      return cross_entropy(logits, Tensor::from(std::vector<int32_t>{2}, {1}));
    });
    CHECK(result.y == alone.y);
    for (std::size_t i = 0; i < 9; ++i) CHECK(result.dx[i] == (i / 3 == 1 ? alone.dx[i - 3] : 0.0));
    CHECK(to_list(token_losses(tensor(x, {3, 3}, dtype), targets))[0] == 0);
  });
}

namespace {

/// y and the gradients of q, k and v of causal attention with one head of width 2 and scale 1.
struct Attended {
  std::vector<double> y, dq, dk, dv;
};
Attended attend(const std::vector<double>& q, const std::vector<double>& k, const std::vector<double>& v,
                DType dtype) {
  const auto rows = static_cast<int64_t>(q.size() / 2);
  Tensors leaves;
  for (const auto* list : {&q, &k, &v}) {
    leaves.push_back(tensor(*list, {rows, 2}, dtype));
    leaves.back().set_requires_grad();
  }
  const Tensor y =
      attention(leaves[0], leaves[1], leaves[2], uniform_sequences(1, rows), 1, 1, Visibility::causal(), 1);
  y.backward(random_tensor(y.shape(), 9, 1, dtype));
  return {to_list(y.detach()), to_list(leaves[0].grad()), to_list(leaves[1].grad()),
          to_list(leaves[2].grad())};
}

constexpr std::size_t kRowCount = 150;  // more than one block of 128 keys

std::vector<double> drawn(uint64_t seed) {
  return to_list(random_tensor({2 * kRowCount}, seed, 1, DType::f64));
}

bool all(const std::vector<double>& list, std::size_t first_row, std::size_t end_row,
         const std::function<bool(double)>& holds) {
  for (std::size_t i = 2 * first_row; i < 2 * end_row; ++i) {
    if (!holds(list[i])) return false;
  }
  return true;
}
bool finite(double x) { return std::isfinite(x); }
bool nan(double x) { return std::isnan(x); }
bool zero(double x) { return x == 0; }

/// A factor whose square is infinite.
double huge(DType dtype) { return dtype == DType::f64 ? 1e200 : 1e30; }

}  // namespace

TEST_CASE("attention over scores of ±1e4 takes the largest, and its gradients are finite") {
  everywhere([](DType dtype) {
    std::vector<double> q(2 * kRowCount), k(2 * kRowCount);
    for (std::size_t r = 0; r < kRowCount; ++r) {
      q[2 * r] = 100;
      k[2 * r] = r == 20 || r == 140 ? 100 : -100;
    }
    k[2 * 140] = 101;
    const std::vector<double> v = drawn(3);
    const Attended result = attend(q, k, v, dtype);
    for (const auto& [row, key] :
         {std::pair<std::size_t, std::size_t>{0, 0}, {20, 20}, {139, 20}, {149, 140}}) {
      CHECK(close(result.y[2 * row], v[2 * key]));
      CHECK(close(result.y[2 * row + 1], v[2 * key + 1]));
    }
    for (const auto* list : {&result.dq, &result.dk, &result.dv}) CHECK(all(*list, 0, kRowCount, finite));
  });
}

TEST_CASE("attention gives a score of -infinity no weight, in whichever block of keys it stands") {
  everywhere([](DType dtype) {
    const double big = huge(dtype);
    // Keys 0 … 129 have the score -infinity: the whole first block and two more.
    std::vector<double> q = drawn(1), k = drawn(2), v = drawn(3);
    for (std::size_t r = 0; r < kRowCount; ++r) {
      q[2 * r] = big;
      k[2 * r] = r < 130 ? -big : 0;
    }
    const Attended result = attend(q, k, v, dtype);
    CHECK(all(result.y, 0, 130, zero));
    CHECK(all(result.dq, 0, 130, zero));
    CHECK(all(result.dk, 0, 130, zero));
    CHECK(all(result.dv, 0, 130, zero));
    // The rest is attention among the rest.
    const auto tail = [](const std::vector<double>& list) {
      return std::vector<double>(list.begin() + 260, list.end());
    };
    CHECK(close(result.y[260], v[260]));
    CHECK(close(result.y[261], v[261]));
    CHECK(all(result.y, 130, kRowCount, finite));
    for (const auto* list : {&result.dq, &result.dk, &result.dv}) CHECK(all(*list, 130, kRowCount, finite));
    const Attended alone = attend(tail(q), tail(k), tail(v), dtype);
    for (std::size_t i = 0; i < alone.y.size(); ++i)
      CHECK(alone.y[i] == Approx(result.y[260 + i]).epsilon(1e-5));
  });
}

TEST_CASE(
    "attention shows a score of +infinity or NaN as NaN in its row, and every row that sees only others "
    "stays") {
  everywhere([](DType dtype) {
    for (const std::size_t bad :
         {std::size_t{0}, std::size_t{40}, std::size_t{127}, std::size_t{128}, std::size_t{149}}) {
      for (const bool infinite : {false, true}) {
        INFO("row " << bad << (infinite ? ", +infinity" : ", NaN"));
        std::vector<double> q = drawn(1), k = drawn(2);
        const std::vector<double> v = drawn(3);
        const Attended clean = attend(q, k, v, dtype);
        // Row `bad` alone has such a score, with itself.
        if (infinite) {
          for (std::size_t r = 0; r < kRowCount; ++r) q[2 * r] = k[2 * r] = 0;
          q[2 * bad] = k[2 * bad] = huge(dtype);
        } else {
          q[2 * bad] = kNaN;
        }
        const Attended result = attend(q, k, v, dtype);
        CHECK(all(result.y, bad, bad + 1, nan));
        CHECK(all(result.y, 0, bad, finite));
        CHECK(all(result.y, bad + 1, kRowCount, finite));
        CHECK(all(result.dq, bad, bad + 1, nan));
        CHECK(all(result.dq, 0, bad, finite));
        CHECK(all(result.dq, bad + 1, kRowCount, finite));
        // The row sees every key up to its own. A later key's gradient adds 0 times its query.
        CHECK(all(result.dk, 0, bad + 1, nan));
        CHECK(all(result.dv, 0, bad + 1, nan));
        CHECK(all(result.dv, bad + 1, kRowCount, finite));
        if (infinite) CHECK(all(result.dk, bad + 1, kRowCount, finite));
        if (!infinite) {
          for (std::size_t i = 0; i < clean.y.size(); ++i) {
            if (i / 2 != bad) REQUIRE(result.y[i] == clean.y[i]);
          }
        }
      }
    }
  });
}

}  // namespace gradus::testing
