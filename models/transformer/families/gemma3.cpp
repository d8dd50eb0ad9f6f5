// Gemma 3, its text models: embeddings times √C, norms that multiply by 1 + weight before and behind each part, normalised
// queries and keys, GeGLU, and windows in five layers of six, which have angles of their own.
// ref: Gemma team, Gemma 3 technical report (2025)

#include <cmath>

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/families/decoder.hpp"
#include "models/transformer/families/gguf_keys.hpp"
#include "models/transformer/families/rope_keys.hpp"
#include "tensor/math.hpp"

namespace gradus {
namespace {

constexpr double kQueryScalar = 256;

Config defaults() {
  Config config = default_config("llama");
  config.norm_epsilon = 1e-6;
  config.norm_offset = true;
  config.block = BlockKind::sandwich;
  config.rope_base = 1000000.0;
  config.rope_local_base = 10000.0;
  config.embedding_scale = true;
  config.activation = MlpKind::geglu_tanh;
  config.query_key_norm = true;
  return config;
}

// query_pre_attn_scalar^(-1/2).
double scale_of(double scalar) { return 1 / math::sqrt(scalar); }

void read(ConfigKeys& keys, Config& config) {
  config.tie = true;
  read_decoder(keys, config, 4, 256);
  read_rope_by_layer(keys, config, "rope_theta", "rope_local_base_freq");
  keys.optional("attention_bias", config.attention_bias);
  config.attention_output_bias = config.attention_bias;
  read_gate(keys, "hidden_activation", MlpKind::geglu_tanh);
  keys.find("hidden_act");  // of older files, in which hidden_activation stands too
  double scalar = kQueryScalar;
  keys.optional("query_pre_attn_scalar", scalar);
  const double scale = scale_of(scalar);
  if (scale != scale_of(static_cast<double>(config.channels_per_head()))) config.attention_scale = scale;
  keys.must_be_null("attn_logit_softcapping");
  keys.must_be_null("final_logit_softcapping");
  keys.must_be("use_bidirectional_attention", false);

  int64_t window = 4096, pattern = 6;
  keys.optional("sliding_window", window);
  keys.optional("sliding_window_pattern", pattern);
  keys.find("_sliding_window_pattern");  // stands beside layer_types and says the same
  if (const Json* types = keys.find("layer_types")) {
    config.windows = windows_from(*types, config.n_layer, window);
    return;
  }
  for (int64_t l = 0; l < config.n_layer; ++l)
    config.windows.push_back(pattern > 0 && (l + 1) % pattern == 0 ? 0 : window);
}

void write(Json& json, const Config& c) {
  write_decoder(json, c);
  write_rope(json, c);
  json.set("rope_local_base_freq", c.rope_local_base);
  json.set("attention_bias", c.attention_bias);
  if (c.activation.gate) json.set("hidden_activation", "gelu_pytorch_tanh");
  const double scale =
      c.attention_scale > 0 ? c.attention_scale : scale_of(static_cast<double>(c.channels_per_head()));
  // The scalar that read() makes the same scale of.
  const double scalar = 1 / (scale * scale), whole = std::nearbyint(scalar);
  if (scale_of(whole) == scale) {
    json.set("query_pre_attn_scalar", static_cast<int64_t>(whole));
  } else {
    json.set("query_pre_attn_scalar", scalar);
  }
  int64_t window = 4096;
  for (const int64_t w : c.windows) window = w > 0 ? w : window;
  json.set("sliding_window", window);
  write_layer_types(json, c);
}

// In GGUF files the weights of norms have the 1 in them, and the scalar of the scale is left to the reader.
void read_gguf(GgufKeys& keys, Config& config) {
  constexpr int64_t kLayersOf27B = 62;
  read_gguf_decoder(keys, config);
  config.norm_offset = false;
  if (config.attention_scale == 0 && config.n_layer == kLayersOf27B && config.n_head > 0)
    config.attention_scale = scale_of(static_cast<double>(config.n_embd / config.n_head));
  keys.must_be("final_logit_softcapping", 0.0);
  keys.must_be("attn_logit_softcapping", 0.0);
  int64_t window = 0, pattern = 6;
  keys.optional("attention.sliding_window", window);
  keys.optional("attention.sliding_window_pattern", pattern);
  keys.optional("rope.freq_base_swa", config.rope_local_base);
  if (window == 0) {
    config.rope_local_base = 0;
    return;
  }
  for (int64_t l = 0; l < config.n_layer; ++l)
    config.windows.push_back(pattern > 0 && (l + 1) % pattern == 0 ? 0 : window);
}

constexpr GgufLayout kGguf = {.architecture = "gemma3",
                              .read = read_gguf,
                              .weights = gguf_qwen_weights,
                              .passed_over = kGgufDecoderPassedOver};

}  // namespace

namespace records {

extern constinit const Family gemma3 = {.name = "gemma3",
                                        .model_type = "gemma3_text",
                                        .architecture = "Gemma3ForCausalLM",
                                        .bare_architecture = "Gemma3TextModel",
                                        .base = "model.",
                                        .passed_over = kDecoderPassedOver,
                                        .last_state_is_final = true,
                                        .defaults = defaults,
                                        .default_ffn = decoder_ffn,
                                        .read = read,
                                        .write = write,
                                        .weights = decoder_weights,
                                        .repeated = repeated_lm_head,
                                        .gguf = &kGguf};

}  // namespace records
}  // namespace gradus
