// gradus neighbors: the rows nearest to some of a source's rows.

#include "models/embeddings/nearest.hpp"
#include "tensor/error.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/source_options.hpp"

namespace gradus::tools {

int run_neighbors(const Arguments& arguments) {
  std::string source;
  std::vector<std::string> words;
  NearestOptions options;
  std::string metric = "cosine";
  SourceArguments given;
  Args args("neighbors",
            "Lists the rows nearest to each word: the words of a file of vectors, or those of a model's "
            "text, where a "
            "word's vector at a layer is the mean over its first 100 occurrences and words seen at least 20 "
            "times compete.");
  args.positional("SOURCE", source, kSourceHelp);
  args.positionals("WORD", words, "names of rows, as they stand there");
  args.integer("-k,--count", options.k, "how many to list");
  args.choice("--metric", metric, {"cosine", "euclidean", "manhattan", "dot"}, "what makes rows near");
  args.integer("--restrict", options.restrict, "only the first N rows are listed; 0: all");
  given.add(args);
  if (!args.parse(arguments)) return 0;
  given.common.apply();
  watch_interrupts();
  check(options.k > 0, "-k must be at least 1; it is ", options.k);
  check(options.restrict >= 0, "--restrict must be at least 0; it is ", options.restrict);
  options.metric = parse_metric(metric);
  options.on_step = stop_where_interrupted;

  const Rows rows(given.open(args, source), given.layer);
  const Tensor queries = rows.vectors(words);
  std::vector<std::vector<int64_t>> leave_out(words.size());
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (const auto own = rows.names().find(words[i])) leave_out[i] = {*own};
  }
  const Nearest found = nearest(rows.table(), queries, options, leave_out);
  tell_skipped(found.skipped, given.common);
  const std::string key = options.metric == Metric::cosine ? "similarity" : metric;
  Json json = Json::object();
  for (std::size_t i = 0; i < words.size(); ++i) {
    std::string line = words[i] + "  ";
    Json list = Json::array();
    for (const Neighbor& neighbor : found.of[i]) {
      const std::string name(rows.names()[neighbor.row]);
      line += " " + name + " " + fixed(neighbor.value, 2) + " ";
      list.push(Json::object().set("word", replace_invalid_utf8(name)).set(key, neighbor.value));
    }
    set_new(json, words[i], list);
    if (!given.common.json) print_out(line + "\n");
  }
  if (given.common.json) print_json(json);
  flush_out();
  return 0;
}

}  // namespace gradus::tools
