// gradus bench peak: the machine's limits, which the other benches hold their figures against.

#include "tensor/kernels/kernels.hpp"
#include "tensor/machine.hpp"
#include "tensor/parallel.hpp"
#include "tools/bench_common.hpp"

namespace gradus::tools {

int bench_peak(const Arguments& arguments) {
  constexpr int kSamples = 7;
  CommonOptions common;
  Args args("bench peak",
            "Measures the machine's limits: fused multiply-adds on registers, the clock, and reading memory "
            "as a stream.");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  const std::vector<Tensor> memory{Tensor::full({int64_t{128} << 20}, 1)};
  std::vector<double> peaks, clocks, reads;
  for (int i = 0; i < kSamples; ++i) {
    if (interrupted()) throw Interrupted{};
    clocks.push_back(measure_clock_ghz(thread_count(), 0.05));
    peaks.push_back(peak_flops(0.1) * 1e-9);
    reads.push_back(read_bandwidth(memory) * 1e-9);
  }
  const double peak = median(peaks);
  const double clock = median(clocks);
  const double read = median(reads);
  const int cores = cores_used(thread_count());
  const double flops_per_cycle = clock > 0 ? peak / (clock * cores) : 0;
  const std::string isa = kernels::table<float>().name;
  if (common.json) {
    Json json = Json::object();
    json.set("threads", int64_t{thread_count()}).set("samples", int64_t{kSamples}).set("isa", isa);
    json.set("f32_gflops", peak).set("read_gb_per_second", read);
    if (clock > 0) json.set("clock_ghz", clock).set("flops_per_cycle", flops_per_cycle);
    print_bench_json(json);
    return 0;
  }
  print_out("threads  " + std::to_string(thread_count()) + "\n");
  print_out("f32      " + fixed(peak, 1) + " GFLOP/s with " + isa + "\n");
  if (clock > 0)
    print_out("clock    " + fixed(clock, 3) + " GHz, so " + fixed(flops_per_cycle, 2) +
              " operations a cycle and core\n");
  print_out("read     " + fixed(read, 1) + " GB/s from " +
            bytes_text(static_cast<double>(memory[0].nbytes())) + "\n");
  finish_text(common);
  return 0;
}

}  // namespace gradus::tools
