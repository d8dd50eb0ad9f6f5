// gradus resume: continues a run where its last checkpoint stands, bit for bit.

#include <charconv>
#include <cstdio>
#include <filesystem>
#include <optional>

#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/machine.hpp"
#include "tools/training.hpp"

namespace gradus::tools {
namespace {

struct ResumeArguments {
  std::string folder;
  std::optional<int64_t> max_iters;
  std::string time;
  std::string schedule;
  std::string learning_rate;
  std::string min_lr;
  std::vector<std::string> texts;
  bool force = false;
  CommonOptions common;
};

void bind(Args& args, ResumeArguments& a) {
  args.positional("DIR", a.folder, "the run folder");
  args.integer("--max-iters", a.max_iters, "train up to this step; default: as the run says");
  args.text("--time", a.time, "train for about this long from here, e.g. 3m");
  args.texts("--text", a.texts, "where the run's texts stand now, in their order, if they have moved");
  args.flag("--force", a.force,
            "go on with an instruction set whose bits are not those that the run began with");
  args.heading("From here on, and remembered by the run");
  args.text("--learning-rate", a.learning_rate, "the highest learning rate; default: as the run says");
  args.text("--min-lr", a.min_lr,
            "the learning rate at the end; default: as the run says, or a tenth of --learning-rate where "
            "that is below it");
  args.choice("--schedule", a.schedule, {"cosine", "linear", "constant", "wsd"},
              "how the learning rate falls; default: as the run says");
  a.common.add(args);
}

double rate_of(const std::string& text, const char* option) {
  double rate = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rate);
  check(error == std::errc() && end == text.data() + text.size(), option, ": must be a number; it is '", text,
        "'");
  return rate;
}

/// Three digits: "0.00065".
std::string rate_text(double rate) {
  char text[32];
  std::snprintf(text, sizeof text, "%.3g", rate);
  return text;
}

/// The rate of the run's last step; of versions that did not record it, what its schedule says.
double last_rate(const Metadata& stored, const TrainingOptions& before, int64_t step) {
  if (const auto entry = stored.find("last"); entry != stored.end()) {
    const Json last = Json::parse(entry->second, "state");
    if (const Json* rate = last.find("lr")) return rate->as_number();
  }
  return learning_rate(schedule_of(before), step - 1);
}

/// What is said where the learning rate of the next step is not what the run would have come to by itself.
std::string rate_change(const TrainingOptions& before, const TrainingOptions& now, int64_t step,
                        double last) {
  if (step == 0) return "";
  const double next = learning_rate(schedule_of(now), step);
  const bool as_planned = last == learning_rate(schedule_of(before), step - 1) &&
                          next == learning_rate(schedule_of(before), step);
  if (as_planned) return "";
  return "note   the learning rate goes from " + rate_text(last) + " at step " + std::to_string(step) +
         " to " + rate_text(next) + " at step " + std::to_string(step + 1) +
         "; --learning-rate, --min-lr and --schedule change that";
}

/// The options of the run, with those that are given anew.
TrainingOptions new_options(const ResumeArguments& a, const TrainingOptions& stored, int64_t step) {
  TrainingOptions options = stored;
  if (!a.schedule.empty()) options.schedule = a.schedule;
  if (!a.learning_rate.empty()) {
    options.learning_rate = rate_of(a.learning_rate, "--learning-rate");
    if (options.min_lr > options.learning_rate) options.min_lr = options.learning_rate / 10;
  }
  if (!a.min_lr.empty()) options.min_lr = rate_of(a.min_lr, "--min-lr");
  if (a.max_iters) {
    check(*a.max_iters >= step, "resume: --max-iters must not lie before the checkpoint, which is at step ",
          step, "; it is ", *a.max_iters);
    options.max_iters = *a.max_iters;
  }
  return options;
}

void check_instruction_set(const Metadata& metadata, const ResumeArguments& a) {
  const auto entry = metadata.find(kFusedKey);
  // Earlier versions did not record it.
  if (entry == metadata.end() || entry->second == (has_fused_multiply_add() ? "yes" : "no")) return;
  const bool had = entry->second == "yes";
  const std::string what = std::string("the run's steps were taken ") + (had ? "with" : "without") +
                           " fused multiply-add, and the instruction set here, " +
                           kernels::table<float>().name + ", has " + (had ? "none" : "it");
  check_world(a.force, "resume: the instruction set must round as the run's did; ", what,
              "; continue on a machine like the first one, set GRADUS_ISA to a set like the first one's, or "
              "give --force to go on with other bits than those of a run that never moved");
  say("note   " + what + ": the bits are not those of a run that never moved");
}

/// The run's text, from where it stands now: what --text names is remembered.
RunText load_text(RunSource& source, double held_out, const Config& config, const Tokenizer& tokenizer,
                  const ResumeArguments& a) {
  for (const std::string& path : a.texts) {
    if (&path == &a.texts.front()) source.paths.clear();
    source.paths.push_back(std::filesystem::absolute(path).string());
  }
  Corpus corpus = load_run_corpus(a.folder, source, held_out,
                                  "restore it; a text that has moved is named by --text, one that is lost by "
                                  "a new run: gradus train --init "
                                  "model:" +
                                      a.folder);
  check(a.texts.empty() || corpus.streams.empty(),
        "resume: --text must name files, which can be read again; a pipe or device is none");
  if (!a.texts.empty()) source.paths = corpus.files;
  return encode_corpus(std::move(corpus), tokenizer, config.add_special.value_or(false));
}

}  // namespace

