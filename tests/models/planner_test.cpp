#include "models/training/planner.hpp"

#include <atomic>
#include <string>
#include <vector>

#include "models/training/trainer.hpp"
#include "models/transformer/flops.hpp"
#include "tensor/machine.hpp"
#include "tensor/storage.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/small_training.hpp"
#include "tests/support/temporary_folder.hpp"

/// What a training will take, said before it does.

using namespace gradus;
using namespace gradus::testing;

TEST_CASE("more batches a step take no more memory") {
  for (const bool tie : {true, false}) {
    for (const std::string_view arch : {"gpt", "llama"}) {
      Config config = small_config(arch, kVocab, 64);
      config.n_embd = 128;
      config.tie = tie;
      config = config.resolved();
      const auto peak = [&](int64_t parts) {
        TrainingOptions options = few_steps(4);
        options.grad_accum = parts;
        release_free_memory();
        Training training(config, options);
        training.trainer.keep_rows(0);
        reset_memory_peaks();
        training.steps(3);
        return memory_statistics().peak_in_use;
      };
      CAPTURE(tie, arch);
      CHECK(peak(2) == peak(8));
      // The planner knows it, for models whose rows would be many too.
      Config large = config;
      large.n_embd = 2048;
      large.block_size = 2048;
      large.n_ffn = 0;
      large = large.resolved();
      const auto planned = [&](int64_t parts) {
        TrainingOptions options = few_steps(4);
        options.grad_accum = parts;
        return plan_memory(large, options, 0);
      };
      // A batch's rows are 128 MiB; the process itself may have grown by little between two plans.
      constexpr uint64_t kLittle = uint64_t{4} << 20;
      CHECK(planned(8) < planned(2) + kLittle);
      CHECK(planned(1 << 20) < planned(2) + kLittle);
    }
  }
}

TEST_CASE("the planner knows the memory of a training within a tenth") {
  struct Shape {
    std::string_view arch;
    bool tie;
    int64_t layers, width, block, vocab, batch, accum;
  };
  for (const Shape& shape :
       {Shape{"gpt", true, 2, 64, 64, 1000, 8, 1}, Shape{"gpt", false, 4, 96, 32, 300, 12, 2},
        Shape{"llama", true, 3, 128, 48, 500, 4, 1}, Shape{"llama", false, 2, 64, 64, 2000, 6, 1}}) {
    Config config = default_config(shape.arch);
    config.n_layer = shape.layers;
    config.n_embd = shape.width;
    config.n_head = 4;
    config.block_size = shape.block;
    config.vocab_size = shape.vocab;
    config.tie = shape.tie;
    config.dropout = 0.1;
    config = config.resolved();
    TrainingOptions options = few_steps(4);
    options.batch_size = shape.batch;
    options.grad_accum = shape.accum;
    options.eval_interval = 4;
    const std::vector<int32_t> ids = some_ids(3000, std::min<int64_t>(shape.vocab, 256));

    release_free_memory();
    const auto before = static_cast<double>(memory_statistics().reserved);
    const auto rest = static_cast<double>(resident_bytes()) - before;
    const double planned = static_cast<double>(plan_memory(config, options, 3000)) - rest - before;
    CHECK(static_cast<double>(memory_statistics().reserved) == before);  // it took nothing itself

    reset_memory_peaks();
    {
      const TemporaryFolder folder;
      Recorder recorder;
      Transformer model(config);
      model.init(1);
      const Tokenizer tokenizer = Tokenizer::bytes();
      const EncodedCorpus text{{ids, {}, 3000}, {ids, ids, 3000}};
      Trainer trainer(model, options, tokenizer, text);
      RunFolder run = RunFolder::create(folder.path(), {config, tokenizer, Corpus(), options});
      trainer.run(run, recorder, Training::never());
    }
    const double peak = static_cast<double>(memory_statistics().peak_reserved) - before;
    CAPTURE(shape.arch, shape.tie, planned, peak, before);
    CHECK(planned > 0.9 * peak);
    CHECK(planned < 1.1 * peak);
  }
}

