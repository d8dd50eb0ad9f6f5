#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "models/training/objective.hpp"
#include "models/transformer/transformer.hpp"

namespace gradus {

/// What a step did. Steps count from 1: step n takes the model from n-1 to n updates.
struct StepEvent {
  int64_t step = 0;
  double loss = 0;                ///< of the step's sequences, before the update: see Objective::divisor()
  std::vector<Measure> measures;  ///< what else the objective says of it
  double learning_rate = 0;
  double grad_norm = 0;       ///< before clipping
  double seconds = 0;         ///< of this step, without evaluation
  double update_seconds = 0;  ///< of these: norm, clipping and optimiser
  double tokens_per_second = 0;
  std::optional<HeldOutReport> held_out;  ///< where an evaluation was due, of the updated model
  double seconds_left = 0;                ///< to the run's end, at its speed so far
};
struct CheckpointEvent {
  int64_t step = 0;
};

/// Who wants to know what a training does; the trainer itself prints nothing.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  /// After the step, its evaluation and its line in the run's metrics, before its checkpoint.
  virtual void on_step(const StepEvent&) {}
  /// After a checkpoint of this step has been published.
  virtual void on_checkpoint(const CheckpointEvent&) {}
  /// Every sample_every steps, after the step's checkpoint: the model may be read, for instance to generate from it.
  virtual void on_sample(int64_t /*step*/, const Transformer&) {}
};

}  // namespace gradus
