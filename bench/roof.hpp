#pragma once

#include <benchmark/benchmark.h>

#include "tensor/storage.hpp"

namespace gradus {

/// What the machine allows at most for some work: the time that its floating-point operations take at the
/// multiply-add peak, or its bytes at the speed at which an array of that size is read, whichever is longer. Both are
/// measured before the work and after it, on the threads in use.
/// note: an array that fits in a cache is read from there again and again, as the work itself does.
class Roof {
 public:
  Roof(double flops, double bytes);

  /// Measures once more, and adds to the report which part of the roof `seconds` a run are.
  void finish(benchmark::State& state, double seconds);

 private:
  void measure();

  double flops_;
  double bytes_;
  std::shared_ptr<Storage> array_;
  double peak_ = 0;   // operations a second, summed over the measurements
  double speed_ = 0;  // bytes a second, the same
  int measurements_ = 0;
};

/// Prints a line for each benchmark: its name, its time, and the part of its roof that it reaches. Of repeated ones only
/// the median.
class RoofReporter : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& context) override;
  void ReportRuns(const std::vector<Run>& runs) override;
};

}  // namespace gradus
