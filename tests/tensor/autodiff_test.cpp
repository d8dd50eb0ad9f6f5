#include "tensor/autodiff.hpp"
#include "tensor/detail/tensor_impl.hpp"

#include <algorithm>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tensor/parallel.hpp"
#include "tensor/profile.hpp"
#include "tensor/random.hpp"
#include "tensor/storage.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/use_threads.hpp"

using namespace gradus;
using Catch::Matchers::ContainsSubstring;
using gradus::testing::random_tensor;
using gradus::testing::UseThreads;

namespace {

// A few ops of our own, so that this file tests the engine alone.

template <class F>
Tensor map(const Tensor& a, F f) {
  Tensor y = Tensor::empty(a.shape());
  float* to = y.mutable_data<float>();
  const float* from = a.data<float>();
  parallel_ranges(a.numel(), 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] = f(from[i]);
  });
  return y;
}

template <class F>
Tensor zip(const Tensor& a, const Tensor& b, F f) {
  Tensor y = Tensor::empty(a.shape());
  float* to = y.mutable_data<float>();
  const float* x0 = a.data<float>();
  const float* x1 = b.data<float>();
  parallel_ranges(a.numel(), 4096, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) to[i] = f(x0[i], x1[i]);
  });
  return y;
}

Tensor scale(const Tensor& x, float factor) {
  const auto times = [factor](float v) { return v * factor; };
  return record("scale", map(x, times), {x}, [times](Backward& b) { b.add(0, map(b.dy(), times)); });
}

Tensor add(const Tensor& x, const Tensor& y) {
  return record("add", zip(x, y, [](float a, float b) { return a + b; }), {x, y}, [](Backward& b) {
    b.add(0, b.dy());
    b.add(1, b.dy());
  });
}

Tensor multiply(const Tensor& x, const Tensor& y) {
  const auto times = [](float a, float b) { return a * b; };
  return record("multiply", zip(x, y, times), {x, y},
                [times, x_saved = Saved("multiply", x), y_saved = Saved("multiply", y)](Backward& b) {
                  if (b.needs(0)) b.add(0, zip(b.dy(), y_saved.get(), times));
                  if (b.needs(1)) b.add(1, zip(b.dy(), x_saved.get(), times));
                });
}

/// y = 1/x, which saves its own result.
Tensor reciprocal(const Tensor& x) {
  const Tensor y = map(x, [](float v) { return 1 / v; });
  return record("reciprocal", y, {x}, [saved = Saved("reciprocal", y)](Backward& b) {
    b.add(0, zip(b.dy(), saved.get(), [](float dy, float r) { return -dy * r * r; }));
  });
}

Tensor sum(const Tensor& x) {
  float total = 0;
  for (const float v : x.to_vector<float>()) total += v;
  return record("sum", Tensor::full({}, total), {x},
                [shape = x.shape()](Backward& b) { b.add(0, Tensor::full(shape, b.dy().item())); });
}

/// y = x in another shape: its gradient is a view of dy.
Tensor reshape(const Tensor& x, const Shape& shape) {
  return record("reshape", x.view(shape, dense_strides(shape), 0), {x},
                [from = x.shape()](Backward& b) { b.add(0, b.dy().view(from, dense_strides(from), 0)); });
}

/// y = table[ids] with a row-sparse gradient.
Tensor lookup(const Tensor& table, const Tensor& ids) {
  const int64_t width = table.size(1);
  Tensor y = Tensor::empty({ids.numel(), width});
  if (y.bytes() != nullptr) {
    for (int64_t n = 0; n < ids.numel(); ++n) {
      const float* row = table.data<float>() + ids.data<int32_t>()[n] * width;
      std::copy(row, row + width, y.mutable_data<float>() + n * width);
    }
  }
  return record("lookup", y, {table}, [ids](Backward& b) { b.add_rows(0, ids, b.dy()); });
}

Tensor parameter(const Shape& shape, uint64_t seed) { return random_tensor(shape, seed).set_requires_grad(); }

std::vector<float> values_of(const Tensor& t) { return t.to_vector<float>(); }

}  // namespace

