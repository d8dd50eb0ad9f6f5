#include <algorithm>
#include <atomic>
#include <cmath>
#include <functional>
#include <limits>
#include <span>
#include <string>
#include <vector>

#include "models/training/batches.hpp"
#include "models/training/checkpoint.hpp"
#include "models/training/corpus.hpp"
#include "models/training/evaluate.hpp"
#include "models/training/kept_rows.hpp"
#include "models/training/trainer.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/weights.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/io/file.hpp"
#include "tensor/ops.hpp"
#include "tensor/ops/product.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/small_training.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/use_isa.hpp"
#include "tests/support/use_threads.hpp"
#include "tokenizer/training/train.hpp"

/// Training from the outside: steps, their bits, checkpoints of a whole run, and evaluation.

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

Evaluation evaluated(const Transformer& model, std::span<const int32_t> ids,
                     const std::function<void(int64_t, int64_t)>& progress = {}) {
  const TokenText text = text_of({ids.begin(), ids.end()});
  return evaluate(model, letters(), text.ids, text.bytes_of, progress);
}

/// Model and moments after some steps.
std::string trained(const Config& config, const TrainingOptions& options, int steps = 4) {
  Training training(config, options);
  training.steps(steps);
  return training.files();
}

/// Mean surprise of `window` by a float forward pass of it alone and a softmax in double.
double window_nats(const Transformer& model, const std::vector<int32_t>& window) {
  const NoGrad quiet;
  const std::vector<int32_t> inputs(window.begin(), window.end() - 1);
  const auto rows = static_cast<int64_t>(inputs.size());
  const std::vector<float> logits =
      model.logits(model.forward(ids_tensor(inputs), Context::of_batch(1, rows))).to_vector<float>();
  double nats = 0;
  for (std::size_t t = 0; t < inputs.size(); ++t) {
    double sum = 0;
    for (std::size_t v = 0; v < kVocab; ++v) sum += std::exp(static_cast<double>(logits[t * kVocab + v]));
    nats += std::log(sum) - static_cast<double>(logits[t * kVocab + static_cast<std::size_t>(window[t + 1])]);
  }
  return nats;
}

}  // namespace

TEST_CASE("a training step is loss, gradient, clipping and AdamW at the schedule's rate") {
  for (const std::string_view arch : {"gpt", "llama"}) {
    const Config config = dropout_config(arch);
    const TrainingOptions options = few_steps(6);
    Training training(config, options);
    Transformer model = small_model(config);
    model.set_requires_grad(true);
    const std::vector<NamedTensor> parameters = model.parameters();
    AdamW optimizer(parameters,
                    {.beta1 = options.beta1, .beta2 = options.beta2, .weight_decay = options.weight_decay});
    const Batches batches(training.text.training.ids, config.block_size, options.seed);
    bool clipped = false;
    for (int64_t step = 0; step < 4; ++step) {
      const StepEvent event = training.trainer.train_step();
      const Batches::Batch batch = batches.sequences(step * 8, 8);
      const Context context =
          Context::for_training(8, config.block_size, options.seed, static_cast<uint64_t>(step), 8, 0);
      optimizer.clear_gradients();
      const Tensor loss = model.loss(batch.inputs, batch.targets, context);
      loss.backward();
      const double norm = global_norm(parameters);
      const double rate = learning_rate(
          {Schedule::Kind::cosine, options.learning_rate, options.min_lr, options.warmup, 6, 0}, step);
      optimizer.step(rate, clip_factor(norm, options.grad_clip));
      clipped = clipped || norm > options.grad_clip;
      CHECK(event.step == step + 1);
      CHECK(event.loss == loss.item());
      REQUIRE(event.measures.size() == 1);
      CHECK(event.measures[0].name == "bits_per_byte");
      CHECK(event.measures[0].unit() == "bits/byte");
      CHECK(event.measures[0].value == Approx(event.loss / std::log(2.0) / 1.5));
      CHECK(event.grad_norm == norm);
      CHECK(event.learning_rate == rate);
    }
    CHECK(clipped);
    const std::vector<NamedTensor> theirs = training.model.parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      CAPTURE(parameters[i].name);
      CHECK(same_bits(parameters[i].tensor, theirs[i].tensor) == "");
    }
  }
}

