// gradus similarity: how alike two rows of a source are, by every metric.

#include <array>
#include <cmath>

#include "models/embeddings/nearest.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/text/lines.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/source_options.hpp"

namespace gradus::tools {
namespace {

constexpr std::array kMetrics = {Metric::cosine, Metric::euclidean, Metric::manhattan, Metric::dot};

struct Pair {
  std::string a, b;
  std::string where;  // in its file; "" on the command line
};

// A pair a line: with a tab between, or else a space; what stands behind a second tab is passed over.
std::vector<Pair> read_pairs(const std::string& path) {
  const std::string text = path == "-" ? read_descriptor(0, "standard input", stop_where_interrupted)
                                       : read_file(path, stop_where_interrupted);
  std::vector<Pair> pairs;
  for (LineReader lines(text); lines.next();) {
    const std::string line(lines.line());
    const int64_t number = lines.number();
    if (line.empty()) continue;
    const std::string where = path + ":" + std::to_string(number);
    const char separator = line.find('\t') != std::string::npos ? '\t' : ' ';
    const std::size_t between = line.find(separator);
    check_world(between != std::string::npos, where,
                ": a line must hold two names with a tab or a space between; it is '", line, "'");
    const std::size_t second = line.find(separator, between + 1);
    pairs.push_back({line.substr(0, between), line.substr(between + 1, second - between - 1), where});
  }
  check_world(!pairs.empty(), path, ": must hold a pair a line; it has none");
  return pairs;
}

}  // namespace

int run_similarity(const Arguments& arguments) {
  std::string source, pairs_file;
  std::vector<std::string> words;
  SourceArguments given;
  Args args("similarity",
            "Says how alike two rows are: cosine, Euclidean and Manhattan distance, inner product, and both "
            "rows' lengths "
            "(L1 and L2).");
  args.positional("SOURCE", source, kSourceHelp);
  args.positionals("NAME", words, "two names of rows: words, or with --level sentence texts", false);
  args.text("--pairs", pairs_file,
            "instead: a file with two names a line, a tab or a space between, or - for standard input");
  given.add(args);
  if (!args.parse(arguments)) return 0;
  given.common.apply();
  watch_interrupts();
  check(words.empty() != pairs_file.empty(), "similarity: give two names or --pairs FILE");
  check(words.empty() || words.size() == 2, "similarity: two names must be given; there are ", words.size());
  std::vector<Pair> pairs;
  if (words.empty()) {
    pairs = read_pairs(pairs_file);
  } else {
    pairs = {{words[0], words[1], ""}};
  }
  std::vector<std::string> names;
  for (const Pair& pair : pairs) names.insert(names.end(), {pair.a, pair.b});
  const Rows rows(given.open(args, source, names), given.layer);
  Json list = Json::array();
  for (const Pair& pair : pairs) {
    std::array<std::vector<float>, 2> vectors;
    try {
      vectors = {rows.vector(pair.a), rows.vector(pair.b)};
    } catch (const std::invalid_argument& error) {
      if (pair.where.empty()) throw;
      fail_world(pair.where, ": ", error.what());
    }
    Json json = Json::object().set("a", replace_invalid_utf8(pair.a)).set("b", replace_invalid_utf8(pair.b));
    std::string line = pair.a + "\t" + pair.b;
    for (const Metric metric : kMetrics) {
      const double value = measure(metric, vectors[0], vectors[1]);
      check_world(std::isfinite(value), "similarity: vectors must be finite; one of '", pair.a, "' and '",
                  pair.b, "' is not");
      json.set(std::string(name_of(metric)), value);
      line += "\t" + std::string(name_of(metric)) + " " + fixed(value, 6);
    }
    const auto norms = [&](const char* name, double (*norm)(std::span<const float>)) {
      json.set(name, Json::array().push(norm(vectors[0])).push(norm(vectors[1])));
      line += "\t" + std::string(name) + " " + fixed(norm(vectors[0]), 6) + " " + fixed(norm(vectors[1]), 6);
    };
    norms("l1", norm_l1);
    norms("l2", norm_l2);
    list.push(json);
    if (!given.common.json) print_out(line + "\n");
  }
  if (given.common.json) print_json(words.empty() ? Json::object().set("pairs", list) : list.as_array()[0]);
  flush_out();
  return 0;
}

}  // namespace gradus::tools
