#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/training/corpus.hpp"
#include "models/training/planner.hpp"
#include "models/training/run_folder.hpp"
#include "models/training/trainer.hpp"
#include "tensor/profile.hpp"
#include "tools/common.hpp"

/// What `train` and `resume` share: the progress of a run, and its end.

namespace gradus::tools {

/// Says how a run goes.
class RunProgress : public TrainingObserver {
 public:
  /// `folder` is that of the run.
  RunProgress(const std::string& folder, const Transformer& model, const Tokenizer& tokenizer,
              const TrainingOptions& options, bool quiet);

  void on_step(const StepEvent& event) override;
  /// A sample that cannot be made is said, and no other is tried: it is no reason for a training to end.
  void on_sample(int64_t step, const Transformer& model) override;

  /// Profiles the next so many steps; after the last of them the table is printed and the trace written.
  void profile_steps(int64_t steps);
  /// The same at the end of a run that came to fewer steps; nothing where it has been done.
  void end_profile();

  /// Mean over this process's steps, evaluations left out.
  double tokens_per_second() const;
  double seconds() const;  ///< since construction

 private:
  std::string step_line(const StepEvent& event) const;

  const Transformer& model_;
  const Tokenizer& tokenizer_;
  TrainingOptions options_;
  bool quiet_;
  double peak_gflops_ = 0;
  double flops_per_token_ = 0;
  double begin_ = 0;
  double step_seconds_ = 0;
  double last_line_ = 0;
  int64_t steps_ = 0;
  bool samples_ = true;
  std::string folder_;
  int64_t profile_steps_ = 0;
  std::unique_ptr<Profile> profile_;
};

/// Where a sample starts: a line end, which is neutral where the text's own beginning would be learned by heart; else the
/// beginning of a document; else the first token that a text can give.
std::string sample_prompt(const Tokenizer& tokenizer);

/// Says it where more than 1 % of the tokens of `what` are unknown to the tokenizer.
void warn_of_unknown(double rate, const std::string& what);
/// The same of texts that are given to a model; a text that cannot be read is left to whoever reads it.
void warn_of_unknown(const Tokenizer& tokenizer, std::span<const std::string_view> texts,
                     const std::string& what);

/// Runs a trainer to its end and reports: the last lines or the JSON object. Returns the exit code.
int finish_run(Trainer& trainer, RunProgress& progress, RunFolder& run, const CommonOptions& common);

/// "bpe:2048, llama 4×128, 1.1 M parameters, 210 MB, 1500 steps, about 2m".
std::string plan_text(const Config& config, const std::string& tokenizer, const Plan& plan);

/// An error unless a plan fits into memory and on the disk of `folder`.
void check_plan_fits(const Plan& plan, const std::string& folder);

}  // namespace gradus::tools
