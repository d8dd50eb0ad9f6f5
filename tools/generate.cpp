// gradus generate: continues a text, printing it while it grows.

#include <cstdio>

#include "models/transformer/files.hpp"
#include "models/transformer/generate.hpp"
#include "tensor/error.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/common.hpp"
#include "tools/open_model.hpp"
#include "tools/training.hpp"

namespace gradus::tools {
namespace {

/// A token as JSON can hold it: as the vocabulary file writes it, UTF-8 whatever bytes it stands for.
std::string printable(const Tokenizer& tokenizer, int32_t id) {
  return replace_invalid_utf8(tokenizer.token_text(id));
}

}  // namespace

int run_generate(const Arguments& arguments) {
  std::string folder, tokenizer;
  std::string prompt;
  WeightsOption weights;
  std::string cache = "f32";
  GenerateOptions options;
  CommonOptions common;
  Args args("generate", "Continues a text with a trained model; the text streams to stdout.");
  args.positional("DIR", folder, "the model's folder, or its .gguf file");
  args.text("-p,--prompt", prompt, "the text to continue", Empty::allowed);
  args.integer("-n,--n-predict", options.max_tokens, "most tokens to generate");
  args.heading("Sampling");
  args.number("--temp", options.sampler.temperature, "below 1 bolder, above 1 more varied; 0: greedy");
  args.integer("--top-k", options.sampler.top_k, "keep the k most probable tokens; 0: all");
  args.number("--top-p", options.sampler.top_p, "keep the most probable until they reach p together; 1: all");
  args.number("--min-p", options.sampler.min_p,
              "drop what has less than p times the best probability; 0: none");
  args.number("--repeat-penalty", options.sampler.repeat_penalty, "make recent tokens less likely; 1: no");
  args.texts("--stop", options.stop, "end before this text");
  args.integer("--show-probs", options.show_probs, "show the K most probable tokens at each place");
  args.seed("--seed", options.seed, "seed of the draws");
  args.heading("Memory and speed");
  add_tokenizer_option(args, tokenizer);
  weights.add(args);
  args.choice("--kv-cache", cache, {"f32", "bf16"}, "how keys and values of the text so far are kept");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(options.max_tokens >= 0, "-n must be at least 0; it is ", options.max_tokens);
  check(options.show_probs >= 0, "--show-probs must be at least 0; it is ", options.show_probs);

  const bool greedy = options.sampler.temperature == 0;
  args.no_effect({
      {options.max_tokens == 0,
       {"--temp", "--top-k", "--top-p", "--min-p", "--repeat-penalty", "--stop", "--show-probs", "--seed",
        "--weights", "--kv-cache"},
       "with -n 0, which generates nothing"},
      {greedy,
       {"--top-k", "--top-p", "--min-p", "--seed"},
       "with --temp 0, which takes the most probable token"},
      {!greedy && options.sampler.top_k == 1,
       {"--temp", "--top-p", "--min-p", "--seed"},
       "with --top-k 1, which leaves one token"},
  });

  options.cache = cache == "bf16" ? DType::bf16 : DType::f32;

  LanguageModel loaded = open_model(folder, common, true, tokenizer);
  options.add_special = loaded.add_special;
  warn_of_unknown(loaded.tokenizer, std::vector<std::string_view>{prompt}, "the prompt");
  loaded.model.pack(weights.value());
  if (!common.quiet && options.sampler.temperature == 0)
    say("note   --temp 0: greedy, the most probable token each time");
  const bool stream = !common.json && options.show_probs == 0;
  Json tokens = Json::array();
  bool begun = false;  // nothing is printed before the options have proved good
  const Generated result =
      generate(loaded.model, loaded.tokenizer, prompt, options, [&](const GeneratedToken& token) {
        if (stream) {
          if (!begun) print_out(prompt);
          begun = true;
          print_out(token.text);
          flush_out();
        } else if (token.id >= 0) {
          Json top = Json::array();
          std::string line =
              fixed(token.probability, 3) + "  " + in_one_line(printable(loaded.tokenizer, token.id)) + "  |";
          for (const Candidate& candidate : token.top) {
            const std::string text = printable(loaded.tokenizer, candidate.id);
            line += "  " + in_one_line(text) + " " + fixed(candidate.probability, 3);
            top.push(Json::object()
                         .set("id", int64_t{candidate.id})
                         .set("token", text)
                         .set("probability", candidate.probability));
          }
          if (!common.json) print_out(line + "\n");
          Json item = Json::object();
          item.set("id", int64_t{token.id}).set("token", printable(loaded.tokenizer, token.id));
          if (options.show_probs > 0) item.set("probability", token.probability).set("top", top);
          tokens.push(item);
        }
        return !interrupted().load();
      });
  if (stream) print_out((begun ? "" : prompt) + "\n");
  flush_out();
  check_unchanged(loaded);
  if (common.json) {
    const char* reasons[] = {"max_tokens", "stop_text", "end_of_text", "cancelled"};
    Json json = Json::object();
    Json ids = Json::array();
    for (const int32_t id : result.ids) ids.push(int64_t{id});
    // A text may end inside a character, or hold bytes that are none: the ids tell which.
    json.set("text", replace_invalid_utf8(result.text)).set("ids", ids);
    json.set("tokens", tokens).set("stop_reason", reasons[static_cast<int>(result.reason)]);
    json.set("prompt_tokens", result.prompt_tokens).set("refills", result.refills);
    print_json(json);
  }
  if (!common.quiet && result.refills > 0) {
    say("note   the text outgrew the model's window of " + std::to_string(loaded.model.config().block_size) +
        " tokens: the oldest quarter was forgotten " + std::to_string(result.refills) + " times");
  }
  return result.reason == StopReason::cancelled ? kExitInterrupted : 0;
}

}  // namespace gradus::tools
