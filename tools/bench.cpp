// gradus bench: how near the machine's limit the program comes. Every figure is a fraction of a limit that is measured
// in the same run, in turns with what is held against it.

#include "tools/bench_common.hpp"

namespace gradus::tools {
namespace {

struct Bench {
  const char* name;
  int (*run)(const Arguments&);
  const char* about;
};

constexpr Bench kBenches[] = {
    {"peak", bench_peak, "the limits themselves: multiply-adds on registers, memory read as a stream"},
    {"gemm", bench_gemm, "matrix products of training and generating"},
    {"train", bench_train, "whole training steps"},
    {"growth", bench_growth, "a training step's time and memory against each size"},
    {"generate", bench_generate, "reading a prompt and continuing it"},
    {"embed", bench_embed, "vectors of texts"},
    {"tokenizer", bench_tokenizer, "text to ids"},
    {"vectors", bench_vectors, "training of word vectors"},
};

/// "peak, gemm or train".
std::string names() {
  std::string text;
  const std::size_t count = std::size(kBenches);
  for (std::size_t i = 0; i < count; ++i)
    text += (i == 0 ? "" : i + 1 == count ? " or " : ", ") + std::string(kBenches[i].name);
  return text;
}

}  // namespace

int run_bench(const Arguments& arguments) {
  const std::string what = arguments.empty() ? "" : arguments[0];
  for (const Bench& bench : kBenches) {
    if (what == bench.name) return bench.run({arguments.begin() + 1, arguments.end()});
  }
  if (what == "--help" || what == "-h") {
    print_out("gradus bench measures how near the machine's limit the program comes\n\n");
    for (const Bench& bench : kBenches) print_out("  " + left(bench.name, 10) + bench.about + "\n");
    print_out("\ngradus bench NAME --help shows the options of one.\n");
    flush_out();
    return 0;
  }
  throw UsageError("bench: " + names() + " must follow; " +
                   (what.empty() ? std::string("nothing did") : "'" + what + "' did"));
}

}  // namespace gradus::tools
