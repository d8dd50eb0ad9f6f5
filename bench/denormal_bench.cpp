#include <benchmark/benchmark.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <string>

#include "tensor/autodiff.hpp"
#include "tests/support/draw.hpp"
#include "tests/tensor/op_cases.hpp"

/// Every row of the op table with ordinary inputs and with denormal-heavy ones, in which every second entry is denormal
/// (of the upstream gradient too): numbers below 1.2e-38, with which some machines compute many times slower.
///   gradus_bench --benchmark_filter=denormal/ --benchmark_counters_tabular=true
/// ordinary_us and denormal_us are the best of alternating runs, ratio is the second by the first. A ratio above 1.5 is
/// more than a kernel may lose, and is labelled so.

namespace gradus {
namespace {

using testing::Case;
using testing::Tensors;

constexpr double kMostRatio = 1.5;

/// x with every second entry, as drawn, replaced by a denormal number of its sign.
Tensor denormal_heavy(const Tensor& x, uint64_t seed) {
  if (x.dtype() != DType::f32) return x;
  std::vector<float> values = x.to_vector<float>();
  for (std::size_t i = 0; i < values.size(); ++i) {
    const uint64_t drawn = testing::draw_bits(seed, i);
    if (drawn % 2 == 0) continue;
    const auto steps = static_cast<float>(1 + (drawn >> 8) % 0x7fffff);
    values[i] = std::copysign(steps * std::numeric_limits<float>::denorm_min(), values[i]);
  }
  return Tensor::from(std::span<const float>(values), x.shape());
}

void compare(benchmark::State& state, const Case& test, bool gradient) {
  const Tensors ordinary = testing::make_inputs(test, DType::f32);
  Tensors denormal;
  for (std::size_t i = 0; i < ordinary.size(); ++i) denormal.push_back(denormal_heavy(ordinary[i], i));
  Tensor upstream, denormal_upstream;
  if (gradient) {
    upstream = testing::make_upstream(test, test.op(ordinary, DType::f32));
    denormal_upstream = denormal_heavy(upstream, 99);
  }
  const auto seconds = [&](const Tensors& inputs, const Tensor& dy) {
    const auto begin = std::chrono::steady_clock::now();
    if (gradient) {
      benchmark::DoNotOptimize(testing::run(test, inputs, DType::f32, dy).y.bytes());
    } else {
      const NoGrad quiet;
      benchmark::DoNotOptimize(test.op(inputs, DType::f32).bytes());
    }
    return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  };
  double best_ordinary = std::numeric_limits<double>::infinity(), best_denormal = best_ordinary;
  for (auto _ : state) {
    const double first = seconds(ordinary, upstream);
    const double second = seconds(denormal, denormal_upstream);
    best_ordinary = std::min(best_ordinary, first);
    best_denormal = std::min(best_denormal, second);
    state.SetIterationTime(first + second);
  }
  const double ratio = best_denormal / best_ordinary;
  state.counters["ordinary_us"] = 1e6 * best_ordinary;
  state.counters["denormal_us"] = 1e6 * best_denormal;
  state.counters["ratio"] = ratio;
  if (ratio > kMostRatio) state.SetLabel("above 1.5");
}

const bool registered = [] {
  for (const testing::Row& row : testing::op_rows()) {
    for (const Case& test : row.benches) {
      const std::string name =
          row.signature.substr(0, row.signature.find('(')) + test.name.substr(row.signature.size());
      for (const bool gradient : {false, true}) {
        if (gradient && !test.gradient) continue;
        const std::string whole = (gradient ? "denormal/gradient/" : "denormal/forward/") + name;
        benchmark::RegisterBenchmark(
            whole.c_str(), [&test, gradient](benchmark::State& state) { compare(state, test, gradient); })
            ->UseManualTime()
            ->MinTime(0.1)
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace gradus
