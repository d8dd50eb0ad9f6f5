#include <cstring>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "tensor/autodiff.hpp"
#include "tensor/ops.hpp"
#include "tensor/ops/product.hpp"
#include "tests/support/catch.hpp"
#include "tests/tensor/for_each_case.hpp"
#include "tests/tensor/op_cases.hpp"

/// The first promise, for every row of the op table: the same bits whatever the threads, the instruction set (among those
/// with fused multiply-add), the layout of the inputs, and the rest of the batch.

namespace gradus::testing {
namespace {

TEST_CASE("every op gives the same bits on 1, 2 and 4 threads") {
  for_each_case([](const Case& test) -> std::string {
    const Tensors inputs = make_inputs(test, DType::f32);
    for (const std::string& isa : available_isas()) {
      const UseIsa use(isa);
      Outcome alone;
      for (const int threads : {1, 2, 4}) {
        const UseThreads limit(threads);
        const Outcome outcome = run(test, inputs, DType::f32);
        if (threads == 1) alone = outcome;
        const std::string problem = same_bits(alone, outcome);
        if (!problem.empty())
          return "1 and " + std::to_string(threads) + " threads on " + isa + ": " + problem;
      }
    }
    return "";
  });
}

TEST_CASE("every op gives the same bits on all instruction sets with fused multiply-add") {
  std::vector<std::string> isas = available_isas();
  std::erase_if(isas, [](const std::string& isa) { return !has_fma(isa); });
  if (isas.size() < 2) {
    WARN("SKIPPED: equality of instruction sets: of those with fused multiply-add this machine has "
         << isas.size());
    return;
  }
  for_each_case([&](const Case& test) -> std::string {
    const Tensors inputs = make_inputs(test, DType::f32);
    Outcome first;
    for (const std::string& isa : isas) {
      const UseIsa use(isa);
      const Outcome outcome = run(test, inputs, DType::f32);
      if (isa == isas[0]) first = outcome;
      const std::string problem = same_bits(first, outcome);
      if (!problem.empty()) return isas[0] + " and " + isa + ": " + problem;
    }
    return "";
  });
}

/// Ways to cut a product that differ from each other and from the usual one in every size.
std::vector<detail::Cuts> odd_cuts() {
  const int64_t depths[] = {1, 7, 32, 100};
  std::vector<detail::Cuts> all;
  for (int64_t i = 0; i < 12; ++i) {
    const int64_t depth = depths[i % 4];
    all.push_back({{1 + i, 1 + i % 3, depth, 1 + i % 5},
                   12 * (1 + i % 4),
                   16 * (1 + i % 3),
                   2 * depth + 1,
                   24 + 12 * (i % 2),
                   32 + 16 * (i % 3)});
  }
  return all;
}

TEST_CASE("no tile shape and no blocking changes a bit of a product or its gradients") {
  const std::vector<detail::Cuts> cuts = odd_cuts();
  for_each_case([&](const Case& test) -> std::string {
    if (!test.name.starts_with("matmul(") && !test.name.starts_with("linear(")) return "";
    const Tensors inputs = make_inputs(test, DType::f32);
    for (const std::string& isa : available_isas()) {
      const UseIsa use(isa);
      const Outcome usual = run(test, inputs, DType::f32);
      for (std::size_t i = 0; i < cuts.size(); ++i) {
        const detail::ForceCuts force(cuts[i]);
        const std::string problem = same_bits(usual, run(test, inputs, DType::f32));
        if (!problem.empty()) return "cuts " + std::to_string(i) + " on " + isa + ": " + problem;
      }
    }
    return "";
  });
}

TEST_CASE("every op gives the same bits whether it is recorded or not, and every time") {
  for_each_case([](const Case& test) -> std::string {
    const Tensors inputs = make_inputs(test, DType::f32);
    const Outcome recorded = run(test, inputs, DType::f32);
    const std::string problem = same_bits(recorded, run(test, inputs, DType::f32));
    if (!problem.empty()) return "twice: " + problem;
    const NoGrad quiet;
    return same_bits(recorded.y, test.op(inputs, DType::f32));
  });
}

TEST_CASE("no op writes to its inputs") {
  for_each_case([](const Case& test) -> std::string {
    const Tensors inputs = make_inputs(test, DType::f32), fresh = make_inputs(test, DType::f32);
    run(test, inputs, DType::f32);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const std::string problem = same_bits(inputs[i], fresh[i]);
      if (!problem.empty()) return "input " + std::to_string(i) + ": " + problem;
    }
    return "";
  });
}

// ---- layouts ----

/// A tensor of the given elements with chosen strides; between them stand NaN, or for ids the smallest integer, so that
/// reading a neighbour shows.
Tensor strided(const Tensor& dense, const Strides& strides, int64_t offset, int64_t room) {
  const auto fill = [&]<class T>(T gap) {
    const std::vector<T> from = dense.to_vector<T>();
    std::vector<T> memory(static_cast<std::size_t>(room), gap);
    const Shape& shape = dense.shape();
    for (int64_t i = 0; i < dense.numel(); ++i) {
      int64_t rest = i, place = offset;
      for (int axis = shape.rank() - 1; axis >= 0; --axis) {
        place += rest % shape[axis] * strides[axis];
        rest /= shape[axis];
      }
      memory[static_cast<std::size_t>(place)] = from[static_cast<std::size_t>(i)];
    }
    return Tensor::from(std::span<const T>(memory), {room}).view(shape, strides, offset);
  };
  if (dense.dtype() == DType::i32) return fill(std::numeric_limits<int32_t>::min());
  return fill(std::numeric_limits<float>::quiet_NaN());
}

struct Layout {
  const char* name;
  std::function<Tensor(const Tensor& dense)> apply;
};

/// The same elements one place after an aligned address, in memory of our own.
Tensor misaligned(const Tensor& dense) {
  const auto memory = std::make_shared<std::vector<int32_t>>(static_cast<std::size_t>(dense.numel()) + 33);
  auto place = reinterpret_cast<std::uintptr_t>(memory->data());
  place = (place + 63) / 64 * 64 + 4;
  std::memcpy(reinterpret_cast<void*>(place), dense.to_contiguous().bytes(), dense.nbytes());
  return Tensor::external(reinterpret_cast<const void*>(place), dense.shape(), dense.dtype(), [memory] {});
}

/// Stored with its last two axes the other way round; with one axis, every second element.
Tensor transposed(const Tensor& dense) {
  const Shape& shape = dense.shape();
  if (shape.rank() < 2)
    return strided(dense, shape.rank() == 1 ? Strides{2} : Strides{}, 0, 2 * dense.numel() + 1);
  Shape stored = shape;
  std::swap(stored[shape.rank() - 1], stored[shape.rank() - 2]);
  Strides strides = dense_strides(stored);
  std::swap(strides[shape.rank() - 1], strides[shape.rank() - 2]);
  return strided(dense, strides, 0, dense.numel() + 1);
}

/// The middle of a larger array: gaps before and after each row.
Tensor sliced(const Tensor& dense) {
  Shape stored = dense.shape();
  for (int axis = 0; axis < stored.rank(); ++axis) stored[axis] += axis == stored.rank() - 1 ? 3 : 1;
  return strided(dense, dense_strides(stored), 1, stored.numel() + 1);
}

const std::vector<Layout>& layouts() {
  static const std::vector<Layout> all = {
      {"misaligned", misaligned}, {"transposed", transposed}, {"sliced", sliced}};
  return all;
}

TEST_CASE("every op gives the same bits from misaligned and strided inputs as from dense ones") {
  for_each_case([](const Case& test) -> std::string {
    const Tensors inputs = make_inputs(test, DType::f32);
    const Outcome dense = run(test, inputs, DType::f32);
    int64_t total = 0;
    for (const Tensor& input : inputs) total += input.numel();
    for (const Layout& layout : layouts()) {
      // All inputs at once, and where that is cheap one at a time too.
      for (std::size_t only = 0; only <= (total <= 3000 && inputs.size() > 1 ? inputs.size() : 0); ++only) {
        Tensors changed = inputs;
        for (std::size_t i = 0; i < inputs.size(); ++i) {
          if (only == 0 || only == i + 1) changed[i] = layout.apply(inputs[i]);
        }
        const std::string problem = same_bits(dense, run(test, changed, DType::f32));
        if (!problem.empty()) {
          return std::string(layout.name) + (only == 0 ? "" : " input " + std::to_string(only - 1)) + ": " +
                 problem;
        }
      }
    }
    return "";
  });
}

TEST_CASE("every op gives the same bits from stretched inputs, whose stride is 0, as from their copies") {
  for_each_case([](const Case& test) -> std::string {
    Tensors copies = make_inputs(test, DType::f32), views = copies;
    for (Tensor& input : views) {
      if (input.rank() == 0 || input.numel() == 0) continue;
      Strides strides = input.strides();
      strides[0] = 0;
      input = input.view(input.shape(), strides, 0);
    }
    for (std::size_t i = 0; i < views.size(); ++i) copies[i] = views[i].clone();
    return same_bits(run(test, copies, DType::f32), run(test, views, DType::f32));
  });
}

TEST_CASE("every op gives the same bits from results of other ops as from leaves") {
  for_each_case([](const Case& test) -> std::string {
    if (!test.gradient) return "";
    const Tensors inputs = make_inputs(test, DType::f32);
    Case inner = test;
    // Exact, and not the leaf itself.
    inner.op = [&](const Tensors& in, DType dtype) {
      Tensors computed = in;
      for (std::size_t i = 0; i < in.size(); ++i) {
        if (test.inputs[i].differentiable) computed[i] = neg(neg(in[i]));
      }
      return test.op(computed, dtype);
    };
    return same_bits(run(test, inputs, DType::f32), run(inner, inputs, DType::f32));
  });
}

// ---- batches ----

Tensor rows_of(const Tensor& x, int64_t begin, int64_t end) {
  Shape shape = x.shape();
  shape[0] = end - begin;
  return x.view(shape, x.strides(), begin * x.strides()[0]).clone();
}

TEST_CASE("rows alone give the same bits as within a batch") {
  for_each_case([](const Case& test) -> std::string {
    if (test.batched.empty()) return "";
    const Tensors inputs = make_inputs(test, DType::f32);
    const int64_t n = inputs[static_cast<std::size_t>(test.batched[0])].size(0);
    const Outcome batch = run(test, inputs, DType::f32);
    const bool in_rows = batch.y.rank() > 0;
    const Tensor upstream = make_upstream(test, batch.y);
    const std::vector<std::pair<int64_t, int64_t>> ranges = {
        {0, 1}, {n / 2, n / 2 + 1}, {n - 1, n}, {1, n - 1}, {n / 3, n / 3 + 2}};
    for (const auto& [begin, end] : ranges) {
      if (begin < 0 || begin >= end || end > n) continue;
      Tensors part = inputs;
      for (const int i : test.batched)
        part[static_cast<std::size_t>(i)] = rows_of(inputs[static_cast<std::size_t>(i)], begin, end);
      const Outcome alone =
          run(test, part, DType::f32, in_rows && test.gradient ? rows_of(upstream, begin, end) : upstream);
      const std::string where = "rows " + std::to_string(begin) + " to " + std::to_string(end) + ": ";
      std::string problem = in_rows ? same_bits(alone.y, rows_of(batch.y, begin, end)) : "";
      if (!problem.empty()) return where + problem;
      for (const int i : test.batched) {
        if (!batch.gradients[static_cast<std::size_t>(i)]) continue;
        problem = same_bits(alone.gradients[static_cast<std::size_t>(i)],
                            rows_of(batch.gradients[static_cast<std::size_t>(i)], begin, end));
        if (!problem.empty()) return where + "gradient of input " + std::to_string(i) + ": " + problem;
      }
    }
    return "";
  });
}

}  // namespace
}  // namespace gradus::testing
