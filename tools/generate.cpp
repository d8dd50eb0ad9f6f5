// gradus generate: continues a text, printing it while it grows.

#include <unistd.h>

#include <algorithm>
#include <string_view>

#include "models/transformer/files.hpp"
#include "models/transformer/generate.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/common.hpp"
#include "tools/open_model.hpp"
#include "tools/text_options.hpp"
#include "tools/training.hpp"

namespace gradus::tools {
namespace {

/// A token as JSON can hold it: as the vocabulary file writes it, UTF-8 whatever bytes it stands for.
std::string printable(const Tokenizer& tokenizer, int32_t id) {
  return replace_invalid_utf8(tokenizer.token_text(id));
}

/// Shows continuations of a prompt: one while it grows, several by number once they are whole.
class Display {
 public:
  Display(const Tokenizer& tokenizer, const std::string& prompt, bool json, bool probabilities, bool several)
      : tokenizer_(tokenizer),
        prompt_(prompt),
        json_(json),
        probabilities_(probabilities),
        several_(several) {}

  void token(const GeneratedToken& token) {
    if (!json_ && !probabilities_) {
      if (several_) return;
      if (!begun_) print_out(prompt_);
      begun_ = true;  // nothing is printed before the options have proved good
      print_out(token.text);
      flush_out();
    } else if (token.id >= 0 && !several_ && !json_) {
      print_out(line(token));
    }
  }

  void whole(int64_t number, const Generated& generated, const std::vector<GeneratedToken>& tokens) {
    if (json_) {
      print_json(object(number, generated, tokens));
    } else if (!probabilities_) {
      if (several_) print_out("--- sample " + std::to_string(number) + "\n");
      print_out((begun_ ? "" : prompt_) + (several_ ? generated.text : "") + "\n");
    } else if (several_) {
      print_out("--- sample " + std::to_string(number) + "\n");
      for (const GeneratedToken& token : tokens) print_out(line(token));
    }
    flush_out();
  }

 private:
  std::string line(const GeneratedToken& token) const {
    std::string text =
        fixed(token.probability, 3) + "  " + in_one_line(printable(tokenizer_, token.id)) + "  |";
    for (const Candidate& candidate : token.top) {
      text += "  " + in_one_line(printable(tokenizer_, candidate.id)) + " " + fixed(candidate.probability, 3);
    }
    return text + "\n";
  }

  Json object(int64_t number, const Generated& generated, const std::vector<GeneratedToken>& tokens) const {
    const char* reasons[] = {"max_tokens", "stop_text", "end_of_text", "cancelled"};
    Json list = Json::array();
    for (const GeneratedToken& token : tokens) {
      Json item = Json::object();
      item.set("id", int64_t{token.id}).set("token", printable(tokenizer_, token.id));
      if (probabilities_) {
        Json top = Json::array();
        for (const Candidate& candidate : token.top) {
          top.push(Json::object()
                       .set("id", int64_t{candidate.id})
                       .set("token", printable(tokenizer_, candidate.id))
                       .set("probability", candidate.probability));
        }
        item.set("probability", token.probability).set("top", top);
      }
      list.push(item);
    }
    Json ids = Json::array();
    for (const int32_t id : generated.ids) ids.push(int64_t{id});
    Json json = Json::object();
    if (several_) json.set("sample", number);
    // A text may end inside a character, or hold bytes that are none: the ids tell which.
    json.set("text", replace_invalid_utf8(generated.text)).set("ids", ids);
    json.set("tokens", list).set("stop_reason", reasons[static_cast<int>(generated.reason)]);
    json.set("prompt_tokens", generated.prompt_tokens).set("refills", generated.refills);
    return json;
  }

