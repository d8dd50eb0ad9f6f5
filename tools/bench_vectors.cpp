// gradus bench vectors: how fast word vectors are trained.

#include <unistd.h>

#include <filesystem>

#include "models/word_vectors/corpus.hpp"
#include "models/word_vectors/glove_trainer.hpp"
#include "models/word_vectors/window_trainer.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/machine.hpp"
#include "tensor/parallel.hpp"
#include "tensor/random.hpp"
#include "tools/bench_common.hpp"
#include "tools/text_options.hpp"

namespace gradus::tools {
namespace {

/// A folder that is gone with the object.
class ScratchFolder {
 public:
  ScratchFolder()
      : path_((std::filesystem::temp_directory_path() / ("gradus-bench-" + std::to_string(getpid())))
                  .string()) {
    create_directories(path_);
  }
  ~ScratchFolder() {
    std::error_code none;
    std::filesystem::remove_all(path_, none);
  }
  ScratchFolder(const ScratchFolder&) = delete;
  ScratchFolder& operator=(const ScratchFolder&) = delete;
  std::string file(const std::string& name) const { return path_ + "/" + name; }

 private:
  std::string path_;
};

/// Words by Zipf's law, the n-th in proportion to 1 / n.
std::string zipf_text(int64_t words, int64_t different) {
  std::vector<double> sums;
  for (int64_t n = 1; n <= different; ++n)
    sums.push_back((sums.empty() ? 0 : sums.back()) + 1.0 / static_cast<double>(n));
  const Random random(1, stream_of("bench.vectors"));
  std::string text;
  for (int64_t i = 0; i < words; ++i) {
    const double u = random.uniform(static_cast<uint64_t>(i)) * sums.back();
    text += "word" + std::to_string(std::lower_bound(sums.begin(), sums.end(), u) - sums.begin());
    text += i % 20 == 19 ? '\n' : ' ';
  }
  return text;
}

struct Measured {
  std::string name;
  std::vector<double> seconds;
  double words = 0;  // or cells
  double flops = 0;
};

}  // namespace

int bench_vectors(const Arguments& arguments) {
  std::string input, only = "all";
  int64_t samples = 3, width = 100;
  TextFileOptions files;
  CommonOptions common;
  Args args("bench vectors",
            "Times an epoch of each method at one setting (window 5, of GloVe 15; 5 words of noise, sample "
            "1e-4, min-count 5), "
            "reading the text and first values apart.");
  args.text(
      "--input", input,
      "the text: a file, a folder of them, or - for standard input; default: words drawn by Zipf's law");
  args.choice("--method", only, {"all", "skipgram", "cbow", "glove", "fasttext", "fasttext-cbow"},
              "what is timed");
  args.integer("--dim", width, "numbers of a vector");
  args.integer("--samples", samples, "epochs that are timed, each from the beginning");
  files.add(args);
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(samples >= 1 && samples <= 1000, "--samples must be in [1, 1000]; it is ", samples);
  args.no_effect({{input.empty(), {"--text-key", "--force-text"}, "without --input"}});
  const ScratchFolder scratch;
  if (input.empty()) {
    input = scratch.file("text.txt");
    write_file_atomic(input, zipf_text(1'000'000, 50'000));
  }
  std::vector<Measured> all;
  double limit = 0, words_read = 0, read_seconds = 0, megabytes = 0;
  for (const WordVectorMethod method : word_vector_methods()) {
    if (only != "all" && only != name_of(method)) continue;
    WordVectorOptions options = WordVectorOptions::defaults(method);
    options.width = width;
    options.epochs = 1;
    options.min_count = 5;
    options.sample = 1e-4;
    options.x_max = 10;
    options.validate();
    const std::string numbers = scratch.file("text.ids");
    const double begin = now_seconds();
    const WordCorpus corpus =
        encode_words({input}, options, files.options(), nullptr, numbers,
                     {.on_progress = [](int64_t, int64_t) { stop_where_interrupted(); }});
    read_seconds = now_seconds() - begin;
    words_read = static_cast<double>(corpus.words_read);
    megabytes = static_cast<double>(corpus.bytes) * 1e-6;
    Measured measured;
    measured.name = name_of(method);
    const auto train = [&](WordVectorTrainer& trainer) {
      const double from = now_seconds();
      while (!trainer.finished()) {
        stop_where_interrupted();
        trainer.advance();
      }
      measured.seconds.push_back(now_seconds() - from);
      limit = std::max(limit, peak_flops());
    };
    Measured counting;
    for (int64_t sample = 0; sample < samples; ++sample) {
      if (!common.quiet)
        status("bench  " + measured.name + " " + std::to_string(sample + 1) + " of " +
               std::to_string(samples));
      limit = std::max(limit, peak_flops());
      if (options.is_glove()) {
        const std::string cells = scratch.file("cells");
        const double from = now_seconds();
        const auto report =
            write_glove_cells(options, corpus.vocabulary, numbers, available_memory_bytes() / 2, cells,
                              [](int64_t, int64_t) { stop_where_interrupted(); });
        counting.name = "glove-count";
        counting.seconds.push_back(now_seconds() - from);
        counting.words = words_read;
        GloveTrainer trainer(options, corpus.vocabulary, cells);
        train(trainer);
        measured.words = static_cast<double>(report.cells);
        // d, and of both rows a step and a square.
        measured.flops = 2.0 * static_cast<double>(report.cells * (width + 2)) * 7;
      } else {
        WindowTrainer trainer(options, corpus.vocabulary, numbers);
        train(trainer);
        measured.words = words_read;
        measured.flops = 2.0 * static_cast<double>(trainer.multiply_adds());
      }
    }
    if (options.is_glove()) all.push_back(counting);
    all.push_back(measured);
  }
  Json results = Json::array();
  std::string table = "text  " + count_text(words_read) + " words, read in " + fixed(read_seconds, 2) +
                      " s (" + fixed(megabytes / read_seconds, 0) + " MB/s)\n";
  for (const Measured& one : all) {
    const double seconds = median(one.seconds);
    const bool cells = one.name == "glove";
    const double fraction = one.flops / seconds / limit;
    results.push(Json::object()
                     .set("name", one.name)
                     .set("seconds", seconds)
                     .set(cells ? "cells" : "words", static_cast<int64_t>(one.words))
                     .set(cells ? "cells_per_second" : "words_per_second", one.words / seconds)
                     .set("gflops", one.flops / seconds * 1e-9)
                     .set("fraction_of_peak", fraction));
    const std::string figure = fixed(one.words / seconds * 1e-3, 0) + (cells ? " k cells/s" : " k words/s");
    table += one.flops > 0 ? bench_row(one.name, figure, fraction, "multiply-add peak")
                           : left(one.name, 40) + right(figure, 22) + "\n";
  }
  if (common.json) {
    print_bench_json(Json::object()
                         .set("threads", int64_t{thread_count()})
                         .set("words", static_cast<int64_t>(words_read))
                         .set("dim", width)
                         .set("samples", samples)
                         .set("read_seconds", read_seconds)
                         .set("peak_gflops", limit * 1e-9)
                         .set("results", results));
    return 0;
  }
  print_out(table);
  finish_text(common);
  return 0;
}

}  // namespace gradus::tools