TEST_CASE("Gradients of shared and repeated inputs add up") {
  Tensor x = Tensor::full({3}, 2).set_requires_grad();
  Tensor y = Tensor::full({3}, 5).set_requires_grad();
  // f = x^3 + 2 x y + x
  const Tensor square = multiply(x, x);
  sum(add(add(multiply(square, x), scale(multiply(x, y), 2)), x)).backward();
  CHECK(values_of(x.grad()) == std::vector<float>(3, 3 * 4 + 2 * 5 + 1));
  CHECK(values_of(y.grad()) == std::vector<float>(3, 4));
}

TEST_CASE("Leaf gradients accumulate over backward calls until they are cleared") {
  Tensor x = Tensor::full({2}, 3).set_requires_grad();
  CHECK_FALSE(x.grad().defined());
  sum(scale(x, 2)).backward();
  sum(scale(x, 5)).backward();
  CHECK(values_of(x.grad()) == std::vector<float>{7, 7});
  x.clear_grad();
  CHECK_FALSE(x.grad().defined());
  // A given buffer is added to in place: a trainer keeps all gradients in one array.
  const Tensor buffer = Tensor::full({6}, 1);
  x.set_grad(buffer.view({2}, {1}, 2));
  sum(scale(x, 2)).backward();
  CHECK(values_of(buffer) == std::vector<float>{1, 1, 3, 3, 1, 1});
  CHECK_THROWS_WITH(x.set_grad(Tensor::zeros({3})), ContainsSubstring("the tensor is (2)"));
  CHECK_THROWS_AS(x.set_grad(Tensor::zeros({2}, DType::f64)), std::invalid_argument);
}

TEST_CASE("A gradient handed on without a copy is never written while another holds it") {
  Tensor x = parameter({50}, 1);
  // dy of the last add becomes the gradient of a and of b; a then gets more.
  const Tensor a = scale(x, 2);
  const Tensor b = scale(x, 3);
  const Tensor more = scale(a, 10);
  const Tensor total = add(add(a, b), more);
  total.backward(Tensor::full({50}, 1));
  CHECK(values_of(x.grad()) == std::vector<float>(50, 2 * 11 + 3));

  // One input three times: each must see the same dy.
  Tensor z = parameter({4}, 2);
  const Tensor node = scale(z, 1);
  const Tensor thrice = record("thrice", scale(node.detach(), 3), {node, node, node}, [](Backward& backward) {
    for (int i = 0; i < 3; ++i) backward.add(i, backward.dy());
  });
  thrice.backward(Tensor::full({4}, 1));
  CHECK(values_of(z.grad()) == std::vector<float>(4, 3));

  // The same for a view of dy, and for a leaf that keeps what it gets.
  Tensor w = parameter({4}, 3);
  const Tensor upstream = Tensor::full({2, 2}, 1);
  reshape(w, {2, 2}).backward(upstream);
  reshape(w, {2, 2}).backward(upstream);
  CHECK(values_of(w.grad()) == std::vector<float>(4, 2));
  CHECK(values_of(upstream) == std::vector<float>(4, 1));
}

TEST_CASE("into() gives the running buffer, fresh where it is the first, apart where inputs are one tensor") {
  Tensor x = Tensor::full({3}, 1).set_requires_grad();
  std::vector<bool> seen;
  const auto via_into = [&seen](const Tensor& a, const Tensor& b) {
    return record("via_into", Tensor::full({3}, 0), {a, b}, [&seen](Backward& backward) {
      bool fresh0 = false;
      bool fresh1 = false;
      // Both before either is written, as a fused kernel asks for them.
      const Tensor da = backward.into(0, fresh0);
      const Tensor db = backward.into(1, fresh1);
      seen.push_back(fresh0);
      seen.push_back(fresh1);
      const float* dy = backward.dy().data<float>();
      for (int i = 0; i < 3; ++i) {
        da.mutable_data<float>()[i] = (fresh0 ? 0 : da.data<float>()[i]) + 10 * dy[i];
        db.mutable_data<float>()[i] = (fresh1 ? 0 : db.data<float>()[i]) + 100 * dy[i];
      }
    });
  };
  const Tensor ones = Tensor::full({3}, 1);
  Tensor other = Tensor::full({3}, 1).set_requires_grad();
  via_into(x, other).backward(ones);
  via_into(x, other).backward(ones);
  CHECK(seen == std::vector<bool>{true, true, false, false});
  CHECK(values_of(x.grad()) == std::vector<float>(3, 20));
  CHECK(values_of(other.grad()) == std::vector<float>(3, 200));
  x.clear_grad();
  via_into(x, x).backward(ones);
  CHECK(values_of(x.grad()) == std::vector<float>(3, 110));
  x.clear_grad();
  const Tensor hidden = scale(x, 2);
  add(via_into(hidden, hidden), hidden).backward(ones);
  CHECK(values_of(x.grad()) == std::vector<float>(3, 2 * 111));
}

