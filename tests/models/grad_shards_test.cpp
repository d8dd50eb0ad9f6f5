#include <atomic>
#include <barrier>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "models/training/planner.hpp"
#include "models/training/trainer.hpp"
#include "nn/optim.hpp"
#include "tensor/machine.hpp"
#include "tensor/ops.hpp"
#include "tensor/storage.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/small_training.hpp"
#include "tests/support/use_threads.hpp"

/// A step's gradient as a balanced tree over shards of its sequences.

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

Config shard_config(std::string_view arch, bool tie = true) {
  Config config = dropout_config(arch);
  config.tie = tie;
  return config;
}

/// Eight sequences a step in four shards.
TrainingOptions four_shards(int64_t batch_size = 8) {
  TrainingOptions options = few_steps(6);
  options.batch_size = batch_size;
  options.grad_accum = 8 / batch_size;
  options.grad_shards = 4;
  return options;
}

struct Trained {
  std::vector<double> told;  // losses and norms
  std::string files;
  bool operator==(const Trained&) const = default;
};

Trained trained(const Config& config, const TrainingOptions& options, int64_t kept_rows = -1) {
  Training training(config, options);
  if (kept_rows >= 0) training.trainer.keep_rows(kept_rows);
  Trained result;
  for (int i = 0; i < 3; ++i) {
    const StepEvent event = training.trainer.train_step();
    result.told.insert(result.told.end(), {event.loss, event.grad_norm});
  }
  result.files = training.files();
  return result;
}

}  // namespace

TEST_CASE("the gradient of four shards is (0 + 1) + (2 + 3), each a chain over its sequences") {
  for (const std::string_view arch : {"gpt", "llama"}) {
    const Config config = shard_config(arch);
    const TrainingOptions options = four_shards();
    Training training(config, options);
    Gradient found;
    training.trainer.set_reducer([&](Gradient gradient) {
      found = gradient;
      return gradient;
    });
    const StepEvent event = training.trainer.train_step();

    Transformer model = small_model(config);
    model.set_requires_grad(true);
    const std::vector<NamedTensor> parameters = model.parameters();
    const std::unique_ptr<Objective> objective =
        make_objective({model.config(), options, letters(), training.text});
    std::vector<Gradient> shards;
    for (int64_t shard = 0; shard < 4; ++shard) {
      const TrainingBatch batch = objective->batch(0, 2 * shard, 2);
      double sum = 0;
      const Tensor loss = objective->loss(model, model.forward(batch.inputs, batch.context), batch,
                                          objective->divisor(0), sum);
      loss.backward();
      shards.push_back(detail::take_gradient(parameters, sum));
    }
    const double sum = (shards[0].loss_sum + shards[1].loss_sum) + (shards[2].loss_sum + shards[3].loss_sum);
    CHECK(event.loss == static_cast<double>(static_cast<float>(sum / (8 * 16))));
    REQUIRE(found.tensors.size() == parameters.size());
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      CAPTURE(parameters[i].name);
      const auto of = [&](std::size_t shard) { return shards[shard].tensors[i]; };
      CHECK(same_bits(found.tensors[i], (of(0) + of(1)) + (of(2) + of(3))) == "");
    }
  }
}

TEST_CASE("four trainers of a shard each, reduced in a tree, are one trainer of four shards, to the bit") {
  for (const std::string_view arch : {"gpt", "llama"}) {
    const Config config = shard_config(arch);
    const Trained one = trained(config, four_shards());
    for (const int64_t trainers : {2, 4}) {
      std::vector<Gradient> gradients(static_cast<std::size_t>(trainers));
      std::vector<Trained> all(gradients.size());
      std::barrier meet(trainers);
      const auto work = [&](int64_t index) {
        Training training(config, four_shards());
        training.trainer.set_share(index, trainers);
        training.trainer.set_reducer([&](Gradient gradient) {
          gradients[static_cast<std::size_t>(index)] = std::move(gradient);
          meet.arrive_and_wait();
          GradientTree tree;
          for (const Gradient& each : gradients) tree.push(each);
          Gradient total = tree.total();
          meet.arrive_and_wait();
          return total;
        });
        Trained& mine = all[static_cast<std::size_t>(index)];
        for (int i = 0; i < 3; ++i) {
          const StepEvent event = training.trainer.train_step();
          mine.told.insert(mine.told.end(), {event.loss, event.grad_norm});
        }
        mine.files = training.files();
      };
      {
        std::vector<std::jthread> threads;
        for (int64_t index = 0; index < trainers; ++index) threads.emplace_back(work, index);
      }
      for (const Trained& each : all) {
        CAPTURE(trainers);
        CHECK((each == one));
      }
    }
  }
}

