#include <benchmark/benchmark.h>

#include <chrono>
#include <cstdio>
#include <string>
#include <string_view>

#include "bench/roof.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/machine.hpp"
#include "tensor/parallel.hpp"
#include "tests/tensor/op_cases.hpp"

/// Every row of the op table, forward and with its gradient:
///   gradus_bench --benchmark_filter='softmax.*'
/// Each is held against its roof: of bytes, inputs and outputs count once; a gradient also reads the upstream gradient and
/// writes one for each input that has one.

namespace gradus {
namespace {

using testing::Case;
using testing::Tensors;

double bytes_of(const Tensors& tensors) {
  double bytes = 0;
  for (const Tensor& tensor : tensors) {
    if (tensor) bytes += static_cast<double>(tensor.nbytes());
  }
  return bytes;
}

/// Runs a body as often as google-benchmark asks, and reports it against its roof.
template <class Body>
void run(benchmark::State& state, double flops, double bytes, Body body) {
  Roof roof(flops, bytes);
  body();
  const auto begin = std::chrono::steady_clock::now();
  for (auto _ : state) body();
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  roof.finish(state, seconds / static_cast<double>(state.iterations()));
}

void forward(benchmark::State& state, const Case& test) {
  const Tensors inputs = testing::make_inputs(test, DType::f32);
  const NoGrad quiet;
  const double bytes = bytes_of(inputs) + static_cast<double>(test.op(inputs, DType::f32).nbytes());
  run(state, test.flops, bytes, [&] {
    const Tensor y = test.op(inputs, DType::f32);
    benchmark::DoNotOptimize(y.bytes());
  });
}

void forward_backward(benchmark::State& state, const Case& test) {
  const Tensors inputs = testing::make_inputs(test, DType::f32);
  const Tensor upstream = testing::make_upstream(test, test.op(inputs, DType::f32));
  const testing::Outcome once = testing::run(test, inputs, DType::f32, upstream);
  const double bytes = bytes_of(inputs) + bytes_of({once.y, upstream}) + bytes_of(once.gradients);
  // A product's gradient is two products of the same size.
  run(state, 3 * test.flops, bytes, [&] {
    const testing::Outcome outcome = testing::run(test, inputs, DType::f32, upstream);
    benchmark::DoNotOptimize(outcome.y.bytes());
  });
}

void register_rows() {
  for (const testing::Row& row : testing::op_rows()) {
    for (const Case& test : row.benches) {
      // Without the parameter types: "softmax of (1024, 1000)".
      const std::string name =
          row.signature.substr(0, row.signature.find('(')) + test.name.substr(row.signature.size());
      const auto add = [&](const char* kind, void (*body)(benchmark::State&, const Case&)) {
        benchmark::RegisterBenchmark((kind + name).c_str(),
                                     [&test, body](benchmark::State& state) { body(state, test); })
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
      };
      add("forward/", forward);
      if (test.gradient) add("gradient/", forward_backward);
    }
  }
}

}  // namespace
}  // namespace gradus

int main(int argc, char** argv) {
  // Another format than ours, or a file, is google-benchmark's own matter.
  bool own_format = true;
  for (int i = 1; i < argc; ++i) {
    const std::string_view word = argv[i];
    if (word.starts_with("--benchmark_format") || word.starts_with("--benchmark_out") ||
        word.starts_with("--benchmark_list_tests"))
      own_format = false;
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  gradus::register_rows();
  if (own_format) {
    gradus::RoofReporter reporter;
    benchmark::RunSpecifiedBenchmarks(&reporter);
  } else {
    benchmark::AddCustomContext("isa", gradus::kernels::table<float>().name);
    benchmark::AddCustomContext("threads", std::to_string(gradus::thread_count()));
    benchmark::RunSpecifiedBenchmarks();
  }
  benchmark::Shutdown();
  return 0;
}
