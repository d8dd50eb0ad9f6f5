// Qwen 3: Llama whose queries and keys are normalised, with heads of a width of their own; windows in some layers.
// ref: Yang et al., Qwen3 technical report (2025)

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/families/decoder.hpp"
#include "models/transformer/families/qwen.hpp"
#include "models/transformer/families/rope_keys.hpp"

namespace gradus {
namespace {

Config defaults() {
  Config config = default_config("llama");
  config.query_key_norm = true;
  return config;
}

void read(ConfigKeys& keys, Config& config) {
  config.tie = false;
  read_decoder(keys, config, 32, 128);
  read_rope(keys, config);
  keys.optional("attention_bias", config.attention_bias);
  config.attention_output_bias = config.attention_bias;
  read_gate(keys, "hidden_act", MlpKind::swiglu);
  read_qwen_windows(keys, config);
}

void write(Json& json, const Config& c) {
  write_decoder(json, c);
  write_rope(json, c);
  json.set("attention_bias", c.attention_bias);
  if (c.activation.gate) json.set("hidden_act", activation_name({c.activation.activation}));
  write_qwen_windows(json, c);
}

constexpr GgufLayout kGguf = {.architecture = "qwen3",
                              .read = read_gguf_decoder,
                              .weights = gguf_qwen_weights,
                              .write = write_gguf_decoder,
                              .passed_over = kGgufDecoderPassedOver};

}  // namespace

namespace records {

extern constinit const Family qwen3 = {.name = "qwen3",
                                       .model_type = "qwen3",
                                       .architecture = "Qwen3ForCausalLM",
                                       .bare_architecture = "Qwen3Model",
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
