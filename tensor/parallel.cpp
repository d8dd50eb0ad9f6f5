#include "tensor/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <mutex>
#include <thread>

#include "tensor/detail/control_group.hpp"
#include "tensor/error.hpp"
#include "tensor/storage.hpp"

#if defined(__linux__)
#include <sched.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>
#endif
#if defined(__x86_64__) || defined(__i386__)
#include <xmmintrin.h>
#endif
#ifndef GRADUS_NO_THREADS
#include <oneapi/tbb/global_control.h>
#include <oneapi/tbb/info.h>
#include <oneapi/tbb/task_arena.h>

#include <memory>
#endif

namespace gradus {
namespace {

/// While it lives: round to nearest, denormals on, exceptions masked; then the thread's own state again.
class FloatState {
 public:
#if defined(__x86_64__) || defined(__i386__)
  FloatState() : previous_(_mm_getcsr()) {
    // The low six bits are flags of what happened, not control.
    if ((previous_ & ~0x3Fu) != kDefault) _mm_setcsr(kDefault);
  }
  ~FloatState() {
    if ((previous_ & ~0x3Fu) != kDefault) _mm_setcsr(previous_);
  }

 private:
  static constexpr unsigned kDefault = 0x1F80;
  unsigned previous_;
#elif defined(__aarch64__)
  FloatState() {
    asm volatile("mrs %0, fpcr" : "=r"(previous_));
    if (previous_ != 0) asm volatile("msr fpcr, %0" : : "r"(uint64_t{0}));
  }
  ~FloatState() {
    if (previous_ != 0) asm volatile("msr fpcr, %0" : : "r"(previous_));
  }

 private:
  uint64_t previous_ = 0;
#else
  FloatState() {}
#endif
  FloatState(const FloatState&) = delete;
  FloatState& operator=(const FloatState&) = delete;
};

void run_inline(int64_t chunks, detail::ChunkFn fn, void* context) noexcept {
  for (int64_t chunk = 0; chunk < chunks; ++chunk) fn(context, chunk);
}

#if defined(__linux__)
/// Processors that a control group's quota comes to, rounded up; 0 where there is none.
int quota_cores(double quota, double period) {
  return quota > 0 && period > 0 ? std::max(1, static_cast<int>((quota + period - 1) / period)) : 0;
}

/// The tightest quota of this process's control group and of those around it; 0 where there is none.
int group_cores() {
  int least = 0;
  const auto take = [&least](double quota, double period) {
    const int cores = quota_cores(quota, period);
    if (cores > 0 && (least == 0 || cores < least)) least = cores;
  };
  for (const std::string& folder : detail::control_group_folders("cpu")) {
    std::string quota;
    double period = 0;
    std::ifstream v2(folder + "/cpu.max");
    if (v2 >> quota >> period && quota != "max") take(std::strtod(quota.c_str(), nullptr), period);
    std::ifstream v1(folder + "/cpu.cfs_quota_us");
    std::ifstream v1_period(folder + "/cpu.cfs_period_us");
    if (v1 >> quota && v1_period >> period) take(std::strtod(quota.c_str(), nullptr), period);
  }
  return least;
}

int affinity_cores() {
  // The kernel refuses masks shorter than its own, so that machines beyond 1024 processors need a longer one.
  for (int count = 1024; count <= 1 << 20; count *= 2) {
    cpu_set_t* set = CPU_ALLOC(count);
    if (set == nullptr) return 0;
    const std::size_t bytes = CPU_ALLOC_SIZE(count);
    const bool known = sched_getaffinity(0, bytes, set) == 0;
    const int cores = known ? CPU_COUNT_S(bytes, set) : 0;
    CPU_FREE(set);
    if (known) return cores;
  }
  return 0;
}
#endif

int count_cores() {
#if defined(__linux__)
  int cores = affinity_cores();
  const int quota = group_cores();
  if (cores <= 0) cores = static_cast<int>(std::thread::hardware_concurrency());
  if (quota > 0) cores = std::min(cores, quota);
#else
  const int cores = static_cast<int>(std::thread::hardware_concurrency());
#endif
  return std::max(1, cores);
}

#ifndef GRADUS_NO_THREADS

using Clock = std::chrono::steady_clock;
constexpr auto kSpin = std::chrono::microseconds(80);  // how long a helper stays awake between jobs

void pause() {
#if defined(__x86_64__) || defined(__i386__)
  _mm_pause();
#elif defined(__aarch64__)
  asm volatile("yield");
#endif
}

thread_local bool inside_chunk = false;

/// The threads that run a job's chunks: the caller and helpers that it borrows from a TBB arena.
///
/// Every thread has a seat, and every seat its share of the job's chunks, the same share each time: what one region
/// wrote, the next one's reads find in the same core's cache. A thread that has finished its own share takes from the
/// others', so that the caller can finish alone. A chunk is claimed by exchanging its seat's `state` (job number, next
/// chunk): a claim of an old job fails, and a helper that has claimed nothing is never waited for. All that a helper
/// reads for a job lies in its seat's cache line, since a line takes 40 to 180 ns from one core to another.
class ThreadTeam {
 public:
  /// note: never destroyed, since helpers may still be awake when the process ends.
  static ThreadTeam& instance() {
    static auto* const team = new ThreadTeam;
    return *team;
  }