TEST_CASE("Nodes run by decreasing creation number, each once, and are gone afterwards") {
  std::vector<int> order;
  const auto traced = [&order](int name, std::vector<Tensor> inputs) {
    const auto count = static_cast<int>(inputs.size());
    return record("traced", Tensor::full({1}, 0), std::move(inputs), [&order, name, count](Backward& b) {
      order.push_back(name);
      for (int i = 0; i < count; ++i) {
        if (b.needs(i)) b.add(i, b.dy());
      }
    });
  };
  Tensor x = Tensor::full({1}, 0).set_requires_grad();
  const int64_t before = live_nodes();
  {
    const Tensor a = traced(0, {x});
    const Tensor b = traced(1, {a});
    const Tensor unreached = traced(2, {a});
    const Tensor c = traced(3, {a, x});
    const Tensor d = traced(4, {c, b, Tensor::full({1}, 0), Tensor()});
    CHECK(live_nodes() == before + 5);
    d.backward();
    CHECK(order == std::vector<int>{4, 3, 1, 0});
    CHECK(live_nodes() == before + 1);
  }
  CHECK(live_nodes() == before);
  CHECK(x.grad().item() == 3);
}

TEST_CASE("A chain of a million ops runs forward and backward, and is freed without backward") {
  constexpr int kOps = 1000000;
  const int64_t before = live_nodes();
  Tensor x = Tensor::full({1}, 1).set_requires_grad();
  for (const bool run : {true, false}) {
    Tensor y = x;
    for (int i = 0; i < kOps; ++i) y = scale(y, 1);
    CHECK(live_nodes() == before + kOps);
    if (run) {
      y.backward();
      CHECK(x.grad().item() == 1);
      CHECK(live_nodes() == before);
    }
  }
  CHECK(live_nodes() == before);
  // Ops that hold their inputs with their history, against all advice.
  Tensor y = x;
  for (int i = 0; i < kOps / 4; ++i) {
    y = record("holder", map(y, [](float v) { return v; }), {y}, [y](Backward& b) { b.add(0, b.dy()); });
  }
  y = Tensor();
  CHECK(live_nodes() == before);
}

TEST_CASE("An array that no op saved is freed during the forward, and saved ones as backward passes") {
  Tensor x = parameter({100}, 1);
  std::weak_ptr<Storage> unsaved;
  std::weak_ptr<Storage> saved;
  Tensor loss;
  {
    const Tensor a = scale(x, 2);
    unsaved = a.storage();
    const Tensor b = scale(a, 3);
    saved = b.storage();
    loss = sum(multiply(b, b));
  }
  CHECK(unsaved.expired());
  CHECK_FALSE(saved.expired());
  loss.backward();
  CHECK(saved.expired());
}

TEST_CASE("An op that saves its own result does not keep itself alive") {
  const int64_t before = live_nodes();
  std::weak_ptr<Storage> result;
  {
    Tensor x = Tensor::full({4}, 2).set_requires_grad();
    const Tensor y = reciprocal(x);
    result = y.storage();
    y.backward(Tensor::full({4}, 1));
    CHECK(values_of(x.grad()) == std::vector<float>(4, -0.25f));
    const Tensor unused = reciprocal(x);
  }
  CHECK(result.expired());
  CHECK(live_nodes() == before);
}

TEST_CASE("Writing a tensor that was saved for backward is an error naming the op") {
  Tensor x = parameter({3}, 1);
  Tensor y = parameter({3}, 2);
  const Tensor loss = sum(multiply(x, y));
  y.mutable_data<float>()[0] = 1;
  CHECK_THROWS_WITH(loss.backward(),
                    "multiply: a tensor saved for backward was written after the op ran; clone it "
                    "before writing, or write later");
  // A write through a view counts as well; one before the op does not.
  const Tensor buffer = Tensor::full({5}, 2);
  buffer.mutable_data<float>()[0] = 1;
  const Tensor head = buffer.view({3}, {1}, 0);
  const Tensor fine = sum(multiply(x, head));
  fine.backward();
  const Tensor bad = sum(multiply(x, head));
  buffer.view({1}, {1}, 4).mutable_data<float>()[0] = 0;
  CHECK_THROWS_WITH(bad.backward(), ContainsSubstring("multiply"));
}

