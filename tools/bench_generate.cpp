// gradus bench generate: reading a prompt, and continuing it token by token.

#include <memory>

#include "models/transformer/families/family.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/flops.hpp"
#include "models/transformer/generate.hpp"
#include "tensor/error.hpp"
#include "tensor/machine.hpp"
#include "tensor/parallel.hpp"
#include "tensor/random.hpp"
#include "tools/bench_common.hpp"
#include "tools/model_options.hpp"

namespace gradus::tools {
namespace {

/// Bytes of the packed weights that every token is multiplied by, so that a step reads each of them. Norms and
/// tables of which a token looks up a row are not among them.
double weight_bytes_read(const Transformer& model) {
  const Embedding& output = model.config().tie ? model.token_embedding : model.output;
  uint64_t bytes = output.packed.bytes();
  for (const Block& block : model.blocks) {
    for (const Linear* layer :
         {&block.attention.qkv, &block.attention.output, &block.mlp.gate, &block.mlp.up, &block.mlp.down})
      bytes += layer->packed.bytes();
  }
  return static_cast<double>(bytes);
}

}  // namespace

int bench_generate(const Arguments& arguments) {
  CommonOptions common;
  ModelOptions shape;
  shape.arch = "llama";
  shape.preset = "gpt2";
  int64_t vocab_size = 32000;
  int64_t prompt_tokens = 512;
  int64_t tokens = 128;
  int64_t samples = 5;
  int64_t batch = 1;
  WeightsOption weights;
  std::string cache = "f32";
  std::string path;
  Args args("bench generate",
            "Times reading a prompt and continuing it, with a given model, or one of random weights (110 M "
            "parameters unless told otherwise).");
  args.positional("DIR", path, "a model's folder, or its .gguf or llama2.c file, read with random ids",
                  false);
  shape.add(args, false);
  args.heading("Measuring");
  args.integer("--vocab-size", vocab_size, "tokens of the vocabulary");
  args.integer("--prompt-tokens", prompt_tokens, "tokens of the prompt, read at once");
  args.integer("--tokens", tokens, "tokens that continue it, one by one");
  args.integer("--samples", samples, "times that both are done");
  args.integer("--batch", batch, "texts that are read and continued together");
  weights.add(args);
  args.choice("--kv-cache", cache, {"f32", "bf16"}, "how keys and values of the text so far are kept");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  args.no_effect({ModelOptions::without_effect(!path.empty()),
                  {!path.empty(), {"--vocab-size"}, "with a model, which has its own"},
                  shape.preset_without_effect(false)});
  const Config config = path.empty() ? shape.config(vocab_size) : load_config(path);
  vocab_size = config.vocab_size;
  check(config.causal && config.head != HeadKind::none, "bench generate: ", path,
        " must be a model that continues texts; it is of the family ", config.family->name,
        config.causal ? ", without its output layer" : ", which fills in words; bench embed measures it");
  check(prompt_tokens >= 1 && tokens >= 1 && prompt_tokens <= config.block_size &&
            tokens <= config.block_size - prompt_tokens,
        "bench generate: --prompt-tokens and --tokens must be at least 1, and together at most ",
        path.empty() ? "--block-size" : "what the model sees", "; they are ", prompt_tokens, ", ", tokens,
        " and ", config.block_size);
  check(samples >= 5 && samples <= 10000, "--samples must be in [5, 10000], for a median; it is ", samples);
  check(batch >= 1 && batch <= 4096, "--batch must be in [1, 4096]; it is ", batch);
  const DType cache_dtype = cache == "bf16" ? DType::bf16 : DType::f32;
  // Keys and values of so many tokens.
  const auto cache_bytes = [&](double rows) {
    return 2.0 * static_cast<double>(dtype_bytes(cache_dtype)) * rows * static_cast<double>(config.n_layer) *
           static_cast<double>(config.channels_per_head() * config.n_kv_head);
  };
  // Weights, their panels where few rows are multiplied, what reading is measured on, and the caches.
  const double needed = 12.0 * static_cast<double>(parameter_count(config)) +
                        cache_bytes(static_cast<double>(batch) * static_cast<double>(config.block_size));
  check_world(needed <= static_cast<double>(available_memory_bytes()),
              "bench generate: the model must fit in memory; it needs ", bytes_text(needed), " and ",
              bytes_text(static_cast<double>(available_memory_bytes())), " are available");
  Transformer model = path.empty() ? Transformer(config) : load_transformer(path, DType::f32);
  if (path.empty()) model.init(1);
  model.pack(weights.value());
  const double weight_bytes = weight_bytes_read(model);
  const std::vector<Tensor> as_much{Tensor::full({static_cast<int64_t>(weight_bytes / 4)}, 1.0)};

  const Random random(1, stream_of("bench.tokens"));
  const auto token = [&](int64_t i) {
    return static_cast<int32_t>(random.below(static_cast<uint64_t>(i), static_cast<uint64_t>(vocab_size)));
  };
  std::vector<int32_t> prompt;
  for (int64_t i = 0; i < prompt_tokens; ++i) prompt.push_back(token(i));
  const auto shared = std::make_shared<const Transformer>(model);
  std::vector<DecodingSession> texts;
  std::vector<DecodingSession*> all;
  const Work read = [&] {
    texts.clear();
    all.clear();
    for (int64_t b = 0; b < batch; ++b) texts.push_back(DecodingSession::unread(shared, prompt, cache_dtype));
    for (DecodingSession& text : texts) all.push_back(&text);
    DecodingSession::read(all);
  };
  // Any token does: what is drawn changes nothing in the time, and drawing is not the model's work.
  const Work decode = [&] {
    for (int64_t i = 0; i < tokens; ++i) {
      if (interrupted()) throw Interrupted{};
      for (int64_t b = 0; b < batch; ++b)
        all[static_cast<size_t>(b)]->append(token(prompt_tokens + b * tokens + i));
      DecodingSession::read(all);
    }
  };
  TurnOptions options;
  options.samples = static_cast<int>(samples);
  options.sample_seconds = 0;
  options.progress = [&](int sample) {
    if (!common.quiet) status("sample " + std::to_string(sample) + "/" + std::to_string(samples));
  };
  const Turns reading(
      {read}, [] { return peak_flops(); }, options);
  // Each sample continues the same prompt.
  std::vector<double> seconds, fractions;
  read();
  decode();
  const Limit read_weights = read_limit(as_much);
  std::vector<double> bandwidths{read_weights()};
  for (int64_t sample = 0; sample < samples; ++sample) {
    read();
    const double begin = now_seconds();
    decode();
    seconds.push_back((now_seconds() - begin) / static_cast<double>(tokens));
    bandwidths.push_back(read_weights());
    const double bandwidth = (bandwidths.back() + bandwidths[bandwidths.size() - 2]) / 2;
    fractions.push_back(weight_bytes / seconds.back() / bandwidth);
    options.progress(static_cast<int>(sample + 1));
  }
  const auto texts_read = static_cast<double>(batch);
  const double prompt_flops = texts_read * forward_flops(config, prompt_tokens, 1);
  const double prompt_speed = texts_read * static_cast<double>(prompt_tokens) / reading.seconds();
  const double decode_speed = texts_read / median(seconds);
  const double prompt_fraction = reading.fraction(prompt_flops);
  const double bandwidth = median(bandwidths);
  // Of all tokens of a text so far, in the middle of the continuation.
  const double past_bytes = cache_bytes(static_cast<double>(prompt_tokens) + static_cast<double>(tokens) / 2);
  if (common.json) {
    Json json = Json::object();
    json.set("threads", int64_t{thread_count()}).set("parameters", parameter_count(config));
    json.set("samples", samples).set("prompt_tokens", prompt_tokens).set("tokens", tokens);
    json.set("batch", batch);
    json.set("prompt_tokens_per_second", prompt_speed).set("prompt_fraction_of_peak", prompt_fraction);
    json.set("peak_gflops", reading.limit() * 1e-9);
    json.set("decode_tokens_per_second", decode_speed);
    json.set("decode_fraction_of_bandwidth", median(fractions)).set("read_gb_per_second", bandwidth * 1e-9);
    json.set("weights", weights.format).set("kv_cache", cache);
    json.set("weight_bytes", static_cast<int64_t>(weight_bytes));
    json.set("cache_bytes_per_token", static_cast<int64_t>(past_bytes));
    json.set("peak_rss_bytes", static_cast<int64_t>(peak_resident_bytes()));
    print_bench_json(json);
  } else {
    const std::string prefix = "generate " + count_text(static_cast<double>(parameter_count(config))) + ", " +
                               (batch > 1 ? std::to_string(batch) + " texts, " : "");
    print_out(bench_row(prefix + "prompt of " + std::to_string(prompt_tokens),
                        fixed(prompt_speed, 1) + " tok/s", prompt_fraction,
                        fixed(reading.limit() * 1e-9, 1) + " GFLOP/s"));
    print_out(bench_row(prefix + std::to_string(tokens) + " tokens more", fixed(decode_speed, 1) + " tok/s",
                        median(fractions),
                        fixed(bandwidth * 1e-9, 1) + " GB/s   (" + bytes_text(weight_bytes) +
                            " of weights; keys and values, " + bytes_text(texts_read * past_bytes) +
                            ", not counted)"));
    finish_text(common);
  }
  return 0;
}

}  // namespace gradus::tools
