#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "models/training/batches.hpp"
#include "models/training/checkpoint.hpp"
#include "models/training/corpus.hpp"
#include "models/training/evaluate.hpp"
#include "models/training/options.hpp"
#include "models/transformer/transformer.hpp"
#include "nn/optim.hpp"
#include "nn/schedule.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// What a step did. Steps count from 1: step n takes the model from n-1 to n updates.
struct StepEvent {
  int64_t step = 0;
  double loss = 0;           ///< mean nats a token of the step's sequences, before the update
  double bits_per_byte = 0;  ///< the same per byte, at the training text's mean bytes a token
  double learning_rate = 0;
  double grad_norm = 0;       ///< before clipping
  double seconds = 0;         ///< of this step, without evaluation
  double update_seconds = 0;  ///< of these: norm, clipping and optimiser
  double tokens_per_second = 0;
  std::optional<Evaluation> held_out;  ///< where an evaluation was due, of the updated model
};
struct CheckpointEvent {
  int64_t step = 0;
};

/// Who wants to know what a training does; the trainer itself prints nothing.
class TrainingObserver {
 public:
  virtual ~TrainingObserver() = default;
  /// After the step and its evaluation, before its checkpoint.
  virtual void on_step(const StepEvent&) {}
  /// Before a checkpoint is written; what else belongs to its steps can be brought to disk here.
  virtual void before_checkpoint() {}
  /// After a checkpoint of this step has been published.
  virtual void on_checkpoint(const CheckpointEvent&) {}
  /// Every sample_every steps, after the step's checkpoint: the model may be read, for instance to generate from it.
  virtual void on_sample(int64_t /*step*/, const Transformer&) {}
};

/// The default of Trainer::keep_rows(): 64 MiB, or as much as the table of a larger model takes.
int64_t kept_row_bytes(const Config& config);
/// Batches of a step that go through the model twice where `kept` bytes of rows may wait; see Trainer.
int64_t batches_read_twice(const Config& config, const TrainingOptions& options, int64_t kept);

/// Stands between backward and the optimiser: a place to combine gradients of several processes. Today the identity.
using Reducer = std::function<void(const std::vector<NamedTensor>& parameters)>;

/// Trains a model on a token text: step by step, each a function of (weights, options, step number) alone.
///
///   sequences n·S … n·S+S-1 of the text  ->  loss, gradient (chained over grad_accum batches)  ->  clip  ->  AdamW
///
/// note: the model, tokenizer and ids must outlive the trainer. The divisor of the loss is the number of tokens of the
///       whole step, and dropout counts sequences of the whole run: cutting a step into batches changes no bit.
/// note: the gradient of a tied token table is a chain over what the output layer gives for all tokens of the step, then over
///       the rows that were looked up. So rows wait for the last batch; where those of many batches would take more memory
///       than keep_rows() allows, the later batches go through the model twice: forward for the output layer alone, and
///       then, when the rows before them are added, for everything else.
class Trainer {
 public:
  Trainer(Transformer& model, const TrainingOptions& options, const Tokenizer& tokenizer,
          std::span<const int32_t> training_ids, double bytes_per_token, const TokenText& held_out);

  int64_t step() const { return step_; }
  const TrainingOptions& options() const { return options_; }
  void set_reducer(Reducer reducer) { reducer_ = std::move(reducer); }
  /// Bytes of rows that may wait while a batch's gradient is made. No bit depends on it.
  void keep_rows(int64_t bytes) { kept_row_bytes_ = bytes; }

  /// One step.
  StepEvent train_step();
  /// Steps to options().max_iters, with evaluations, samples and checkpoints in between; before the first step the state at
  /// hand is checkpointed. `cancel` is looked at between steps.
  /// note: returns whether it came to the end. Either way the last state is checkpointed.
  bool run(const std::string& folder, const Metadata& state_metadata, TrainingObserver& observer,
           const std::atomic<bool>& cancel);

  /// Writes the checkpoint of the present step.
  void save(const std::string& folder, const Metadata& state_metadata) const;
  /// Continues from the checkpoint in a folder.
  void restore(const std::string& folder);

  /// The loss over the held-out text; an error where nothing is held out.
  Evaluation evaluate_held_out() const;
  bool has_held_out() const { return held_out_.size() >= 2; }
  /// Of the last evaluation and step, also of those before a restored checkpoint.
  const std::optional<Evaluation>& last_evaluation() const { return last_evaluation_; }
  double last_loss() const { return last_loss_; }

 private:
  /// A batch of the present step, and what the model has to know of it.
  struct Part {
    Batches::Batch batch;
    Context context;
  };
  Part part(int64_t number) const;
  /// The loss of the present step; its gradient is then with the parameters.
  double accumulate_gradient();

  Transformer& model_;
  TrainingOptions options_;
  const Tokenizer& tokenizer_;
  std::span<const int32_t> held_out_;
  std::span<const int32_t> held_out_bytes_;
  double bytes_per_token_;
  Batches batches_;
  std::vector<NamedTensor> parameters_;
  AdamW optimizer_;
  Schedule schedule_;
  Reducer reducer_;
  int64_t kept_row_bytes_;
  int64_t step_ = 0;
  int64_t saved_step_ = -1;  // of the checkpoint in the run's folder
  double last_loss_ = 0;
  double last_rate_ = 0;
  std::optional<Evaluation> last_evaluation_;
};

}  // namespace gradus