TEST_CASE("After an error in backward the graph is gone and the next one runs") {
  const int64_t before = live_nodes();
  Tensor x = Tensor::full({3}, 1).set_requires_grad();
  {
    const Tensor a = scale(x, 2);
    const Tensor bad = record("bad", Tensor::zeros({3}), {a}, [](Backward&) { fail("bad: on purpose"); });
    const Tensor total = add(bad, scale(a, 1));
    CHECK_THROWS_WITH(total.backward(Tensor::full({3}, 1)), "bad: on purpose");
    CHECK_FALSE(NoGrad::active());
    CHECK_FALSE(x.grad().defined());
    // a was not reached by the failed run, so that another result may still use it.
    scale(a, 5).backward(Tensor::full({3}, 1));
    CHECK(values_of(x.grad()) == std::vector<float>(3, 10));
  }
  CHECK(live_nodes() == before);
}

TEST_CASE("Misuse of backward is an error that says what to do") {
  Tensor x = Tensor::full({2}, 1).set_requires_grad();
  const Tensor ones = Tensor::full({2}, 1);
  CHECK_THROWS_WITH(ones.backward(ones),
                    ContainsSubstring("backward: the tensor must depend on a parameter with "
                                      "requires_grad; "));
  CHECK_THROWS_WITH(scale(x, 2).backward(), ContainsSubstring("must have one element; shape (2)"));
  CHECK_THROWS_WITH(scale(x, 2).backward(Tensor::full({3}, 1)), ContainsSubstring("the upstream (3)"));
  CHECK_THROWS_WITH(scale(x, 2).backward(x), ContainsSubstring("gradients of gradients"));
  const Tensor loss = sum(x);
  loss.backward();
  CHECK_THROWS_WITH(
      loss.backward(),
      "backward: one forward allows one backward; the way back goes through the result of sum, but "
      "its graph was freed by an earlier backward; run the forward again");
  CHECK_THROWS_AS(loss.backward(), std::invalid_argument);
  const Tensor trunk = scale(x, 2);
  sum(trunk).backward();
  CHECK_THROWS_WITH(sum(trunk).backward(),
                    ContainsSubstring("the result of scale, but its graph was freed by an earlier backward"));
  CHECK_THROWS_WITH(trunk.grad(), ContainsSubstring("only leaves"));
  Tensor result = scale(x, 2);
  CHECK_THROWS_WITH(result.set_requires_grad(), ContainsSubstring("result of scale"));
  CHECK_THROWS_WITH(record("op", Tensor::zeros({2}), {x}, nullptr),
                    ContainsSubstring("op: record() needs a backward"));
  CHECK_THROWS_WITH(record("op", Tensor::arange(2), {x}, [](Backward&) {}), ContainsSubstring("it is i32"));
  const Tensor wrong =
      record("wrong", Tensor::zeros({2}), {x}, [](Backward& b) { b.add(0, Tensor::zeros({3})); });
  CHECK_THROWS_WITH(wrong.backward(ones), ContainsSubstring("wrong: a gradient must have its input's shape"));
}

TEST_CASE("Backward of a leaf itself adds the upstream gradient") {
  Tensor x = Tensor::full({}, 4).set_requires_grad();
  x.backward();
  x.backward();
  CHECK(x.grad().item() == 2);
}

TEST_CASE("A graph belongs to the thread that recorded it") {
  Tensor x = Tensor::full({2}, 1).set_requires_grad();
  const Tensor y = scale(x, 2);
  std::string on_backward;
  std::string on_record;
  std::thread([&] {
    on_backward = testing::error_of<std::invalid_argument>([&] { y.backward(Tensor::full({2}, 1)); });
    on_record = testing::error_of<std::invalid_argument>([&] { scale(y, 2); });
    sum(scale(x, 3)).backward();  // a graph of its own on shared parameters
  }).join();
  CHECK_THAT(on_backward, ContainsSubstring("belongs to the thread that recorded it"));
  CHECK_THAT(on_record, ContainsSubstring("belongs to one thread"));
  CHECK(values_of(x.grad()) == std::vector<float>{3, 3});
}

