#include "models/transformer/families/decoder.hpp"

#include <string>

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/families/gguf_keys.hpp"
#include "models/transformer/families/rope_keys.hpp"
#include "models/transformer/families/weight_list.hpp"
#include "tensor/error.hpp"

namespace gradus {

void read_decoder(ConfigKeys& keys, Config& config, int64_t kv_heads, int64_t head_width) {
  config.block_size = keys.integer("max_position_embeddings");
  config.n_embd = keys.integer("hidden_size");
  config.n_layer = keys.integer("num_hidden_layers");
  config.n_head = keys.integer("num_attention_heads");
  keys.integer("intermediate_size");
  keys.optional_size("intermediate_size", config.n_ffn);
  config.n_kv_head = kv_heads;
  keys.optional_size("num_key_value_heads", config.n_kv_head);
  config.head_width = head_width;
  keys.optional_size("head_dim", config.head_width);
  config.norm_epsilon = 1e-6;
  keys.optional("rms_norm_eps", config.norm_epsilon);
}

void read_gate(ConfigKeys& keys, std::string_view key, MlpKind expected) {
  if (const Json* act = keys.find(key)) {
    check_world(activation_from(*act).activation == expected.activation, act->path(), ": must be ",
                activation_name({expected.activation}), ", the gate's; it is '", act->as_string(), "'");
  }
}

void write_decoder(Json& json, const Config& c) {
  json.set("max_position_embeddings", c.block_size);
  json.set("hidden_size", c.n_embd);
  json.set("intermediate_size", c.n_ffn);
  json.set("num_hidden_layers", c.n_layer);
  json.set("num_attention_heads", c.n_head);
  json.set("num_key_value_heads", c.n_kv_head);
  json.set("head_dim", c.channels_per_head());
  json.set("rms_norm_eps", c.norm_epsilon);
}

int64_t decoder_ffn(int64_t n_embd) { return (8 * n_embd + 95) / 96 * 32; }

std::vector<FileWeight> decoder_weights(const Config& c) {
  const int64_t q_end = c.n_head * c.channels_per_head();
  const int64_t k_end = q_end + c.n_kv_head * c.channels_per_head();
  const int64_t v_end = k_end + c.n_kv_head * c.channels_per_head();
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
    if (l > 0 || c.first_norm) list.norm(file + ".input_layernorm", block + ".attention_norm");
    projection("q_proj", 0, q_end);
    projection("k_proj", q_end, k_end);
    projection("v_proj", k_end, v_end);
    if (c.query_key_norm) {
      list.norm(file + ".self_attn.q_norm", block + ".attention.query_norm");
      list.norm(file + ".self_attn.k_norm", block + ".attention.key_norm");
    }
    list.matrix(file + ".self_attn.o_proj", block + ".attention.output", c.attention_output_bias);
    if (has_outer_norms(c.block)) {
      list.norm(file + ".post_attention_layernorm", block + ".attention_outer_norm");
      list.norm(file + ".pre_feedforward_layernorm", block + ".mlp_norm");
      list.norm(file + ".post_feedforward_layernorm", block + ".mlp_outer_norm");
    } else if (has_mlp_norm(c.block)) {
      list.norm(file + ".post_attention_layernorm", block + ".mlp_norm");
    }
    if (c.activation.gate) list.matrix(file + ".mlp.gate_proj", block + ".mlp.gate", c.mlp_bias);
    list.matrix(file + ".mlp.up_proj", block + ".mlp.up", c.mlp_bias);
    list.matrix(file + ".mlp.down_proj", block + ".mlp.down", c.mlp_bias);
  }
  if (c.final_norm) list.norm("model.norm", "final_norm");
  if (!c.tie && c.head != HeadKind::none) list.tensor("lm_head.weight", "output.weight");
  return list.take();
}