  const Tokenizer& tokenizer_;
  const std::string& prompt_;
  bool json_, probabilities_, several_;
  bool begun_ = false;
};

}  // namespace

int run_generate(const Arguments& arguments) {
  std::string folder, tokenizer;
  std::string prompt;
  std::string file;
  int64_t samples = 1;
  WeightsOption weights;
  std::string cache = "f32";
  GenerateOptions options;
  ParseSpecialOption parse_special;
  CommonOptions common;
  Args args("generate", "Continues a text with a trained model; the text streams to stdout.");
  args.positional("DIR", folder, "the model's folder, or its .gguf or llama2.c file");
  args.text("-p,--prompt", prompt, "the text to continue", Empty::allowed);
  args.text(
      "-f,--file", file,
      "instead of -p: a file with the text, or - for standard input; every byte counts, a line end too");
  parse_special.add(args);
  args.integer("-n,--n-predict", options.max_tokens, "most tokens to generate");
  args.integer("--num-samples", samples,
               "continuations, each with draws of its own; of several, --json prints an object a line");
  args.heading("Sampling");
  args.number("--temp", options.sampler.temperature, "below 1 bolder, above 1 more varied; 0: greedy");
  args.integer("--top-k", options.sampler.top_k, "keep the k most probable tokens; 0: all");
  args.number("--top-p", options.sampler.top_p, "keep the most probable until they reach p together; 1: all");
  args.number("--min-p", options.sampler.min_p,
              "drop what has less than p times the best probability; 0: none");
  args.number("--repeat-penalty", options.sampler.repeat_penalty, "make recent tokens less likely; 1: no");
  args.texts("--stop", options.stop, "end before this text; may be given several times");
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
  check(samples >= 1 && samples <= 1000000, "--num-samples must be in [1, 1000000]; it is ", samples);
  check(file.empty() || !args.given("--prompt"), "generate: give -p or -f, not both");

  const bool greedy = options.sampler.temperature == 0;
  args.no_effect({
      {options.max_tokens == 0,
       {"--temp", "--top-k", "--top-p", "--min-p", "--repeat-penalty", "--stop", "--show-probs", "--seed",
        "--weights", "--kv-cache", "--num-samples"},
       "with -n 0, which generates nothing"},
      {greedy,
       {"--top-k", "--top-p", "--min-p", "--seed", "--num-samples"},
       "with --temp 0, which takes the most probable token"},
      {!greedy && options.sampler.top_k == 1,
       {"--temp", "--top-p", "--min-p", "--seed", "--num-samples"},
       "with --top-k 1, which leaves one token"},
  });

  options.cache = cache == "bf16" ? DType::bf16 : DType::f32;

  const std::string source = file.empty() ? "the prompt" : file == "-" ? "standard input" : file;
  if (!file.empty()) {
    prompt = file == "-" ? read_descriptor(STDIN_FILENO, source, stop_where_interrupted)
                         : read_file(file, stop_where_interrupted);
  }
  LanguageModel loaded = open_model(folder, common, true, tokenizer);
  const TextItem named{.text = prompt, .file = file.empty() ? nullptr : &source};
  const std::vector<int32_t> ids = naming(named, [&] {
    return prompt_ids(
        loaded.model, loaded.tokenizer, prompt,
        {.special_tokens = parse_special.value(loaded.parse_special), .add_special = loaded.add_special});
  });
  warn_of_unknown(loaded.tokenizer, std::vector<std::string_view>{prompt}, source);
  loaded.model.pack(weights.value());
  if (!common.quiet && options.sampler.temperature == 0)
    say("note   --temp 0: greedy, the most probable token each time");
  Display display(loaded.tokenizer, prompt, common.json, options.show_probs > 0, samples > 1);
  bool cancelled = false;
  int64_t refills = 0;
  // Not all at once: each has keys and values of its own.
  constexpr int64_t kTogether = 16;
  for (; options.sample < samples && !cancelled; options.sample += kTogether) {
    const int64_t count = std::min(kTogether, samples - options.sample);
    std::vector<std::vector<GeneratedToken>> tokens(static_cast<size_t>(count));
    int64_t drawn = 0;
    const std::vector<Generated> results = generate_samples(
        loaded.model, loaded.tokenizer, ids, options, count, [&](int64_t i, const GeneratedToken& token) {
          display.token(token);
          if (token.id >= 0) tokens[static_cast<size_t>(i)].push_back(token);
          ++drawn;
          if (samples > 1 && !common.quiet && i == 0)
            status("generate  samples " + std::to_string(options.sample + 1) + " to " +
                   std::to_string(options.sample + count) + " of " + std::to_string(samples) + ", " +
                   std::to_string(drawn) + " tokens");
          return !interrupted().load();
        });
    check_unchanged(loaded);
    for (size_t i = 0; i < results.size(); ++i) {
      display.whole(options.sample + static_cast<int64_t>(i), results[i], tokens[i]);
      cancelled = cancelled || results[i].reason == StopReason::cancelled;
      refills = std::max(refills, results[i].refills);
    }
  }
  if (!common.quiet && refills > 0) {
    say("note   the text outgrew the model's window of " + std::to_string(loaded.model.config().block_size) +
        " tokens: the oldest quarter was forgotten " + std::to_string(refills) + " times");
  }
  return cancelled ? kExitInterrupted : 0;
}

}  // namespace gradus::tools
