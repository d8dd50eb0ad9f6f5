// gradus odd: which of several words belongs to the others the least.

#include <algorithm>

#include "models/embeddings/nearest.hpp"
#include "models/embeddings/pooling.hpp"
#include "tensor/error.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/source_options.hpp"

namespace gradus::tools {

int run_odd(const Arguments& arguments) {
  std::string source;
  std::vector<std::string> words;
  SourceArguments given;
  Args args("odd",
            "Names the word that belongs to the others the least: whose vector has the smallest cosine with "
            "the mean of "
            "all, each at length 1.");
  args.positional("SOURCE", source, kSourceHelp);
  args.positionals("WORD", words, "names of rows, three or more");
  given.add(args);
  if (!args.parse(arguments)) return 0;
  given.common.apply();
  watch_interrupts();
  check(words.size() >= 3, "odd: three words must be given or more; there are ", words.size());

  const Rows rows(given.open(args, source, words), given.layer);
  const Tensor unit = normalize_rows(rows.vectors(words));
  check_world(first_non_finite(unit) < 0, "odd: vectors must be finite; one of these words' is not");
  const std::vector<RowRange> all = {{0, std::ssize(words)}};
  const std::vector<float> mean = pool_rows(unit, all, Pooling::mean).to_vector<float>();
  std::vector<Neighbor> found;
  for (int64_t i = 0; i < unit.size(0); ++i) {
    const std::span<const float> row(unit.data<float>() + i * unit.size(1), mean.size());
    found.push_back({i, cosine(row, mean)});
  }
  std::stable_sort(found.begin(), found.end(),
                   [](const Neighbor& a, const Neighbor& b) { return a.value < b.value; });
  const std::string& odd = words[static_cast<std::size_t>(found[0].row)];
  Json list = Json::array();
  std::string lines = odd + "\n";
  for (const Neighbor& word : found) {
    const std::string& name = words[static_cast<std::size_t>(word.row)];
    lines += "  " + fixed(word.value, 4) + "  " + name + "\n";
    list.push(Json::object().set("word", replace_invalid_utf8(name)).set("similarity", word.value));
  }
  if (given.common.json) {
    print_json(Json::object().set("odd", replace_invalid_utf8(odd)).set("words", list));
  } else {
    print_out(lines);
  }
  flush_out();
  return 0;
}

}  // namespace gradus::tools
