#include "models/transformer/gpt.hpp"

#include <string>

namespace gradus {

Config gpt_config() {
  Config config;
  config.arch = Arch::gpt;
  config.norm = NormKind::layer;
  config.norm_epsilon = 1e-5;
  config.position = PositionKind::learned;
  config.activation = MlpKind::gelu_tanh;
  config.attention_bias = true;
  config.mlp_bias = true;
  config.tie = true;
  return config;
}

std::vector<FileWeight> gpt_weights(const Config& config) {
  std::vector<FileWeight> weights;
  const auto plain = [&](std::string file, std::string parameter) {
    weights.push_back({.name = std::move(file), .parameter = std::move(parameter)});
  };
  // A matrix and its bias. GPT-2 was written with 1×1 convolutions, whose weights stand inputs first.
  const auto layer = [&](const std::string& file, const std::string& parameter, bool with_bias) {
    weights.push_back({.name = file + ".weight", .parameter = parameter + ".weight", .transposed = true});
    if (with_bias) plain(file + ".bias", parameter + ".bias");
  };
  const auto norm = [&](const std::string& file, const std::string& parameter) {
    plain(file + ".weight", parameter + ".weight");
    if (config.norm == NormKind::layer) plain(file + ".bias", parameter + ".bias");
  };

  plain("transformer.wte.weight", "token_embedding.weight");
  if (config.position == PositionKind::learned) plain("transformer.wpe.weight", "position_embedding.weight");
  for (int64_t l = 0; l < config.n_layer; ++l) {
    const std::string file = "transformer.h." + std::to_string(l);
    const std::string block = "blocks." + std::to_string(l);
    norm(file + ".ln_1", block + ".attention_norm");
    layer(file + ".attn.c_attn", block + ".attention.qkv", config.attention_bias);
    layer(file + ".attn.c_proj", block + ".attention.output", config.attention_bias);
    norm(file + ".ln_2", block + ".mlp_norm");
    if (config.activation == MlpKind::swiglu)
      layer(file + ".mlp.c_gate", block + ".mlp.gate", config.mlp_bias);
    layer(file + ".mlp.c_fc", block + ".mlp.up", config.mlp_bias);
    layer(file + ".mlp.c_proj", block + ".mlp.down", config.mlp_bias);
  }
  norm("transformer.ln_f", "final_norm");
  if (!config.tie) plain("lm_head.weight", "output.weight");
  return weights;
}

}  // namespace gradus
