#include "models/transformer/llama.hpp"

#include <string>

namespace gradus {

Config llama_config() {
  Config config;
  config.arch = Arch::llama;
  config.norm = NormKind::rms;
  config.norm_epsilon = 1e-5;
  config.position = PositionKind::rotary;
  config.rope_base = 10000.0;
  config.activation = MlpKind::swiglu;
  config.attention_bias = false;
  config.mlp_bias = false;
  config.tie = true;
  return config;
}

std::vector<FileWeight> llama_weights(const Config& config) {
  std::vector<FileWeight> weights;
  const auto plain = [&](std::string file, std::string parameter) {
    weights.push_back({.name = std::move(file), .parameter = std::move(parameter)});
  };
  // A matrix and its bias, or the rows [begin, end) of both.
  const auto layer = [&](const std::string& file, const std::string& parameter, bool with_bias,
                         int64_t begin = 0, int64_t end = -1) {
    for (const char* part : {".weight", ".bias"}) {
      if (part[1] == 'b' && !with_bias) continue;
      weights.push_back({.name = file + part, .parameter = parameter + part, .begin = begin, .end = end});
    }
  };
  const auto norm = [&](const std::string& file, const std::string& parameter) {
    plain(file + ".weight", parameter + ".weight");
    if (config.norm == NormKind::layer) plain(file + ".bias", parameter + ".bias");
  };

  const Config c = config.resolved();
  const int64_t head_width = c.n_embd / c.n_head;
  const int64_t q_end = c.n_head * head_width;
  const int64_t k_end = q_end + c.n_kv_head * head_width;
  const int64_t v_end = k_end + c.n_kv_head * head_width;
  plain("model.embed_tokens.weight", "token_embedding.weight");
  if (c.position == PositionKind::learned) plain("model.embed_positions.weight", "position_embedding.weight");
  for (int64_t l = 0; l < c.n_layer; ++l) {
    const std::string file = "model.layers." + std::to_string(l);
    const std::string block = "blocks." + std::to_string(l);
    norm(file + ".input_layernorm", block + ".attention_norm");
    layer(file + ".self_attn.q_proj", block + ".attention.qkv", c.attention_bias, 0, q_end);
    layer(file + ".self_attn.k_proj", block + ".attention.qkv", c.attention_bias, q_end, k_end);
    layer(file + ".self_attn.v_proj", block + ".attention.qkv", c.attention_bias, k_end, v_end);
    layer(file + ".self_attn.o_proj", block + ".attention.output", c.attention_bias);
    norm(file + ".post_attention_layernorm", block + ".mlp_norm");
    if (c.activation == MlpKind::swiglu) layer(file + ".mlp.gate_proj", block + ".mlp.gate", c.mlp_bias);
    layer(file + ".mlp.up_proj", block + ".mlp.up", c.mlp_bias);
    layer(file + ".mlp.down_proj", block + ".mlp.down", c.mlp_bias);
  }
  norm("model.norm", "final_norm");
  if (!c.tie) plain("lm_head.weight", "output.weight");
  return weights;
}

}  // namespace gradus
