// gradus eval: how well a model predicts a file.

#include "models/training/corpus.hpp"
#include "models/training/evaluate.hpp"
#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tools/common.hpp"
#include "tools/training.hpp"

namespace gradus::tools {

int run_eval(const Arguments& arguments) {
  std::string folder;
  std::string input;
  WeightsOption weights;
  CommonOptions common;
  Args args(
      "eval",
      "Prints loss, perplexity and bits per byte of a model over a whole file: consecutive windows, every "
      "token but the first predicted once.");
  args.positional("DIR", folder, "the model's folder");
  args.text("--input", input, "the text file");
  weights.add(args);
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(!input.empty(), "eval: --input FILE must be given");
  const std::string text = read_file(input);
  check_world(!text.empty(), input, ": the file must hold text; it is empty");
  LanguageModel loaded = load_language_model(folder);
  loaded.model.pack(weights.value());
  const TokenText tokens = tokenize_documents(loaded.tokenizer, {text}, {input});
  const Evaluation result =
      evaluate(loaded.model, loaded.tokenizer, tokens.ids, tokens.bytes_of, [&](int64_t done, int64_t total) {
        if (interrupted()) throw Interrupted{};
        if (!common.quiet)
          status("eval   " + std::to_string(done) + "/" + std::to_string(total) + " windows");
      });
  warn_of_unknown(result.unknown_rate(), input);
  if (common.json) {
    Json json = Json::object();
    json.set("loss", result.loss)
        .set("perplexity", result.perplexity)
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
