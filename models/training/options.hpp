#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/transformer/config.hpp"
#include "nn/schedule.hpp"
#include "tensor/io/json.hpp"

namespace gradus {

/// Everything besides the model's Config that a training's result depends on, and how often it reports.
/// note: names and defaults follow nanoGPT where it has them; `seed` also draws the initial weights.
struct TrainingOptions {
  std::string objective = "next-token";  ///< what the model learns; see objectives/
  int64_t batch_size = 12;               ///< sequences that go through the model at once
  int64_t grad_accum = 1;                ///< such batches of one step
  /// Parts S of a step's sequences whose gradients are added in a balanced tree, so that several machines could compute
  /// them: a power of two that divides the sequences.   note: another S rounds otherwise; how a shard is cut into batches
  /// does not.
  int64_t grad_shards = 1;
  int64_t max_iters = 2000;  ///< steps
  double learning_rate = 1e-3;
  double min_lr = 1e-4;
  int64_t warmup = 100;  ///< steps
  std::string schedule = "cosine";
  double weight_decay = 0.1;  ///< on matrices, embeddings included
  double beta1 = 0.9;
  double beta2 = 0.99;
  double grad_clip = 1.0;  ///< largest global norm of the gradient; 0: no limit
  uint64_t seed = 1337;
  double val_fraction = 0.1;
  int64_t eval_interval = 250;  ///< steps between evaluations; 0: never
  int64_t sample_every = 0;     ///< steps between printed samples; 0: never
  int64_t checkpoint_every = 250;
  int64_t keep = 0;  ///< older checkpoints that stay

  bool operator==(const TrainingOptions&) const = default;

  /// Sequences of one step.
  int64_t sequences_per_step() const { return batch_size * grad_accum; }
  int64_t sequences_per_shard() const { return sequences_per_step() / grad_shards; }
  /// Batches that a shard is cut into; the last may be smaller.
  int64_t batches_per_shard() const { return (sequences_per_shard() + batch_size - 1) / batch_size; }
  /// An error naming the option, its value and its range, or the options that do not go together.
  void validate() const;
};

/// min_lr where none is given: 1e-4, or a tenth of the learning rate where that is less.
double default_min_lr(double learning_rate);

/// The learning rates of a training.   note: wsd falls over the last 40 % of the steps.
Schedule schedule_of(const TrainingOptions& options);

/// Checkpoints that a run writes after that of step `begin`; -1: all, for a run begins with one of step 0.
int64_t checkpoints_after(const TrainingOptions& options, int64_t begin);

Json options_to_json(const TrainingOptions& options);
/// note: an unknown or missing key is an error; so is a later version. What an older version did not have is as it was then.
TrainingOptions options_from_json(const Json& json);

}  // namespace gradus