  int threads() const { return threads_.load(std::memory_order_relaxed); }

  void set_threads(int threads) {
    const std::scoped_lock lock(mutex_);
    threads_.store(threads, std::memory_order_relaxed);
  }

  /// Whether the job ran; false where another thread's job is under way.
  bool run(int64_t chunks, detail::ChunkFn fn, void* context) {
    const std::unique_lock lock(mutex_, std::try_to_lock);
    if (!lock.owns_lock()) return false;
    for (int64_t first = 0; first < chunks; first += kMaxChunks) {
      run_job(std::min(chunks - first, kMaxChunks), first, fn, context);
    }
    return true;
  }

 private:
  static constexpr int64_t kMaxChunks = int64_t{1} << 31;
  static constexpr uint64_t kChunkMask = 0xFFFFFFFFu;
  static constexpr uint64_t kClosed = kChunkMask;  // beyond any number of chunks

  struct alignas(64) Seat {
    std::atomic<uint64_t> state{kClosed};
    std::atomic<int64_t> end{0};
    std::atomic<int64_t> first{0};  // added to a chunk's number
    std::atomic<detail::ChunkFn> fn{nullptr};
    std::atomic<void*> context{nullptr};
    // Chunks that the seat's thread ever ran, its own and others'.
    alignas(64) std::atomic<int64_t> finished{0};
    std::atomic<bool> taken{false};
  };

  ThreadTeam() : threads_(std::min(available_cores(), kMaxThreads)) {}

  static uint64_t job_of(uint64_t state) { return state & ~kChunkMask; }

  void run_job(int64_t chunks, int64_t first, detail::ChunkFn fn, void* context) {
    job_ += kChunkMask + 1;
    const int count = threads();
    used_seats_ = std::max(used_seats_, count);
    for (int i = count - 1; i >= 0; --i) {
      Seat& seat = seats_[i];
      // Closed while the fields change; whoever reads a new field then fails to exchange an old state.
      seat.state.store(job_ | kClosed, std::memory_order_relaxed);
      seat.end.store((chunks * (i + 1) + count - 1) / count, std::memory_order_release);
      seat.first.store(first, std::memory_order_release);
      seat.fn.store(fn, std::memory_order_release);
      seat.context.store(context, std::memory_order_release);
      seat.state.store(job_ | static_cast<uint64_t>((chunks * i + count - 1) / count),
                       std::memory_order_release);
    }
    call_helpers(static_cast<int>(std::min<int64_t>(count, chunks) - 1));
    work(0);
    finished_ += chunks;
    // What remains are chunks that helpers have begun.
    for (int spins = 0; sum_finished() < finished_; ++spins) {
      if (spins < 2000) {
        pause();
      } else {
        std::this_thread::yield();
      }
    }
    limit_.reset();
  }

  int64_t sum_finished() const {
    int64_t sum = 0;
    for (int i = 0; i < used_seats_; ++i) sum += seats_[i].finished.load(std::memory_order_acquire);
    return sum;
  }

  void call_helpers(int wanted) noexcept {
    // Written, not only read: this and the subtraction in help() come one after the other, so that either this thread
    // sees that a helper has left, or the helper sees this job.
    int missing = wanted - helpers_.fetch_add(0);
    if (missing <= 0) return;
    helpers_.fetch_add(missing);
    try {
      if (arenas_.empty() || arenas_.back()->max_concurrency() < wanted) {
        arenas_.push_back(std::make_unique<tbb::task_arena>(std::max(wanted, threads() - 1), 0));
      }
      // The limit is the host program's. Only where more threads are asked for than TBB would run does the library set
      // its own, while a job runs.
      if (threads() > tbb::info::default_concurrency() && limit_ == nullptr) {
        limit_ = std::make_unique<tbb::global_control>(tbb::global_control::max_allowed_parallelism,
                                                       static_cast<std::size_t>(threads()));
      }
      for (; missing > 0; --missing) arenas_.back()->enqueue([] { instance().help(); });
    } catch (...) {
      // The system gives no more threads or memory: the caller finishes with the helpers that are there.
      helpers_.fetch_sub(missing);
    }
  }

