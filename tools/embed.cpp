// gradus embed: every layer's vectors of texts, words or tokens, into a file.

#include <string_view>

#include "models/embeddings/files.hpp"
#include "models/transformer/contextual.hpp"
#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tools/common.hpp"

namespace gradus::tools {

int run_embed(const Arguments& arguments) {
  std::string folder;
  std::vector<std::string> texts;
  std::string input;
  std::string out;
  std::string layers = "all";
  std::string level = "sentence";
  std::string pooling = "mean";
  CommonOptions common;
  Args args("embed", "Writes what a model's layers make of texts: a vector for each text, word or token.");
  args.positional("DIR", folder, "the model's folder");
  args.positionals("TEXT", texts, "texts", false);
  args.text("--input", input, "a file with one text a line, instead of TEXT");
  args.text("-o,--out", out, "file to write, .npz or .safetensors; FILE.tokens.jsonl says what each row is");
  args.text("--layers", layers, "all, final, or numbers with commas; -1 is the last block's output");
  args.choice("--level", level, {"sentence", "word", "token"}, "what a row stands for");
  args.choice("--pooling", pooling, {"mean", "last", "max"}, "how the tokens of a sentence or word become one vector");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(!out.empty(), "embed: -o FILE.npz or -o FILE.safetensors must be given");
  check_embeddings_path(out);
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

  const LanguageModel loaded = load_language_model(folder);
  EmbedOptions options;
  options.layers = parse_layers(layers, loaded.model.config().n_layer);
  options.level = parse_level(level);
  options.pooling = parse_pooling(pooling);
  const EmbeddingSet set =
      embed_texts(loaded.model, loaded.tokenizer, views, options, [&](int64_t done, int64_t total) {
        if (interrupted()) throw Interrupted{};
        if (!common.quiet) status("embed  " + std::to_string(done) + "/" + std::to_string(total) + " texts");
      });
  save_embeddings(out, set, {{"model_sha256", loaded.model_sha256}});
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
    say("wrote  " + out + ": " + std::to_string(set.rows.size()) + " rows of " + std::to_string(width) + " from " +
        std::to_string(set.layers.size()) + " layers; rows are described in " + out + ".tokens.jsonl");
  }
  return 0;
}

}  // namespace gradus::tools
