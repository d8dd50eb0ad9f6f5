// Mistral: Llama, whose rows see the `sliding_window` rows up to themselves, with grouped heads.
// ref: Jiang et al., Mistral 7B (2023)

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/families/decoder.hpp"
#include "models/transformer/families/rope_keys.hpp"

namespace gradus {
namespace {

Config defaults() {
  Config config = default_config("llama");
  config.tie = false;
  return config;
}

void read(ConfigKeys& keys, Config& config) {
  config.tie = false;
  read_decoder(keys, config, 8, 0);
  read_rope(keys, config);
  read_gate(keys, "hidden_act", MlpKind::swiglu);
  keys.must_be("attention_bias", false);
  keys.must_be("mlp_bias", false);
  // Missing is 4096, null is none.
  const Json* window = keys.find("sliding_window");
  if (window || !keys.contains("sliding_window"))
    config.windows.assign(static_cast<size_t>(config.n_layer), window ? window->as_integer() : 4096);
}

void write(Json& json, const Config& c) {
  write_decoder(json, c);
  write_rope(json, c);
  if (c.activation.gate) json.set("hidden_act", activation_name({c.activation.activation}));
  json.set("sliding_window", c.windows.empty() ? Json() : Json(c.windows.front()));
}

constexpr GgufLayout kGguf = {.architecture = "llama",
                              .read = read_gguf_llama,
                              .weights = gguf_llama_weights,
                              .write = write_gguf_llama,
                              .passed_over = kGgufDecoderPassedOver};

}  // namespace

namespace records {

extern constinit const Family mistral = {.name = "mistral",
                                         .model_type = "mistral",
                                         .architecture = "MistralForCausalLM",
                                         .bare_architecture = "MistralModel",
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
