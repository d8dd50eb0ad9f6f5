#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "models/training/events.hpp"
#include "models/training/gradient.hpp"
#include "models/training/objective.hpp"
#include "models/training/options.hpp"
#include "models/training/run_folder.hpp"
#include "models/transformer/transformer.hpp"
#include "nn/optim.hpp"
#include "nn/schedule.hpp"
#include "tensor/io/safetensors.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// Stands between backward and the optimiser where several trainers share a step (see Trainer::set_share()): given the
/// gradient of this trainer's shards, gives that of all.
using Reducer = std::function<Gradient(Gradient)>;

/// Trains a model: step by step, each a function of (weights, options, objective, step number) alone.
///
///   the step's sequences  ->  loss, gradient (chained over a shard's batches, a tree over shards)  ->  clip  ->  AdamW
///
/// note: the model must outlive the trainer, and so must what the objective was made from. The divisor of the loss is that of
///       the whole step, and dropout counts sequences of the whole run: cutting a step into batches changes no bit.
/// note: the gradient of a tied token table is a chain over what the output layer gives for all tokens of the step, then over
///       the rows that were looked up. So rows wait for the last batch; where those of many batches would take more memory
///       than keep_rows() allows, the later batches go through the model twice: forward for the output layer alone, and
///       then, when the rows before them are added, for everything else.
class Trainer {
 public:
  Trainer(Transformer& model, const TrainingOptions& options, std::unique_ptr<const Objective> objective);
  /// On the objective that the options name.
  Trainer(Transformer& model, const TrainingOptions& options, const Tokenizer& tokenizer,
          const EncodedCorpus& text);

  int64_t step() const { return step_; }
  const TrainingOptions& options() const { return options_; }
  const Objective& objective() const { return *objective_; }
  void set_reducer(Reducer reducer) { reducer_ = std::move(reducer); }
  /// This trainer is number `index` of `count`, a power of two that divides grad_shards: each computes as many shards of every
  /// step, in order, and a reducer adds their gradients in a balanced tree. Then all do what one trainer would.
  void set_share(int64_t index, int64_t count);
  /// Bytes of rows that may wait while a batch's gradient is made: by default 64 MiB, or as much as the table of a larger
  /// model takes. No bit depends on it.
  void keep_rows(int64_t bytes) { kept_row_bytes_ = bytes; }

  /// One step.
  StepEvent train_step();
  /// Steps to options().max_iters, with evaluations, samples and checkpoints in between, and a line a step in the run's
  /// metrics; before the first step the state at hand is checkpointed. `cancel` is looked at between steps.
  /// note: returns whether it came to the end. Either way the last state is checkpointed.
  /// note: restore() first where the run has steps already.
  bool run(RunFolder& folder, TrainingObserver& observer, const std::atomic<bool>& cancel);

  /// Writes the checkpoint of the present step.
  void save(const std::string& folder, const Metadata& state_metadata) const;
  /// Continues from the checkpoint in a folder.
  void restore(const std::string& folder);

  /// What the objective finds in the held-out text; an error where nothing is held out.
  HeldOutReport evaluate_held_out() const;
  /// Of the last evaluation and step, also of those before a restored checkpoint.
  const std::optional<HeldOutReport>& last_evaluation() const { return last_evaluation_; }
  double last_loss() const { return last_loss_; }

 private:
  TrainingBatch batch(int64_t shard, int64_t number) const;
  /// The sum of the losses of a shard of the present step; its gradient is then with the parameters.
  double accumulate_shard(int64_t shard, double divisor);
  /// The loss of the present step; its gradient is then with the parameters.
  double accumulate_gradient();

  Transformer& model_;
  TrainingOptions options_;
  std::unique_ptr<const Objective> objective_;
  std::vector<NamedTensor> parameters_;
  AdamW optimizer_;
  Schedule schedule_;
  Reducer reducer_;
  int64_t share_ = 0;
  int64_t shares_ = 1;
  int64_t kept_row_bytes_;
  int64_t step_ = 0;
  int64_t saved_step_ = -1;  // of the checkpoint in the run's folder
  double last_loss_ = 0;
  double last_rate_ = 0;
  std::optional<HeldOutReport> last_evaluation_;
};

}  // namespace gradus
