#pragma once

#include <atomic>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "models/training/trainer.hpp"
#include "models/transformer/files.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/io/file.hpp"
#include "tests/support/small_model.hpp"
#include "tests/support/temporary_folder.hpp"

/// A training small enough for tests, and who watches it.

namespace gradus::testing {

inline constexpr int64_t kVocab = 29;

/// A tokenizer with the small models' vocabulary; its characters have 1, 2 and 3 bytes.
inline const Tokenizer& letters() {
  static const Tokenizer tokenizer = [] {
    std::string text = "\xe2\x82\xac\xc3\xa9 ";
    for (char c = 'a'; c <= 'z'; ++c) text += c;
    return Tokenizer::train_char(text);
  }();
  return tokenizer;
}

/// A small model of letters() that drops out while it learns.
inline Config dropout_config(std::string_view arch) {
  Config config = small_config(arch, kVocab, 16);
  config.dropout = 0.1;
  return config;
}

/// Few steps in which everything has an effect: clipping, decay, a rising and a falling rate.
inline TrainingOptions few_steps(int64_t steps) {
  TrainingOptions options;
  options.batch_size = 8;
  options.max_iters = steps;
  options.learning_rate = 1e-2;
  options.min_lr = 1e-3;
  options.warmup = 2;
  options.grad_clip = 0.5;
  options.eval_interval = 0;
  options.seed = 42;
  return options;
}

/// A text of letters().
inline TokenText text_of(std::vector<int32_t> ids) {
  TokenText text;
  for (const int32_t id : ids) {
    text.bytes_of.push_back(static_cast<int32_t>(letters().token_bytes(id).size()));
    text.bytes += text.bytes_of.back();
  }
  text.ids = std::move(ids);
  return text;
}

/// 400 tokens to learn from, which stand for 600 bytes, and 60 that are held out.
inline EncodedCorpus some_text() {
  EncodedCorpus text;
  text.training.ids = some_ids(400, kVocab, 1);
  text.training.bytes = 600;
  text.held_out = text_of(some_ids(60, kVocab, 2));
  return text;
}

/// A run of a corpus that is nowhere, as far as checkpoints and metrics need one.
inline RunFolder run_folder(const std::string& path, const Config& config,
                            const TrainingOptions& options = {}) {
  return RunFolder::create(path, {config, letters(), Corpus(), options});
}

/// A model in training on a text of its own.
struct Training {
  EncodedCorpus text = some_text();
  Transformer model;
  Trainer trainer;
  Training(const Config& config, const TrainingOptions& options)
      : model(small_model(config)), trainer(model, options, letters(), text) {}

  /// Runs to the end, or until it is cancelled, in a folder that holds no run yet.
  bool run(const std::string& path, TrainingObserver& observer, const std::atomic<bool>& cancel = never()) {
    RunFolder folder = run_folder(path, model.config(), trainer.options());
    return trainer.run(folder, observer, cancel);
  }
  /// Goes on with the run in a folder.
  bool go_on(const std::string& path, TrainingObserver& observer) {
    RunFolder folder = RunFolder::open(path);
    trainer.restore(path);
    return trainer.run(folder, observer, never());
  }
  static const std::atomic<bool>& never() {
    static const std::atomic<bool> no{false};
    return no;
  }

  void steps(int count) {
    for (int i = 0; i < count; ++i) trainer.train_step();
  }
  /// The bytes of all that a checkpoint holds.
  std::string files() const {
    const testing::TemporaryFolder folder;
    trainer.save(folder.path(), {});
    std::string all = read_file(folder / kWeightsFile);
    const SafetensorsFile state = SafetensorsFile::open(folder / kStateFile);
    for (const std::string& name : state.names()) {
      const RawTensor array = state.array(name);
      all += name;
      all.append(static_cast<const char*>(array.data), array.bytes);
    }
    return all;
  }
};

class Recorder : public TrainingObserver {
 public:
  std::vector<StepEvent> steps;
  std::vector<int64_t> checkpoints, samples;
  std::string order;  // s of a step, c of a checkpoint, t of a text
  std::function<void(int64_t)> after_step = [](int64_t) {};

  void on_step(const StepEvent& event) override {
    steps.push_back(event);
    order += 's';
    after_step(event.step);
  }
  void on_checkpoint(const CheckpointEvent& event) override {
    checkpoints.push_back(event.step);
    order += 'c';
  }
  void on_sample(int64_t step, const Transformer& model) override {
    samples.push_back(step);
    order += 't';
    NoGrad quiet;
    const std::vector<int32_t> ids = some_ids(5, kVocab);
    model.logits(model.forward(ids_tensor(ids), Context::of_batch(1, 5)));
  }
};

}  // namespace gradus::testing