TEST_CASE("two batches of four are one batch of eight, to the bit") {
  for (const std::string_view arch : {"gpt", "llama"}) {
    const Config config = dropout_config(arch);
    TrainingOptions options = few_steps(6);
    const std::string whole = trained(config, options);
    for (const int64_t parts : {2, 4, 8}) {
      options.batch_size = 8 / parts;
      options.grad_accum = parts;
      CAPTURE(parts);
      CHECK((trained(config, options) == whole));
    }
    options.batch_size = 4;
    options.grad_accum = 1;
    CHECK((trained(config, options) != whole));
  }
}

TEST_CASE("training gives the same bits on any number of threads and on every set with fused multiply-add") {
  for (const std::string_view arch : {"gpt", "llama"}) {
    const Config config = dropout_config(arch);
    const TrainingOptions options = few_steps(6);
    std::string first;
    for (const std::string& isa : available_isas()) {
      const UseIsa use(isa);
      std::string alone;
      for (const int threads : {1, 2, 4}) {
        const UseThreads limit(threads);
        const std::string files = trained(config, options);
        CAPTURE(isa, threads);
        if (alone.empty()) alone = files;
        CHECK((files == alone));
        if (!has_fma(isa)) continue;
        if (first.empty()) first = files;
        CHECK((files == first));
      }
    }
  }
}

TEST_CASE("training gives the same bits whatever tiles and blocks its products are made of") {
  for (const std::string_view arch : {"gpt", "llama"}) {
    const Config config = dropout_config(arch);
    const std::string usual = trained(config, few_steps(4));
    for (const int64_t rows : {1, 5, 12}) {
      const detail::ForceCuts force({{rows, 1, 3 * rows, rows}, 12, 16 * rows, 10 * rows, 24, 32});
      CAPTURE(rows);
      CHECK((trained(config, few_steps(4)) == usual));
    }
  }
}

TEST_CASE("every option that is part of a training changes its bits") {
  const Config config = dropout_config("gpt");
  const std::string base = trained(config, few_steps(6));
  CHECK((trained(config, few_steps(6)) == base));
  const auto changes = [&](const char* name, auto change) {
    TrainingOptions options = few_steps(6);
    change(options);
    CAPTURE(name);
    CHECK((trained(config, options) != base));
  };
  changes("seed", [](auto& o) { o.seed = 43; });
  changes("learning_rate", [](auto& o) { o.learning_rate = 2e-2; });
  changes("min_lr", [](auto& o) { o.min_lr = 2e-3; });
  changes("warmup", [](auto& o) { o.warmup = 1; });
  changes("schedule", [](auto& o) { o.schedule = "linear"; });
  changes("weight_decay", [](auto& o) { o.weight_decay = 0.2; });
  changes("beta1", [](auto& o) { o.beta1 = 0.8; });
  changes("beta2", [](auto& o) { o.beta2 = 0.9; });
  changes("grad_clip", [](auto& o) { o.grad_clip = 0.25; });
  Config without = config;
  without.dropout = 0;
  CHECK((trained(without, few_steps(6)) != base));
}

TEST_CASE("loss and gradient norm of a step do not depend on how it is cut into batches, to the last bit") {
  // Six and three are no powers of two: halves of a sum would be exact, and hide another order.
  for (const bool tie : {true, false}) {
    Config config = dropout_config("gpt");
    config.tie = tie;
    const auto events = [&](int64_t batch, int64_t parts) {
      TrainingOptions options = few_steps(6);
      options.batch_size = batch;
      options.grad_accum = parts;
      Training training(config, options);
      std::vector<double> values;
      for (int i = 0; i < 4; ++i) {
        const StepEvent event = training.trainer.train_step();
        values.insert(values.end(), {event.loss, event.measures[0].value, event.grad_norm});
      }
      return values;
    };
    const std::vector<double> whole = events(6, 1);
    CHECK(events(2, 3) == whole);
    CHECK(events(3, 2) == whole);
    CHECK(events(1, 6) == whole);
  }
}

