// gradus bench embed: vectors of texts by a model that reads them.

#include <algorithm>
#include <cstring>

#include "models/transformer/contextual.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/flops.hpp"
#include "models/transformer/sentence_folder.hpp"
#include "tensor/error.hpp"
#include "tensor/machine.hpp"
#include "tensor/ops.hpp"
#include "tensor/parallel.hpp"
#include "tensor/random.hpp"
#include "tools/bench_common.hpp"
#include "tools/model_options.hpp"

namespace gradus::tools {
namespace {

/// Texts of so many tokens each; a token is a byte.
std::vector<std::string> random_texts(int64_t count, int64_t tokens) {
  const Random random(1, stream_of("bench.texts"));
  std::vector<std::string> texts;
  for (int64_t i = 0; i < count; ++i) {
    std::string text;
    for (int64_t j = 0; j < tokens; ++j)
      text += static_cast<char>('a' + random.below(static_cast<uint64_t>(i * tokens + j), 26));
    texts.push_back(text);
  }
  return texts;
}

/// The same of ids.
std::vector<EmbedText> random_ids(int64_t count, int64_t tokens, int64_t vocab_size) {
  const Random random(1, stream_of("bench.ids"));
  std::vector<EmbedText> texts;
  for (int64_t i = 0; i < count; ++i) {
    texts.emplace_back(std::string_view());
    for (int64_t j = 0; j < tokens; ++j) {
      const auto place = static_cast<uint64_t>(i * tokens + j);
      texts.back().ids.push_back(
          static_cast<int32_t>(random.below(place, static_cast<uint64_t>(vocab_size))));
    }
  }
  return texts;
}

/// The vectors of ids in the two ways that they are defined: as rows looked up in a table, and as the product of rows of
/// zeros with a single one each with that table. Both must have the same bits.
void bench_one_hot(const Config& config, int64_t ids, const CommonOptions& common) {
  const double needed =
      4.0 * static_cast<double>(ids) * static_cast<double>(config.vocab_size + 2 * config.n_embd);
  check_world(needed <= static_cast<double>(available_memory_bytes()),
              "bench embed: the rows must fit in memory; they need ", bytes_text(needed), " and ",
              bytes_text(static_cast<double>(available_memory_bytes())), " are available");
  const Random random(1, stream_of("bench.ids"));
  std::vector<int32_t> numbers;
  for (int64_t i = 0; i < ids; ++i) {
    numbers.push_back(static_cast<int32_t>(
        random.below(static_cast<uint64_t>(i), static_cast<uint64_t>(config.vocab_size))));
  }
  const Tensor tokens = Tensor::from(numbers, {ids});
  const Tensor table = random_tensor({config.vocab_size, config.n_embd}, "bench.table");
  const Tensor rows = one_hot(tokens, config.vocab_size);
  Tensor found, multiplied;
  const Turns turns({[&] { found = embedding(table, tokens); }, [&] { multiplied = matmul(rows, table); }},
                    [] { return peak_flops(); }, {});
  const std::vector<float> a = found.to_vector<float>(), b = multiplied.to_vector<float>();
  check_world(a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size() * sizeof(float)) == 0,
              "bench embed: a row looked up must be the bits of its one-hot product; they differ");
  const int64_t multiply_adds = ids * config.vocab_size * config.n_embd;
  const double fraction = turns.fraction(2.0 * static_cast<double>(multiply_adds), 1);
  const double ratio = turns.speed_ratio(0, 1);
  if (common.json) {
    Json json = Json::object();
    json.set("threads", int64_t{thread_count()}).set("samples", int64_t{TurnOptions().samples});
    json.set("ids", ids).set("vocab_size", config.vocab_size).set("width", config.n_embd);
    json.set("equal_bits", true)
        .set("multiply_adds", multiply_adds)
        .set("copied_numbers", ids * config.n_embd);
    json.set("lookup_seconds", turns.seconds(0)).set("product_seconds", turns.seconds(1));
    json.set("product_fraction_of_peak", fraction).set("lookup_times_as_fast", ratio);
    json.set("peak_gflops", turns.limit() * 1e-9);
    print_bench_json(json);
    return;
  }
  const std::string shape = std::to_string(ids) + " of " + std::to_string(config.vocab_size) +
                            " ids, width " + std::to_string(config.n_embd) + ", ";
  print_out(bench_row(shape + "one-hot product", fixed(turns.seconds(1) * 1e3, 3) + " ms", fraction,
                      fixed(turns.limit() * 1e-9, 1) + " GFLOP/s"));
  print_out(left(shape + "lookup", 46) + right(fixed(turns.seconds(0) * 1e3, 3) + " ms", 16) +
            "   equal bits, " + fixed(ratio, 1) + " times as fast\n");
  finish_text(common);
}

}  // namespace

