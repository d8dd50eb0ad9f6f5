// gradus bench peak: the machine's limits, which the other benches hold their figures against.

#include "tensor/machine.hpp"
#include "tensor/parallel.hpp"
#include "tools/bench_common.hpp"

namespace gradus::tools {

int bench_peak(const Arguments& arguments) {
  constexpr int kSamples = 7;
  CommonOptions common;
  Args args(
      "bench peak",
      "Measures the machine's limits: fused multiply-adds on registers, and reading memory as a stream.");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  const std::vector<Tensor> memory{Tensor::full({int64_t{128} << 20}, 1)};
  std::vector<double> peaks, reads;
  for (int i = 0; i < kSamples; ++i) {
    if (interrupted()) throw Interrupted{};
    peaks.push_back(measure_peak(thread_count(), 0.1).f32_gflops);
    reads.push_back(read_bandwidth(memory) * 1e-9);
  }
  const double peak = median(peaks);
  const double read = median(reads);
  if (common.json) {
    Json json = Json::object();
    json.set("threads", int64_t{thread_count()}).set("samples", int64_t{kSamples});
    json.set("f32_gflops", peak).set("read_gb_per_second", read);
    print_json(json);
  } else {
    print_out("threads " + std::to_string(thread_count()) + "  f32 " + fixed(peak, 1) + " GFLOP/s  read " +
              fixed(read, 1) + " GB/s\n");
    flush_out();
  }
  return 0;
}

}  // namespace gradus::tools
