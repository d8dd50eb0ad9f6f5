#include "tensor/parallel.hpp"

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <numeric>
#include <set>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/use_threads.hpp"

#ifndef GRADUS_NO_THREADS
#include <oneapi/tbb/global_control.h>
#endif
#if defined(__x86_64__)
#include <xmmintrin.h>
#endif

using namespace gradus;
using Catch::Matchers::ContainsSubstring;
using gradus::testing::UseThreads;

namespace {

/// A result that would change if chunks were lost, doubled or merged.
std::vector<double> partial_sums(int64_t chunks) {
  std::vector<double> sums(static_cast<std::size_t>(chunks), 0.0);
  parallel_for(chunks, [&](int64_t chunk) {
    for (int i = 1; i <= 50; ++i)
      sums[static_cast<std::size_t>(chunk)] += 1.0 / (static_cast<double>(chunk) + i);
  });
  return sums;
}

#ifndef GRADUS_NO_THREADS
std::size_t tbb_limit() {
  return tbb::global_control::active_value(tbb::global_control::max_allowed_parallelism);
}
const std::size_t limit_at_start = tbb_limit();
#endif

}  // namespace

TEST_CASE("Every chunk runs once, whatever the number of threads") {
  for (const int threads : {1, 2, 3, 4, 8}) {
    const UseThreads scope(threads);
    for (const int64_t chunks : {0, 1, 2, 3, 7, 64, 1000}) {
      std::vector<std::atomic<int>> runs(static_cast<std::size_t>(chunks));
      parallel_for(chunks, [&](int64_t chunk) { runs[static_cast<std::size_t>(chunk)].fetch_add(1); });
      bool once = true;
      for (const auto& count : runs) once = once && count.load() == 1;
      CHECK(once);
    }
  }
  parallel_for(-5, [](int64_t) { FAIL("no chunk was asked for"); });
}

TEST_CASE("Of the chunks that throw the first one's error is given, and all the others run") {
  for (const int threads : {1, 2, 4}) {
    const UseThreads scope(threads);
    std::atomic<int> runs{0};
    const auto run = [&] {
      parallel_for_throwing(100, [&](int64_t chunk) {
        if (chunk % 40 == 33) throw std::runtime_error("chunk " + std::to_string(chunk));
        ++runs;
      });
    };
    CHECK_THROWS_WITH(run(), "chunk 33");
    CHECK(runs == 98);
  }
  parallel_for_throwing(-5, [](int64_t) { FAIL("no chunk was asked for"); });
}

TEST_CASE("Many short jobs in a row lose and repeat nothing") {
  for (const int threads : {2, 4}) {
    const UseThreads scope(threads);
    std::atomic<int64_t> total{0};
    int64_t expected = 0;
    for (int job = 0; job < 20000; ++job) {
      const int64_t chunks = 1 + job % 9;
      expected += chunks * (chunks - 1) / 2 + job * chunks;
      parallel_for(chunks, [&](int64_t chunk) { total.fetch_add(chunk + job, std::memory_order_relaxed); });
    }
    CHECK(total.load() == expected);
  }
}

TEST_CASE("Results of chunks are the same bits at 1, 2 and 4 threads") {
  std::vector<double> at_one;
  {
    const UseThreads scope(1);
    at_one = partial_sums(500);
  }
  for (const int threads : {2, 4}) {
    const UseThreads scope(threads);
    CHECK(partial_sums(500) == at_one);
  }
}

TEST_CASE("Ranges cover the count in fixed pieces") {
  const UseThreads scope(2);
  for (const int64_t count : {0, 1, 99, 100, 101, 1000}) {
    std::vector<int> runs(static_cast<std::size_t>(count), 0);
    std::atomic<bool> fixed{true};
    parallel_ranges(count, 100, [&](int64_t begin, int64_t end) {
      if (begin % 100 != 0 || (end != count && end != begin + 100)) fixed = false;
      for (int64_t i = begin; i < end; ++i) ++runs[static_cast<std::size_t>(i)];
    });
    CHECK(fixed);
    CHECK(runs == std::vector<int>(static_cast<std::size_t>(count), 1));
  }
}

TEST_CASE("Nested calls run inline and complete") {
  const UseThreads scope(4);
  std::vector<std::atomic<int>> runs(20 * 30);
  std::atomic<bool> same_thread{true};
  parallel_for(20, [&](int64_t outer) {
    const auto self = std::this_thread::get_id();
    parallel_for(30, [&, outer](int64_t inner) {
      if (std::this_thread::get_id() != self) same_thread = false;
      runs[static_cast<std::size_t>(outer * 30 + inner)].fetch_add(1);
    });
  });
  CHECK(same_thread);
  bool once = true;
  for (const auto& count : runs) once = once && count.load() == 1;
  CHECK(once);
}

TEST_CASE("Several host threads may run jobs at once") {
  const UseThreads scope(2);
  const std::vector<double> expected = partial_sums(100);
  std::atomic<int> wrong{0};
  std::vector<std::thread> hosts;
  for (int host = 0; host < 4; ++host) {
    hosts.emplace_back([&] {
      for (int round = 0; round < 300; ++round) {
        if (partial_sums(100) != expected) wrong.fetch_add(1);
      }
    });
  }
  for (auto& host : hosts) host.join();
  CHECK(wrong == 0);
}

