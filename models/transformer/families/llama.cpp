// Llama: RMS norms, rotary positions, SwiGLU, no biases, tied output. Queries, keys and values stand apart in the files.
// ref: Touvron et al., LLaMA: open and efficient foundation language models (2023)
// note: tied, unlike the large models of the family: in a small model the table would be most of the parameters.

#include <string>

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/families/family.hpp"
#include "models/transformer/families/weight_list.hpp"
#include "tensor/error.hpp"

namespace gradus {
namespace {

constexpr std::string_view kConstants[] = {".rotary_emb.inv_freq"};

Config defaults() {
  Config config;
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

// The feed-forward layer has three matrices, not two: 8C/3 over 32, rounded up, times 32.
int64_t default_ffn(int64_t n_embd) { return (8 * n_embd + 95) / 96 * 32; }

void read(ConfigKeys& keys, Config& config) {
  config.tie = false;
  config.block_size = keys.integer("max_position_embeddings");
  config.n_embd = keys.integer("hidden_size");
  config.n_layer = keys.integer("num_hidden_layers");
  config.n_head = keys.integer("num_attention_heads");
  config.n_ffn = keys.integer("intermediate_size");
  keys.optional("num_key_value_heads", config.n_kv_head);
  keys.must_be("head_dim", config.n_head > 0 ? config.n_embd / config.n_head : 0);
  config.norm_epsilon = 1e-6;
  keys.optional("rms_norm_eps", config.norm_epsilon);
  keys.optional("rope_theta", config.rope_base);
  if (const Json* value = keys.find("rope_parameters")) {
    ConfigKeys rope(*value);
    rope.optional("rope_theta", config.rope_base);
    if (const Json* type = rope.find("rope_type")) {
      check_world(type->as_string() == "default", type->path(), ": must be default; it is '",
                  type->as_string(), "'; scaled rotary positions are not supported");
    }
    rope.finish();
  }
  if (const Json* value = keys.find("rope_scaling")) {
    fail_world(value->path(), ": must be null; it is ", value->dump(),
               "; scaled rotary positions are not supported");
  }
  keys.must_be("rope_interleaved", false);
  keys.optional("attention_bias", config.attention_bias);
  keys.optional("mlp_bias", config.mlp_bias);
  if (const Json* act = keys.find("hidden_act")) {
    check_world(activation_from(*act) == MlpKind::silu, act->path(), ": must be silu, the gate's; it is '",
                act->as_string(), "'");
  }
}

void write(Json& json, const Config& c) {
  json.set("max_position_embeddings", c.block_size);
  json.set("hidden_size", c.n_embd);
  json.set("intermediate_size", c.n_ffn);
  json.set("num_hidden_layers", c.n_layer);
  json.set("num_attention_heads", c.n_head);
  json.set("num_key_value_heads", c.n_kv_head);
  json.set("head_dim", c.n_embd / c.n_head);
  json.set("rms_norm_eps", c.norm_epsilon);
  json.set("rope_theta", c.rope_base);
  json.set("attention_bias", c.attention_bias);
  json.set("mlp_bias", c.mlp_bias);
  if (has_gate(c.activation)) json.set("hidden_act", activation_name(MlpKind::silu));
}

std::vector<FileWeight> weights(const Config& c) {
  const int64_t head_width = c.n_embd / c.n_head;
  const int64_t q_end = c.n_head * head_width;
  const int64_t k_end = q_end + c.n_kv_head * head_width;
  const int64_t v_end = k_end + c.n_kv_head * head_width;
  WeightList list(c);
  list.tensor("model.embed_tokens.weight", "token_embedding.weight");
  if (has_table(c.position)) list.tensor("model.embed_positions.weight", "position_embedding.weight");
  for (int64_t l = 0; l < c.n_layer; ++l) {
    const std::string file = "model.layers." + std::to_string(l);
    const std::string block = "blocks." + std::to_string(l);
    const auto projection = [&](const char* name, int64_t begin, int64_t end) {
      list.matrix(file + ".self_attn." + name, block + ".attention.qkv", c.attention_bias,
                  {.begin = begin, .end = end});
    };
    list.norm(file + ".input_layernorm", block + ".attention_norm");
    projection("q_proj", 0, q_end);
    projection("k_proj", q_end, k_end);
    projection("v_proj", k_end, v_end);
    list.matrix(file + ".self_attn.o_proj", block + ".attention.output", c.attention_bias);
    if (has_mlp_norm(c.block)) list.norm(file + ".post_attention_layernorm", block + ".mlp_norm");
    if (has_gate(c.activation)) list.matrix(file + ".mlp.gate_proj", block + ".mlp.gate", c.mlp_bias);
    list.matrix(file + ".mlp.up_proj", block + ".mlp.up", c.mlp_bias);
    list.matrix(file + ".mlp.down_proj", block + ".mlp.down", c.mlp_bias);
  }
  if (c.final_norm) list.norm("model.norm", "final_norm");
  if (!c.tie) list.tensor("lm_head.weight", "output.weight");
  return list.take();
}

}  // namespace

namespace records {

extern constinit const Family llama = {.name = "llama",
                                       .model_type = "llama",
                                       .architecture = "LlamaForCausalLM",
                                       .base = "model.",
                                       .output = "lm_head.weight",
                                       .constants = kConstants,
                                       .last_state_is_final = true,
                                       .defaults = defaults,
                                       .default_ffn = default_ffn,
                                       .read = read,
                                       .write = write,
                                       .weights = weights};

}  // namespace records
}  // namespace gradus
