#include "models/transformer/families/encoder.hpp"

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/families/weight_list.hpp"
#include "tensor/error.hpp"

namespace gradus {

Config encoder_defaults() {
  Config config;
  config.block = BlockKind::post_norm;
  config.causal = false;
  config.final_norm = false;
  config.norm = NormKind::layer;
  config.norm_epsilon = 1e-12;
  config.position = PositionKind::learned;
  config.embedding_norm = true;
  config.activation = MlpKind::gelu;
  config.head = HeadKind::transformed;
  config.head_bias = true;
  return config;
}

void read_encoder(ConfigKeys& keys, Config& config) {
  config.tie = true;
  config.n_embd = keys.integer("hidden_size");
  config.n_layer = keys.integer("num_hidden_layers");
  config.n_head = keys.integer("num_attention_heads");
  config.n_ffn = keys.integer("intermediate_size");
  config.n_segment = 2;
  keys.optional("type_vocab_size", config.n_segment);
  keys.optional("hidden_act", config.activation, activation_from);
  keys.optional("layer_norm_eps", config.norm_epsilon);
  keys.optional("hidden_dropout_prob", config.dropout);
  if (const Json* kind = keys.find("position_embedding_type")) {
    check_world(kind->as_string() == "absolute", kind->path(), ": must be absolute; it is '",
                kind->as_string(), "'; models with other positions are not supported");
  }
  keys.find("gradient_checkpointing");
  // Layers that some tasks put behind the pooler.
  for (const char* key : {"pooler_fc_size", "pooler_num_attention_heads", "pooler_num_fc_layers",
                          "pooler_size_per_head", "pooler_type"}) {
    keys.find(key);
  }
}

void write_encoder(Json& json, const Config& c) {
  json.set("max_position_embeddings", c.first_position + c.block_size);
  json.set("hidden_size", c.n_embd);
  json.set("intermediate_size", c.n_ffn);
  json.set("num_hidden_layers", c.n_layer);
  json.set("num_attention_heads", c.n_head);
  json.set("type_vocab_size", c.n_segment);
  if (const std::string_view name = activation_name(c.activation); !name.empty())
    json.set("hidden_act", name);
  json.set("layer_norm_eps", c.norm_epsilon);
  json.set("hidden_dropout_prob", c.dropout);
  json.set("position_embedding_type", "absolute");
}

int64_t encoder_ffn(int64_t n_embd) { return 4 * n_embd; }

std::vector<FileWeight> encoder_weights(const Config& c, const EncoderNames& names) {
  const auto text = [](std::string_view name) { return std::string(name); };
  const int64_t q_end = c.n_head * c.channels_per_head();
  const int64_t k_end = q_end + c.n_kv_head * c.channels_per_head();
  const int64_t v_end = k_end + c.n_kv_head * c.channels_per_head();
  WeightList list(c);
  list.tensor(text(names.token) + ".weight", "token_embedding.weight");
  if (has_table(c.position)) list.tensor(text(names.position) + ".weight", "position_embedding.weight");
  if (c.n_segment > 0) list.tensor(text(names.segment) + ".weight", "segment_embedding.weight");
  if (c.embedding_norm) list.norm(text(names.embedding_norm), "embedding_norm");
  for (int64_t l = 0; l < c.n_layer; ++l) {
    const std::string file = text(names.block) + std::to_string(l) + ".";
    const std::string block = "blocks." + std::to_string(l);
    const auto projection = [&](std::string_view name, int64_t begin, int64_t end) {
      list.matrix(file + text(name), block + ".attention.qkv", c.attention_bias,
                  {.begin = begin, .end = end});
    };
    projection(names.query, 0, q_end);
    projection(names.key, q_end, k_end);
    projection(names.value, k_end, v_end);
    list.matrix(file + text(names.attention_output), block + ".attention.output", c.attention_output_bias);
    if (l > 0 || c.first_norm) list.norm(file + text(names.attention_norm), block + ".attention_norm");
    if (c.activation.gate) list.matrix(file + "gate", block + ".mlp.gate", c.mlp_bias);
    list.matrix(file + text(names.up), block + ".mlp.up", c.mlp_bias);
    list.matrix(file + text(names.down), block + ".mlp.down", c.mlp_bias);
    if (has_mlp_norm(c.block)) list.norm(file + text(names.mlp_norm), block + ".mlp_norm");
  }
  if (c.final_norm) list.norm("final_norm", "final_norm");
  if (c.pooler && !names.pooler.empty()) list.matrix(text(names.pooler), "pooler", true);
  if (c.head == HeadKind::none) return list.take();
  if (c.head == HeadKind::transformed) {
    list.matrix(text(names.head_layer), "head.layer", c.head_layer_bias);
    list.norm(text(names.head_norm), "head.norm");
  }
  if (!c.tie) list.tensor(text(names.decoder) + ".weight", "output.weight");
  if (c.head_bias) list.tensor(c.tie ? text(names.bias) : text(names.decoder) + ".bias", "output.bias");
  return list.take();
}

std::vector<RepeatedWeight> encoder_repeated(const Config& config, const EncoderNames& names) {
  if (!config.tie || config.head == HeadKind::none) return {};
  std::vector<RepeatedWeight> repeated = {{std::string(names.decoder) + ".weight", "token_embedding.weight"}};
  const std::string bias = std::string(names.decoder) + ".bias";
  if (config.head_bias && bias != names.bias) repeated.push_back({bias, "output.bias"});
  return repeated;
}

bool may_lack_gradient_in_encoder(const Config&, std::string_view parameter) {
  return parameter.starts_with("pooler.") || parameter.starts_with("head.") || parameter == "output.bias";
}

}  // namespace gradus
