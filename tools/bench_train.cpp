// gradus bench train: whole training steps.

#include "models/training/planner.hpp"
#include "models/training/trainer.hpp"
#include "models/transformer/flops.hpp"
#include "tensor/error.hpp"
#include "tensor/machine.hpp"
#include "tensor/parallel.hpp"
#include "tensor/random.hpp"
#include "tools/bench_common.hpp"
#include "tools/model_options.hpp"

namespace gradus::tools {

int bench_train(const Arguments& arguments) {
  CommonOptions common;
  ModelOptions shape;
  int64_t vocab_size = 2048;
  int64_t steps = 20;
  int64_t grad_accum = 1;
  Args args("bench train", "Times whole training steps: batch, forward, backward, clipping, AdamW.");
  shape.add(args);
  args.heading("Measuring");
  args.integer("--vocab-size", vocab_size, "tokens of the vocabulary");
  args.integer("--steps", steps, "steps to time, after three that are not");
  args.integer("--grad-accum", grad_accum, "batches of one step");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(steps >= 5 && steps <= 1000000, "--steps must be in [5, 1000000], for a median; it is ", steps);
  args.no_effect({shape.preset_without_effect()});
  const Config config = shape.config(vocab_size);
  TrainingOptions options;
  options.batch_size = shape.batch();
  options.grad_accum = grad_accum;
  options.validate();
  const uint64_t needed = plan_memory(config, options, 0);
  check_world(needed <= available_memory_bytes(), "bench train: the training must fit in memory; it needs ",
              bytes_text(static_cast<double>(needed)), " and ",
              bytes_text(static_cast<double>(available_memory_bytes())), " are available");
  Transformer model(config);
  model.init(1);
  const Random random(1, stream_of("bench.tokens"));
  TrainingText text;
  std::vector<int32_t>& ids = text.training.ids;
  ids.resize(static_cast<std::size_t>(config.block_size * 64 + 1));
  for (std::size_t i = 0; i < ids.size(); ++i) {
    ids[i] = static_cast<int32_t>(random.below(i, static_cast<uint64_t>(vocab_size)));
  }
  text.training.bytes = std::ssize(ids);
  const Tokenizer tokenizer = Tokenizer::bytes();
  Trainer trainer(model, options, tokenizer, text);
  trainer.train_step();  // and the two of Turns: the third replays the first's memory
  TurnOptions turn_options;
  turn_options.samples = static_cast<int>(steps);
  turn_options.sample_seconds = 0;
  turn_options.progress = [&](int step) {
    if (!common.quiet) status("step " + std::to_string(step) + "/" + std::to_string(steps));
  };
  const Turns turns(
      {[&] { trainer.train_step(); }}, [] { return peak_flops(); }, turn_options);
  const double step = turns.seconds();
  const double peak = turns.limit() * 1e-9;
  const double tokens = static_cast<double>(options.sequences_per_step() * config.block_size);
  const double fraction = turns.fraction(tokens * training_flops_per_token(config));
  if (common.json) {
    Json json = Json::object();
    json.set("threads", int64_t{thread_count()}).set("parameters", parameter_count(config));
    json.set("tokens_per_second", tokens / step).set("step_seconds", step).set("samples", steps);
    json.set("fraction_of_peak", fraction).set("peak_gflops", peak);
    json.set("flops_per_token", training_flops_per_token(config));
    json.set("planned_bytes", static_cast<int64_t>(needed));
    json.set("peak_rss_bytes", static_cast<int64_t>(peak_resident_bytes()));
    print_bench_json(json);
  } else {
    print_out(bench_row("train " + count_text(static_cast<double>(parameter_count(config))) + " parameters",
                        fixed(tokens / step, 0) + " tok/s", fraction,
                        fixed(peak, 1) + " GFLOP/s   (" + fixed(step * 1e3, 2) + " ms a step, " +
                            bytes_text(static_cast<double>(peak_resident_bytes())) + ")"));
    finish_text(common);
  }
  return 0;
}

}  // namespace gradus::tools
