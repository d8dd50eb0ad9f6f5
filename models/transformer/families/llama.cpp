// Llama: RMS norms, rotary positions, SwiGLU, no biases, tied output. Queries, keys and values stand apart in the files.
// ref: Touvron et al., LLaMA: open and efficient foundation language models (2023)
// note: tied, unlike the large models of the family: in a small model the table would be most of the parameters.

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/families/decoder.hpp"
#include "models/transformer/families/rope_keys.hpp"

namespace gradus {
namespace {

Config defaults() {
  Config config;
  config.norm = NormKind::rms;
  config.norm_epsilon = 1e-5;
  config.position = PositionKind::rotary;
  config.rope_base = 10000.0;
  config.activation = MlpKind::swiglu;
  config.attention_bias = false;
  config.attention_output_bias = false;
  config.mlp_bias = false;
  config.tie = true;
  return config;
}

void read(ConfigKeys& keys, Config& config) {
  config.tie = false;
  read_decoder(keys, config, 0, 0);
  read_rope(keys, config);
  keys.must_be("rope_interleaved", false);
  keys.optional("attention_bias", config.attention_bias);
  config.attention_output_bias = config.attention_bias;
  keys.optional("mlp_bias", config.mlp_bias);
  read_gate(keys, "hidden_act", MlpKind::swiglu);
}

void write(Json& json, const Config& c) {
  write_decoder(json, c);
  write_rope(json, c);
  json.set("attention_bias", c.attention_bias);
  json.set("mlp_bias", c.mlp_bias);
  if (c.activation.gate) json.set("hidden_act", activation_name({c.activation.activation}));
}

constexpr GgufLayout kGguf = {.architecture = "llama",
                              .read = read_gguf_llama,
                              .weights = gguf_llama_weights,
                              .write = write_gguf_llama,
                              .passed_over = kGgufDecoderPassedOver};

}  // namespace

namespace records {

extern constinit const Family llama = {.name = "llama",
                                       .model_type = "llama",
                                       .architecture = "LlamaForCausalLM",
                                       .bare_architecture = "LlamaModel",
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
