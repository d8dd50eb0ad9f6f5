// gradus train: from text files to a run folder.

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <optional>

#include "models/transformer/families/family.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/weights.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"
#include "tokenizer/formats/save.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/model_options.hpp"
#include "tools/text_options.hpp"
#include "tools/training.hpp"

namespace gradus::tools {
namespace {

struct TrainArguments {
  std::vector<std::string> paths;
  std::string out;
  std::string tokenizer = "bpe:2048";
  std::string time;
  std::string init;
  bool dry_run = false;
  int64_t profile = 0;
  std::optional<int64_t> sample_every;
  ModelOptions model;
  TrainingOptions training;
  TextFileOptions files;
  CommonOptions common;
};

void bind(Args& args, TrainArguments& a) {
  TrainingOptions& t = a.training;
  args.positionals(
      "TEXT", a.paths,
      "texts: files, each one a document, folders of them, or - for standard input; of a .jsonl each "
      "line is a document");
  args.path("-o,--out", a.out, "run folder; default runs/NAME, from the first text's name");
  args.text("--tokenizer", a.tokenizer, "char, byte, bpe:N (learned from the text) or a tokenizer.json");
  args.text("--init", a.init,
            "model:DIR: start from that model's weights and tokenizer, with a fresh optimiser");
  args.flag("--dry-run", a.dry_run, "say what the training would take, write nothing");
  args.integer(
      "--profile", a.profile,
      "say where the time and memory of the first N steps went, op by op, and write profile.json, a trace "
      "for chrome://tracing; 0: no");
  args.config_file();
  a.model.add(args);
  args.heading("Training");
  args.integer("--max-iters", t.max_iters, "steps");
  args.text("--time", a.time,
            "instead of --max-iters: as many steps as fit, e.g. 3m; decided before the first step");
  args.integer("--grad-accum", t.grad_accum, "batches of one step");
  args.number("--learning-rate", t.learning_rate, "the highest learning rate");
  args.number("--min-lr", t.min_lr,
              "the learning rate at the end; where it is not given, at most a tenth of --learning-rate");
  args.integer("--warmup", t.warmup, "steps in which the learning rate rises");
  args.choice("--schedule", t.schedule, {"cosine", "linear", "constant", "wsd"}, "how it falls");
  args.number("--weight-decay", t.weight_decay, "of matrices, embeddings included");
  args.number("--beta1", t.beta1, "AdamW's decay of the mean gradient");
  args.number("--beta2", t.beta2, "AdamW's decay of the mean square");
  args.number("--grad-clip", t.grad_clip, "largest norm of the gradient; 0: no limit");
  args.seed("--seed", t.seed, "seed of weights, batches, dropout and samples");
  args.heading("Reports");
  args.number("--val-fraction", t.val_fraction, "part of the text, at its end, that is held out");
  args.integer("--eval-interval", t.eval_interval,
               "steps between evaluations of the held-out part; 0: never");
  args.integer("--sample-every", a.sample_every,
               "steps between samples of text; 0: never; default: as --eval-interval");
  args.integer("--checkpoint-every", t.checkpoint_every, "steps between checkpoints");
  args.integer("--keep", t.keep, "older checkpoints to keep");
  a.files.add(args);
  a.common.add(args);
  args.footer("Ctrl-C is safe: the run is checkpointed, and `gradus resume DIR` continues bit for bit.");
}

Tokenizer make_tokenizer(const TrainArguments& a, const Corpus& corpus) {
  const std::string& kind = a.tokenizer;
  if (kind == "byte") return Tokenizer::bytes();
  if (kind == "char") {
    std::string whole;
    for (std::size_t i = 0; i < corpus.documents.size(); ++i) {
      try {
        Tokenizer::train_char(corpus.documents[i]);  // says which file is not UTF-8, and where
      } catch (const std::exception& error) {
        fail_world(corpus.names[i], ": ", error.what());
      }
      whole += corpus.documents[i];
    }
    return as_tokenizer_json(Tokenizer::train_char(whole), kind);
  }
  if (kind.rfind("bpe:", 0) == 0) {
    int64_t size = 0;
    try {
      std::size_t end = 0;
      size = std::stoll(kind.substr(4), &end);
      if (end != kind.size() - 4) size = 0;
    } catch (const std::exception&) {
    }
    check(size >= 257,
          "--tokenizer: bpe:N needs a number of at least 257 (256 bytes and <|endoftext|>); it is '", kind,
          "'");
    const Tokenizer tokenizer = Tokenizer::train_bpe(corpus.training, size, [&](int64_t done, int64_t total) {
      if (interrupted()) throw Interrupted{};
      if (!a.common.quiet && total > 0) {
        status("tokenizer  " + std::to_string(100 * done / total) + " %");
      }
    });
    if (!tokenizer.training_note().empty() && !a.common.quiet) say("note   " + tokenizer.training_note());
    return as_tokenizer_json(tokenizer, kind);
  }
  // The run keeps it as a tokenizer.json, so that is what it is from the beginning.
  if (file_exists(kind)) return as_tokenizer_json(Tokenizer::load(kind), kind);
  const std::string near = nearest_name(kind, {"char", "byte", "bpe:2048"});
  fail("--tokenizer must be char, byte, bpe:N or a tokenizer.json; there is no file '", kind, "'",
       near.empty() ? "" : "; did you mean " + near + "?");
}

constexpr const char* kCardSentence = "A language model trained by Gradus";

std::string model_card(const TrainArguments& a, const Config& config, const Corpus& corpus,
                       const Tokenizer& tokenizer, const std::string& command) {
  std::string card = "# " + corpus.name + "\n\n";
  card += std::string(kCardSentence) +
          "; `gradus info` shows its parameters, `metrics.jsonl` its "
          "course.\n\n";
  card += "| | |\n|---|---|\n";
  card += "| command | `" + command + "` |\n";
  card += "| text | " + bytes_text(static_cast<double>(corpus.bytes)) + " in " +
          std::to_string(corpus.files.size()) + " file(s), sha256 `" + corpus.sha256 + "` |\n";
  card += "| model | " + std::string(config.family->name) + ", " + std::to_string(config.n_layer) +
          " layers, width " + std::to_string(config.n_embd) + ", " + std::to_string(parameter_count(config)) +
          " parameters |\n";
  card += "| tokenizer | " + tokenizer.kind() + ", " + std::to_string(tokenizer.vocab_size()) + " tokens |\n";
  card += "| seed | " + std::to_string(a.training.seed) + " |\n";
  card += "| build | gradus " GRADUS_VERSION ", " GRADUS_COMPILER ", " GRADUS_BUILD_TYPE " |\n\n";
  card += "Continue the training: `gradus resume DIR`. Write with it: `gradus generate DIR -p TEXT`.\n";
  return card;
}

/// The name, in the run folder, of what nobody can read again.
std::string kept_name(std::size_t file, const std::string& path) {
  return "input-" + std::to_string(file + 1) + (path.ends_with(".jsonl") ? ".jsonl" : ".txt");
}

/// Whether a file of this name is one that a training writes before its first checkpoint, or the beginning of one.
bool is_written_first(const std::string& name) {
  for (const char* ending : {".txt", ".jsonl"}) {
    constexpr std::string_view kBegin = "input-";
    if (!name.starts_with(kBegin) || !name.ends_with(ending)) continue;
    const std::string number =
        name.substr(kBegin.size(), name.size() - kBegin.size() - std::string_view(ending).size());
    if (!number.empty() && number.find_first_not_of("0123456789") == number.npos) return true;
  }
  for (const char* ours : {"README.md", kTokenizerFile, kConfigFile, "metrics.jsonl", "profile.json"}) {
    if (name == ours || (name.starts_with(ours) && name.ends_with(".partial"))) return true;
  }
  return (name.starts_with(kWeightsFile) || name.starts_with(kStateFile)) &&
         (name.ends_with(".partial") || name.ends_with(".next"));
}

/// An error where a training in this folder would replace something, naming what. What one leaves that was killed before
/// its first checkpoint, its description, is not kept: there is nothing to resume.
void check_folder_is_free(const std::string& folder) {
  if (!file_exists(folder)) return;
  check(is_directory(folder), "train: ", folder,
        " must be a folder; a file of that name is in the way; choose another with -o");
  check(!file_exists(folder + "/" + kWeightsFile) && !file_exists(folder + "/" + kStateFile),
        "train: ", folder,
        " must not hold a run already; it does; choose another with -o, or continue it with gradus resume ",
        folder);
  const std::string card = folder + "/README.md";
  const bool has_card = file_exists(card) && !is_directory(card);
  const bool begun = has_card && read_file(card).find(kCardSentence) != std::string::npos;
  std::vector<std::string> foreign;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    const std::string name = entry.path().filename().string();
    const bool half_a_card = name.starts_with("README.md.") && name.ends_with(".partial");
    if (!half_a_card && !(begun && is_written_first(name))) foreign.push_back(name);
  }
  std::sort(foreign.begin(), foreign.end());
  std::string names;
  constexpr std::size_t kNamed = 3;
  for (std::size_t i = 0; i < std::min(foreign.size(), kNamed); ++i)
    names += (i > 0 ? ", " : "") + foreign[i];
  if (foreign.size() > kNamed) names += " and " + std::to_string(foreign.size() - kNamed) + " more";
  check(foreign.empty(), "train: ", folder, " must be a new or empty folder; it holds ", names,
        ", which is not of a run; choose another with -o");
}

std::string default_folder(const Corpus& corpus) { return "runs/" + corpus.name; }

}  // namespace