TEST_CASE(
    "shards do not depend on batches, waiting rows or threads, but another number of them rounds otherwise") {
  for (const bool tie : {true, false}) {
    const Config config = shard_config("gpt", tie);
    const Trained usual = trained(config, four_shards());
    for (const int64_t batch_size : {1, 2, 4}) {
      CAPTURE(tie, batch_size);
      CHECK((trained(config, four_shards(batch_size)) == usual));
      CHECK((trained(config, four_shards(batch_size), 0) == usual));
    }
    for (const int threads : {1, 2, 4}) {
      const UseThreads limit(threads);
      CHECK((trained(config, four_shards()) == usual));
    }
    TrainingOptions other = four_shards();
    other.grad_shards = 1;
    const Trained chain = trained(config, other);
    other.grad_shards = 2;
    CHECK((chain != usual));
    CHECK((trained(config, other) != usual));
    CHECK((trained(config, other) != chain));
    CHECK(chain.told[0] == Approx(usual.told[0]).epsilon(1e-6));
    CHECK(chain.told[1] == Approx(usual.told[1]).epsilon(1e-4));
  }
}

TEST_CASE("a batch that does not divide a shard is cut at the shard's end") {
  const Config config = shard_config("gpt");
  TrainingOptions options = few_steps(6);
  options.batch_size = 6;
  options.grad_accum = 2;
  options.grad_shards = 2;
  const Trained whole = trained(config, options);
  for (const int64_t batch_size : {4, 3, 2, 1, 12}) {
    options.batch_size = batch_size;
    options.grad_accum = 12 / batch_size;
    CAPTURE(batch_size);
    CHECK((trained(config, options) == whole));
  }
}

TEST_CASE("a share that cannot be is an error") {
  Training training(shard_config("gpt"), four_shards());
  CHECK_THROWS_WITH(training.trainer.set_share(0, 3), ContainsSubstring("must be a power of two"));
  CHECK_THROWS_WITH(training.trainer.set_share(0, 8), ContainsSubstring("grad_shards 4; they are 8"));
  CHECK_THROWS_WITH(training.trainer.set_share(4, 4), ContainsSubstring("must be in [0, 3]; it is 4"));
  GradientTree tree;
  for (int i = 0; i < 3; ++i) tree.push({});
  CHECK_THROWS_WITH(tree.total(), ContainsSubstring("must be a power of two"));
}

TEST_CASE("the planner counts the gradients that wait in the tree") {
  Config config = small_config("gpt", kVocab, 16);
  config.n_embd = 256;
  config.n_layer = 4;
  config = config.resolved();
  const auto gradient = static_cast<double>(parameter_count(config)) * 4;
  TrainingOptions options = few_steps(4);
  const auto planned = [&](int64_t shards) {
    options.grad_shards = shards;
    // A plan counts what the process holds beside its tensors, which is another from call to call.
    const uint64_t reserved = memory_statistics().reserved, resident = resident_bytes();
    const uint64_t beside = resident > reserved ? resident - reserved : resident;
    return static_cast<double>(plan_memory(config, options, 0)) - static_cast<double>(beside);
  };
  const auto peak = [&](int64_t shards) {
    options.grad_shards = shards;
    release_free_memory();
    Training training(config, options);
    reset_memory_peaks();
    training.steps(3);
    return static_cast<double>(memory_statistics().peak_in_use);
  };
  // Of eight shards, three sums and a gradient at a time.
  CHECK(peak(8) - peak(1) > 1.5 * gradient);
  CHECK(planned(8) - planned(1) > 1.5 * gradient);
  CHECK(planned(8) - planned(1) < 4.5 * gradient);
}
