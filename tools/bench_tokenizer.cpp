// gradus bench tokenizer: how fast texts become ids.

#include <algorithm>
#include <span>

#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tensor/machine.hpp"
#include "tensor/parallel.hpp"
#include "tools/bench_common.hpp"
#include "tools/text_options.hpp"
#include "tools/tokenizer.hpp"

namespace gradus::tools {
namespace {

// Encodes all texts, the threads sharing them in fixed parts; gives how many tokens there were.
int64_t encode_all(const Tokenizer& tokenizer, const std::vector<TextItem>& texts, bool offsets) {
  constexpr size_t kAtOnce = 64;
  std::vector<int64_t> tokens((texts.size() + kAtOnce - 1) / kAtOnce);
  parallel_for_throwing(std::ssize(tokens), [&](int64_t part) {
    const size_t begin = static_cast<size_t>(part) * kAtOnce;
    const std::span<const TextItem> all = texts;
    for (const TextItem& item : all.subspan(begin, std::min(kAtOnce, texts.size() - begin))) {
      tokens[static_cast<size_t>(part)] += naming(item, [&] {
        return std::ssize(offsets ? tokenizer.encode_full(item.text).ids : tokenizer.encode(item.text));
      });
    }
  });
  int64_t all = 0;
  for (const int64_t part : tokens) all += part;
  return all;
}

}  // namespace

int bench_tokenizer(const Arguments& arguments) {
  std::string path;
  std::string input;
  bool by_lines = false;
  bool offsets = false;
  TextFileOptions files;
  CommonOptions common;
  Args args("bench tokenizer",
            "Times encoding: cold, the first time that this process sees the text, and warm, when it knows "
            "its words.");
  args.positional("DIR|FILE", path, "a run folder, a tokenizer's file or a GGUF file");
  args.text("--input", input,
            "the text: a file, a folder of them, or - for standard input; of a .jsonl each line is one");
  args.flag("--lines", by_lines, "each line of --input is a text");
  args.flag("--with-offsets", offsets, "find each token's place in the text too");
  files.add(args);
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(!input.empty(), "bench tokenizer: --input FILE must be given");
  check_lines(input, by_lines);
  TextReader reader({input}, files.options(by_lines));
  files.check_effect(args, reader.files());
  std::vector<TextItem> texts;
  for (const TextItem& item : reader.all()) {
    texts.push_back(item);
    if (item.pair) texts.push_back({.text = *item.pair, .file = item.file, .line = item.line});
  }
  double bytes = 0;
  for (const TextItem& item : texts) bytes += static_cast<double>(item.text.size());
  check_world(bytes > 0, input, ": must hold a text; it is empty");
  const double load_begin = now_seconds();
  const Tokenizer tokenizer = open_tokenizer(path);
  const double load_seconds = now_seconds() - load_begin;
  const double peak_before = peak_flops();
  const double begin = now_seconds();
  const int64_t tokens = encode_all(tokenizer, texts, offsets);
  const double cold_seconds = now_seconds() - begin;
  const Turns turns({[&] { encode_all(tokenizer, texts, offsets); }}, [] { return peak_flops(); }, {});
  const double cold = bytes * 1e-6 / cold_seconds;
  const double warm = bytes * 1e-6 / turns.seconds();
  const double peak = turns.limit() * 1e-9;
  // Speeds of machines are compared by what one core of each can do at most.
  const double scale = 190 * static_cast<double>(thread_count()) / peak;
  if (common.json) {
    Json json = Json::object();
    json.set("threads", int64_t{thread_count()})
        .set("tokenizer", tokenizer.kind())
        .set("bytes", static_cast<int64_t>(bytes));
    json.set("texts", static_cast<int64_t>(texts.size()))
        .set("tokens", tokens)
        .set("load_seconds", load_seconds);
    json.set("cold_megabytes_per_second", cold).set("warm_megabytes_per_second", warm);
    json.set("cold_scaled", cold * scale).set("warm_scaled", warm * scale);
    json.set("peak_gflops", peak).set("peak_gflops_before", peak_before * 1e-9);
    print_bench_json(json);
    return 0;
  }
  print_out("tokenizer " + tokenizer.kind() + ", loaded in " + fixed(load_seconds * 1e3, 0) + " ms; " +
            bytes_text(bytes) + " in " + std::to_string(texts.size()) +
            (texts.size() == 1 ? " text, " : " texts, ") + std::to_string(tokens) + " tokens\n");
  print_out("cold  " + right(fixed(cold, 1), 7) + " MB/s   " + right(fixed(cold * scale, 1), 7) +
            " at 190 GFLOP/s a core\n");
  print_out("warm  " + right(fixed(warm, 1), 7) + " MB/s   " + right(fixed(warm * scale, 1), 7) +
            " at 190 GFLOP/s a core (here " + fixed(peak / thread_count(), 1) + ")\n");
  finish_text(common);
  return 0;
}

}  // namespace gradus::tools
