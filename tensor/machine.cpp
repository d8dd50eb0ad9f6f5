#include "tensor/machine.hpp"

#include <algorithm>
#include <chrono>
#include <fstream>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/detail/control_group.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/parallel.hpp"
#include "tensor/storage.hpp"

namespace gradus {
namespace {

/// The thread count for a measurement, put back at its end.
class ThreadCount {
 public:
  explicit ThreadCount(int threads) : before_(thread_count()) { set_thread_count(threads); }
  ~ThreadCount() { set_thread_count(before_); }
  ThreadCount(const ThreadCount&) = delete;
  ThreadCount& operator=(const ThreadCount&) = delete;

 private:
  int before_;
};

/// The number after `key` in a file of "key  number kB" lines, in bytes; 0 where there is none.
uint64_t kilobytes_of(const char* path, const std::string& key) {
  std::ifstream file(path);
  std::string name;
  while (file >> name) {
    uint64_t value = 0;
    if (name == key && file >> value) return value * 1024;
    file.ignore(1 << 20, '\n');
  }
  return 0;
}

/// The least of what the control groups around this process say.
uint64_t least_of_groups(uint64_t least, uint64_t detail::GroupMemory::*part) {
  for (const std::string& folder : detail::control_group_folders("memory")) {
    least = std::min(least, detail::group_memory(folder).*part);
  }
  return least;
}

/// The most rounds a second that `threads` threads together get out of run(rounds), within about `seconds`: the best of
/// several slices, since whatever disturbs a slice only slows it.
template <class Run>
double best_rounds_per_second(int threads, double seconds, Run run) {
  // A slice of about two milliseconds: long against the clock's resolution, short against a neighbour's time slice.
  int64_t rounds = 1000;
  for (;;) {
    const double begin = now_seconds();
    run(rounds);
    if (now_seconds() - begin > 2e-3 || rounds > (int64_t{1} << 40)) break;
    rounds *= 2;
  }
  // Each thread gets four slices, so that one which wakes late does not decide.
  const int64_t chunks = 4 * static_cast<int64_t>(threads);
  double best = 0;
  const double end = now_seconds() + seconds;
  do {
    const double begin = now_seconds();
    parallel_for(chunks, [&](int64_t) { run(rounds); });
    best = std::max(best, static_cast<double>(rounds * chunks) / (now_seconds() - begin));
  } while (now_seconds() < end);
  return best;
}

}  // namespace

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

int cores_used(int threads) {
#ifdef GRADUS_NO_THREADS
  return std::min(threads, 1);
#else
  return std::min(threads, available_cores());
#endif
}

MachinePeak measure_peak(int threads, double seconds) {
  const ThreadCount scope(threads);
  const auto& table = kernels::table<float>();
  const double rounds = best_rounds_per_second(threads, seconds, [&](int64_t count) {
    volatile float sink = table.peak({.rounds = count});
    (void)sink;
  });
  return {threads, 2.0 * 16 * static_cast<double>(table.registers) * rounds * 1e-9};
}

double measure_clock_ghz([[maybe_unused]] int threads, [[maybe_unused]] double seconds) {
#if defined(__x86_64__)
  const ThreadCount scope(threads);
  constexpr double kAdditions = 64;
  // Registers on both sides: processors exist that need no cycle to add a constant.
  const double rounds = best_rounds_per_second(threads, seconds, [](int64_t count) {
    uint64_t sum = 0;
    const uint64_t term = 3;
    for (int64_t i = 0; i < count; ++i)
      asm volatile(".rept 64\n\tadd %1, %0\n\t.endr" : "+r"(sum) : "r"(term) : "cc");
  });
  return rounds * kAdditions / cores_used(threads) * 1e-9;
#else
  return 0;
#endif
}

double measure_read_bandwidth(int threads, std::size_t bytes, int passes) {
  const ThreadCount scope(threads);
  const auto& table = kernels::table<float>();
  const auto storage = Storage::allocate(bytes);
  float* data = reinterpret_cast<float*>(storage->mutable_data());
  const int64_t count = static_cast<int64_t>(bytes / sizeof(float));
  constexpr int64_t kPiece = int64_t{1} << 20;  // 4 MiB
  parallel_ranges(count, kPiece,
                  [&](int64_t begin, int64_t end) { std::fill(data + begin, data + end, 1.0f); });
  std::vector<double> speeds;
  std::vector<float> results(static_cast<std::size_t>((count + kPiece - 1) / kPiece));
  for (int pass = 0; pass < passes; ++pass) {
    const double begin = now_seconds();
    parallel_ranges(count, kPiece, [&](int64_t first, int64_t last) {
      results[static_cast<std::size_t>(first / kPiece)] = table.read({.x = data + first, .n = last - first});
    });
    speeds.push_back(static_cast<double>(bytes) / (now_seconds() - begin));
  }
  std::sort(speeds.begin(), speeds.end());
  return speeds[speeds.size() / 2] * 1e-9;
}

bool has_fused_multiply_add() {
  const std::string_view name = kernels::table<float>().name;
  return name != "scalar" && name != "sse2";
}

uint64_t resident_bytes() { return kilobytes_of("/proc/self/status", "VmRSS:"); }

uint64_t peak_resident_bytes() { return kilobytes_of("/proc/self/status", "VmHWM:"); }

uint64_t total_memory_bytes() {
  return least_of_groups(kilobytes_of("/proc/meminfo", "MemTotal:"), &detail::GroupMemory::limit);
}

uint64_t available_memory_bytes() {
  return least_of_groups(kilobytes_of("/proc/meminfo", "MemAvailable:"), &detail::GroupMemory::available);
}

}  // namespace gradus
