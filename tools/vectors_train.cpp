// gradus vectors train: word2vec, GloVe and fastText from text to a file of vectors.

#include <cmath>

#include "models/embeddings/formats/vector_file.hpp"
#include "models/word_vectors/run.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"
#include "tensor/machine.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/source_options.hpp"
#include "tools/text_options.hpp"
#include "tools/vectors.hpp"

namespace gradus::tools {
namespace {

struct TrainVectorsArguments {
  WordVectorOptions options;
  std::vector<std::string> texts;
  std::string out, vocabulary, save_vocabulary, init, memory, time, alpha;
  std::string format = "text", word_rule = "original", gradient = "corrected";
  TextFileOptions files;
  CommonOptions common;
};

void bind(Args& args, TrainVectorsArguments& a) {
  WordVectorOptions& o = a.options;
  args.positionals("TEXT", a.texts, kTextPaths);
  args.path("-o,--out", a.out,
            "file to write: .vec or .txt (text, with and without a line of sizes), .bin (word2vec's; of the "
            "fastText "
            "kinds a model of fastText), .npy or .safetensors; or a folder, which keeps the training, too");
  args.heading("Vectors");
  args.integer("--dim,--size,--vector-size", o.width, "numbers of a vector");
  args.integer("--window,--ws,--window-size", o.window,
               "words on each side that are a word's context, at most");
  args.integer("--epochs,--epoch,--iter", o.epochs, "passes over the text, of GloVe over its table");
  args.text("--time", a.time, "instead of --epochs: as many as fit, e.g. 3m; decided before the first step");
  args.number("--lr,--learning-rate,--eta", o.learning_rate, "the learning rate at the beginning");
  if (o.is_glove()) {
    args.number("--x-max", o.x_max, "counts from here on weigh alike");
    args.number("--alpha", o.alpha, "the others weigh (count / x-max) to this power");
  } else {
    args.integer("--negative,--neg", o.negatives, "words drawn as noise for each pair");
    args.number("--sample,--t", o.sample,
                "words of a larger share of the text are left out now and then; 0: none");
    args.number("--ns-exponent", o.noise_exponent, "noise is drawn in proportion to count to this power");
    args.text("--alpha", a.alpha, "GloVe's exponent alone; the learning rate is --lr");
  }
  if (o.averages())
    args.choice("--cbow-gradient", a.gradient, {"corrected", "original"},
                "what each row of a mean gets of its gradient: its share, or all of it as the original "
                "programs give");
  if (o.has_pieces()) {
    args.integer("--minn", o.min_piece, "characters of the shortest pieces of words");
    args.integer("--maxn", o.max_piece, "of the longest; 0: words have no pieces");
    args.integer("--bucket", o.buckets, "rows that the pieces share by their hash");
  }
  args.text("--init", a.init, "a file of vectors with which the words that it has begin");
  args.seed("--seed", o.seed, "seed of the first values, of what is left out, and of noise");
  args.heading("Text");
  args.integer("--min-count,--minCount", o.min_count, "rarer words get no vector");
  args.choice("--input-format", a.format, {"text", "baskets"},
              "baskets: a line is one context whole, without order, such as what is bought together");
  args.choice(
      "--word-rule", a.word_rule, {"original", "letters"},
      "words are what stands between spaces, as in the original programs, or runs of letters, marks, digits "
      "and apostrophes");
  args.flag("--lower", o.lower, "turn letters into small ones");
  args.text("--vocab,--read-vocab", a.vocabulary,
            "a file of the words that get a vector, one a line, with counts or without");
  args.path("--save-vocab", a.save_vocabulary, "write the words and their counts to this file");
  a.files.add(args);
  args.heading("Resources");
  args.text("--memory", a.memory, "stay below this much, such as 2GB; default: what is free");
  a.common.add(args);
  args.footer(
      "Ctrl-C is safe: the training is kept beside OUT, and `gradus resume` goes on bit for bit and writes "
      "OUT.");
}

WordVectorEvents make_events(const CommonOptions& common, const char* unit) {
  WordVectorEvents events;
  events.on_note = [&common](const std::string& line) {
    if (!common.quiet) say("note   " + line);
  };
  events.on_preparing = [&common](const std::string& what, int64_t done, int64_t total) {
    stop_where_interrupted();
    if (common.quiet) return;
    if (what == "text") {
      status("text   " + bytes_text(static_cast<double>(done)) +
             (total > 0 ? " of " + bytes_text(static_cast<double>(total)) : ""));
    } else {
      status(what + "  " + std::to_string(100 * done / std::max<int64_t>(total, 1)) + " %");
    }
  };
  events.on_progress = [&common, unit](const WordVectorProgress& progress, double speed, double left) {
    if (common.quiet) return;
    const double share =
        100 * static_cast<double>(progress.done) / static_cast<double>(std::max<int64_t>(progress.total, 1));
    status("train  " + fixed(share, 1) + " %" +
           (std::isfinite(progress.loss) ? "  loss " + fixed(progress.loss, 4) : "") + "  lr " +
           fixed(progress.learning_rate, 5) + "  " + count_text(speed) + " " + unit + "/s  " +
           duration_text(left) + " left");
  };
  return events;
}

}  // namespace

int finish_word_vectors(WordVectorRun& run, const CommonOptions& common) {
  const bool glove = run.options().is_glove();
  const char* unit = glove ? "cells" : "words";
  const int64_t first = run.trainer().progress().done;
  const bool complete = run.train(make_events(common, unit), interrupted());
  const double seconds = run.training_seconds();
  const WordVectorProgress progress = run.trainer().progress();
  const bool keeps = run.out() == run.folder();
  const std::string file = keeps ? run.out() + "/" + kWordVectorTable : run.out();
  const std::string hash = complete ? sha256_file(file) : "";
  const double speed = static_cast<double>(progress.done - first) / std::max(seconds, 1e-9);
  if (common.json) {
    Json json = Json::object();
    json.set("method", std::string(name_of(run.options().method)))
        .set("words", run.words())
        .set("vocabulary", run.vocabulary().size())
        .set("width", run.options().width)
        .set("epochs", run.options().epochs)
        .set("seconds", seconds)
        .set("words_per_second", speed)
        .set("peak_rss_bytes", static_cast<int64_t>(peak_resident_bytes()))
        .set("file", replace_invalid_utf8(complete ? file : ""))
        .set("sha256", hash)
        .set("complete", complete);
    if (glove) json.set("cells", run.cells());
    print_json(json);
  }
  if (!common.quiet) {
    if (complete) {
      say("done   " + count_text(static_cast<double>(progress.total)) + " " + unit + " in " +
          duration_text(seconds) + ", " + count_text(speed) + " " + unit + "/s");
      say("wrote  " + file + ": " + std::to_string(run.vocabulary().size()) + " vectors of " +
          std::to_string(run.options().width) + " numbers, " +
          bytes_text(static_cast<double>(file_bytes(file))));
      say("bits   hash " + hash.substr(0, 16) + ", the same for any number of threads");
      const std::string word(run.vocabulary().words[std::min<int64_t>(run.vocabulary().size() - 1, 100)]);
      say("next   gradus neighbors " + run.out() + " " + in_one_line(word));
    } else {
      say("stopped, and kept in " + run.folder() + "; continue with: gradus resume " + run.folder());
    }
  }
  return complete ? 0 : kExitInterrupted;
}

namespace {

int train_vectors(WordVectorMethod method, const Arguments& arguments) {
  TrainVectorsArguments a;
  a.options = WordVectorOptions::defaults(method);
  const std::string name(name_of(method));
  Args args(
      "vectors train " + name,
      "Learns a vector for each word of texts by " +
          std::string(
              method == WordVectorMethod::skipgram ? "skip-gram (word2vec): a word predicts its context"
              : method == WordVectorMethod::cbow   ? "CBOW (word2vec): the context's mean predicts the word"
              : method == WordVectorMethod::glove
                  ? "GloVe: products of vectors fit how often words stand together"
              : method == WordVectorMethod::fasttext ? "fastText: skip-gram with the pieces of words"
                                                     : "fastText: CBOW with the pieces of words") +
          ". The defaults are those of its authors' program; the bits do not depend on threads.");
  bind(args, a);
  if (!args.parse(arguments)) return 0;
  a.common.apply();
  watch_interrupts();
  check(!args.given("--alpha") || method == WordVectorMethod::glove,
        "vectors train: --alpha is an exponent of glove; the learning rate is --lr");
  check(!a.out.empty(), "-o OUT must be given");
  check(!(args.given("--time") && args.given("--epochs")),
        "vectors train: give --epochs or --time, not both");
  while (a.out.size() > 1 && a.out.ends_with('/')) a.out.pop_back();
  a.options.baskets = a.format == "baskets";
  a.options.letters = a.word_rule == "letters";
  a.options.mean_gradient = a.gradient == "corrected";
  a.options.validate();
  args.no_effect(
      {{a.options.baskets, {"--window"}, "with --input-format baskets, whose lines are contexts whole"},
       {!a.vocabulary.empty(), {"--min-count"}, "with --vocab, whose words all get a vector"},
       {a.options.has_pieces() && a.options.max_piece == 0, {"--minn", "--bucket"}, "with --maxn 0"}});
  const std::string folder = WordVectorRun::folder_of(a.out);
  if (folder != a.out) {
    std::vector<std::string> inputs = a.texts;
    for (const std::string& file : {a.vocabulary, a.save_vocabulary, a.init}) inputs.push_back(file);
    check_vectors_out(a.out, inputs);
  }
  if (!a.save_vocabulary.empty()) {
    check_not_input(a.save_vocabulary, a.texts);
    check_can_write(a.save_vocabulary);
  }
  WordVectorStart start;
  start.options = a.options;
  start.texts = a.texts;
  start.reading = a.files.options();
  start.out = a.out;
  start.vocabulary = a.vocabulary;
  start.save_vocabulary = a.save_vocabulary;
  start.init = a.init;
  if (!a.memory.empty()) start.memory = static_cast<uint64_t>(parse_bytes(a.memory, "--memory"));
  if (!a.time.empty()) start.seconds = parse_duration(a.time, "--time");
  start.command = "gradus vectors train " + name;
  for (const std::string& word : arguments) start.command += " " + word;
  WordVectorRun run = WordVectorRun::create(start, make_events(a.common, "words"));
  if (!a.common.quiet) {
    say("plan   " + name + ", " + std::to_string(run.vocabulary().size()) + " words, " +
        count_text(static_cast<double>(run.words())) + " words of text" +
        (run.cells() > 0 ? ", " + count_text(static_cast<double>(run.cells())) + " cells" : "") + ", " +
        std::to_string(run.options().epochs) + " epochs, " +
        bytes_text(static_cast<double>(run.peak_memory())) + " of memory; its state is in " + run.folder() +
        (run.folder() == run.out() ? "" : " meanwhile"));
  }
  return finish_word_vectors(run, a.common);
}

template <WordVectorMethod kMethod>
int train_by(const Arguments& arguments) {
  return train_vectors(kMethod, arguments);
}

}  // namespace

int run_vectors_train(const Arguments& arguments) {
  using enum WordVectorMethod;
  return run_action(
      "vectors train", arguments,
      {{"skipgram", train_by<skipgram>, "word2vec: a word predicts the words around it"},
       {"cbow", train_by<cbow>, "word2vec: the words around predict a word"},
       {"glove", train_by<glove>, "how often words stand near each other, as products of vectors"},
       {"fasttext", train_by<fasttext>, "skip-gram, words being the mean of their pieces"},
       {"fasttext-cbow", train_by<fasttext_cbow>, "CBOW, words being the mean of their pieces"}});
}

}  // namespace gradus::tools