int run_resume(const Arguments& arguments) {
  ResumeArguments a;
  Args args(
      "resume",
      "Continues a training from its last checkpoint: the bits are those of a run that was never stopped.");
  bind(args, a);
  if (!args.parse(arguments)) return 0;
  a.common.apply();
  watch_interrupts();
  check(!(args.given("--time") && a.max_iters), "resume: give --max-iters or --time, not both");
  check(a.max_iters.value_or(0) >= 0, "--max-iters must be positive; it is ", a.max_iters.value_or(0));
  const double seconds = a.time.empty() ? 0 : parse_duration(a.time, "--time");

  for (const std::string& path : a.texts) {
    check(path != "-", "resume: --text must name files, which can be read again; '-' is a stream");
  }
  const std::string& folder = a.folder;
  check_world(is_directory(folder), folder, ": must be a run folder; there is no such folder");
  const FolderLock lock(folder);
  check_can_write(folder + "/" + kStateFile);
  const int64_t step = recover_checkpoint(folder);
  const std::string state_path = folder + "/" + kStateFile;
  const Metadata stored = SafetensorsFile::open(state_path).metadata();
  const auto stored_text = stored.find("options");
  check_world(stored_text != stored.end(), state_path,
              ": the metadata must hold the training's options; it does not");
  const TrainingOptions before = options_from_json(Json::parse(stored_text->second, state_path));
  TrainingOptions options = new_options(a, before, step);
  // How many steps --time comes to is not known yet, and so whether the warm-up fits into them.
  TrainingOptions untimed = options;
  if (!a.time.empty()) untimed.warmup = 0;
  untimed.validate();
  check_instruction_set(stored, a);
  RunSource source = source_from_metadata(stored, state_path);
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
  const RunText text = load_text(source, options.val_fraction, config, tokenizer, a);
  const int64_t held_out_tokens = static_cast<int64_t>(text.held_out.ids.size());

  Plan plan;
  plan.peak_memory_bytes = plan_memory(config, untimed, held_out_tokens);
  check_plan_fits(plan, folder);
  if (options.max_iters > step || !a.time.empty()) {
    plan = plan_training(config, untimed, held_out_tokens);
    if (!a.time.empty()) {
      options.max_iters = step + steps_within(seconds, plan, options.eval_interval);
      options.validate();
    }
    plan.seconds *=
        static_cast<double>(options.max_iters - step) / static_cast<double>(std::max<int64_t>(plan.steps, 1));
    plan.steps = options.max_iters - step;
    // What the folder holds already asks for no more room.
    const HeldCheckpoints held = held_checkpoints(folder);
    plan.disk_bytes = plan_disk(config, options, step, held.kept);
    check_plan_fits(plan, folder);
    plan.disk_bytes += held.bytes;
    if (!a.common.quiet) {
      say("resume " + folder + " at step " + std::to_string(step) + ": " +
          plan_text(config, tokenizer.kind(), plan));
      const std::string change = rate_change(before, options, step, last_rate(stored, before, step));
      if (!change.empty()) say(change);
    }
  }
  if (interrupted()) throw Interrupted{};

  Transformer model(config);
  Trainer trainer(model, options, tokenizer, text.training.ids, text.bytes_per_token(), text.held_out);
  trainer.restore(folder);
  const Metadata metadata = source_metadata(source);
  // What was given anew is remembered even if no step follows.
  const bool changed = options != before || metadata.at("paths") != stored.at("paths");
  if (changed) trainer.save(folder, metadata);
  if (changed && options.max_iters <= step && !a.common.quiet)
    say("note   no step follows; what is given anew is remembered for those of a larger --max-iters");
  RunProgress progress(folder, model, tokenizer, options, trainer.step(), plan,
                       a.common.quiet || options.max_iters <= step);
  return finish_run(trainer, progress, folder, metadata, a.common);
}

}  // namespace gradus::tools
