// gradus embed: every layer's vectors of texts, words or tokens, into a file.

#include <algorithm>
#include <optional>
#include <span>
#include <string_view>

#include "models/embeddings/files.hpp"
#include "models/embeddings/neighbors.hpp"
#include "models/transformer/contextual.hpp"
#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/common.hpp"
#include "tools/open_model.hpp"
#include "tools/text_options.hpp"
#include "tools/training.hpp"

namespace gradus::tools {
namespace {

/// Prints how alike a word's vectors are between the texts, layer by layer: at layer_0 the same word is the same vector
/// (but for learned positions); what the layers above make of it depends on the sentence.
void compare_word(const EmbeddingSet& set, const std::string& word, std::size_t texts, bool as_json) {
  std::vector<int64_t> rows;
  for (std::size_t text = 0; text < texts; ++text) {
    int64_t found = -1;
    for (int64_t row = set.offsets[text]; row < set.offsets[text + 1] && found < 0; ++row) {
      if (set.rows[static_cast<std::size_t>(row)].token == replace_invalid_utf8(word)) found = row;
    }
    check(found >= 0, "embed: --compare needs a word of every text; text ", text, " has no '", word, "'");
    rows.push_back(found);
  }
  Json json = Json::object();
  for (std::size_t layer = 0; layer < set.layers.size(); ++layer) {
    const Tensor& vectors = set.layers[layer];
    const auto width = static_cast<std::size_t>(vectors.size(1));
    const auto vector = [&](int64_t row) {
      return std::span<const float>(vectors.data<float>() + row * vectors.size(1), width);
    };
    std::string line = set.layer_names[layer];
    line.resize(std::max<std::size_t>(line.size(), 9), ' ');
    Json pairs = Json::array();
    for (std::size_t a = 0; a < rows.size(); ++a) {
      for (std::size_t b = a + 1; b < rows.size(); ++b) {
        const double similarity = cosine(vector(rows[a]), vector(rows[b]));
        line += "  " + std::to_string(a) + "~" + std::to_string(b) + " " + fixed(similarity, 3);
        pairs.push(Json::object()
                       .set("a", static_cast<int64_t>(a))
                       .set("b", static_cast<int64_t>(b))
                       .set("cosine", similarity));
      }
    }
    json.set(set.layer_names[layer], pairs);
    if (!as_json) print_out(line + "\n");
  }
  if (as_json) print_json(json);
  flush_out();
}

/// An error where one of the two files to write is a file that is read.
void check_outputs(const std::string& out, const std::string& folder, std::vector<std::string> inputs) {
  for (const char* name : {kConfigFile, kTokenizerFile, kStateFile}) inputs.push_back(folder + "/" + name);
  for (const std::string& file : weights_files(folder)) inputs.push_back(file);
  check_not_input(out, inputs);
  check_not_input(out + ".tokens.jsonl", inputs);
}

}  // namespace

int run_embed(const Arguments& arguments) {
  std::string folder;
  std::vector<std::string> texts;
  std::string input;
  std::string out;
  std::string layers = "all";
  std::string compare;
  std::string level = "sentence";
  std::string pooling = "mean";
  EmbedOptions options;
  WeightsOption weights;
  TextFileOptions files;
  CommonOptions common;
  Args args("embed", "Writes what a model's layers make of texts: a vector for each text, word or token.");
  args.positional("DIR", folder, "the model's folder");
  args.positionals("TEXT", texts, "texts", false);
  args.text(
      "--input", input,
      "instead of TEXT: a file with a text a line, a folder of them, or - for standard input; a .jsonl too");
  args.path("-o,--out", out, "file to write, .npz or .safetensors; FILE.tokens.jsonl says what each row is");
  args.text("--layers", layers, "all, final, or numbers with commas; -1 is the last block's output");
  args.choice("--level", level, {"sentence", "word", "token"}, "what a row stands for");
  args.text("--compare", compare,
            "instead of -o: print the cosines of this word's vectors between the texts, by layer");
  args.choice("--pooling", pooling, {"mean", "last", "max"},
              "how the tokens of a sentence or word become one vector");
  args.flag("--truncate", options.truncate,
            "cut texts that are longer than the model can read; else they are errors");
  weights.add(args);
  files.add(args);
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(out.empty() != compare.empty(),
        "embed: either -o FILE.npz, -o FILE.safetensors or --compare WORD must be given");
  if (!out.empty()) check_embeddings_path(out);
  check(compare.empty() || level == "word" || !args.given("--level"),
        "embed: --compare works on words; leave out --level");
  args.no_effect({{level == "token" && compare.empty(),
                   {"--pooling"},
                   "with --level token, where every token is a row of its own"}});
  check(texts.empty() || input.empty(), "embed: give texts or --input, not both");
  std::optional<TextReader> reader;
  std::vector<std::string_view> views;
  if (!input.empty()) {
    reader.emplace(std::vector<std::string>{input}, files.options(true));
    if (!out.empty()) check_outputs(out, folder, reader->files());
    files.check_effect(args, reader->files());
    for (const TextItem& item : reader->all()) {
      check(!item.text.empty(), item.where(), ": a line must hold a text; it is empty");
      check(!item.pair, item.where(), ": a line must hold one text; this one has a pair, which is not read");
      views.push_back(item.text);
      options.names.push_back(item.where());
    }
    if (!common.quiet && !reader->passed_over().empty()) say("note   " + reader->passed_over());
  } else {
    args.no_effect({{true, {"--text-key", "--force-text"}, "without --input"}});
    if (!out.empty()) check_outputs(out, folder, {});
  }
  for (const std::string& text : texts) views.push_back(text);
  check(!views.empty(), "embed: at least one text must be given", input.empty() ? "" : "; there is none in ",
        input);
  check(compare.empty() || views.size() > 1,
        "embed: --compare needs two texts or more, between which the word is compared; one was given");

  LanguageModel loaded = open_model(folder, common);
  options.layers = parse_layers(layers, loaded.model.config());
  options.level = compare.empty() ? parse_level(level) : Level::word;
  options.pooling = parse_pooling(pooling);
  options.add_special = loaded.add_special;
  warn_of_unknown(loaded.tokenizer, views, input.empty() ? "the texts" : input);
  loaded.model.pack(weights.value());
  const EmbeddingSet set =
      embed_texts(loaded.model, loaded.tokenizer, views, options, [&](int64_t done, int64_t total) {
        if (interrupted()) throw Interrupted{};
        if (!common.quiet) status("embed  " + std::to_string(done) + "/" + std::to_string(total) + " texts");
      });
  if (!compare.empty()) {
    compare_word(set, compare, views.size(), common.json);
    return 0;
  }
  const std::string hash = model_sha256(folder);
  check_unchanged(loaded);
  save_embeddings(out, set, {{"model_sha256", hash}});
  const int64_t width = set.layers.front().size(1);
  if (common.json) {
    Json names = Json::array();
    for (const std::string& name : set.layer_names) names.push(name);
    Json json = Json::object();
    json.set("file", replace_invalid_utf8(out)).set("texts", static_cast<int64_t>(views.size()));
    json.set("rows", static_cast<int64_t>(set.rows.size())).set("width", width).set("layers", names);
    json.set("truncated", set.truncated).set("dropped_words", set.dropped_words);
    print_json(json);
  }
  if (!common.quiet) {
    say("wrote  " + out + ": " + std::to_string(set.rows.size()) + " rows of " + std::to_string(width) +
        " from " + std::to_string(set.layers.size()) + " layers; rows are described in " + out +
        ".tokens.jsonl");
    if (set.truncated > 0) {
      say("note   " + std::to_string(set.truncated) + " of " + std::to_string(views.size()) +
          " texts were cut to the model's " + std::to_string(loaded.model.config().block_size) + " tokens");
    }
    if (set.dropped_words > 0) {
      say("note   " + std::to_string(set.dropped_words) +
          " words have no row: no token stands for them, as of characters that the tokenizer leaves out");
    }
  }
  return 0;
}

}  // namespace gradus::tools
