#pragma once

#include <cstddef>
#include <cstdint>

namespace gradus {

/// Seconds on a clock that only goes forward; what it counts from means nothing.
double now_seconds();

/// What this machine can do at most, measured: every speed in this project is given as a fraction of one of these.
struct MachinePeak {
  int threads = 0;
  double f32_gflops = 0;  ///< all threads together; a fused multiply-add counts 2
};
/// Fused multiply-adds on registers alone, at the instruction set in use, by `threads` threads at once for about
/// `seconds` after a warm-up; the best of several slices, since whatever disturbs a slice only slows it.
MachinePeak measure_peak(int threads, double seconds = 0.3);

/// Cores that so many threads keep busy: 1 in a build without threads.
int cores_used(int threads);

/// The clock of `threads` cores while all of them run, in GHz: a chain of additions, each waiting for the one before, takes
/// a cycle for each. 0 where that is not known (other processors than x86-64).
/// note: a core can have another clock under wide multiply-adds; measure_peak() over this is what a cycle gives at most.
double measure_clock_ghz(int threads, double seconds = 0.1);

/// Reads `bytes` of memory, as a stream, by `threads` threads at once; GB/s, the median of several passes.
double measure_read_bandwidth(int threads, std::size_t bytes = std::size_t{512} << 20, int passes = 5);

/// Whether the instruction set in use has fused multiply-add: results are the same bits on all that have it, and others on
/// those that have not.
bool has_fused_multiply_add();

/// Resident memory of this process now, and the most so far, in bytes.
uint64_t resident_bytes();
uint64_t peak_resident_bytes();
/// Memory that this process may still take: the machine's available memory, or less where a control group says so.
uint64_t available_memory_bytes();
uint64_t total_memory_bytes();

}  // namespace gradus
