#pragma once

#include "tensor/parallel.hpp"

namespace gradus::testing {

/// Sets the number of threads, and in the end the one before again.
class UseThreads {
 public:
  explicit UseThreads(int threads) : previous_(thread_count()) { set_thread_count(threads); }
  ~UseThreads() { set_thread_count(previous_); }
  UseThreads(const UseThreads&) = delete;
  UseThreads& operator=(const UseThreads&) = delete;

 private:
  int previous_;
};

}  // namespace gradus::testing