TEST_CASE("The thread count may change between jobs while other threads run theirs") {
  const UseThreads scope(2);
  const std::vector<double> expected = partial_sums(64);
  std::atomic<bool> stop{false};
  std::atomic<int> wrong{0};
  std::thread host([&] {
    while (!stop) {
      if (partial_sums(64) != expected) wrong.fetch_add(1);
    }
  });
  for (int round = 0; round < 200; ++round) {
    set_thread_count(1 + round % 4);
    if (partial_sums(64) != expected) wrong.fetch_add(1);
  }
  stop = true;
  host.join();
  CHECK(wrong == 0);
}

#ifndef GRADUS_NO_THREADS

TEST_CASE("Helpers that come and go between jobs go on helping") {
  if (available_cores() < 2) {
    WARN("SKIPPED: one processor; helpers have nowhere to run");
    return;
  }
  const UseThreads scope(2);
  // Gaps around the time after which a helper falls asleep: each job may meet it awake, leaving or gone.
  for (int round = 0; round < 12000; ++round) {
    const auto until = std::chrono::steady_clock::now() + std::chrono::microseconds(70 + round % 25);
    while (std::chrono::steady_clock::now() < until) {
    }
    std::atomic<int> sum{0};
    parallel_for(4, [&](int64_t chunk) { sum.fetch_add(static_cast<int>(chunk)); });
    REQUIRE(sum == 6);
  }
  // Two chunks that wait for each other need two threads; a caller alone gives up after a while.
  std::atomic<bool> met{false};
  for (int attempt = 0; attempt < 100 && !met; ++attempt) {
    std::atomic<int> inside{0};
    parallel_for(2, [&](int64_t) {
      inside.fetch_add(1);
      const auto until = std::chrono::steady_clock::now() + std::chrono::milliseconds(50);
      while (inside < 2 && std::chrono::steady_clock::now() < until) std::this_thread::yield();
      if (inside == 2) met = true;
      inside.fetch_sub(1);
    });
  }
  CHECK(met);
}

TEST_CASE("TBB's limit of threads is after a job what it was before, whatever the job ran on") {
  const std::size_t before = limit_at_start;  // that of now might be what another job left behind
  for (const int threads : {2, available_cores() + 2}) {
    const UseThreads scope(threads);
    CHECK(partial_sums(100).size() == 100);
    CHECK(tbb_limit() == before);
  }
  // A limit of the host program holds.
  const tbb::global_control least(tbb::global_control::max_allowed_parallelism, 1);
  const UseThreads scope(available_cores() + 2);
  CHECK(partial_sums(100).size() == 100);
  CHECK(tbb_limit() == 1);
}

TEST_CASE("The threads that were set are really used, also beyond the number of cores") {
  for (const int threads : {2, 4}) {
    const UseThreads scope(threads);
    CHECK(thread_count() == threads);
    // Each chunk waits for the others, which only ends if all run at once. Helpers take a moment to wake up, and a
    // parallel_for may end before they come: it is the caller's right to finish alone.
    bool together = false;
    for (int attempt = 0; attempt < 50 && !together; ++attempt) {
      std::atomic<int> arrived{0};
      std::atomic<bool> all{true};
      parallel_for(threads, [&](int64_t) {
        arrived.fetch_add(1);
        const auto start = std::chrono::steady_clock::now();
        while (arrived.load() < threads) {
          std::this_thread::yield();
          if (std::chrono::steady_clock::now() - start > std::chrono::seconds(2)) {
            all = false;
            return;
          }
        }
      });
      together = all;
    }
    CHECK(together);
  }
}

#endif

TEST_CASE("Helpers that have gone to sleep come back for the next job") {
  const UseThreads scope(3);
  for (int round = 0; round < 5; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(3));
    CHECK(partial_sums(40).size() == 40);
  }
}

TEST_CASE("A number of threads that cannot be used is an error, and leaves what was set") {
  const UseThreads scope(kMaxThreads);
  CHECK(thread_count() == kMaxThreads);
  CHECK_THROWS_WITH(set_thread_count(0), ContainsSubstring("threads must be in [1, 256]; 0 were asked for"));
  CHECK_THROWS_AS(set_thread_count(-3), std::invalid_argument);
  CHECK_THROWS_AS(set_thread_count(kMaxThreads + 1), std::invalid_argument);
  CHECK(thread_count() == kMaxThreads);
  CHECK(available_cores() >= 1);
  CHECK(available_cores() <= static_cast<int>(std::max(1u, std::thread::hardware_concurrency())));
}

TEST_CASE("Chunks round to nearest with denormals, and the caller's state comes back") {
  // Opaque to the compiler, which would compute with the default state.
  volatile float tiny = 1e-38f;
  volatile float one = 1.0f;
  volatile float small = 1e-10f;
  const auto default_state = [&] {
    const float denormal = tiny * 0.1f;
    return denormal != 0 && one + small == 1.0f && one - small == 1.0f;
  };
  for (const int threads : {1, 4}) {
    const UseThreads scope(threads);
    for (const int64_t chunks : {1, 64}) {
      std::fesetround(FE_UPWARD);
#if defined(__x86_64__)
      const unsigned mine = _mm_getcsr() | 0x8040;  // flush to zero, denormals are zero
      _mm_setcsr(mine);
#endif
      const bool changed = one + small != 1.0f;
      std::atomic<int> good{0};
      parallel_for(chunks, [&](int64_t) { good.fetch_add(default_state() ? 1 : 0); });
#if defined(__x86_64__)
      const bool restored = (_mm_getcsr() & ~0x3Fu) == (mine & ~0x3Fu);
      _mm_setcsr(0x1F80);
#else
      const bool restored = std::fegetround() == FE_UPWARD;
#endif
      std::fesetround(FE_TONEAREST);
      CHECK(changed);
      CHECK(restored);
      CHECK(good == chunks);
    }
  }
  CHECK(default_state());
}
