#include "tools/training.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

#include "models/transformer/families/family.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/flops.hpp"
#include "models/transformer/generate.hpp"
#include "tensor/error.hpp"
#include "tensor/io/hash.hpp"
#include "tensor/machine.hpp"
#include "tensor/parallel.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/profile.hpp"

namespace gradus::tools {
namespace {

/// The number that people follow: the objective's first measure, or the loss.
Measure leading(const StepEvent& event) {
  return event.measures.empty() ? Measure{"loss", event.loss} : event.measures.front();
}
Measure leading(const HeldOutReport& report) {
  return report.measures.empty() ? Measure{"loss", report.loss} : report.measures.front();
}

/// "1.2345 (2.345 bits/byte, 0.10 % of its tokens unknown)".
std::string report_text(const HeldOutReport& report) {
  std::string more;
  const auto add = [&](const std::string& text) { more += (more.empty() ? "" : ", ") + text; };
  for (const Measure& measure : report.measures) add(fixed(measure.value, 3) + " " + measure.unit());
  if (report.unknown > 0) add(fixed(100 * report.unknown_rate(), 2) + " % of its tokens unknown");
  return fixed(report.loss, 4) + (more.empty() ? "" : " (" + more + ")");
}

}  // namespace

std::string sample_prompt(const Tokenizer& tokenizer) {
  const auto begins = [&](const std::string& text) {
    try {
      const std::vector<int32_t> ids = tokenizer.encode(text);
      return !ids.empty() && ids.front() != tokenizer.unknown_id();
    } catch (const std::exception&) {
      return false;  // a character that the tokenizer does not know, or a byte that is none
    }
  };
  if (begins("\n")) return "\n";
  if (tokenizer.end_of_text()) return "";
  for (int64_t i = 0; i < tokenizer.vocab_size(); ++i) {
    const auto id = static_cast<int32_t>(i);
    if (tokenizer.is_special(id) || id == tokenizer.unknown_id()) continue;
    if (begins(tokenizer.token_bytes(id))) return tokenizer.token_bytes(id);
  }
  return "";
}

void warn_of_unknown(double rate, const std::string& what) {
  if (rate <= 0.01) return;
  say("warning  " + fixed(100 * rate, 1) + " % of the tokens of " + what +
      " are unknown: a model cannot tell apart what they stand for; use a tokenizer that knows such text, or "
      "one of "
      "bytes (bpe, byte)");
}

void warn_of_unknown(const Tokenizer& tokenizer, std::span<const std::string_view> texts,
                     const std::string& what) {
  if (!tokenizer.unknown_id()) return;
  int64_t unknown = 0;
  int64_t tokens = 0;
  for (const std::string_view text : texts) {
    try {
      const std::vector<int32_t> ids = tokenizer.encode(text);
      unknown += count_unknown(tokenizer, ids);
      tokens += std::ssize(ids);
    } catch (const std::exception&) {
      return;
    }
  }
  warn_of_unknown(static_cast<double>(unknown) / static_cast<double>(std::max<int64_t>(tokens, 1)), what);
}

RunProgress::RunProgress(const std::string& folder, const Transformer& model, const Tokenizer& tokenizer,
                         const TrainingOptions& options, bool quiet)
    : model_(model), tokenizer_(tokenizer), options_(options), quiet_(quiet), folder_(folder) {
  if (!quiet) peak_gflops_ = measure_peak(thread_count(), 0.1).f32_gflops;
  flops_per_token_ = training_flops_per_token(model.config());
  begin_ = last_line_ = now_seconds();
}

void RunProgress::profile_steps(int64_t steps) {
  profile_steps_ = steps;
  if (steps > 0) profile_ = std::make_unique<Profile>();
}

void RunProgress::end_profile() {
  if (profile_ == nullptr) return;
  const std::unique_ptr<Profile> profile = std::move(profile_);
  if (steps_ == 0) return say("trace  none: the run ended before its first step");
  write_trace(*profile, folder_ + "/profile.json");
  say(profile_table(*profile, steps_) + "trace  " + folder_ + "/profile.json, steps 1 to " +
      std::to_string(steps_) +
      (steps_ < profile_steps_ ? " (--profile asked for " + std::to_string(profile_steps_) + ")" : "") +
      ", for ui.perfetto.dev or chrome://tracing");
}

double RunProgress::seconds() const { return now_seconds() - begin_; }

double RunProgress::tokens_per_second() const {
  const double tokens =
      static_cast<double>(steps_ * options_.sequences_per_step() * model_.config().block_size);
  return step_seconds_ > 0 ? tokens / step_seconds_ : 0;
}

void RunProgress::on_step(const StepEvent& event) {
  ++steps_;
  step_seconds_ += event.seconds;
  if (steps_ == profile_steps_) end_profile();
  if (quiet_) return;
  // A line for each evaluation and sample, and every ten seconds; in between a status line on a terminal.
  const double now = now_seconds();
  const bool sampled = samples_ && options_.sample_every > 0 && event.step % options_.sample_every == 0;
  const bool milestone =
      event.held_out || sampled || now - last_line_ > 10 || event.step == options_.max_iters;
  const std::string text =
      step_line(event) + "  " +
      (event.step < options_.max_iters ? duration_text(event.seconds_left) + " left" : "done");
  if (milestone) {
    last_line_ = now;
    say(text);
  } else {
    status(text);
  }
}

std::string RunProgress::step_line(const StepEvent& event) const {
  const std::string steps = std::to_string(options_.max_iters);
  std::string step = std::to_string(event.step);
  step.insert(0, steps.size() - std::min(steps.size(), step.size()), ' ');
  std::string line =
      "step   " + step + "/" + steps + "  " + fixed(leading(event).value, 2) + " " + leading(event).unit();
  if (event.held_out) line += ", held out " + fixed(leading(*event.held_out).value, 3);
  line += "  " + count_text(event.tokens_per_second) + " tok/s";
  const double share =
      peak_gflops_ > 0 ? event.tokens_per_second * flops_per_token_ / (peak_gflops_ * 1e9) : 0;
  // The peak was measured while something else held the cores where this is above it.
  if (share > 0 && share <= 1) line += "  " + fixed(100 * share, 0) + " % of peak";
  return line;
}

void RunProgress::on_sample(int64_t, const Transformer& model) {
  if (quiet_ || !samples_) return;
  GenerateOptions options;
  options.max_tokens = 16;
  options.seed = options_.seed;
  try {
    say("sample  \"" + one_line(generate(model, tokenizer_, sample_prompt(tokenizer_), options).text, 40) +
        "\"");
  } catch (const std::exception& error) {
    samples_ = false;
    say(std::string("note   no samples are shown: ") + error.what());
  }
}

int finish_run(Trainer& trainer, RunProgress& progress, RunFolder& run, const CommonOptions& common) {
  const std::string& folder = run.path();
  if (const int64_t lines = run.metrics().unreadable_lines(); lines > 0)
    say("note   " + folder + "/" + kMetricsFile + ": " + std::to_string(lines) +
        (lines == 1 ? " line" : " lines") + " cannot be read");
  const int64_t first = trainer.step();
  if (const int64_t steps = run.metrics().missing_steps(); steps > 0) {
    say("note   " + folder + "/" + kMetricsFile + ": the lines of steps " +
        std::to_string(first - steps + 1) + " to " + std::to_string(first) + " are missing");
  }
  const bool complete = trainer.run(run, progress, interrupted());
  progress.end_profile();
  const std::string hash = sha256_file(folder + "/" + kWeightsFile);
  const auto& held_out = trainer.last_evaluation();
  if (common.json) {
    Json result = Json::object();
    // Before the first step there is no loss.
    result.set("steps", trainer.step());
    result.set("train_loss", trainer.step() > 0 ? Json(trainer.last_loss()) : Json());
    result.set("val_loss", held_out ? Json(held_out->loss) : Json());
    for (const Measure& measure : trainer.objective().measures(0))
      result.set("val_" + measure.name, Json());  // unless it was evaluated
    if (held_out) {
      for (const Measure& measure : held_out->measures) result.set("val_" + measure.name, measure.value);
    }
    result.set("unknown_rate", held_out ? Json(held_out->unknown_rate()) : Json());
    result.set("seconds", progress.seconds()).set("tokens_per_second", progress.tokens_per_second());
    result.set("peak_rss_bytes", static_cast<int64_t>(peak_resident_bytes()));
    result.set("run_hash", hash).set("complete", complete);
    print_json(result);
  }
  if (!common.quiet) {
    if (complete && trainer.step() == 0) {
      say("done   step 0: the folder holds the initial weights, which no step has changed");
      say("bits   run hash " + hash.substr(0, 16) + ", the same for any number of threads");
      say("next   gradus resume " + folder + " --max-iters N");
    } else if (complete) {
      say("done   step " + std::to_string(trainer.step()) + ", training loss " +
          fixed(trainer.last_loss(), 4) + (held_out ? ", held out " + report_text(*held_out) : "") +
          (trainer.step() > first ? " in " + duration_text(progress.seconds()) : ", finished before"));
      say("bits   run hash " + hash.substr(0, 16) + ", the same for any number of threads");
      say("next   gradus generate " + folder + " -p TEXT");
    } else {
      say("stopped after step " + std::to_string(trainer.step()) +
          ", checkpointed; continue with: gradus resume " + folder);
    }
  }
  return complete ? 0 : kExitInterrupted;
}

std::string plan_text(const Config& config, const std::string& tokenizer, const Plan& plan) {
  return tokenizer + ", " + std::string(config.family->name) + " " + std::to_string(config.n_layer) + "×" +
         std::to_string(config.n_embd) + ", " + count_text(static_cast<double>(plan.parameters)) +
         " parameters, " + bytes_text(static_cast<double>(plan.peak_memory_bytes)) + " of memory, " +
         bytes_text(static_cast<double>(plan.disk_bytes)) + " on disk, " + std::to_string(plan.steps) +
         " steps, about " + duration_text(plan.seconds);
}

void check_plan_fits(const Plan& plan, const std::string& folder) {
  const uint64_t resident = resident_bytes();
  const uint64_t more = plan.peak_memory_bytes > resident ? plan.peak_memory_bytes - resident : 0;
  const uint64_t available = available_memory_bytes();
  check_world(more <= available, "plan: the training must fit in memory; it needs ",
              bytes_text(static_cast<double>(plan.peak_memory_bytes)), " and ",
              bytes_text(static_cast<double>(available)),
              " are available; use a smaller --batch-size with --grad-accum, or a smaller model");
  const uint64_t disk = free_disk_bytes(folder);
  check_world(plan.disk_bytes <= disk, "plan: the run must fit on the disk of ", folder, "; it needs ",
              bytes_text(static_cast<double>(plan.disk_bytes)), " and ",
              bytes_text(static_cast<double>(disk)), " are free");
}

}  // namespace gradus::tools