TEST_CASE("Under NoGrad nothing is recorded, on this thread alone, and it nests") {
  Tensor x = Tensor::full({2}, 1).set_requires_grad();
  const int64_t before = live_nodes();
  {
    const NoGrad outer;
    {
      const NoGrad inner;
      CHECK(NoGrad::active());
    }
    CHECK(NoGrad::active());
    CHECK_FALSE(scale(x, 2).requires_grad());
    CHECK_FALSE(will_record({&x}));
    CHECK_FALSE(record("identity", x, {x}, [](Backward&) {}).requires_grad());
    bool elsewhere = true;
    std::thread([&] { elsewhere = NoGrad::active(); }).join();
    CHECK_FALSE(elsewhere);
  }
  CHECK_FALSE(NoGrad::active());
  CHECK(live_nodes() == before);
  const Tensor none;
  const Tensor plain = Tensor::zeros({1});
  CHECK(will_record({&plain, &none, nullptr, &x}));
  CHECK_FALSE(will_record({&plain, &none}));
  CHECK_FALSE(scale(plain, 2).requires_grad());
  CHECK_FALSE(no_grad("argmax", x).requires_grad());
}

TEST_CASE("A row-sparse gradient equals the dense scatter in order of arrival, bit for bit") {
  constexpr int64_t kRows = 37;
  constexpr int64_t kWidth = 19;
  const Random random(9, 9);
  std::vector<std::vector<int32_t>> ids(3);
  for (uint64_t i = 0; i < 900; ++i) ids[i % 3].push_back(static_cast<int32_t>(random.below(i, kRows - 1)));
  const auto ids_of = [&ids](std::size_t part) {
    return Tensor::from(std::span<const int32_t>(ids[part]), {static_cast<int64_t>(ids[part].size())});
  };
  std::vector<float> expected(kRows * kWidth, 0.0f);
  const Tensor start = random_tensor({kRows, kWidth}, 77);
  expected = values_of(start);
  std::vector<Tensor> upstream;
  for (std::size_t part = 0; part < 3; ++part) {
    upstream.push_back(random_tensor({300, kWidth}, 100 + part));
    const std::vector<float> rows = values_of(upstream[part]);
    for (std::size_t n = 0; n < 300; ++n) {
      for (std::size_t c = 0; c < kWidth; ++c) {
        expected[static_cast<std::size_t>(ids[part][n]) * kWidth + c] += rows[n * kWidth + c];
      }
    }
  }
  for (const int threads : {1, 2, 4}) {
    const UseThreads use(threads);
    // Into a leaf: rows are kept and merged by grad().
    Tensor table = parameter({kRows, kWidth}, 1);
    table.set_grad(start.clone());
    for (std::size_t part = 0; part < 3; ++part) {
      const Tensor batch = ids_of(part);
      lookup(table, batch).backward(upstream[part]);
      // The caller's array may be filled anew.
      std::fill_n(batch.mutable_data<int32_t>(), 300, 0);
    }
    CHECK((values_of(table.grad()) == expected));
    CHECK((values_of(table.grad()) == expected));
    table.clear_grad();
    lookup(table, ids_of(0)).backward(upstream[0]);
    table.clear_grad();
    CHECK_FALSE(table.grad().defined());
  }
  // Into a table that is the result of an op: the same rule, at once. The youngest lookup arrives first.
  Tensor leaf = parameter({kRows, kWidth}, 1);
  const Tensor view = reshape(leaf, {kRows, kWidth});
  const Tensor looked_up[] = {lookup(view, ids_of(2)), lookup(view, ids_of(1)), lookup(view, ids_of(0))};
  const Tensor joined =
      record("join", Tensor::zeros({1}), {view, looked_up[0], looked_up[1], looked_up[2]}, [&](Backward& b) {
        b.add(0, start.clone());
        for (int part = 0; part < 3; ++part) b.add(3 - part, upstream[static_cast<std::size_t>(part)]);
      });
  joined.backward();
  CHECK((values_of(leaf.grad()) == expected));
  CHECK(values_of(upstream[0]) == values_of(random_tensor({300, kWidth}, 100)));
}

