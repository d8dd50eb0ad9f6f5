// gradus corpus: texts to train and to measure on.

#include "models/microworld/microworld.hpp"
#include "tensor/error.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/common.hpp"

namespace gradus::tools {
namespace {

int run_microworld(const Arguments& arguments) {
  std::string size = "20MB", out;
  MicroworldOptions options;
  CommonOptions common;
  Args args("corpus microworld",
            "Writes a text about a made-up world, and what is true in it: analogies, ratings, families of "
            "words, what each word "
            "is, a second language with a dictionary, and shopping baskets. The same bytes everywhere.");
  args.text("--size", size, "of the text, such as 500kB or 20MB; the second language's is as large");
  args.seed("--seed", options.seed, "the world, and the sentences about it");
  args.path("-o,--out", out, "new or empty folder to write into");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(!out.empty(), "-o DIR must be given");
  while (out.size() > 1 && out.ends_with('/')) out.pop_back();
  options.bytes = parse_bytes(size, "--size");
  const MicroworldReport report = write_microworld(out, options, [&](int64_t done, int64_t total) {
    if (interrupted()) throw Interrupted{};
    if (!common.quiet)
      status("corpus  " + bytes_text(static_cast<double>(done)) + " of " +
             bytes_text(static_cast<double>(total)));
  });
  if (common.json) {
    print_json(Json::object()
                   .set("folder", replace_invalid_utf8(out))
                   .set("sentences", report.sentences)
                   .set("tokens", report.tokens)
                   .set("types", report.types)
                   .set("bytes", report.bytes)
                   .set("baskets", report.baskets));
  }
  if (!common.quiet) {
    say("wrote  " + out + ": text.txt has " + std::to_string(report.sentences) + " sentences of " +
        std::to_string(report.tokens) + " words, " + std::to_string(report.types) +
        " different ones; README.md says what else there is");
    say("next   gradus train " + out + "/text.txt");
  }
  return 0;
}

}  // namespace

int run_corpus(const Arguments& arguments) {
  return run_action(
      "corpus", arguments,
      {{"microworld", run_microworld, "a text about a made-up world, with what is true in it"}});
}

}  // namespace gradus::tools
