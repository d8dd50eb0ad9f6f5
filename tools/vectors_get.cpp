// gradus vectors get: prints vectors, a line a word.

#include <unistd.h>

#include <cmath>

#include "models/embeddings/pooling.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/text/lines.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/source_options.hpp"
#include "tools/vectors.hpp"

namespace gradus::tools {
namespace {

// The vector of a name; else that of a text, the mean of its words, of which those without one are counted.
std::vector<float> vector_of(const Rows& rows, const std::string& text, int64_t& missing) {
  if (rows.names().find(text) || text.find(' ') == std::string::npos) return rows.vector(text);
  std::vector<std::string> words;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find(' ', begin), text.size());
    const std::string word = text.substr(begin, end - begin);
    begin = end + 1;
    if (word.empty()) continue;
    if (rows.knows(word)) {
      words.push_back(word);
    } else {
      ++missing;
    }
  }
  check(!words.empty(), "vectors: a text must have a word with a vector; '", text, "' has none");
  const std::vector<RowRange> all = {{0, std::ssize(words)}};
  return pool_rows(rows.vectors(words), all, Pooling::mean).to_vector<float>();
}

}  // namespace

int run_vectors_get(const Arguments& arguments) {
  std::string source;
  std::vector<std::string> words;
  SourceArguments given;
  Args args("vectors get",
            "Prints the vector of each word, a line of the word and its numbers with all digits that an f32 "
            "has; of a text, "
            "the mean of its words' vectors.");
  args.positional("SOURCE", source, kSourceHelp);
  args.positionals("WORD", words, "names of rows, or texts; - reads one a line from standard input");
  given.add(args);
  if (!args.parse(arguments)) return 0;
  given.common.apply();
  watch_interrupts();
  const bool from_input = words.size() == 1 && words[0] == "-";
  check(!from_input || source != "-", "vectors get: standard input can be the source or the words, not both");
  if (from_input) {
    words.clear();
    const std::string text = read_descriptor(STDIN_FILENO, "standard input", stop_where_interrupted);
    for (LineReader lines(text); lines.next();) {
      if (!lines.line().empty()) words.emplace_back(lines.line());
    }
  }
  const Rows rows(given.open(args, source, words), given.layer);
  int64_t missing = 0;
  Json json = Json::object();
  for (const std::string& word : words) {
    const std::vector<float> values = vector_of(rows, word, missing);
    if (given.common.json) {
      Json list = Json::array();
      for (const float value : values) {
        check_world(std::isfinite(value), "vectors: JSON has no NaN and no infinity; the vector of '", word,
                    "' has one");
        list.push(shortest_decimal(value));
      }
      set_new(json, word, list);
      continue;
    }
    std::string line = word;
    append_numbers(line, values);
    print_out(line + "\n");
  }
  if (given.common.json) print_json(json);
  flush_out();
  if (missing > 0 && !given.common.quiet)
    say("note   " + std::to_string(missing) + (missing == 1 ? " word" : " words") +
        " of texts without a vector left out");
  return 0;
}

}  // namespace gradus::tools