int bench_embed(const Arguments& arguments) {
  CommonOptions common;
  ModelOptions shape;
  shape.preset = "micro";
  shape.n_head = 12;
  shape.block_size = 512;
  int64_t count = 32;
  int64_t tokens = 128;
  int64_t short_tokens = 16;
  std::string layers = "final";
  bool one_hot_rows = false;
  WeightsOption weights;
  std::string path;
  Args args(
      "bench embed",
      "Times the vectors of texts, the mean over each text's tokens, with a given model, or one of random "
      "weights (6 layers of width 384 with 12 heads unless told otherwise).");
  args.positional("DIR", path, "a model's folder, or its .gguf or llama2.c file, read with random ids",
                  false);
  shape.add(args, false);
  args.heading("Measuring");
  args.integer("--texts", count, "texts that are given at once");
  args.integer("--tokens", tokens, "tokens of each of them");
  args.integer("--short-tokens", short_tokens, "tokens of the text that is given by itself");
  args.text(
      "--layers", layers,
      "the layers whose vectors are made, as in gradus embed; of a model without `final`, its last one");
  args.flag(
      "--one-hot", one_hot_rows,
      "instead: look up the token embeddings of --texts times --tokens random ids, and multiply one-hot rows "
      "with the same table, which gives the same bits");
  weights.add(args);
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  const Tokenizer tokenizer = Tokenizer::bytes();
  args.no_effect({ModelOptions::without_effect(!path.empty()),
                  shape.preset_without_effect(false),
                  {one_hot_rows,
                   {"--arch", "--position", "--tie", "--n-layer", "--n-head", "--n-kv-head", "--short-tokens",
                    "--layers", "--weights"},
                   "with --one-hot, where no model runs"}});
  check(path.empty() || !one_hot_rows, "bench embed: --one-hot runs no model; leave one of the two out");
  if (one_hot_rows) shape.n_head = 1;  // no head splits the width
  const std::string folder =
      path.empty() || !is_sentence_folder(path) ? path : read_sentence_folder(path).model_folder;
  const Config config = path.empty() ? shape.config(tokenizer.vocab_size()) : load_config(folder);
  check(count >= 1 && count <= 1000000, "--texts must be in [1, 1000000]; it is ", count);
  check(tokens >= 1 && tokens <= config.block_size && short_tokens >= 1 && short_tokens <= config.block_size,
        "bench embed: --tokens and --short-tokens must be in [1, --block-size]; they are ", tokens, " and ",
        short_tokens, path.empty() ? ", --block-size is " : ", the model's is ", config.block_size);
  if (one_hot_rows) {
    bench_one_hot(config, count * tokens, common);
    return 0;
  }
  if (!config.final_norm && !args.given("--layers")) layers = "-1";
  EmbedOptions options;
  options.layers = parse_layers(layers, config);
  options.level = Level::sentence;
  options.pooling = Pooling::mean;
  const double needed = 8.0 * static_cast<double>(parameter_count(config));
  check_world(needed <= static_cast<double>(available_memory_bytes()),
              "bench embed: the model must fit in memory; it needs ", bytes_text(needed), " and ",
              bytes_text(static_cast<double>(available_memory_bytes())), " are available");
  Transformer model = path.empty() ? Transformer(config) : load_transformer(folder, DType::f32);
  if (path.empty()) model.init(1);
  model.pack(weights.value());
  const auto work = [&](std::vector<EmbedText> texts) -> Work {
    return [&, texts = std::move(texts)] {
      TextEmbedder(model, path.empty() ? &tokenizer : nullptr, options).embed(texts, [](int64_t, int64_t) {
        if (interrupted()) throw Interrupted{};
      });
    };
  };
  // What the texts are of is the model's own: letters where it knows bytes, ids where it knows others.
  const std::vector<std::string> letters = random_texts(count, tokens), few = random_texts(1, short_tokens);
  std::vector<EmbedText> batch, single;
  if (path.empty()) {
    batch = std::vector<EmbedText>(letters.begin(), letters.end());
    single = std::vector<EmbedText>(few.begin(), few.end());
  } else {
    batch = random_ids(count, tokens, config.vocab_size);
    single = random_ids(1, short_tokens, config.vocab_size);
  }
  // A single text in a row of them, as they come one after the other.
  TurnOptions turn;
  turn.sample_seconds = 0.05;
  const Turns turns(
      {work(batch), work(single)}, [] { return peak_flops(); }, turn);
  Config run = config;  // the blocks that run
  run.n_layer = std::min(options.layers.back(), config.n_layer);
  const double batch_fraction = turns.fraction(static_cast<double>(count) * forward_flops(run, tokens, 0), 0);
  const double single_fraction = turns.fraction(forward_flops(run, short_tokens, 0), 1);
  const double texts_per_second = static_cast<double>(count) / turns.seconds(0);
  if (common.json) {
    Json json = Json::object();
    json.set("threads", int64_t{thread_count()}).set("parameters", parameter_count(config));
    json.set("weights", weights.format);
    json.set("samples", int64_t{TurnOptions().samples}).set("texts", count).set("tokens", tokens);
    json.set("texts_per_second", texts_per_second).set("batch_seconds", turns.seconds(0));
    json.set("tokens_per_second", texts_per_second * static_cast<double>(tokens));
    json.set("fraction_of_peak", batch_fraction).set("short_tokens", short_tokens);
    json.set("short_seconds", turns.seconds(1)).set("short_fraction_of_peak", single_fraction);
    json.set("peak_gflops", turns.limit() * 1e-9);
    print_bench_json(json);
  } else {
    const std::string prefix = "embed " + count_text(static_cast<double>(parameter_count(config))) + ", ";
    const std::string peak = fixed(turns.limit() * 1e-9, 1) + " GFLOP/s";
    print_out(bench_row(prefix + std::to_string(count) + " texts of " + std::to_string(tokens),
                        fixed(texts_per_second, 1) + " texts/s", batch_fraction, peak));
    print_out(bench_row(prefix + "one text of " + std::to_string(short_tokens),
                        fixed(turns.seconds(1) * 1e3, 2) + " ms", single_fraction, peak));
    finish_text(common);
  }
  return 0;
}

}  // namespace gradus::tools
