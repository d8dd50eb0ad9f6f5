// gradus eval: how well a model predicts a file.

#include <cmath>

#include "models/training/corpus.hpp"
#include "models/training/evaluate.hpp"
#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tools/common.hpp"
#include "tools/open_model.hpp"
#include "tools/text_options.hpp"
#include "tools/training.hpp"

namespace gradus::tools {

int run_eval(const Arguments& arguments) {
  std::string folder, tokenizer;
  std::string input;
  WeightsOption weights;
  TextFileOptions files;
  CommonOptions common;
  Args args(
      "eval",
      "Prints loss, perplexity and bits per byte of a model over a whole text: consecutive windows, every "
      "token but the first predicted once.");
  args.positional("DIR", folder, "the model's folder, or its .gguf or llama2.c file");
  args.text(
      "--input", input,
      "the text: a file, a folder of them, or - for standard input; of a .jsonl each line is a document");
  add_tokenizer_option(args, tokenizer);
  weights.add(args);
  files.add(args);
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(!input.empty(), "eval: --input FILE must be given");
  const Corpus corpus = load_corpus({input}, 0, files.options());
  files.check_effect(args, corpus.files);
  if (!common.quiet && !corpus.passed_over.empty()) say("note   " + corpus.passed_over);
  LanguageModel loaded = open_model(folder, common, true, tokenizer);
  loaded.model.pack(weights.value());
  const TokenText tokens = tokenize_documents(loaded.tokenizer, corpus.training, corpus.names,
                                              {.add_special = loaded.add_special});
  check_world(tokens.ids.size() >= 2, input, ": the text must have at least 2 tokens; it has ",
              tokens.ids.size());
  const Evaluation result =
      evaluate(loaded.model, loaded.tokenizer, tokens.ids, tokens.bytes_of, [&](int64_t done, int64_t total) {
        if (interrupted()) throw Interrupted{};
        if (!common.quiet)
          status("eval   " + std::to_string(done) + "/" + std::to_string(total) + " windows");
      });
  check_unchanged(loaded);
  warn_of_unknown(result.unknown_rate(), input);
  if (common.json) {
    Json json = Json::object();
    json.set("loss", result.loss)
        .set("perplexity", std::isfinite(result.perplexity) ? Json(result.perplexity) : Json())
        .set("bits_per_byte", result.bits_per_byte);
    json.set("tokens", result.tokens).set("bytes", result.bytes);
    json.set("unknown_rate", result.unknown_rate());
    print_json(json);
  } else {
    print_out("loss " + fixed(result.loss, 4) + "  perplexity " + fixed(result.perplexity, 2) +
              "  bits/byte " + fixed(result.bits_per_byte, 4) + "  over " + std::to_string(result.tokens) +
              " tokens, " + std::to_string(result.bytes) + " bytes" +
              (result.unknown > 0 ? ", " + fixed(100 * result.unknown_rate(), 2) + " % unknown" : "") + "\n");
    flush_out();
  }
  return 0;
}

}  // namespace gradus::tools
