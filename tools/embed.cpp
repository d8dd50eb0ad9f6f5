// gradus embed: every layer's vectors of texts, words or tokens, into a file.

#include <algorithm>
#include <span>
#include <string_view>

#include "models/embeddings/files.hpp"
#include "models/embeddings/neighbors.hpp"
#include "models/transformer/contextual.hpp"
#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tools/common.hpp"

namespace gradus::tools {
namespace {

/// Prints how alike a word's vectors are between the texts, layer by layer: at layer_0 the same word is the same vector
/// (but for learned positions); what the layers above make of it depends on the sentence.
void compare_word(const EmbeddingSet& set, const std::string& word, std::size_t texts, bool as_json) {
  std::vector<int64_t> rows;
  for (std::size_t text = 0; text < texts; ++text) {
    int64_t found = -1;
    for (int64_t row = set.offsets[text]; row < set.offsets[text + 1] && found < 0; ++row) {
      if (set.rows[static_cast<std::size_t>(row)].token == word) found = row;
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
  WeightsOption weights;
  CommonOptions common;
  Args args("embed", "Writes what a model's layers make of texts: a vector for each text, word or token.");
  args.positional("DIR", folder, "the model's folder");
  args.positionals("TEXT", texts, "texts", false);
  args.text("--input", input, "a file with one text a line, instead of TEXT");
  args.path("-o,--out", out, "file to write, .npz or .safetensors; FILE.tokens.jsonl says what each row is");
  args.text("--layers", layers, "all, final, or numbers with commas; -1 is the last block's output");
  args.choice("--level", level, {"sentence", "word", "token"}, "what a row stands for");
  args.text("--compare", compare,
            "instead of -o: print the cosines of this word's vectors between the texts, by layer");
  args.choice("--pooling", pooling, {"mean", "last", "max"},
              "how the tokens of a sentence or word become one vector");
  weights.add(args);
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
  std::string contents;
  std::vector<std::string_view> views;
  if (!input.empty()) {
    contents = read_file(input);
    const std::string_view all = contents;
    for (std::size_t begin = 0; begin < all.size();) {
      const std::size_t end = std::min(all.find('\n', begin), all.size());
      std::string_view line = all.substr(begin, end - begin);
      if (!line.empty() && line.back() == '\r') line.remove_suffix(1);
      check(!line.empty(), input, ":", views.size() + 1, ": a line must hold a text; it is empty");
      views.push_back(line);
      begin = end + 1;
    }
  }
  for (const std::string& text : texts) views.push_back(text);
  check(!views.empty(), "embed: at least one text must be given");
  check(compare.empty() || views.size() > 1,
        "embed: --compare needs two texts or more, between which the word is compared; one was given");

  LanguageModel loaded = load_language_model(folder);
  EmbedOptions options;
  options.layers = parse_layers(layers, loaded.model.config().n_layer);
  options.level = compare.empty() ? parse_level(level) : Level::word;
  options.pooling = parse_pooling(pooling);
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
  save_embeddings(out, set, {{"model_sha256", model_sha256(folder)}});
  const int64_t width = set.layers.front().size(1);
  if (common.json) {
    Json names = Json::array();
    for (const std::string& name : set.layer_names) names.push(name);
    Json json = Json::object();
    json.set("file", out).set("texts", static_cast<int64_t>(views.size()));
    json.set("rows", static_cast<int64_t>(set.rows.size())).set("width", width).set("layers", names);
    print_json(json);
  }
  if (!common.quiet) {
    say("wrote  " + out + ": " + std::to_string(set.rows.size()) + " rows of " + std::to_string(width) +
        " from " + std::to_string(set.layers.size()) + " layers; rows are described in " + out +
        ".tokens.jsonl");
  }
  return 0;
}

}  // namespace gradus::tools
