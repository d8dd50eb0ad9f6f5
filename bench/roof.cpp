#include "bench/roof.hpp"

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "tensor/kernels/kernels.hpp"
#include "tensor/machine.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

/// Bytes a second at which the threads in use read an array, the best of several passes.
double read_speed(const Storage& array) {
  constexpr int64_t kPiece = 16384;  // floats; small arrays are shared out too
  const auto* data = reinterpret_cast<const float*>(array.data());
  const auto count = static_cast<int64_t>(array.bytes() / sizeof(float));
  std::vector<float> results(static_cast<std::size_t>((count + kPiece - 1) / kPiece));
  double best = 0;
  const double end = now_seconds() + 4e-3;
  do {
    const double begin = now_seconds();
    parallel_ranges(count, kPiece, [&](int64_t first, int64_t last) {
      results[static_cast<std::size_t>(first / kPiece)] =
          kernels::table<float>().read({.x = data + first, .n = last - first});
    });
    best = std::max(best, static_cast<double>(count) * sizeof(float) / (now_seconds() - begin));
  } while (now_seconds() < end);
  benchmark::DoNotOptimize(results.data());
  return best;
}

}  // namespace

Roof::Roof(double flops, double bytes) : flops_(flops), bytes_(bytes) {
  const auto size = static_cast<std::size_t>(std::max(bytes, 4096.0));
  array_ = Storage::allocate(size);
  auto* data = reinterpret_cast<float*>(array_->mutable_data());
  std::fill(data, data + size / sizeof(float), 1.0f);
  measure();
}

void Roof::measure() {
  peak_ += measure_peak(thread_count(), 0.01).f32_gflops * 1e9;
  speed_ += read_speed(*array_);
  ++measurements_;
}

void Roof::finish(benchmark::State& state, double seconds) {
  measure();
  const double peak = peak_ / measurements_;
  const double speed = speed_ / measurements_;
  const bool by_peak = flops_ / peak > bytes_ / speed;
  state.counters["of_roof"] = std::max(flops_ / peak, bytes_ / speed) / seconds;
  // As counters, for of these the median of several repetitions is taken too.
  if (by_peak) {
    state.counters["peak_gflops"] = peak * 1e-9;
  } else {
    state.counters["read_gb_per_second"] = speed * 1e-9;
  }
}

bool RoofReporter::ReportContext(const Context&) { return true; }

void RoofReporter::ReportRuns(const std::vector<Run>& runs) {
  for (const Run& run : runs) {
    if (run.error_occurred) {
      std::printf("%s: %s\n", run.benchmark_name().c_str(), run.error_message.c_str());
      continue;
    }
    if (run.repetitions > 1 && run.aggregate_name != "median") continue;
    std::string name = run.run_name.str();
    // What google-benchmark adds to a name: how the time is taken.
    for (const std::string part : {"/real_time", "/repeats:"}) {
      if (const auto at = name.find(part); at != std::string::npos) name.resize(at);
    }
    const auto counter = [&](const char* counter_name) {
      const auto found = run.counters.find(counter_name);
      return found == run.counters.end() ? 0.0 : found->second.value;
    };
    const double peak = counter("peak_gflops");
    std::printf("%-50s %9.1f us %6.1f %% of %.1f %s\n", name.c_str(), run.GetAdjustedRealTime(),
                100 * counter("of_roof"), peak > 0 ? peak : counter("read_gb_per_second"),
                peak > 0 ? "GFLOP/s" : "GB/s");
  }
  std::fflush(stdout);
}

}  // namespace gradus