void read_gguf_decoder(GgufKeys& keys, Config& config) {
  read_gguf_sizes(keys, config);
  read_gguf_rope(keys, config);
  keys.optional("attention.scale", config.attention_scale);
  config.attention_bias = keys.has_tensor("blk.0.attn_q.bias");
  config.attention_output_bias = keys.has_tensor("blk.0.attn_output.bias");
  config.mlp_bias = keys.has_tensor("blk.0.ffn_up.bias");
  config.tie = !keys.has_tensor("output.weight");
}

void write_gguf_decoder(GgufKeyWriter& keys, const Config& c) {
  write_gguf_sizes(keys, c);
  write_gguf_rope(keys, c);
  if (c.attention_scale != 0) keys.number("attention.scale", c.attention_scale);
}

std::vector<FileWeight> gguf_decoder_weights(const Config& c, bool pairs) {
  const int64_t width = c.channels_per_head();
  const int64_t q_end = c.n_head * width;
  const int64_t k_end = q_end + c.n_kv_head * width;
  const int64_t v_end = k_end + c.n_kv_head * width;
  const auto swap = [&](int64_t heads) {
    return pairs ? RowSwap{.outer = heads, .a = 2, .b = width / 2} : RowSwap();
  };
  WeightList list(c);
  list.tensor("token_embd.weight", "token_embedding.weight");
  for (int64_t l = 0; l < c.n_layer; ++l) {
    const std::string file = "blk." + std::to_string(l);
    const std::string block = "blocks." + std::to_string(l);
    const auto projection = [&](const char* name, const MatrixPart& part) {
      list.matrix(file + name, block + ".attention.qkv", c.attention_bias, part);
    };
    list.norm(file + ".attn_norm", block + ".attention_norm");
    projection(".attn_q", {.begin = 0, .end = q_end, .swap = swap(c.n_head)});
    projection(".attn_k", {.begin = q_end, .end = k_end, .swap = swap(c.n_kv_head)});
    projection(".attn_v", {.begin = k_end, .end = v_end});
    if (c.query_key_norm) {
      list.norm(file + ".attn_q_norm", block + ".attention.query_norm");
      list.norm(file + ".attn_k_norm", block + ".attention.key_norm");
    }
    list.matrix(file + ".attn_output", block + ".attention.output", c.attention_output_bias);
    if (has_outer_norms(c.block)) {
      list.norm(file + ".post_attention_norm", block + ".attention_outer_norm");
      list.norm(file + ".post_ffw_norm", block + ".mlp_outer_norm");
    }
    list.norm(file + ".ffn_norm", block + ".mlp_norm");
    list.matrix(file + ".ffn_gate", block + ".mlp.gate", c.mlp_bias);
    list.matrix(file + ".ffn_up", block + ".mlp.up", c.mlp_bias);
    list.matrix(file + ".ffn_down", block + ".mlp.down", c.mlp_bias);
  }
  list.norm("output_norm", "final_norm");
  if (!c.tie) list.tensor("output.weight", "output.weight");
  return list.take();
}

void read_gguf_llama(GgufKeys& keys, Config& config) {
  read_gguf_decoder(keys, config);
  check_world(config.rotated == 0 || config.rotated == config.channels_per_head(), keys.path(),
              ": llama.rope.dimension_count must be the width of a head, ", config.channels_per_head(),
              "; it is ", config.rotated, "; models with another are not supported");
  int64_t window = 0;
  keys.optional("attention.sliding_window", window);
  if (window == 0) return;
  config.family = &find_family("mistral");
  config.windows.assign(static_cast<size_t>(config.n_layer), window);
}

void write_gguf_llama(GgufKeyWriter& keys, const Config& c) {
  write_gguf_decoder(keys, c);
  if (!c.windows.empty()) keys.integer("attention.sliding_window", c.windows.front());
}

std::vector<FileWeight> gguf_llama_weights(const Config& config) {
  return gguf_decoder_weights(config, true);
}
std::vector<FileWeight> gguf_qwen_weights(const Config& config) {
  return gguf_decoder_weights(config, false);
}

std::vector<RepeatedWeight> repeated_lm_head(const Config& config) {
  if (!config.tie) return {};
  return {{"lm_head.weight", "token_embedding.weight"}};
}

}  // namespace gradus
