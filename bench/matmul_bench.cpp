#include <benchmark/benchmark.h>

#include <chrono>
#include <string>
#include <tuple>

#include "bench/roof.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/ops.hpp"
#include "tensor/parallel.hpp"
#include "tests/support/tensors.hpp"

/// Matrix products of the shapes that models are made of, in the three forms of training: nt is a layer's forward pass
/// x · wᵀ, nn its gradient to the input, tn its gradient to the weight; on one thread and on all.

namespace gradus {
namespace {

struct Product {
  const char* what;
  int64_t m, n, k;
};
const Product kProducts[] = {
    {"square", 512, 512, 512},      {"mlp up", 1024, 3072, 768},       {"mlp down", 1024, 768, 3072},
    {"qkv", 1024, 2304, 768},       {"output layer", 1024, 2048, 384}, {"nano mlp", 768, 512, 128},
    {"nano attention", 64, 64, 32}, {"odd", 1021, 1031, 257},          {"one token", 1, 3072, 768},
    {"eight tokens", 8, 3072, 768},
};

void product(benchmark::State& state, const Product& shape, bool transpose_a, bool transpose_b, int threads) {
  const int before = thread_count();
  set_thread_count(threads);
  const Tensor a = testing::random_tensor(transpose_a ? Shape{shape.k, shape.m} : Shape{shape.m, shape.k}, 1);
  const Tensor b = testing::random_tensor(transpose_b ? Shape{shape.n, shape.k} : Shape{shape.k, shape.n}, 2);
  const NoGrad quiet;
  const auto count = [](int64_t rows, int64_t columns) {
    return static_cast<double>(rows) * static_cast<double>(columns);
  };
  const double flops = 2 * count(shape.m, shape.n) * static_cast<double>(shape.k);
  Roof roof(flops, 4 * (count(shape.m, shape.k) + count(shape.k, shape.n) + count(shape.m, shape.n)));
  const auto begin = std::chrono::steady_clock::now();
  for (auto _ : state) {
    const Tensor y = matmul(a, b, transpose_a, transpose_b);
    benchmark::DoNotOptimize(y.bytes());
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  roof.finish(state, seconds / static_cast<double>(state.iterations()));
  set_thread_count(before);
}

const bool registered = [] {
  for (int threads = 1; threads <= available_cores(); threads *= 2) {
    for (const Product& shape : kProducts) {
      for (const auto& [form, transpose_a, transpose_b] :
           {std::tuple{"nt", false, true}, std::tuple{"nn", false, false}, std::tuple{"tn", true, false}}) {
        const std::string name = std::string("matmul/") + shape.what + "/" + form + "/" +
                                 std::to_string(shape.m) + "x" + std::to_string(shape.n) + "x" +
                                 std::to_string(shape.k) + "/threads:" + std::to_string(threads);
        benchmark::RegisterBenchmark(name.c_str(),
                                     [=, &shape, a = transpose_a, b = transpose_b](benchmark::State& state) {
                                       product(state, shape, a, b, threads);
                                     })
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
  return true;
}();

}  // namespace
}  // namespace gradus