TEST_CASE("however few rows of the token table may wait for the last batch, the bits are the same") {
  for (const std::string_view arch : {"gpt", "llama"}) {
    Config config = dropout_config(arch);
    config.tie = true;
    TrainingOptions options = few_steps(6);
    options.batch_size = 1;
    options.grad_accum = 6;
    const int64_t rows = config.block_size * config.n_embd * 4;
    const auto run = [&](int64_t kept) {
      Training training(config, options);
      training.trainer.keep_rows(kept);
      const StepEvent event = training.trainer.train_step();
      training.steps(2);
      return std::pair(training.files(), std::pair(event.loss, event.grad_norm));
    };
    const auto all = run(6 * rows);
    for (const int64_t kept : {int64_t{0}, rows - 1, rows, 3 * rows}) {
      CAPTURE(kept);
      CHECK((run(kept) == all));
    }
    CHECK(batches_read_twice(config, options, 0) == 5);
    CHECK(batches_read_twice(config, options, rows) == 4);
    CHECK(batches_read_twice(config, options, kept_row_bytes(config)) == 0);
    config.tie = false;
    CHECK(batches_read_twice(config, options, 0) == 0);
  }
}

TEST_CASE("wsd begins to fall where 40 % of the steps are left") {
  TrainingOptions options = few_steps(20);
  options.schedule = "wsd";
  Training training(small_config("gpt", kVocab, 16), options);
  for (int64_t step = 1; step <= 20; ++step) {
    const double rate = training.trainer.train_step().learning_rate;
    CAPTURE(step);
    if (step > 2 && step <= 13) CHECK(rate == 1e-2);
    // From step 13 to one beyond the last the rate is a line from the highest to the lowest.
    if (step > 13) CHECK(rate == Approx(1e-2 - 9e-3 * static_cast<double>(step - 13) / 8));
  }
}

TEST_CASE("a reducer sees the gradient of the whole step, once") {
  TrainingOptions options = few_steps(6);
  options.batch_size = 4;
  options.grad_accum = 2;
  Training training(dropout_config("gpt"), options);
  int calls = 0;
  double seen = 0;
  const std::vector<NamedTensor> parameters = training.model.parameters();
  training.trainer.set_reducer([&](Gradient gradient) {
    ++calls;
    detail::give_gradient(parameters, gradient);
    seen = global_norm(parameters);
    return gradient;
  });
  const StepEvent event = training.trainer.train_step();
  CHECK(calls == 1);
  CHECK(event.grad_norm == seen);
}

TEST_CASE("a loss that is not finite is an error naming the parameter to blame, and the model stays") {
  Training training(dropout_config("gpt"), few_steps(6));
  training.steps(1);
  const Tensor& table = training.model.token_embedding.weight;
  table.mutable_data<float>()[0] = std::numeric_limits<float>::infinity();
  const std::string before = training.files();
  CHECK_THROWS_AS(training.trainer.train_step(), std::runtime_error);
  CHECK(training.trainer.step() == 1);
  CHECK((training.files() == before));
}

TEST_CASE("a restored checkpoint continues to the same bits") {
  for (const std::string_view arch : {"gpt", "llama"}) {
    for (const bool tie : {true, false}) {
      Config config = dropout_config(arch);
      config.tie = tie;
      const TrainingOptions options = few_steps(7);
      Training whole(config, options);
      whole.steps(7);
      const TemporaryFolder folder;
      Training first(config, options);
      first.steps(3);
      first.trainer.save(folder.path(), {{"paths", "[]"}});
      Transformer model(config);  // zeros: everything has to come from the files
      Trainer trainer(model, options, letters(), first.text);
      trainer.restore(folder.path());
      CHECK(trainer.step() == 3);
      CHECK(trainer.last_loss() == first.trainer.last_loss());
      CHECK(!trainer.last_evaluation());
      for (int i = 0; i < 4; ++i) trainer.train_step();
      const TemporaryFolder a, b;
      whole.trainer.save(a.path(), {{"paths", "[]"}});
      trainer.save(b.path(), {{"paths", "[]"}});
      CHECK((read_file(a / kWeightsFile) == read_file(b / kWeightsFile)));
      CHECK((read_file(a / kStateFile) == read_file(b / kStateFile)));
    }
  }
}

