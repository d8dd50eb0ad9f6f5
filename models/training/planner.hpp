#pragma once

#include <cstdint>

#include "models/training/options.hpp"
#include "models/transformer/config.hpp"

namespace gradus {

/// What a training will take, said before it starts.
struct Plan {
  int64_t parameters = 0;
  uint64_t peak_memory_bytes = 0;  ///< resident, of the whole process
  uint64_t disk_bytes = 0;         ///< of the run folder at its fullest
  int64_t steps = 0;
  int64_t tokens = 0;           ///< that training passes through the model
  double seconds = 0;           ///< from the first step to the last checkpoint, evaluations included
  double seconds_per_step = 0;  ///< of a step alone
  double seconds_per_evaluation = 0;
};

/// Resident memory of a training: a whole step and evaluation are walked through without memory behind them, so the pool
/// behaves as it will, for models of any size; added to what the process holds already.
uint64_t plan_memory(const Config& config, const TrainingOptions& options, int64_t held_out_tokens);

/// Bytes that a run adds to its folder at its fullest, from its start or from the checkpoint of step `begin` on, beside
/// which `kept` older ones stand already.
/// note: two checkpoints while one replaces the other, and of older ones as many as are kept and there are.
uint64_t plan_disk(const Config& config, const TrainingOptions& options, int64_t begin = -1,
                   int64_t kept = 0);

/// How many steps fit into so much time, evaluations included; at least one.
int64_t steps_within(const Plan& plan, const TrainingOptions& options, double seconds);

/// The plan of so many steps instead, the same otherwise: its tokens and seconds.
Plan plan_of_steps(Plan plan, const TrainingOptions& options, int64_t steps);

/// Predicts memory and time, the latter from a few steps of the model itself, or, where one takes long, of a smaller one
/// scaled part by part (blocks, output layer, optimiser). Takes less than 10 seconds and writes nothing.
Plan plan_training(const Config& config, const TrainingOptions& options, int64_t held_out_tokens);

}  // namespace gradus
