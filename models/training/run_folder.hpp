#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/training/corpus.hpp"
#include "models/training/metrics.hpp"
#include "models/training/options.hpp"
#include "models/transformer/config.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/safetensors.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

struct RunSource;

/// What stands in a run's folder besides the model (files.hpp) and its checkpoints (checkpoint.hpp).
inline constexpr const char* kMetricsFile = "metrics.jsonl";
inline constexpr const char* kCardFile = "README.md";

/// What a run begins with.
struct RunStart {
  const Config& config;
  const Tokenizer& tokenizer;
  const Corpus& corpus;
  const TrainingOptions& options;
  /// How the corpus was read, so that it is read the same way again.
  TextOptions texts = {};
  /// What began the run, for its card: a command line, for instance.
  std::string command = "";
};

/// The folder of a run: made once, then held while a trainer works in it, by one process at a time.
///
///   RunFolder run = RunFolder::create("runs/book", {config, tokenizer, corpus, options});
///   Trainer trainer(model, options, tokenizer, text);
///   trainer.run(run, observer, cancel);
///
/// It holds config.json, tokenizer.json, model.safetensors and state.safetensors, metrics.jsonl, README.md (a model card),
/// and copies of texts that nobody could read again.
class RunFolder {
 public:
  RunFolder(RunFolder&&) noexcept;
  RunFolder& operator=(RunFolder&&) noexcept;
  ~RunFolder();

  /// An error (std::invalid_argument) where a new run in this folder would replace something, naming what. What one has left
  /// that was killed before its first checkpoint is nothing to keep.
  static void check_free(const std::string& path);

  /// Begins a run in a new or empty folder.
  static RunFolder create(const std::string& path, const RunStart& start);

  /// Takes a run up where its last checkpoint stands; one that was cut off is finished first.
  /// note: an error where another process holds it, or where tokenizer or configuration are not those it began with.
  static RunFolder open(const std::string& path);

  const std::string& path() const { return path_; }
  /// Of the checkpoint that stands; 0 of a new run.
  int64_t step() const { return step_; }
  const Config& config() const { return config_; }
  const Tokenizer& tokenizer() const { return tokenizer_; }
  /// As the run was begun, or with what the last checkpoint remembers instead.
  const TrainingOptions& options() const { return options_; }
  /// Where its texts stand: absolute, or the names of copies in the folder.
  const std::vector<std::string>& text_paths() const;
  /// Whether its steps were taken with fused multiply-add; absent for runs of versions that did not record it.
  std::optional<bool> fused_multiply_add() const { return fused_; }
  /// The learning rate of the last step; absent for runs of versions that did not record it.
  std::optional<double> last_rate() const { return last_rate_; }

  /// The run's texts, read again; an error where they are others by now.
  Corpus read_texts(const std::string& advice = "restore them, or name where they stand now",
                    const std::function<void()>& on_interrupt = {}) const;
  /// The same from where they stand now, in their order, which is remembered from the next checkpoint on.
  Corpus move_texts(const std::vector<std::string>& paths, const std::string& advice = "name the run's texts",
                    const std::function<void()>& on_interrupt = {});

  /// What a checkpoint remembers of the run besides what the trainer knows.
  Metadata state_metadata() const;
  /// The run's log, behind the line of step().
  MetricsLog& metrics();

 private:
  RunFolder();

  std::string path_;
  std::unique_ptr<FolderLock> lock_;
  Config config_;
  Tokenizer tokenizer_;
  TrainingOptions options_;
  std::unique_ptr<RunSource> source_;
  int64_t step_ = 0;
  std::optional<bool> fused_;
  std::optional<double> last_rate_;
  std::unique_ptr<MetricsLog> metrics_;
};

}  // namespace gradus
