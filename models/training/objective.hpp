#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/training/corpus.hpp"
#include "models/training/options.hpp"
#include "models/transformer/transformer.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// Some sequences of a step, end to end, and what the model has to know of them.
struct TrainingBatch {
  Tensor inputs;   ///< i32 (N)
  Tensor targets;  ///< what the loss compares with, in a shape of the objective's own
  Context context;
};

/// A number beside the loss that tells how good a model is.
struct Measure {
  std::string name;  ///< as files have it, "bits_per_byte"
  double value = 0;

  bool operator==(const Measure&) const = default;
  /// As people read it: "bits/byte".
  std::string unit() const;
};

/// What an evaluation of the held-out text found.
struct HeldOutReport {
  double loss = 0;  ///< mean nats of what is predicted
  std::vector<Measure> measures;
  int64_t tokens = 0;   ///< that are predicted
  int64_t bytes = 0;    ///< of text that these stand for
  int64_t unknown = 0;  ///< of the tokens, those that are the unknown one

  double unknown_rate() const {
    return tokens > 0 ? static_cast<double>(unknown) / static_cast<double>(tokens) : 0;
  }
};

/// What a training is for: what a step's batch is, its loss and divisor, and what an evaluation reports. The trainer, its
/// checkpoints and the planner know of no task.
///
/// A step has a fixed number of sequences, which are numbered through the whole run; a batch is some of them. So a batch is a
/// function of the step and of the sequences' numbers, and cutting a step into batches changes no bit.
class Objective {
 public:
  virtual ~Objective() = default;

  /// Sequences first … first+count-1 of a step; both count from 0.
  /// note: the planner walks through steps in DryRunMemory, where tensors have sizes and no contents to read or write.
  virtual TrainingBatch batch(int64_t step, int64_t first, int64_t count) const = 0;
  /// What the losses of a step are divided by: how many are summed in all its batches together.
  virtual double divisor(int64_t step) const = 0;
  /// The loss of a batch from the rows that the model made of its inputs, (N,C): y = (running + Σ losses) / divisor, where
  /// `running` is the sum over the batches before, which gets this one's; see detail::cross_entropy_part().
  virtual Tensor loss(const Transformer& model, const Tensor& hidden, const TrainingBatch& batch,
                      double divisor, double& running) const = 0;
  /// What else a training loss says.
  virtual std::vector<Measure> measures(double loss) const = 0;

  /// Whether there is something to evaluate.
  virtual bool has_held_out() const = 0;
  virtual HeldOutReport evaluate(const Transformer& model) const = 0;
};

/// What an objective is made from. Tokenizer and text must outlive it.
struct ObjectiveSource {
  const Config& config;
  const TrainingOptions& options;
  const Tokenizer& tokenizer;
  const EncodedCorpus& text;
};

/// The objective that the options name; see objectives/.
std::unique_ptr<Objective> make_objective(const ObjectiveSource& source);
/// The names of all objectives, the usual one first.
const std::vector<std::string>& objective_names();

}  // namespace gradus