int run_train(const Arguments& arguments) {
  TrainArguments a;
  Args args("train",
            "Trains a language model on text files and leaves a run folder that other tools can open.");
  bind(args, a);
  if (!args.parse(arguments)) return 0;
  a.common.apply();
  watch_interrupts();
  check(!(args.given("--time") && args.given("--max-iters")), "train: give --max-iters or --time, not both");
  check(a.init.empty() || a.init.rfind("model:", 0) == 0, "--init must read model:DIR; it is '", a.init, "'");
  check(a.init.empty() || !args.given("--tokenizer"),
        "train: --init takes that model's tokenizer; leave out --tokenizer");
  check(a.profile >= 0 && a.profile <= 1000, "--profile must be in [0, 1000]; it is ", a.profile);
  check(a.profile == 0 || !a.dry_run, "train: --dry-run takes no step; leave out --profile");
  a.model.config(512);  // wrong sizes are said before any work is done
  TrainingOptions& options = a.training;
  options.batch_size = a.model.batch();
  options.sample_every = a.sample_every.value_or(options.eval_interval);
  if (!args.given("--min-lr")) options.min_lr = default_min_lr(options.learning_rate);
  // How many steps --time comes to is not known yet, and so whether the warm-up fits into them.
  TrainingOptions untimed = options;
  if (!a.time.empty()) untimed.warmup = 0;
  untimed.validate();
  const double seconds = a.time.empty() ? 0 : parse_duration(a.time, "--time");
  args.no_effect({
      a.model.preset_without_effect(),
      {options.val_fraction == 0 && options.eval_interval > 0,
       {"--eval-interval"},
       "with --val-fraction 0, which holds nothing out"},
      {options.schedule == "constant", {"--min-lr"}, "with --schedule constant"},
      // The steps that fit into a --time depend on the machine: what they leave without effect is nobody's mistake.
      {a.time.empty() && options.max_iters > 0 && options.warmup >= options.max_iters,
       {"--warmup"},
       "beyond the " + std::to_string(options.max_iters) + " steps, which never reach --learning-rate"},
  });

  Corpus corpus = load_corpus(a.paths, options.val_fraction, a.files.options());
  a.files.check_effect(args, corpus.files);
  if (!a.common.quiet && !corpus.passed_over.empty()) say("note   " + corpus.passed_over);
  const std::string folder = a.out.empty() ? default_folder(corpus) : a.out;
  if (!a.dry_run) check_folder_is_free(folder);

  LanguageModel base;
  if (!a.init.empty()) base = load_language_model(a.init.substr(6));
  const Tokenizer tokenizer = a.init.empty() ? make_tokenizer(a, corpus) : base.tokenizer;
  Config config = a.model.config(tokenizer.vocab_size());
  if (!a.init.empty()) {
    // Fine-tuning keeps the model's shape; options may repeat it, not change it.
    Config theirs = base.model.config();
    const bool shaped = args.given("--preset") || args.given("--arch") || args.given("--n-layer") ||
                        args.given("--n-head") || args.given("--n-embd") || args.given("--n-kv-head") ||
                        args.given("--block-size") || args.given("--position") || args.given("--tie");
    Config ours = config;
    ours.vocab_size = theirs.vocab_size;  // it may be padded
    ours.dropout = theirs.dropout;
    ours.end_tokens = theirs.end_tokens;
    ours.add_special = theirs.add_special;
    ours.norm_epsilon = theirs.norm_epsilon;
    check(!shaped || ours == theirs, "train: --init needs the shape of ", a.init.substr(6),
          "; leave out the options that change it, or train from the beginning");
    config = theirs;
    config.dropout = a.model.dropout;
    config.add_special = base.add_special;
  } else {
    if (const auto end = tokenizer.end_of_text()) config.end_tokens = {*end};
    config.add_special = false;
  }
  // Where there is nothing to add there is nothing to say.
  if (tokenizer.added_around().empty()) config.add_special.reset();

  const RunText text = encode_corpus(std::move(corpus), tokenizer, config.add_special.value_or(false));
  check(static_cast<int64_t>(text.training.ids.size()) > config.block_size,
        "train: the text must be longer than a block; ", "its training part has ", text.training.ids.size(),
        " tokens and --block-size is ", config.block_size, "; give more text or a smaller --block-size");
  const int64_t held_out_tokens = static_cast<int64_t>(text.held_out.ids.size());
  const double unknown = text.unknown_rate(tokenizer);
  if (!a.common.quiet) {
    say("text   " + a.paths.front() +
        (a.paths.size() > 1 ? " and " + std::to_string(a.paths.size() - 1) + " more" : "") + ", " +
        bytes_text(static_cast<double>(text.corpus.bytes)) + ": " +
        count_text(static_cast<double>(text.training.ids.size())) + " tokens to learn from, " +
        count_text(static_cast<double>(held_out_tokens)) + " held out, " + fixed(text.bytes_per_token(), 2) +
        " bytes a token" + (unknown > 0 ? ", " + fixed(100 * unknown, 2) + " % unknown" : ""));
  }
  warn_of_unknown(unknown, "the text");
  // Memory is known without running anything: what cannot fit is refused before anything large is allocated.
  Plan plan;
  plan.parameters = parameter_count(config);
  plan.peak_memory_bytes = plan_memory(config, untimed, held_out_tokens);
  if (!a.dry_run) check_plan_fits(plan, folder);
  plan = plan_training(config, untimed, held_out_tokens);
  if (!a.time.empty()) {
    const double evaluations = options.eval_interval > 0
                                   ? plan.seconds_per_evaluation / static_cast<double>(options.eval_interval)
                                   : 0;
    options.max_iters =
        std::max<int64_t>(1, static_cast<int64_t>(seconds / (plan.seconds_per_step + evaluations)));
    plan.tokens = plan.tokens / std::max<int64_t>(plan.steps, 1) * options.max_iters;
    plan.steps = options.max_iters;
    plan.disk_bytes = plan_disk(config, options);
    options.validate();
    plan.seconds = static_cast<double>(plan.steps) * (plan.seconds_per_step + evaluations);
  }
  for (const auto& stream : text.corpus.streams) plan.disk_bytes += stream.second.size();
  if (!a.common.quiet) say("plan   " + plan_text(config, tokenizer.kind(), plan));
  if (!a.common.quiet && options.warmup >= options.max_iters) {
    say("note   the warm-up of " + std::to_string(options.warmup) + " steps outlasts the training's " +
        std::to_string(options.max_iters) + ": --learning-rate is never reached; a smaller --warmup would");
  }
  if (a.dry_run) {
    if (a.common.json) {
      Json json = Json::object();
      json.set("parameters", plan.parameters)
          .set("peak_memory_bytes", static_cast<int64_t>(plan.peak_memory_bytes));
      json.set("disk_bytes", static_cast<int64_t>(plan.disk_bytes)).set("seconds", plan.seconds);
      json.set("seconds_per_step", plan.seconds_per_step).set("steps", plan.steps).set("tokens", plan.tokens);
      print_json(json);
    }
    return 0;
  }
  if (interrupted()) throw Interrupted{};
  check_plan_fits(plan, folder);

  create_directories(folder);
  const FolderLock lock(folder);
  check_can_write(folder + "/" + kStateFile);
  check_folder_is_free(folder);  // another process may have begun here while this one planned
  Transformer model = a.init.empty() ? Transformer(config) : base.model;
  if (a.init.empty()) {
    model.init(options.seed);
  } else {
    // The same weights under this training's dropout.
    model = Transformer(config);
    const std::vector<NamedTensor> from = base.model.parameters();
    const std::vector<NamedTensor> to = model.parameters();
    for (std::size_t i = 0; i < to.size(); ++i) to[i].tensor.copy_from(from[i].tensor);
    base = {};
  }
  RunSource source;
  for (const std::string& file : text.corpus.files)
    source.paths.push_back(std::filesystem::absolute(file).string());
  source.text_key = a.files.key;
  source.json_lines = true;
  source.force_text = a.files.force;
  source.corpus_sha256 = text.corpus.sha256;
  source.tokenizer_sha256 = sha256_hex(tokenizer.to_json());
  source.config_sha256 = sha256_hex(config_to_json(config).dump());
  std::string command = "gradus train";
  for (const std::string& word : arguments) command += " " + word;
  write_file_atomic(folder + "/README.md",
                    replace_invalid_utf8(model_card(a, config, text.corpus, tokenizer, command)));
  for (const auto& [file, contents] : text.corpus.streams) {
    source.paths[file] = kept_name(file, text.corpus.files[file]);
    write_file_atomic(folder + "/" + source.paths[file], contents);
  }
  tokenizer.save(folder + "/" + kTokenizerFile);
  write_file_atomic(folder + "/" + kConfigFile, config_to_json(config).dump(2) + "\n");

  Trainer trainer(model, options, tokenizer, text.training.ids, text.bytes_per_token(), text.held_out);
  RunProgress progress(folder, model, tokenizer, options, 0, plan, a.common.quiet);
  progress.profile_steps(a.profile);
  return finish_run(trainer, progress, folder, source_metadata(source), a.common);
}

}  // namespace gradus::tools
