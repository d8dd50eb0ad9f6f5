#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/training/corpus.hpp"
#include "models/training/planner.hpp"
#include "models/training/trainer.hpp"
#include "tensor/io/file.hpp"
#include "tensor/profile.hpp"
#include "tools/common.hpp"

/// What `train` and `resume` share: the text in tokens, the progress of a run, and its end.

namespace gradus::tools {

/// A run's text, cut and encoded.
struct RunText {
  Corpus corpus;
  TokenText training;
  TokenText held_out;
  double bytes_per_token() const;
  /// The part of all its tokens that is unknown.
  double unknown_rate(const Tokenizer& tokenizer) const;
};
RunText encode_corpus(Corpus corpus, const Tokenizer& tokenizer, bool add_special);

/// What a run's state remembers of its text, so that resuming finds and checks it.
struct RunSource {
  /// Absolute, but for what nobody can read again (standard input, pipes): copies in the run's folder, by their names.
  std::vector<std::string> paths;
  std::string corpus_sha256;
  std::string tokenizer_sha256;
  std::string config_sha256;
  // How the texts are read. Runs of versions that did not say took every file as it is.
  std::string text_key = "text";
  bool json_lines = false;
  bool force_text = true;
};
Metadata source_metadata(const RunSource& source);
RunSource source_from_metadata(const Metadata& metadata, const std::string& file);
/// The text that a run was started with, read again; an error that ends with `advice` where that fails.
Corpus load_run_corpus(const std::string& folder, const RunSource& source, double held_out,
                       const std::string& advice);

/// Writes metrics.jsonl and says how a run goes.
class RunProgress : public TrainingObserver {
 public:
  /// Steps after `first_step` are this process's; lines of later steps, left by one that died, are cut off.
  RunProgress(const std::string& folder, const Transformer& model, const Tokenizer& tokenizer,
              const TrainingOptions& options, int64_t first_step, const Plan& plan, bool quiet);

  void on_step(const StepEvent& event) override;
  /// A sample that cannot be made is said, and no other is tried: it is no reason for a training to end.
  void on_sample(int64_t step, const Transformer& model) override;
  /// A checkpoint that survives a loss of power has the lines of its steps.
  void before_checkpoint() override { metrics_.sync(); }

  /// Profiles the next so many steps; after the last of them the table is printed and the trace written.
  void profile_steps(int64_t steps);
  /// The same at the end of a run that came to fewer steps; nothing where it has been done.
  void end_profile();

  /// Mean over this process's steps, evaluations left out.
  double tokens_per_second() const;
  double seconds() const;  ///< since construction

 private:
  std::string step_line(const StepEvent& event) const;

  AppendFile metrics_;
  const Transformer& model_;
  const Tokenizer& tokenizer_;
  TrainingOptions options_;
  int64_t first_step_;
  Plan plan_;
  bool quiet_;
  double peak_gflops_ = 0;
  double flops_per_token_ = 0;
  double begin_ = 0;
  double step_seconds_ = 0;
  double evaluation_seconds_ = 0;
  double last_event_ = 0;
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
int finish_run(Trainer& trainer, RunProgress& progress, const std::string& folder, const Metadata& metadata,
               const CommonOptions& common);

/// "bpe:2048, llama 4×128, 1.1 M parameters, 210 MB, 1500 steps, about 2m".
std::string plan_text(const Config& config, const std::string& tokenizer, const Plan& plan);

/// An error unless a plan fits into memory and on the disk of `folder`.
void check_plan_fits(const Plan& plan, const std::string& folder);

}  // namespace gradus::tools
