// Qwen 2 and 2.5: Llama with biases of queries, keys and values; windows in some layers.
// ref: Yang et al., Qwen2 technical report (2024)

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/families/decoder.hpp"
#include "models/transformer/families/qwen.hpp"
#include "models/transformer/families/rope_keys.hpp"

namespace gradus {
namespace {

Config defaults() {
  Config config = default_config("llama");
  config.attention_bias = true;
  return config;
}

void read(ConfigKeys& keys, Config& config) {
  config.tie = false;
  read_decoder(keys, config, 32, 0);
  read_rope(keys, config);
  read_gate(keys, "hidden_act", MlpKind::swiglu);
  read_qwen_windows(keys, config);
}

void write(Json& json, const Config& c) {
  write_decoder(json, c);
  write_rope(json, c);
  if (c.activation.gate) json.set("hidden_act", activation_name({c.activation.activation}));
  write_qwen_windows(json, c);
}

constexpr GgufLayout kGguf = {.architecture = "qwen2",
                              .read = read_gguf_decoder,
                              .weights = gguf_qwen_weights,
                              .write = write_gguf_decoder,
                              .passed_over = kGgufDecoderPassedOver};

}  // namespace

namespace records {

extern constinit const Family qwen2 = {.name = "qwen2",
                                       .model_type = "qwen2",
                                       .architecture = "Qwen2ForCausalLM",
                                       .bare_architecture = "Qwen2Model",
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
