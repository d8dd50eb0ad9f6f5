#pragma once

#include <cstdint>
#include <string>

#include "models/training/events.hpp"
#include "tensor/io/file.hpp"

namespace gradus {

/// The course of a run, in its folder's metrics.jsonl: a JSON object a line and step.
class MetricsLog {
 public:
  /// To go on behind the line of step `last`: those of later steps, left by a process that died, are cut off.
  MetricsLog(const std::string& path, int64_t last);

  void append(const StepEvent& event);
  /// Returns when everything appended so far would survive a loss of power.
  void sync() { file_.sync(); }
  /// Lines found that cannot be read. They stay: a damaged log is no reason not to go on.
  int64_t unreadable_lines() const { return unreadable_; }
  /// Steps up to `last`, the latest of them, that have no line: the log was cut or removed.
  int64_t missing_steps() const { return missing_; }

 private:
  int64_t unreadable_ = 0;
  int64_t missing_ = 0;
  AppendFile file_;
};

/// What such a file tells of its run.
struct RunHistory {
  int64_t steps = 0;  ///< of the last line; 0: no step yet
  double first_loss = 0;
  double last_loss = 0;
  int64_t best_step = 0;  ///< of the lowest loss over the held-out text; 0: there was no evaluation
  double best_held_out_loss = 0;
  int64_t unreadable_lines = 0;
};
RunHistory read_history(const std::string& path);

}  // namespace gradus
