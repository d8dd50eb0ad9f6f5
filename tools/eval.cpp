// gradus eval: how well a model predicts a file, or how well vectors agree with what people say of words.

#include <cmath>

#include "models/training/corpus.hpp"
#include "models/training/evaluate.hpp"
#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tools/common.hpp"
#include "tools/eval_vectors.hpp"
#include "tools/open_model.hpp"
#include "tools/training.hpp"

namespace gradus::tools {
namespace {

int eval_model(const Args& args, const std::string& folder, const std::string& input,
               const WeightsOption& weights, const SourceArguments& given) {
  const CommonOptions& common = given.common;
  const std::string& tokenizer = given.tokenizer;
  const TextFileOptions& files = given.files;
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

}  // namespace

int run_eval(const Arguments& arguments) {
  std::vector<std::string> sources;
  std::string input;
  WeightsOption weights;
  SourceArguments given;
  VectorJudging judging;
  Args args("eval",
            "With --input, prints loss, perplexity and bits per byte of a model over a whole text: "
            "consecutive windows, "
            "every token but the first predicted once. With --similarity, --analogy or --dictionary, says "
            "how well vectors "
            "agree with what people say of words; several SOURCEs are set side by side.");
  args.positionals("SOURCE", sources,
                   "a model's folder, or its .gguf or llama2.c file; or vectors, see below");
  args.text(
      "--input", input,
      "the text: a file, a folder of them, or - for standard input; of a .jsonl each line is a document");
  weights.add(args);
  judging.add(args);
  given.add(args);
  if (!args.parse(arguments)) return 0;
  given.common.apply();
  watch_interrupts();
  for (const std::string& source : sources) check(!source.empty(), "SOURCE must not be empty; it is");
  const bool vectors = judging.wanted();
  check(vectors != !input.empty(), vectors ? "eval: --input is of a model; leave it out, or the others"
                                           : "eval: --input FILE must be given, or --similarity, --analogy, "
                                             "--cluster, --dictionary or --baskets FILE");
  if (vectors) {
    args.no_effect({{true, {"--weights"}, "with vectors"}});
    return eval_vectors(args, sources, judging, given);
  }
  args.no_effect({{true,
                   {"--text", "--level", "--layer", "--names", "--encoding-errors", "--method", "--restrict",
                    "--oov", "--dims", "--include-inputs"},
                   "with --input"}});
  check(sources.size() == 1, "eval: --input is of one model; there are ", sources.size());
  check(sources[0] != "-",
        "SOURCE must name a file or folder; '-', a stream, is not taken here; a file of that name is ./-");
  return eval_model(args, sources[0], input, weights, given);
}

}  // namespace gradus::tools