TEST_CASE(
    "restoring refuses a checkpoint of another model, or one with a changed byte, by the tensor's name") {
  const Config config = dropout_config("gpt");
  const TemporaryFolder folder;
  Training training(config, few_steps(6));
  training.steps(2);
  training.trainer.save(folder.path(), {});
  Config wider = config;
  wider.n_embd = 32;
  Training other(wider, few_steps(6));
  CHECK_THROWS_WITH(other.trainer.restore(folder.path()), ContainsSubstring("model.safetensors"));
  for (const char* file : {kWeightsFile, kStateFile}) {
    const std::string bytes = read_file(folder / file);
    std::string changed = bytes;
    changed[changed.size() - 3] ^= 1;  // in the last tensor
    testing::write_quickly(folder / file, changed);
    const std::string last = SafetensorsFile::open(folder / file).names().back();
    Training again(config, few_steps(6));
    CHECK_THROWS_WITH(again.trainer.restore(folder.path()),
                      ContainsSubstring(file) && ContainsSubstring(last) && ContainsSubstring("checksum"));
    testing::write_quickly(folder / file, bytes);
  }
}

TEST_CASE("a run is the same model whatever it reports and saves on the way") {
  const Config config = dropout_config("llama");
  TrainingOptions options = few_steps(6);
  const auto weights = [&] {
    const TemporaryFolder folder;
    Training training(config, options);
    Recorder recorder;
    CHECK(training.run(folder.path(), recorder));
    return read_file(folder / kWeightsFile);
  };
  const std::string plain = weights();
  options.eval_interval = 1;
  options.sample_every = 1;
  options.checkpoint_every = 1;
  options.keep = 2;
  CHECK((weights() == plain));
}

TEST_CASE("a run evaluates, samples and checkpoints when they are due, and at its end") {
  TrainingOptions options = few_steps(7);
  options.eval_interval = 3;
  options.sample_every = 2;
  options.checkpoint_every = 4;
  const TemporaryFolder folder;
  Training training(dropout_config("gpt"), options);
  Recorder recorder;
  CHECK(training.run(folder.path(), recorder));
  CHECK(recorder.checkpoints == std::vector<int64_t>{0, 4, 7});
  CHECK(recorder.samples == std::vector<int64_t>{2, 4, 6});
  // A sample may fail: what it could cost is checkpointed before.
  CHECK(recorder.order == "csstssctsstsc");
  REQUIRE(recorder.steps.size() == 7);
  for (int64_t i = 0; i < 7; ++i) {
    const StepEvent& event = recorder.steps[static_cast<std::size_t>(i)];
    CHECK(event.step == i + 1);
    CHECK(event.held_out.has_value() == (event.step % 3 == 0 || event.step == 7));
  }
  const HeldOutReport now = training.trainer.evaluate_held_out();
  CHECK(recorder.steps.back().held_out->loss == now.loss);
  CHECK(training.trainer.last_evaluation()->loss == now.loss);
  const Metadata metadata = SafetensorsFile::open(folder / kStateFile).metadata();
  CHECK(metadata.at("paths") == "[]");
  CHECK(metadata.at("step") == "7");

  // What was evaluated last belongs to the checkpoint.
  Training again(dropout_config("gpt"), options);
  Recorder nothing;
  // A finished run is finished: nothing happens, and that is no error.
  CHECK(again.go_on(folder.path(), nothing));
  CHECK(nothing.steps.empty());
  REQUIRE(again.trainer.last_evaluation());
  CHECK(again.trainer.last_evaluation()->loss == now.loss);
  CHECK(again.trainer.last_evaluation()->measures == now.measures);
  CHECK(again.trainer.last_evaluation()->tokens == now.tokens);
}

