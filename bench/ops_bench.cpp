#include <benchmark/benchmark.h>

#include <string>

#include "tensor/autodiff.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/machine.hpp"
#include "tensor/parallel.hpp"
#include "tests/op_cases.hpp"

/// Every row of the op table, forward and with its gradient:
///   gradus_bench --benchmark_filter='softmax.*'
/// bytes counts inputs and outputs once, so that a memory-bound op can be held against the machine's bandwidth; peak and
/// bandwidth are measured at the start and stand in the header of the report.

namespace gradus {
namespace {

using testing::Case;
using testing::Tensors;

void forward(benchmark::State& state, const Case& test) {
  const Tensors inputs = testing::make_inputs(test, DType::f32);
  const NoGrad quiet;
  double bytes = 0;
  for (const Tensor& input : inputs) bytes += static_cast<double>(input.nbytes());
  bytes += static_cast<double>(test.op(inputs, DType::f32).nbytes());
  for (auto _ : state) {
    const Tensor y = test.op(inputs, DType::f32);
    benchmark::DoNotOptimize(y.bytes());
  }
  using benchmark::Counter;
  state.counters["bytes"] = Counter(bytes, Counter::kIsIterationInvariantRate, Counter::kIs1000);
  if (test.flops > 0)
    state.counters["flops"] = Counter(test.flops, Counter::kIsIterationInvariantRate, Counter::kIs1000);
}

void forward_backward(benchmark::State& state, const Case& test) {
  const Tensors inputs = testing::make_inputs(test, DType::f32);
  const Tensor upstream = testing::make_upstream(test, test.op(inputs, DType::f32));
  for (auto _ : state) {
    const testing::Outcome outcome = testing::run(test, inputs, DType::f32, upstream);
    benchmark::DoNotOptimize(outcome.y.bytes());
  }
  using benchmark::Counter;
  // A product's gradient is two products of the same size.
  if (test.flops > 0)
    state.counters["flops"] = Counter(3 * test.flops, Counter::kIsIterationInvariantRate, Counter::kIs1000);
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
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  const int threads = gradus::thread_count();
  benchmark::AddCustomContext("isa", gradus::kernels::table<float>().name);
  benchmark::AddCustomContext("threads", std::to_string(threads));
  benchmark::AddCustomContext("f32 peak, GFLOP/s", std::to_string(gradus::measure_peak(threads).f32_gflops));
  benchmark::AddCustomContext("read bandwidth, GB/s",
                              std::to_string(gradus::measure_read_bandwidth(threads)));
  gradus::register_rows();
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
  return 0;
}
