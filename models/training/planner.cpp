#include "models/training/planner.hpp"

#include <algorithm>
#include <vector>

#include "models/training/evaluate.hpp"
#include "models/training/kept_rows.hpp"
#include "models/training/trainer.hpp"
#include "models/transformer/families/family.hpp"
#include "models/transformer/flops.hpp"
#include "tensor/error.hpp"
#include "tensor/machine.hpp"
#include "tensor/parallel.hpp"
#include "tensor/storage.hpp"

namespace gradus {
namespace {

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

/// Tokens: which ones does not matter to time or memory.
TokenText any_tokens(int64_t count, int64_t vocab_size) {
  const Random random(0, stream_of("planner.tokens"));
  TokenText text;
  text.ids.resize(static_cast<std::size_t>(count));
  for (std::size_t i = 0; i < text.ids.size(); ++i) {
    text.ids[i] = static_cast<int32_t>(random.below(i, static_cast<uint64_t>(vocab_size)));
  }
  text.bytes_of.assign(text.ids.size(), 1);
  text.bytes = count;
  return text;
}

/// The same step with fewer batches, which take as much memory: once no more rows wait, batches repeat each other.
void shorten_step(const Config& config, TrainingOptions& options) {
  const int64_t shards = options.grad_shards;
  const int64_t twice = batches_read_twice(config, options, kept_row_bytes(config)) / shards;
  int64_t batches = options.batches_per_shard() - std::max<int64_t>(0, twice - 2);
  if (!config.tie) batches = std::min<int64_t>(batches, 3);
  if (batches == options.batches_per_shard()) return;
  // Whole batches: the last one of a shard, which may be smaller, takes no more than the others.
  options.grad_accum = batches * shards;
}

/// What the pool reserves at its fullest in a training of this kind.
uint64_t walk(const Config& config, const TrainingOptions& options, int64_t held_out_tokens) {
  const DryRunMemory dry_run;
  const Tokenizer tokenizer = Tokenizer::bytes();
  // The model sees its own vocabulary; the tokenizer only counts bytes, and in dry-run memory no id has a value.
  EncodedCorpus text{any_tokens(config.block_size + 2, 1), {}};
  if (held_out_tokens >= 2 && options.eval_interval > 0) {
    // An evaluation repeats itself until its last windows.
    const int64_t at_once = detail::evaluation_tokens(config);
    const int64_t length = std::min(held_out_tokens, 2 * at_once + (held_out_tokens - 1) % at_once + 1);
    text.held_out = any_tokens(length, 1);
  }
  Transformer model(config);
  TrainingOptions few = options;
  few.warmup = 0;
  shorten_step(config, few);
  Trainer trainer(model, few, tokenizer, text);
  for (int step = 0; step < 3; ++step) trainer.train_step();
  if (!text.held_out.ids.empty()) trainer.evaluate_held_out();
  return dry_run.statistics().peak_reserved;
}

double step_flops(const Config& config, int64_t sequences) {
  return training_flops_per_token(config) * static_cast<double>(sequences * config.block_size);
}

struct Timing {
  double step = 0;        // seconds of forward and backward of one step
  double update = 0;      // seconds of clipping and AdamW
  double evaluation = 0;  // seconds an evaluated token
};

/// Times a few steps of a model, at most `budget` seconds but at least two steps.
Timing time_steps(const Config& config, const TrainingOptions& options, double budget) {
  const Tokenizer tokenizer = Tokenizer::bytes();
  const TokenText tokens = any_tokens(4 * config.block_size + 1, std::min<int64_t>(config.vocab_size, 256));
  const EncodedCorpus text{tokens, tokens};
  Transformer model(config);
  model.init(options.seed);
  TrainingOptions quiet = options;
  // Time does not depend on the rate; at 0 the weights stay, so that no rate can make the trial fail.
  quiet.warmup = 0;
  quiet.learning_rate = quiet.min_lr = 0;
  Trainer trainer(model, quiet, tokenizer, text);
  const double begin = now_seconds();
  trainer.train_step();  // grows the pool, touches the memory
  std::vector<double> steps;
  std::vector<double> updates;
  do {
    const StepEvent event = trainer.train_step();
    steps.push_back(event.seconds - event.update_seconds);
    updates.push_back(event.update_seconds);
  } while (now_seconds() - begin < budget * 0.8 && steps.size() < 50);
  const double evaluation_begin = now_seconds();
  const HeldOutReport evaluation = trainer.evaluate_held_out();
  return {median(steps), median(updates),
          (now_seconds() - evaluation_begin) / static_cast<double>(evaluation.tokens)};
}

}  // namespace

uint64_t plan_memory(const Config& config, const TrainingOptions& options, int64_t held_out_tokens) {
  // Weights, gradients and two moments alone: where they exceed this machine many times over, a walk would only cost
  // time and memory of its own (a step has a record for every 16384 parameters).
  const uint64_t parameters_alone = static_cast<uint64_t>(parameter_count(config)) * 16;
  if (parameters_alone / 8 > total_memory_bytes()) return parameters_alone;
  const uint64_t reserved = memory_statistics().reserved;
  const uint64_t resident = resident_bytes();
  return walk(config, options, held_out_tokens) + (resident > reserved ? resident - reserved : resident);
}

uint64_t plan_disk(const Config& config, const TrainingOptions& options, int64_t begin, int64_t kept) {
  // Weights and two moments, and what the files say of each of their tensors.
  constexpr uint64_t kTensorHead = 3 * 200, kFileHead = uint64_t{16} << 10;
  const uint64_t tensors = config.family->weights(config.resolved()).size();
  const uint64_t checkpoint =
      static_cast<uint64_t>(parameter_count(config)) * 12 + tensors * kTensorHead + kFileHead;
  constexpr uint64_t kMetricsLine = 400;
  const int64_t standing = begin < 0 ? 0 : 1;
  const int64_t written = checkpoints_after(options, begin);
  if (written == 0) return 0;
  // What stands stays while the next one is written.
  const int64_t fullest =
      std::min<int64_t>(2, standing + written) + std::min(options.keep, kept + standing + written - 1);
  const uint64_t lines = static_cast<uint64_t>(options.max_iters - std::max<int64_t>(begin, 0));
  return checkpoint * static_cast<uint64_t>(std::max<int64_t>(0, fullest - standing - kept)) +
         lines * kMetricsLine;
}

namespace {

/// Of a step, with its part of the evaluations.
double seconds_per_step(const Plan& plan, const TrainingOptions& options) {
  return plan.seconds_per_step +
         (options.eval_interval > 0 ? plan.seconds_per_evaluation / static_cast<double>(options.eval_interval)
                                    : 0);
}

}  // namespace

int64_t steps_within(const Plan& plan, const TrainingOptions& options, double seconds) {
  return std::max<int64_t>(1, static_cast<int64_t>(seconds / seconds_per_step(plan, options)));
}

Plan plan_of_steps(Plan plan, const TrainingOptions& options, int64_t steps) {
  plan.tokens = plan.tokens / std::max<int64_t>(plan.steps, 1) * steps;
  plan.steps = steps;
  plan.seconds = static_cast<double>(steps) * seconds_per_step(plan, options);
  return plan;
}

Plan plan_training(const Config& config, const TrainingOptions& options, int64_t held_out_tokens) {
  const Config full = config.resolved();
  full.validate();
  options.validate();
  Plan plan;
  plan.parameters = parameter_count(full);
  plan.steps = options.max_iters;
  plan.tokens = options.max_iters * options.sequences_per_step() * full.block_size;
  plan.peak_memory_bytes = plan_memory(full, options, held_out_tokens);
  plan.disk_bytes = plan_disk(full, options);

  const double peak = measure_peak(thread_count(), 0.05).f32_gflops * 1e9;
  const double likely = step_flops(full, options.batch_size) / (0.4 * peak);
  // A forward pass is a third of a step.
  const double batches = static_cast<double>(options.grad_accum) +
                         static_cast<double>(batches_read_twice(full, options, kept_row_bytes(full))) / 3;
  // Adding two gradients reads and writes three arrays, an update seven.
  const double updates = 1 + static_cast<double>(options.grad_shards - 1) * 3 / 7;
  double evaluation_per_token = 0;
  const uint64_t room = available_memory_bytes() / 2;
  if (likely < 0.7 && plan.peak_memory_bytes < room) {
    TrainingOptions one = options;
    one.grad_accum = one.grad_shards = 1;
    const Timing timing = time_steps(full, one, 3.0);
    plan.seconds_per_step = timing.step * batches + timing.update * updates;
    evaluation_per_token = timing.evaluation;
  } else {
    // One and two layers of the same width, one sequence, a smaller vocabulary: the difference is a layer, the rest is
    // the output layer. Only where even that is too much, the block and the width shrink, and operations decide.
    Config small = full;
    TrainingOptions one = options;
    one.batch_size = 1;
    one.grad_accum = one.grad_shards = 1;
    small.n_layer = 2;
    small.vocab_size = std::min<int64_t>(full.vocab_size, 8192);
    const auto too_much = [&] {
      return step_flops(small, 1) / (0.4 * peak) > 0.8 || plan_memory(small, one, 0) > room;
    };
    while (too_much() && small.block_size > 128) small.block_size /= 2;
    while (too_much() && small.n_embd / 2 % (2 * small.n_head) == 0 && small.n_embd > 128) {
      small.n_embd /= 2;
      small.n_ffn = std::max<int64_t>(1, small.n_ffn / 2);
    }
    const Timing two = time_steps(small, one, 2.5);
    Config single = small;
    single.n_layer = 1;
    const Timing first = time_steps(single, one, 2.5);
    const double layer = std::max(two.step - first.step, 0.1 * two.step);
    const double head = std::max(first.step - layer, 0.0);
    const auto head_flops = [](const Config& c) {
      return 3 * (forward_flops(c, c.block_size, c.block_size) - forward_flops(c, c.block_size, 0));
    };
    const auto layer_flops = [&](const Config& c) {
      return (step_flops(c, 1) - head_flops(c)) / static_cast<double>(c.n_layer);
    };
    const double sequence =
        head * head_flops(full) / head_flops(small) +
        layer * static_cast<double>(full.n_layer) * layer_flops(full) / layer_flops(small);
    const double update =
        two.update * static_cast<double>(plan.parameters) / static_cast<double>(parameter_count(small));
    plan.seconds_per_step = sequence * static_cast<double>(options.batch_size) * batches + update * updates;
    evaluation_per_token = two.evaluation * training_flops_per_token(full) / training_flops_per_token(small);
  }
  // The blocks of these trials have other sizes than the training's.
  release_free_memory();
  plan.seconds_per_evaluation = held_out_tokens >= 2 && options.eval_interval > 0
                                    ? evaluation_per_token * static_cast<double>(held_out_tokens)
                                    : 0;
  const double evaluations =
      options.eval_interval > 0
          ? static_cast<double>((options.max_iters + options.eval_interval - 1) / options.eval_interval)
          : 0;
  plan.seconds =
      plan.seconds_per_step * static_cast<double>(plan.steps) + plan.seconds_per_evaluation * evaluations;
  return plan;
}

}  // namespace gradus
