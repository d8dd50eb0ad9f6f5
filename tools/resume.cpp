// gradus resume: continues a run where its last checkpoint stands, bit for bit.

#include <algorithm>

#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"
#include "tools/training.hpp"

namespace gradus::tools {

int run_resume(const Arguments& arguments) {
  std::string folder;
  std::string time;
  int64_t max_iters = 0;
  CommonOptions common;
  Args args(
      "resume",
      "Continues a training from its last checkpoint: the bits are those of a run that was never stopped.");
  args.positional("DIR", folder, "the run folder");
  args.integer("--max-iters", max_iters,
               "train up to this step instead of the run's own --max-iters; 0: as the run says");
  args.text("--time", time, "train for about this long from here, e.g. 3m");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(!(args.given("--time") && args.given("--max-iters")), "resume: give --max-iters or --time, not both");
  check(max_iters >= 0, "--max-iters must be positive; it is ", max_iters);

  check_world(is_directory(folder), folder, ": must be a run folder; there is no such folder");
  const FolderLock lock(folder);
  const int64_t step = recover_checkpoint(folder);
  const std::string state_path = folder + "/" + kStateFile;
  const SafetensorsFile state = SafetensorsFile::open(state_path);
  const auto stored = state.metadata().find("options");
  check_world(stored != state.metadata().end(), state_path,
              ": the metadata must hold the training's options; it does not");
  TrainingOptions options = options_from_json(Json::parse(stored->second, state_path));
  const RunSource source = source_from_metadata(state.metadata(), state_path);

  const Tokenizer tokenizer = Tokenizer::load(folder + "/" + kTokenizerFile);
  check_world(
      sha256_hex(tokenizer.to_json()) == source.tokenizer_sha256, folder, "/", kTokenizerFile,
      ": must be the tokenizer that the run was started with; it is another; restore the original file");
  const Config config = load_config(folder);
  check_tokenizer(config, tokenizer, folder);
  check_world(
      sha256_hex(config_to_json(config).dump()) == source.config_sha256, folder, "/", kConfigFile,
      ": must hold the configuration that the run was started with; it holds another; restore the file, or "
      "start a new run with gradus train --init model:",
      folder);
  Corpus corpus = load_corpus(source.paths, options.val_fraction);
  check_world(
      corpus.sha256 == source.corpus_sha256, source.paths.front(),
      ": must be the text that the run was started with; it has changed; restore it, or start a new run with "
      "gradus train --init model:",
      folder);
  const RunText text = encode_corpus(std::move(corpus), source.paths, tokenizer);
  const int64_t held_out_tokens = static_cast<int64_t>(text.held_out.ids.size());

  if (max_iters > 0) {
    check(max_iters >= step, "resume: --max-iters must not lie before the checkpoint, which is at step ",
          step, "; it is ", max_iters);
    options.max_iters = max_iters;
  }
  Plan plan;
  plan.peak_memory_bytes = plan_memory(config, options, held_out_tokens);
  check_plan_fits(plan, folder);
  const int64_t left = options.max_iters - step;
  if (left > 0 || !time.empty()) {
    plan = plan_training(config, options, held_out_tokens);
    // The checkpoint that stands is part of what the run takes.
    Plan more = plan;
    more.disk_bytes -=
        std::min(more.disk_bytes, file_bytes(folder + "/" + kWeightsFile) + file_bytes(state_path));
    check_plan_fits(more, folder);
    if (!time.empty()) {
      const double evaluations =
          options.eval_interval > 0 ? plan.seconds_per_evaluation / static_cast<double>(options.eval_interval)
                                    : 0;
      options.max_iters =
          step + std::max<int64_t>(1, static_cast<int64_t>(parse_duration(time, "--time") /
                                                           (plan.seconds_per_step + evaluations)));
    }
    plan.seconds *=
        static_cast<double>(options.max_iters - step) / static_cast<double>(std::max<int64_t>(plan.steps, 1));
    plan.steps = options.max_iters - step;
    if (!common.quiet) {
      say("resume " + folder + " at step " + std::to_string(step) + ": " +
          plan_text(config, tokenizer.kind(), plan));
    }
  }
  if (interrupted()) throw Interrupted{};

  Transformer model(config);
  Trainer trainer(model, options, tokenizer, text.training.ids, text.bytes_per_token(), text.held_out);
  trainer.restore(folder);
  RunProgress progress(folder, model, tokenizer, options, trainer.step(), plan,
                       common.quiet || options.max_iters <= step);
  return finish_run(trainer, progress, folder, source_metadata(source), common);
}

}  // namespace gradus::tools