TEST_CASE("Row-sparse and dense gradients of one table add up, and bad rows are errors") {
  Tensor table = Tensor::full({4, 2}, 1).set_requires_grad();
  const std::vector<int32_t> some = {1, 3, 1};
  const Tensor ids = Tensor::from(std::span<const int32_t>(some), {3});
  add(sum(lookup(table, ids)), sum(scale(table, 10))).backward();
  CHECK(values_of(table.grad()) == std::vector<float>{10, 10, 12, 12, 10, 10, 11, 11});
  const std::vector<int32_t> outside = {4};
  const Tensor bad = Tensor::from(std::span<const int32_t>(outside), {1});
  record("bad", Tensor::zeros({1, 2}), {table}, [bad](Backward& b) {
    b.add_rows(0, bad, b.dy());
  }).backward(Tensor::zeros({1, 2}));
  CHECK_THROWS_WITH(table.grad(), ContainsSubstring("id 4"));
  const Tensor short_rows =
      record("short", Tensor::zeros({1, 2}), {table}, [ids](Backward& b) { b.add_rows(0, ids, b.dy()); });
  CHECK_THROWS_WITH(short_rows.backward(Tensor::zeros({1, 2})), ContainsSubstring("short: add_rows()"));
  Tensor none = Tensor::zeros({0, 3}).set_requires_grad();
  const Tensor no_ids = Tensor::zeros({0}, DType::i32);
  record("none", Tensor::zeros({0, 3}), {none}, [no_ids](Backward& b) {
    b.add_rows(0, no_ids, b.dy());
  }).backward(Tensor::zeros({0, 3}));
  CHECK(none.grad().shape() == Shape{0, 3});
}

TEST_CASE("f64 gradients add in f64") {
  Tensor x = Tensor::full({2}, 1, DType::f64).set_requires_grad();
  const auto identity = [](const Tensor& a) {
    return record("identity", a.clone(), {a}, [](Backward& b) { b.add(0, b.dy()); });
  };
  const Tensor tiny = Tensor::full({2}, 1e-12, DType::f64);
  identity(x).backward(Tensor::full({2}, 1, DType::f64));
  identity(x).backward(tiny);
  CHECK(x.grad().to_vector<double>()[1] == 1 + 1e-12);
  CHECK_THROWS_WITH(identity(x).backward(Tensor::full({2}, 1)), ContainsSubstring("upstream (2) of f32"));
}

TEST_CASE("A checkpoint gives the gradients of the plain run, bit for bit, and records one node") {
  const auto body = [](const Tensor& w, const std::vector<Tensor>& in) {
    return multiply(reciprocal(add(multiply(in[0], w), in[1])), in[0]);
  };
  const auto gradients = [&](bool use_checkpoint) {
    Tensor x = parameter({200}, 1);
    Tensor constant = random_tensor({200}, 2);
    Tensor w = parameter({200}, 3);
    const Tensor hidden = scale(x, 0.5f);
    const int64_t before = live_nodes();
    Tensor y;
    if (use_checkpoint) {
      y = checkpoint([&](const std::vector<Tensor>& in) { return body(w, in); }, {hidden, constant}, {w});
      CHECK(live_nodes() == before + 1);
    } else {
      y = body(w, {hidden, constant});
    }
    const Tensor out = add(y, hidden);
    out.backward(random_tensor({200}, 4));
    CHECK_FALSE(constant.grad().defined());
    return std::vector<std::vector<float>>{values_of(out), values_of(x.grad()), values_of(w.grad())};
  };
  const int64_t before = live_nodes();
  CHECK((gradients(true) == gradients(false)));
  CHECK(live_nodes() == before);
}

TEST_CASE("Checkpoints nest, stand in a row, and take parameters that are results themselves") {
  const auto run = [](bool use_checkpoint) {
    Tensor w = parameter({30}, 1);
    const Tensor tied = scale(w, 2);  // a result, used inside and outside
    Tensor x = parameter({30}, 2);
    const auto block = [&](const std::vector<Tensor>& in) { return multiply(in[0], tied); };
    const auto two = [&](const std::vector<Tensor>& in) {
      const Tensor h = use_checkpoint ? checkpoint(block, in, {tied}) : block(in);
      return multiply(h, in[0]);
    };
    Tensor h = x;
    for (int layer = 0; layer < 3; ++layer) h = use_checkpoint ? checkpoint(two, {h}, {tied}) : two({h});
    sum(add(h, tied)).backward();
    return std::vector<std::vector<float>>{values_of(x.grad()), values_of(w.grad())};
  };
  const int64_t before = live_nodes();
  CHECK((run(true) == run(false)));
  CHECK(live_nodes() == before);
}