TEST_CASE("a cancelled run checkpoints the step it has reached and continues to the same bits") {
  const Config config = dropout_config("gpt");
  TrainingOptions options = few_steps(7);
  options.eval_interval = 2;
  const TemporaryFolder whole_folder, folder;
  Training whole(config, options);
  Recorder recorder;
  CHECK(whole.run(whole_folder.path(), recorder));

  std::atomic<bool> cancel{false};
  Training stopped(config, options);
  Recorder until_three;
  until_three.after_step = [&](int64_t step) { cancel = step == 3; };
  CHECK_FALSE(stopped.run(folder.path(), until_three, cancel));
  CHECK(until_three.steps.size() == 3);
  CHECK(until_three.checkpoints == std::vector<int64_t>{0, 3});

  Training again(config, options);
  Recorder rest;
  CHECK(again.go_on(folder.path(), rest));
  CHECK(rest.steps.size() == 4);
  CHECK((read_file(folder / kWeightsFile) == read_file(whole_folder / kWeightsFile)));
  CHECK((read_file(folder / kStateFile) == read_file(whole_folder / kStateFile)));
}

TEST_CASE("without held-out text a run evaluates nothing, and asking for it is an error") {
  TrainingOptions options = few_steps(2);
  options.eval_interval = 1;
  const EncodedCorpus text{text_of(some_ids(100, kVocab)), {}};
  Transformer model = small_model(dropout_config("gpt"));
  Trainer trainer(model, options, letters(), text);
  const TemporaryFolder folder;
  Recorder recorder;
  RunFolder run = run_folder(folder.path(), model.config(), options);
  CHECK(trainer.run(run, recorder, Training::never()));
  CHECK_FALSE(recorder.steps.back().held_out.has_value());
  CHECK_THROWS_WITH(trainer.evaluate_held_out(), ContainsSubstring("raise TrainingOptions::val_fraction"));
}

TEST_CASE("an evaluation predicts every token but the first once, each within its window") {
  for (const std::string_view arch : {"gpt", "llama"}) {
    const Transformer model = small_model(small_config(arch, kVocab, 16));
    // Around the ends of windows, and beyond the 4096 rows that go through the model at once.
    for (const int64_t length : {2, 3, 16, 17, 18, 32, 33, 34, 4097, 4113, 4114}) {
      const std::vector<int32_t> ids = some_ids(length, kVocab, 5);
      double nats = 0;
      int64_t windows = 0, bytes = 0;
      for (int64_t first = 0; first + 1 < length; first += 16, ++windows) {
        const auto end = std::min<int64_t>(first + 17, length);
        nats += window_nats(model, {ids.begin() + first, ids.begin() + end});
      }
      for (int64_t i = 1; i < length; ++i) {
        bytes += static_cast<int64_t>(letters().token_bytes(ids[static_cast<std::size_t>(i)]).size());
      }
      int64_t told_done = 0, told_all = 0;
      const Evaluation result = evaluated(model, ids, [&](int64_t done, int64_t all) {
        CHECK(done > told_done);
        told_done = done;
        told_all = all;
      });
      CAPTURE(length);
      CHECK(result.tokens == length - 1);
      CHECK(result.bytes == bytes);
      CHECK(result.loss == Approx(nats / static_cast<double>(length - 1)).epsilon(1e-6));
      CHECK(result.perplexity == Approx(std::exp(result.loss)));
      CHECK(result.bits_per_byte == Approx(nats / std::log(2.0) / static_cast<double>(bytes)).epsilon(1e-6));
      CHECK(told_done == windows);
      CHECK(told_all == windows);
    }
  }
}

