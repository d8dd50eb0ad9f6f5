// gradus resume: continues a run where its last checkpoint stands, bit for bit.

#include <charconv>
#include <cstdio>
#include <optional>

#include "models/training/checkpoint.hpp"
#include "models/transformer/files.hpp"
#include "models/word_vectors/run.hpp"
#include "tensor/error.hpp"
#include "tensor/kernels/kernels.hpp"
#include "tensor/machine.hpp"
#include "tools/training.hpp"
#include "tools/vectors.hpp"

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

/// What is said where the learning rate of the next step is not what the run would have come to by itself.
std::string rate_change(const TrainingOptions& before, const TrainingOptions& now, int64_t step,
                        std::optional<double> recorded) {
  if (step == 0) return "";
  // Versions that did not record the last step's rate took what the schedule says.
  const double planned = learning_rate(schedule_of(before), step - 1);
  const double last = recorded.value_or(planned);
  const double next = learning_rate(schedule_of(now), step);
  const bool as_planned = last == planned && next == learning_rate(schedule_of(before), step);
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

void check_instruction_set(const std::optional<bool>& had, bool force) {
  if (!had || *had == has_fused_multiply_add()) return;
  const std::string what = std::string("the run's steps were taken ") + (*had ? "with" : "without") +
                           " fused multiply-add, and the instruction set here, " +
                           kernels::table<float>().name + ", has " + (*had ? "none" : "it");
  check_world(force, "resume: the instruction set must round as the run's did; ", what,
              "; continue on a machine like the first one, set GRADUS_ISA to a set like the first one's, or "
              "give --force to go on with other bits than those of a run that never moved");
  say("note   " + what + ": the bits are not those of a run that never moved");
}

int resume_word_vectors(const Args& args, const ResumeArguments& a) {
  for (const char* option :
       {"--max-iters", "--time", "--text", "--learning-rate", "--min-lr", "--schedule"}) {
    check(!args.given(option), "resume: ", a.folder,
          " is a training of word vectors, which goes on as it began; leave out ", option);
  }
  WordVectorRun run = WordVectorRun::open(a.folder);
  check_instruction_set(run.fused_multiply_add(), a.force);
  if (!a.common.quiet) {
    const WordVectorProgress progress = run.trainer().progress();
    say("resume " + a.folder + ": " + std::string(name_of(run.options().method)) + ", " +
        fixed(100 * static_cast<double>(progress.done) /
                  static_cast<double>(std::max<int64_t>(progress.total, 1)),
              1) +
        " % done");
  }
  return finish_word_vectors(run, a.common);
}

/// The run's text, from where it stands now: what --text names is remembered.
Corpus read_texts(RunFolder& run, const ResumeArguments& a) {
  const std::string advice =
      "restore it; a text that has moved is named by --text, one that is lost by a new run: gradus train "
      "--init "
      "model:" +
      a.folder;
  return a.texts.empty() ? run.read_texts(advice, stop_where_interrupted)
                         : run.move_texts(a.texts, advice, stop_where_interrupted);
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
  if (WordVectorRun::is_run(folder)) return resume_word_vectors(args, a);
  RunFolder run = RunFolder::open(folder);
  const int64_t step = run.step();
  const TrainingOptions before = run.options();
  TrainingOptions options = new_options(a, before, step);
  // How many steps --time comes to is not known yet, and so whether the warm-up fits into them.
  TrainingOptions untimed = options;
  if (!a.time.empty()) untimed.warmup = 0;
  untimed.validate();
  check_instruction_set(run.fused_multiply_add(), a.force);
  const Config& config = run.config();
  const std::vector<std::string> paths = run.text_paths();
  const Corpus corpus = read_texts(run, a);
  const EncodedCorpus text = encode_corpus(corpus, run.tokenizer(), config.add_special.value_or(false));
  const int64_t held_out_tokens = std::ssize(text.held_out.ids);

  Plan plan;
  plan.peak_memory_bytes = plan_memory(config, untimed, held_out_tokens);
  check_plan_fits(plan, folder);
  if (options.max_iters > step || !a.time.empty()) {
    plan = plan_training(config, untimed, held_out_tokens);
    if (!a.time.empty()) {
      options.max_iters = step + steps_within(plan, options, seconds);
      options.validate();
    }
    plan = plan_of_steps(plan, options, options.max_iters - step);
    // What the folder holds already asks for no more room.
    const HeldCheckpoints held = held_checkpoints(folder);
    plan.disk_bytes = plan_disk(config, options, step, held.kept);
    check_plan_fits(plan, folder);
    plan.disk_bytes += held.bytes;
    if (!a.common.quiet) {
      say("resume " + folder + " at step " + std::to_string(step) + ": " +
          plan_text(config, run.tokenizer().kind(), plan));
      const std::string change = rate_change(before, options, step, run.last_rate());
      if (!change.empty()) say(change);
    }
  }
  if (interrupted()) throw Interrupted{};

  Transformer model(config);
  Trainer trainer(model, options, run.tokenizer(), text);
  trainer.restore(folder);
  // What was given anew is remembered even if no step follows.
  const bool changed = options != before || run.text_paths() != paths;
  if (changed) trainer.save(folder, run.state_metadata());
  if (changed && options.max_iters <= step && !a.common.quiet)
    say("note   no step follows; what is given anew is remembered for those of a larger --max-iters");
  RunProgress progress(folder, model, run.tokenizer(), options, a.common.quiet || options.max_iters <= step);
  return finish_run(trainer, progress, run, a.common);
}

}  // namespace gradus::tools