TEST_CASE("A checkpoint adds up the gradients of an input that is given twice or is a parameter too") {
  Tensor x = Tensor::full({2}, 3).set_requires_grad();
  const Tensor h = scale(x, 1);
  const auto body = [&](const std::vector<Tensor>& in) { return multiply(multiply(in[0], in[1]), h); };
  add(checkpoint(body, {h, h}, {h}), h).backward(Tensor::full({2}, 1));
  CHECK(values_of(x.grad()) == std::vector<float>(2, 3 * 9 + 1));
}

TEST_CASE("A checkpoint under NoGrad or without gradients is the plain call, and notices changed inputs") {
  Tensor x = parameter({3}, 1);
  int calls = 0;
  const auto body = [&](const std::vector<Tensor>& in) {
    ++calls;
    return scale(in[0], 2);
  };
  {
    const NoGrad no_grad;
    CHECK_FALSE(checkpoint(body, {x}).requires_grad());
  }
  CHECK_FALSE(checkpoint(body, {x.detach()}).requires_grad());
  CHECK(calls == 2);
  const Tensor input = x.clone();
  Tensor w = parameter({3}, 2);
  const Tensor y =
      checkpoint([&](const std::vector<Tensor>& in) { return multiply(in[0], w); }, {input}, {w});
  input.mutable_data<float>()[0] = 0;
  CHECK_THROWS_WITH(y.backward(Tensor::full({3}, 1)),
                    ContainsSubstring("checkpoint: a tensor saved for backward"));
}

TEST_CASE("A training step walks through dry-run memory with the peak of the real one") {
  const auto step = [] {
    Tensor w = Tensor::zeros({300, 40}).set_requires_grad();
    Tensor table = Tensor::zeros({64, 40}).set_requires_grad();
    const Tensor ids = Tensor::zeros({300}, DType::i32);
    Tensor h = lookup(table, ids);
    for (int layer = 0; layer < 4; ++layer) {
      h = add(h,
              checkpoint([&](const std::vector<Tensor>& in) { return multiply(in[0], multiply(w, in[0])); },
                         {h}, {w}));
    }
    h.backward(Tensor::zeros({300, 40}));
    w.grad();
    table.grad();
    return std::vector<Tensor>{w, table};
  };
  release_free_memory();
  reset_memory_peaks();
  const MemoryStatistics before = memory_statistics();
  step();
  const MemoryStatistics real = memory_statistics();
  const DryRunMemory dry_run;
  step();
  CHECK(dry_run.statistics().peak_reserved == real.peak_reserved - before.reserved);
  CHECK(dry_run.statistics().peak_in_use == real.peak_in_use - before.in_use);
  CHECK(dry_run.statistics().system_allocations == real.system_allocations - before.system_allocations);
  CHECK(dry_run.statistics().in_use == 0);
}

TEST_CASE(
    "A profile has an event for each op that is recorded and each backward, and none for what NoGrad hides") {
  Tensor x = parameter({2, 3}, 1);
  const auto names = [](const Profile& profile) {
    std::vector<std::string> all;
    for (const ProfileEvent& event : profile.events())
      all.push_back(std::string(event.op) + " " + event.phase);
    return all;
  };
  CHECK_FALSE(Profile::active());
  {
    const Profile profile;
    CHECK(Profile::active());
    const Tensor y = scale(x, 2);
    {
      const NoGrad hidden;
      scale(no_grad("constant", x), 3);
    }
    scale(x.detach(), 4);
    no_grad("compare", y);
    {
      const Profile inner;
      multiply(y, y);
      CHECK(names(inner) == std::vector<std::string>{"multiply forward"});
    }
    y.backward(y.detach());
    CHECK(names(profile) == std::vector<std::string>{"scale forward", "compare forward", "scale backward"});
    CHECK(profile.events()[0].shape == Shape{2, 3});
    CHECK(profile.events()[0].bytes >= 6 * sizeof(float));
    double end = 0;
    for (const ProfileEvent& event : profile.events()) {
      CHECK(event.begin >= end - 1e-6);
      end = event.begin + event.seconds;
    }
  }
  CHECK_FALSE(Profile::active());
}
