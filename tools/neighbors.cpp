// gradus neighbors: the words nearest to a word, by the mean of its vectors in a text.

#include "models/embeddings/neighbors.hpp"
#include "models/embeddings/files.hpp"
#include "models/training/corpus.hpp"
#include "models/training/run_source.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/word_contexts.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/open_model.hpp"
#include "tools/text_options.hpp"
#include "tools/training.hpp"

namespace gradus::tools {
int run_neighbors(const Arguments& arguments) {
  std::string folder, tokenizer;
  std::vector<std::string> words;
  std::string layer = "-1";
  std::string path;
  int64_t k = 10;
  TextFileOptions files;
  CommonOptions common;
  Args args("neighbors",
            "Lists the words whose vectors point most in a word's direction. A word's vector at a layer is "
            "the mean over its first 100 occurrences; words seen at least 20 times compete.");
  args.positional("DIR", folder, "the run folder, or with --text any model's folder or .gguf file");
  args.positionals("WORD", words, "words as they stand in the text");
  args.text("--layer", layer, "layer: a number (-1 is the last block's output) or final");
  args.text("--text", path,
            "take the occurrences from these texts instead of the training text: a file, a folder of them, "
            "or - for "
            "standard input; of a .jsonl each line is a document");
  args.integer("-k,--count", k, "how many to list");
  add_tokenizer_option(args, tokenizer);
  files.add(args);
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  args.no_effect({{path.empty(), {"--tokenizer", "--text-key", "--force-text"}, "without --text"}});
  check(k > 0, "-k must be at least 1; it is ", k);

  const LanguageModel loaded = open_model(folder, common, true, tokenizer);
  const int64_t n_layer = loaded.model.config().n_layer;
  const std::vector<int64_t> layers = parse_layers(layer, loaded.model.config());
  check(layers.size() == 1, "--layer must name one layer; it is '", layer, "'");

  // The table is kept beside the model it was made with, for the training text only.
  const std::string kept = folder + "/words.safetensors";
  WordTable table;
  bool fresh = false;
  if (path.empty() && file_exists(kept)) {
    std::map<std::string, std::string> metadata;
    table = load_word_table(kept, &metadata);
    fresh = metadata["model_sha256"] == model_sha256(folder);
  }
  if (!fresh) {
    const Corpus corpus = path.empty()
                              ? load_run_corpus(folder, "name a text with --text", stop_where_interrupted)
                              : load_corpus({path}, 0, files.options());
    if (!path.empty()) files.check_effect(args, corpus.files);
    if (!common.quiet && !corpus.passed_over.empty()) say("note   " + corpus.passed_over);
    warn_of_unknown(loaded.tokenizer, corpus.training, path.empty() ? "the training text" : path);
    // A table that is kept serves every layer.
    table = make_word_table(
        loaded.model, loaded.tokenizer, corpus.training,
        {.layers = path.empty() ? std::vector<int64_t>{} : layers,
         .add_special = loaded.add_special,
         .names = corpus.names},
        [&](int64_t done, int64_t total) {
          if (interrupted()) throw Interrupted{};
          if (!common.quiet)
            status("words  " + std::to_string(done) + "/" + std::to_string(total) + " windows");
        });
    if (table.dropped_words > 0 && !common.quiet) {
      say("note   " + std::to_string(table.dropped_words) +
          " frequent words have no row: no token stands for them, as of characters that the tokenizer leaves "
          "out");
    }
    const std::string hash = path.empty() ? model_sha256(folder) : "";
    check_unchanged(loaded);
    try {
      if (path.empty()) save_word_table(kept, table, {{"model_sha256", hash}});
    } catch (const std::runtime_error& error) {
      // It would only have saved time.
      if (!common.quiet) say(std::string("note   the table is not kept: ") + error.what());
    }
  }

  const Tensor& vectors = table.layer(layer_name(layers[0], n_layer));
  const int64_t width = vectors.size(1);
  Json json = Json::object();
  std::vector<int64_t> rows;  // of all words, before the first result
  for (const std::string& word : words) rows.push_back(table.row(word));
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    const int64_t row = rows[i];
    const std::span<const float> query(vectors.data<float>() + row * width, static_cast<std::size_t>(width));
    std::string line = word + "  ";
    Json list = Json::array();
    for (const Neighbor& neighbor : nearest(vectors, query, k, row)) {
      const std::string& name = table.words[static_cast<std::size_t>(neighbor.row)];
      line += " " + name + " " + fixed(neighbor.similarity, 2) + " ";
      list.push(
          Json::object().set("word", replace_invalid_utf8(name)).set("similarity", neighbor.similarity));
    }
    json.set(replace_invalid_utf8(word), list);
    if (!common.json) print_out(line + "\n");
  }
  if (common.json) print_json(json);
  flush_out();
  return 0;
}

}  // namespace gradus::tools
