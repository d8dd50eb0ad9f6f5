// gradus train: from text files to a run folder.

#include <algorithm>
#include <cmath>
#include <optional>

#include "models/transformer/files.hpp"
#include "models/transformer/weights.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/formats/save.hpp"
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
  args.choice("--objective", t.objective, objective_names(), "what the model learns");
  args.integer("--max-iters", t.max_iters, "steps");
  args.text("--time", a.time,
            "instead of --max-iters: as many steps as fit, e.g. 3m; decided before the first step");
  args.integer("--grad-accum", t.grad_accum, "batches of one step");
  args.integer("--grad-shards", t.grad_shards,
               "parts of a step whose gradients are added in a balanced tree: a power of two");
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
  if (file_exists(kind)) return as_tokenizer_json(open_tokenizer(kind), kind);
  const std::string near = nearest_name(kind, {"char", "byte", "bpe:2048"});
  fail("--tokenizer must be char, byte, bpe:N or a tokenizer.json; there is no file '", kind, "'",
       near.empty() ? "" : "; did you mean " + near + "?");
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
       "beyond the " + std::to_string(options.max_iters) + " steps, which never reach --learning-rate",
       "give fewer steps"},
  });

  Corpus corpus = load_corpus(a.paths, options.val_fraction, a.files.options());
  a.files.check_effect(args, corpus.files);
  if (!a.common.quiet && !corpus.passed_over.empty()) say("note   " + corpus.passed_over);
  const std::string folder = a.out.empty() ? default_folder(corpus) : a.out;
  if (!a.dry_run) RunFolder::check_free(folder);

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

  const EncodedCorpus text = encode_corpus(corpus, tokenizer, config.add_special.value_or(false));
  // What the objective cannot be made from is said before anything is planned.
  std::unique_ptr<const Objective> objective = make_objective({config, options, tokenizer, text});
  const int64_t held_out_tokens = static_cast<int64_t>(text.held_out.ids.size());
  const double unknown = text.unknown_rate(tokenizer);
  if (!a.common.quiet) {
    say("text   " + a.paths.front() +
        (a.paths.size() > 1 ? " and " + std::to_string(a.paths.size() - 1) + " more" : "") + ", " +
        bytes_text(static_cast<double>(corpus.bytes)) + ": " +
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
    options.max_iters = steps_within(plan, options, seconds);
    options.validate();
    plan = plan_of_steps(plan, options, options.max_iters);
    plan.disk_bytes = plan_disk(config, options);
  }
  for (const auto& stream : corpus.streams) plan.disk_bytes += stream.second.size();
  if (!a.common.quiet) say("plan   " + plan_text(config, tokenizer.kind(), plan));
  if (options.max_iters > 0 && options.warmup >= options.max_iters) {
    say("warning the warm-up of " + std::to_string(options.warmup) + " steps outlasts the training's " +
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

  std::string command = "gradus train";
  for (const std::string& word : arguments) command += " " + word;
  RunFolder run = RunFolder::create(folder, {config, tokenizer, corpus, options, a.files.options(), command});
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
  Trainer trainer(model, options, std::move(objective));
  RunProgress progress(folder, model, tokenizer, options, a.common.quiet);
  progress.profile_steps(a.profile);
  return finish_run(trainer, progress, run, a.common);
}

}  // namespace gradus::tools