TEST_CASE("an evaluation does not depend on what is evaluated with it") {
  const Transformer model = small_model(small_config("llama", kVocab, 16));
  const std::vector<int32_t> ids = some_ids(16 * 9 + 1, kVocab, 6);
  double nats = 0;
  for (std::size_t first = 0; first + 1 < ids.size(); first += 16) {
    nats += 16 * evaluated(model, std::span(ids).subspan(first, 17)).loss;
  }
  // Only the sum over windows is rounded differently.
  CHECK(evaluated(model, ids).loss == Approx(nats / (16 * 9)).epsilon(1e-13));
}

TEST_CASE("bits per byte count the text that unknown tokens stand for, and the unknown tokens are counted") {
  const std::vector<std::string_view> known = {"the king went up the hill"};
  const std::vector<std::string_view> unknown = {"\xe5\x9b\xbd\xe7\x8e\x8b the \xe7\x8e\x8b\xe5\x9b\xbd"};
  TokenizerTraining options;
  options.kind = "words";
  const Tokenizer words = train_tokenizer(known, options);
  const Transformer model = small_model(small_config("gpt", words.vocab_size(), 16));
  const TokenText text = tokenize_documents(words, unknown);
  const Evaluation result = evaluate(model, words, text.ids, text.bytes_of);
  CHECK(result.tokens == 2);
  CHECK(result.unknown == 1);
  CHECK(result.unknown_rate() == 0.5);
  CHECK(result.bytes == 11);  // " the" and the last word with its space
  CHECK(result.bits_per_byte == Approx(result.loss * 2 / std::log(2.0) / 11));
}

TEST_CASE("an evaluation reads fewer windows at once where the vocabulary is large, but always a whole one") {
  const auto tokens = [](int64_t vocab_size, int64_t block_size) {
    return detail::evaluation_tokens(small_config("gpt", vocab_size, block_size));
  };
  CHECK(tokens(256, 16) == 4096);
  CHECK(tokens(2048, 16) == 4096);
  CHECK(tokens(50257, 16) == 160);  // 2^23 / 50257 is 166
  CHECK(tokens(256, 1000) == 4000);
  CHECK(tokens(256, 5000) == 5000);
  CHECK(tokens(50257, 1024) == 1024);
}

TEST_CASE("special tokens are predicted, and count no bytes") {
  const std::vector<std::string_view> documents = {"one two", "three"};
  const Tokenizer bpe = Tokenizer::train_bpe(documents, 257);
  Config config = small_config("gpt", bpe.vocab_size(), 16);
  const Transformer model = small_model(config);
  const TokenText text = tokenize_documents(bpe, documents);
  const Evaluation result = evaluate(model, bpe, text.ids, text.bytes_of);
  CHECK(result.tokens == 12);
  CHECK(result.bytes == 11);  // without the first token, which nothing predicts, and the separator
  CHECK(result.bits_per_byte == Approx(result.loss * 12 / std::log(2.0) / 11));
}

TEST_CASE("an evaluation needs two tokens, stops when progress throws, and leaves no gradient") {
  Transformer model = small_model(small_config("gpt", kVocab, 16));
  model.set_requires_grad(true);
  const std::vector<int32_t> ids = some_ids(40, kVocab);
  CHECK_THROWS_WITH(evaluated(model, std::span(ids).first(1)),
                    ContainsSubstring("must have at least 2 tokens; it has 1"));
  struct Stop {};
  CHECK_THROWS_AS(evaluated(model, ids, [](int64_t, int64_t) { throw Stop(); }), Stop);
  evaluated(model, ids);
  for (const NamedTensor& parameter : model.parameters()) CHECK_FALSE(parameter.tensor.grad().defined());
}

TEST_CASE("a checkpoint records whether its steps were taken with fused multiply-add") {
  for (const std::string& isa : available_isas()) {
    const UseIsa use(isa);
    const TemporaryFolder folder;
    Training training(small_config("gpt", kVocab, 16), few_steps(6));
    training.trainer.save(folder.path(), {});
    CHECK(SafetensorsFile::open(folder / kStateFile).metadata().at(kFusedKey) ==
          (has_fma(isa) ? "yes" : "no"));
  }
}