TEST_CASE(
    "the disk that is planned is that of the checkpoints that a run will write, whatever it would keep") {
  Config config = small_config("gpt", kVocab, 16);
  TrainingOptions options;
  options.max_iters = 100;
  options.checkpoint_every = 40;  // 0, 40, 80 and 100
  const auto metrics = [&](int64_t begin) {
    return static_cast<uint64_t>(options.max_iters - std::max<int64_t>(begin, 0)) * 400;
  };
  const uint64_t one = (plan_disk(config, options) - metrics(0)) / 2;
  CHECK(one > static_cast<uint64_t>(parameter_count(config)) * 12);
  CHECK(one < static_cast<uint64_t>(parameter_count(config)) * 12 + (uint64_t{100} << 10));
  const auto planned = [&](int64_t keep, int64_t begin = -1, int64_t kept = 0) {
    options.keep = keep;
    return (plan_disk(config, options, begin, kept) - metrics(begin)) / one;
  };
  CHECK(planned(1) == 3);
  CHECK(planned(2) == 4);
  CHECK(planned(3) == 5);  // three older ones, and room for a copy of the last
  CHECK(planned(100000) == 5);
  // From step 40 on, beside the checkpoint of 40 and that of 0.
  CHECK(planned(0, 40) == 1);
  CHECK(planned(1, 40, 1) == 1);
  CHECK(planned(2, 40, 1) == 2);
  CHECK(planned(100000, 40, 1) == 3);
  CHECK(planned(5, 100, 3) == 0);
  options.max_iters = 0;
  CHECK(planned(5) == 1);
}

TEST_CASE("a model larger than any memory is planned without taking it") {
  TrainingOptions options;
  options.batch_size = 1;
  Config config = default_config("gpt");
  config.vocab_size = 50257;
  config.block_size = 2048;
  SECTION("100 billion parameters") {
    config.n_layer = 96;
    config.n_head = 96;
    config.n_embd = 9216;
    config = config.resolved();
    CHECK(parameter_count(config) > 95'000'000'000);
  }
  SECTION("a billion") {
    config.n_layer = 24;
    config.n_head = 16;
    config.n_embd = 2048;
    config = config.resolved();
  }
  const uint64_t held = memory_statistics().reserved;
  const uint64_t peak_before = peak_resident_bytes();
  const uint64_t bytes = plan_memory(config, options, 100000);
  // Weights, gradients and two moments at least.
  CHECK(bytes >= static_cast<uint64_t>(parameter_count(config)) * 16);
  CHECK(memory_statistics().reserved == held);
  CHECK(peak_resident_bytes() - peak_before < (uint64_t{256} << 20));
}

TEST_CASE(
    "reading takes 2 operations for each matrix weight and 2 L C T for attention, training three times as "
    "many") {
  Config config = default_config("gpt");
  config.n_layer = 2;
  config.n_head = 4;
  config.n_embd = 64;
  config.block_size = 32;
  config.vocab_size = 100;
  config = config.resolved();
  const double block = 64 * 192 + 64 * 64 + 2 * 64 * 256;
  CHECK(training_flops_per_token(config) == 6 * (2 * block + 100 * 64) + 6 * 2 * 64 * 32);
  config.tie = false;  // the table that is only looked up costs nothing
  CHECK(training_flops_per_token(config) == 6 * (2 * block + 100 * 64) + 6 * 2 * 64 * 32);
  // The output layer only for tokens that are scored.
  CHECK(forward_flops(config, 10, 0) == 10 * 2 * 2 * block + 2 * 2 * 64 * 10 * 10);
  CHECK(forward_flops(config, 10, 3) == forward_flops(config, 10, 0) + 3 * 2 * 100 * 64);
  config.causal = false;
  CHECK(training_flops_per_token(config) == 6 * (2 * block + 100 * 64) + 12 * 2 * 64 * 32);
}
