#pragma once

#include <cstdint>
#include <exception>
#include <type_traits>
#include <vector>

namespace gradus {

/// The most threads that parallel_for can use.
inline constexpr int kMaxThreads = 256;

/// Threads that parallel_for may use, the calling one included. At first one for each of available_cores(), at most
/// kMaxThreads. A build without threads begins with 1 and runs everything on the calling thread, whatever is set.
int thread_count();
/// Sets it for the whole process: 1 … kMaxThreads, else an error. Not inside parallel_for.
void set_thread_count(int threads);
/// The processors this process may run on (affinity and control-group quota respected).
int available_cores();

namespace detail {
using ChunkFn = void (*)(void* context, int64_t chunk);
void run_chunks(int64_t chunks, ChunkFn fn, void* context);
}  // namespace detail

/// Runs body(chunk) for chunk = 0 … chunks-1, each once, in any order, on any thread.
/// note: the number of chunks must follow from shapes alone, and a chunk must write only what is its own; then results
///       do not depend on threads. Partial results are combined by the caller in chunk order. A body must not throw.
///       Nested calls run inline. Rounding is to nearest with denormals on inside, whatever the caller's state.
template <class Body>
void parallel_for(int64_t chunks, Body&& body) {
  using Plain = std::remove_reference_t<Body>;
  detail::run_chunks(
      chunks, [](void* context, int64_t chunk) { (*static_cast<Plain*>(context))(chunk); },
      const_cast<void*>(static_cast<const void*>(&body)));
}

/// The same for a body that may throw: every chunk runs all the same, and then the error of the first of those that threw,
/// by number, is thrown.
template <class Body>
void parallel_for_throwing(int64_t chunks, Body&& body) {
  std::vector<std::exception_ptr> errors(static_cast<std::size_t>(chunks > 0 ? chunks : 0));
  parallel_for(chunks, [&](int64_t chunk) {
    try {
      body(chunk);
    } catch (...) {
      errors[static_cast<std::size_t>(chunk)] = std::current_exception();
    }
  });
  for (const std::exception_ptr& error : errors) {
    if (error != nullptr) std::rethrow_exception(error);
  }
}

/// Runs body(begin, end) over [0, count) in fixed pieces of `grain`.
template <class Body>
void parallel_ranges(int64_t count, int64_t grain, Body&& body) {
  if (count <= 0) return;
  parallel_for((count + grain - 1) / grain, [&](int64_t chunk) {
    const int64_t begin = chunk * grain;
    const int64_t end = begin + grain < count ? begin + grain : count;
    body(begin, end);
  });
}

}  // namespace gradus
