#include "tools/training.hpp"

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cmath>

#include "models/transformer/families/family.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/generate.hpp"
#include "tensor/error.hpp"
#include "tensor/io/hash.hpp"
#include "tensor/machine.hpp"
#include "tensor/parallel.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/profile.hpp"

namespace gradus::tools {
namespace {

double now_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// Cuts metrics.jsonl after the line of step `last`: what follows was not checkpointed and will be made again.
void cut_metrics(const std::string& path, int64_t last) {
  if (!file_exists(path)) return;
  const std::string text = read_file(path);
  std::string kept;
  int64_t unreadable = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = text.find('\n', begin);
    if (end == std::string::npos) break;  // a line cut off by a crash
    const std::string line = text.substr(begin, end - begin + 1);
    begin = end + 1;
    try {
      if (Json::parse(line, path).at("step").as_integer() > last) break;
    } catch (const std::runtime_error&) {
      // A log that was damaged is no reason not to go on; it stays as it is.
      ++unreadable;
    }
    kept += line;
  }
  if (unreadable > 0) say("note   " + path + ": " + std::to_string(unreadable) + " lines cannot be read");
  if (kept.size() != text.size()) write_file_atomic(path, kept);
}

const std::string& opened_metrics(const std::string& path, int64_t first_step) {
  cut_metrics(path, first_step);
  return path;
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

double RunText::bytes_per_token() const {
  return static_cast<double>(training.bytes) /
         static_cast<double>(std::max<std::size_t>(training.ids.size(), 1));
}

double RunText::unknown_rate(const Tokenizer& tokenizer) const {
  const int64_t unknown = count_unknown(tokenizer, training.ids) + count_unknown(tokenizer, held_out.ids);
  return static_cast<double>(unknown) /
         static_cast<double>(std::max<std::size_t>(training.ids.size() + held_out.ids.size(), 1));
}

RunText encode_corpus(Corpus corpus, const Tokenizer& tokenizer, bool add_special) {
  RunText text;
  text.training = tokenize_documents(tokenizer, corpus.training, corpus.names,
                                     {.add_special = add_special, .bytes_of = false});
  // What is held out is the end of the last documents.
  std::vector<std::string> names(corpus.names.end() - static_cast<std::ptrdiff_t>(corpus.held_out.size()),
                                 corpus.names.end());
  if (!names.empty()) names.front() += " (from where it is held out)";
  text.held_out = tokenize_documents(tokenizer, corpus.held_out, names, {.add_special = add_special});
  text.corpus = std::move(corpus);
  return text;
}

namespace {

// JSON holds UTF-8 alone, names of files any bytes: others are kept in hexadecimal digits.
Json path_to_json(const std::string& path) {
  if (replace_invalid_utf8(path) == path) return path;
  std::string digits;
  for (const char c : path) {
    constexpr char kDigits[] = "0123456789abcdef";
    digits += kDigits[static_cast<unsigned char>(c) >> 4];
    digits += kDigits[static_cast<unsigned char>(c) & 15];
  }
  return Json::object().set("hex", digits);
}

std::string path_from_json(const Json& json) {
  if (json.kind() == Json::Kind::string) return json.as_string();
  const std::string& digits = json.at("hex").as_string();
  std::string path;
  for (std::size_t i = 0; i + 1 < digits.size(); i += 2) {
    int value = 0;
    const auto [end, error] = std::from_chars(digits.data() + i, digits.data() + i + 2, value, 16);
    check_world(error == std::errc() && end == digits.data() + i + 2, json.path(),
                ": must be hexadecimal digits; it is ", digits);
    path += static_cast<char>(value);
  }
  return path;
}

}  // namespace

Metadata source_metadata(const RunSource& source) {
  Json paths = Json::array();
  for (const std::string& path : source.paths) paths.push(path_to_json(path));
  return {{"paths", paths.dump()},
          {"corpus_sha256", source.corpus_sha256},
          {"tokenizer_sha256", source.tokenizer_sha256},
          {"config_sha256", source.config_sha256},
          {"texts", Json::object()
                        .set("key", source.text_key)
                        .set("json_lines", source.json_lines)
                        .set("force", source.force_text)
                        .dump()}};
}

RunSource source_from_metadata(const Metadata& metadata, const std::string& file) {
  const auto get = [&](const char* key) {
    const auto entry = metadata.find(key);
    check_world(entry != metadata.end(), file, ": the metadata must hold '", key, "'; it does not");
    return entry->second;
  };
  RunSource source;
  const Json paths = Json::parse(get("paths"), file);
  for (const Json& path : paths.as_array()) source.paths.push_back(path_from_json(path));
  source.corpus_sha256 = get("corpus_sha256");
  source.tokenizer_sha256 = get("tokenizer_sha256");
  source.config_sha256 = get("config_sha256");
  if (const auto entry = metadata.find("texts"); entry != metadata.end()) {
    const Json texts = Json::parse(entry->second, file);
    source.text_key = texts.at("key").as_string();
    source.json_lines = texts.at("json_lines").as_boolean();
    source.force_text = texts.at("force").as_boolean();
  }
  return source;
}

Corpus load_run_corpus(const std::string& folder, const RunSource& source, double held_out,
                       const std::string& advice) {
  std::vector<std::string> paths;
  for (const std::string& path : source.paths)
    paths.push_back(path.starts_with('/') ? path : folder + "/" + path);
  TextOptions options{.json_lines = source.json_lines,
                      .key = source.text_key,
                      .force = source.force_text,
                      .on_interrupt = stop_where_interrupted};
  Corpus corpus;
  try {
    corpus = load_corpus(paths, held_out, options);
  } catch (const std::runtime_error& error) {
    fail_world(error.what(), "; ", advice);
  }
  check_world(corpus.sha256 == source.corpus_sha256, paths.front(),
              paths.size() > 1 ? detail::join(" and ", paths.size() - 1, " more") : "",
              ": must be the text that the run was started with; it has changed; ", advice);
  return corpus;
}

RunProgress::RunProgress(const std::string& folder, const Transformer& model, const Tokenizer& tokenizer,
                         const TrainingOptions& options, int64_t first_step, const Plan& plan, bool quiet)
    : metrics_(opened_metrics(folder + "/metrics.jsonl", first_step)),
      model_(model),
      tokenizer_(tokenizer),
      options_(options),
      first_step_(first_step),
      plan_(plan),
      quiet_(quiet),
      folder_(folder) {
  if (!quiet) peak_gflops_ = measure_peak(thread_count(), 0.1).f32_gflops;
  flops_per_token_ = training_flops_per_token(model.config());
  begin_ = last_event_ = last_line_ = now_seconds();
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
  const double now = now_seconds();
  ++steps_;
  step_seconds_ += event.seconds;
  if (steps_ == profile_steps_) end_profile();
  // What the step itself did not take went to the evaluation (and to checkpoints and samples before it).
  evaluation_seconds_ += std::max(0.0, now - last_event_ - event.seconds);
  last_event_ = now;
  const double left =
      static_cast<double>(options_.max_iters - event.step) * (now - begin_) / static_cast<double>(steps_);
  Json line = Json::object();
  line.set("step", event.step).set("loss", event.loss).set("bits_per_byte", event.bits_per_byte);
  line.set("lr", event.learning_rate).set("grad_norm", event.grad_norm);
  line.set("tokens_per_second", std::round(event.tokens_per_second));
  line.set("rss_bytes", static_cast<int64_t>(resident_bytes()))
      .set("eta_seconds", std::round(left * 10) / 10);
  if (event.held_out) {
    line.set("val_loss", event.held_out->loss).set("val_bits_per_byte", event.held_out->bits_per_byte);
  }
  metrics_.append(line.dump() + "\n");
  if (quiet_) return;
  // A line for each evaluation and sample, and every ten seconds; in between a status line on a terminal.
  const bool sampled = samples_ && options_.sample_every > 0 && event.step % options_.sample_every == 0;
  const bool milestone =
      event.held_out || sampled || now - last_line_ > 10 || event.step == options_.max_iters;
  const std::string text = step_line(event) + "  " + (left > 0 ? duration_text(left) + " left" : "done");
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
  std::string line = "step   " + step + "/" + steps + "  " + fixed(event.bits_per_byte, 2) + " bits/byte";
  if (event.held_out) line += ", held out " + fixed(event.held_out->bits_per_byte, 3);
  line += "  " + count_text(event.tokens_per_second) + " tok/s";
  if (peak_gflops_ > 0) {
    line += "  " + fixed(100 * event.tokens_per_second * flops_per_token_ / (peak_gflops_ * 1e9), 0) +
            " % of peak";
  }
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

int finish_run(Trainer& trainer, RunProgress& progress, const std::string& folder, const Metadata& metadata,
               const CommonOptions& common) {
  const int64_t first = trainer.step();
  const bool complete = trainer.run(folder, metadata, progress, interrupted());
  progress.end_profile();
  const std::string hash = sha256_file(folder + "/" + kWeightsFile);
  const auto& held_out = trainer.last_evaluation();
  if (common.json) {
    Json result = Json::object();
    // Before the first step there is no loss.
    result.set("steps", trainer.step());
    result.set("train_loss", trainer.step() > 0 ? Json(trainer.last_loss()) : Json());
    result.set("val_loss", held_out ? Json(held_out->loss) : Json());
    result.set("val_bits_per_byte", held_out ? Json(held_out->bits_per_byte) : Json());
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
          fixed(trainer.last_loss(), 4) +
          (held_out ? ", held out " + fixed(held_out->loss, 4) + " (" + fixed(held_out->bits_per_byte, 3) +
                          " bits/byte" +
                          (held_out->unknown > 0
                               ? ", " + fixed(100 * held_out->unknown_rate(), 2) + " % of its tokens unknown"
                               : "") +
                          ")"
                    : "") +
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
  check_world(more <= available, "train: the training must fit in memory; it needs ",
              bytes_text(static_cast<double>(plan.peak_memory_bytes)), " and ",
              bytes_text(static_cast<double>(available)),
              " are available; use a smaller --batch-size with --grad-accum, or a smaller model");
  const uint64_t disk = free_disk_bytes(folder);
  check_world(plan.disk_bytes <= disk, "train: the run must fit on the disk of ", folder, "; it needs ",
              bytes_text(static_cast<double>(plan.disk_bytes)), " and ",
              bytes_text(static_cast<double>(disk)), " are free");
}

}  // namespace gradus::tools