  /// Claims and runs chunks of one seat until none is left; how many it ran.
  static int64_t work_at(Seat& seat) noexcept {
    int64_t ran = 0;
    for (uint64_t state = seat.state.load(std::memory_order_acquire);;) {
      const auto chunk = static_cast<int64_t>(state & kChunkMask);
      const detail::ChunkFn fn = seat.fn.load(std::memory_order_acquire);
      void* const context = seat.context.load(std::memory_order_acquire);
      const int64_t first = seat.first.load(std::memory_order_acquire);
      if (chunk >= seat.end.load(std::memory_order_acquire)) return ran;
      if (!seat.state.compare_exchange_weak(state, state + 1, std::memory_order_acq_rel)) continue;
      inside_chunk = true;
      fn(context, first + chunk);
      inside_chunk = false;
      ++ran;
      state = seat.state.load(std::memory_order_acquire);
    }
  }

  /// Runs chunks, the thread's own share first, until none is left.
  void work(int own) noexcept {
    const int count = threads();
    for (int i = 0; i < count; ++i) {
      const int64_t ran = work_at(seats_[(own + i) % count]);
      if (ran > 0) seats_[own].finished.fetch_add(ran, std::memory_order_acq_rel);
    }
  }

  /// A free seat of a helper, now taken; 0 where there is none.
  int take_seat() {
    for (int i = 1; i < threads(); ++i) {
      if (!seats_[i].taken.exchange(true)) return i;
    }
    return 0;
  }

  /// What a helper does: chunks while there are any, then a short wait for the next job.
  void help() {
    const FloatState float_state;
    uint64_t seen = ~uint64_t{0};  // the last job that it looked at
    for (int own = take_seat(); own != 0; own = take_seat()) {
      Seat& seat = seats_[own];
      const auto is_new = [&seen](uint64_t state) {
        return job_of(state) != seen && (state & kChunkMask) != kClosed;
      };
      auto idle_since = Clock::now();
      for (int spins = 1; helpers_.load(std::memory_order_relaxed) < threads() && own < threads(); ++spins) {
        // Looked at once: a second look may find the next job, half given out, which then would count as seen.
        const uint64_t state = seat.state.load(std::memory_order_acquire);
        if (is_new(state)) {
          seen = job_of(state);
          work(own);
          idle_since = Clock::now();
          spins = 0;
        } else if (threads() > available_cores()) {
          std::this_thread::yield();
        } else {
          pause();
        }
        if (spins % 32 == 31 && Clock::now() - idle_since > kSpin) break;
      }
      seat.taken.store(false);
      const bool surplus = helpers_.fetch_sub(1) >= threads();
      // A job that came between the last look and here counted this helper as present: serve it. But where another was
      // called meanwhile, make room: it may be waiting for this very thread.
      if (surplus || !is_new(seat.state.load(std::memory_order_acquire))) return;
      helpers_.fetch_add(1);
    }
    helpers_.fetch_sub(1);
  }

  std::mutex mutex_;  // of the thread whose job runs; guards what is no atomic
  std::atomic<int> threads_;
  std::atomic<int> helpers_{0};                 // called or awake
  std::unique_ptr<tbb::global_control> limit_;  // while a job runs on more threads than TBB would give
  std::vector<std::unique_ptr<tbb::task_arena>> arenas_;  // the last is used; the others may hold helpers yet
  uint64_t job_ = 0;
  int64_t finished_ = 0;  // chunks of all jobs so far
  int used_seats_ = 0;
  Seat seats_[kMaxThreads];
};

#else

std::atomic<int> inline_threads{1};

#endif

}  // namespace

int available_cores() {
  static const int cores = count_cores();
  return cores;
}

#ifndef GRADUS_NO_THREADS

int thread_count() { return ThreadTeam::instance().threads(); }

void set_thread_count(int threads) {
  check(threads >= 1 && threads <= kMaxThreads, "set_thread_count: threads must be in [1, ", kMaxThreads,
        "]; ", threads, " were asked for; available_cores() is ", available_cores());
  check(!inside_chunk,
        "set_thread_count: must not be called inside parallel_for; call it between parallel regions");
  if (threads != thread_count()) ThreadTeam::instance().set_threads(threads);
}

void detail::run_chunks(int64_t chunks, ChunkFn fn, void* context) {
  if (chunks <= 0 || DryRunMemory::active()) return;
  const FloatState float_state;
  if (chunks == 1 || inside_chunk || thread_count() == 1 ||
      !ThreadTeam::instance().run(chunks, fn, context)) {
    run_inline(chunks, fn, context);
  }
}

#else

int thread_count() { return inline_threads.load(); }

void set_thread_count(int threads) {
  check(threads >= 1 && threads <= kMaxThreads, "set_thread_count: threads must be in [1, ", kMaxThreads,
        "]; ", threads, " were asked for; this build runs everything on the calling thread");
  inline_threads.store(threads);
}

void detail::run_chunks(int64_t chunks, ChunkFn fn, void* context) {
  if (chunks <= 0 || DryRunMemory::active()) return;
  const FloatState float_state;
  run_inline(chunks, fn, context);
}

#endif

}  // namespace gradus
