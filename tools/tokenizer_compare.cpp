// gradus tokenizer compare: tokenizers side by side on one text.

#include <algorithm>

#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tensor/machine.hpp"
#include "tensor/parallel.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tokenizer/text/words.hpp"
#include "tools/bench_common.hpp"
#include "tools/text_options.hpp"
#include "tools/tokenizer.hpp"

namespace gradus::tools {
namespace {

struct Figures {
  std::string name;
  std::string kind;
  int64_t tokens = 0;
  int64_t unknown = 0;
  double seconds = 0;
  std::vector<std::vector<int64_t>> ends;  // of each text: where its tokens end, ascending, each place once
};

void measure(const Tokenizer& tokenizer, std::string_view text, Figures& figures) {
  // First, so that no tokenizer is timed while the program's memory and tables are still cold.
  std::vector<int64_t>& ends = figures.ends.emplace_back();
  for (const TokenSpan& span : tokenizer.encode_spans(text, {.whole = true})) ends.push_back(span.end);
  std::sort(ends.begin(), ends.end());
  ends.erase(std::unique(ends.begin(), ends.end()), ends.end());
  const double begin = now_seconds();
  const std::vector<int32_t> ids = tokenizer.encode(text);
  figures.seconds += now_seconds() - begin;
  figures.tokens += static_cast<int64_t>(ids.size());
  if (const std::optional<int32_t> unknown = tokenizer.unknown_id())
    figures.unknown += std::count(ids.begin(), ids.end(), *unknown);
}

Figures measure_all(const std::string& path, const std::vector<std::string_view>& texts,
                    const std::string& input) {
  const Tokenizer tokenizer = open_tokenizer(path);
  Figures figures{path, tokenizer.kind(), 0, 0, 0, {}};
  for (size_t i = 0; i < texts.size(); ++i) {
    if (interrupted()) throw Interrupted{};
    try {
      measure(tokenizer, texts[i], figures);
    } catch (const std::runtime_error& error) {
      fail_world(path, ": cannot encode text ", i + 1, " of ", input, ": ", error.what());
    }
  }
  return figures;
}

// Of the places where one of the two cuts a text, the part where both do.
double agreement(const Figures& a, const Figures& b) {
  int64_t both = 0;
  int64_t either = 0;
  for (size_t i = 0; i < a.ends.size(); ++i) {
    std::vector<int64_t> shared;
    std::set_intersection(a.ends[i].begin(), a.ends[i].end(), b.ends[i].begin(), b.ends[i].end(),
                          std::back_inserter(shared));
    both += static_cast<int64_t>(shared.size());
    either += static_cast<int64_t>(a.ends[i].size() + b.ends[i].size() - shared.size());
  }
  return either == 0 ? 1.0 : static_cast<double>(both) / static_cast<double>(either);
}

}  // namespace

int run_tokenizer_compare(const Arguments& arguments) {
  std::vector<std::string> paths;
  std::string input;
  bool by_lines = false;
  TextFileOptions files;
  CommonOptions common;
  Args args("tokenizer compare",
            "Compares tokenizers on one text: tokens a word (fertility), bytes a token, unknown tokens, "
            "speed on one "
            "thread, and how many of the places where they cut are those of the first.");
  args.positionals("DIR|FILE", paths, "run folders or tokenizers' files");
  args.text("--input", input,
            "the text: a file, a folder of them, or - for standard input; of a .jsonl each line is one");
  args.flag("--lines", by_lines, "each line of --input is a text");
  files.add(args);
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(!input.empty(), "tokenizer compare: --input FILE must be given");
  check_lines(input, by_lines);
  TextReader reader({input}, files.options(by_lines));
  files.check_effect(args, reader.files());
  std::vector<std::string_view> texts;
  for (const TextItem& item : reader.all()) {
    texts.push_back(item.text);
    if (item.pair) texts.push_back(*item.pair);
  }
  int64_t bytes = 0;
  int64_t words = 0;
  for (const std::string_view text : texts) {
    bytes += static_cast<int64_t>(text.size());
    words += static_cast<int64_t>(find_words(text).size());
  }
  check_world(words > 0, input, ": must hold words; it holds none in ", bytes, " bytes");
  std::vector<Figures> all;
  set_thread_count(1);
  for (const std::string& path : paths) all.push_back(measure_all(path, texts, input));
  Json list = Json::array();
  size_t width = 4;
  for (const Figures& figures : all) width = std::max(width, figures.name.size());
  if (!common.json) {
    print_out(left("file", width + 2) + left("kind", 18) + right("tokens/word", 12) +
              right("bytes/token", 12) + right("unknown", 10) + right("MB/s", 9) + right("agreement", 11) +
              "\n");
  }
  for (const Figures& figures : all) {
    const double tokens = static_cast<double>(std::max<int64_t>(figures.tokens, 1));
    const double fertility = static_cast<double>(figures.tokens) / static_cast<double>(words);
    const double bytes_per_token = static_cast<double>(bytes) / tokens;
    const double unknown = static_cast<double>(figures.unknown) / tokens;
    const double speed = static_cast<double>(bytes) * 1e-6 / std::max(figures.seconds, 1e-9);
    const double agrees = agreement(figures, all.front());
    list.push(Json::object()
                  .set("file", replace_invalid_utf8(figures.name))
                  .set("kind", figures.kind)
                  .set("tokens", figures.tokens)
                  .set("tokens_per_word", fertility)
                  .set("bytes_per_token", bytes_per_token)
                  .set("unknown_rate", unknown)
                  .set("megabytes_per_second", speed)
                  .set("agreement", agrees));
    if (!common.json) {
      print_out(left(figures.name, width + 2) + left(figures.kind, 18) + right(fixed(fertility, 3), 12) +
                right(fixed(bytes_per_token, 3), 12) + right(fixed(100 * unknown, 2) + " %", 10) +
                right(fixed(speed, 1), 9) + right(fixed(100 * agrees, 1) + " %", 11) + "\n");
    }
  }
  if (common.json) {
    print_json(Json::object().set("bytes", bytes).set("words", words).set("tokenizers", list));
  }
  flush_out();
  return 0;
}

}  // namespace gradus::tools
