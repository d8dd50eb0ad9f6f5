// ModernBERT: rotary positions, pre-norm, GeGLU, no biases; two layers of three see a window, with angles of their own. The
// norm behind the embeddings stands for that of the first attention.
// ref: Warner et al., Smarter, better, faster, longer: a modern bidirectional encoder (2024)

#include <string>

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/families/encoder.hpp"
#include "models/transformer/families/rope_keys.hpp"
#include "models/transformer/families/weight_list.hpp"
#include "tensor/error.hpp"

namespace gradus {
namespace {

Config defaults() {
  Config config;
  config.causal = false;
  config.first_norm = false;
  config.norm = NormKind::layer;
  config.norm_epsilon = 1e-5;
  config.norm_bias = false;
  config.position = PositionKind::rotary;
  config.rope_base = 160000.0;
  config.rope_local_base = 10000.0;
  config.embedding_norm = true;
  config.activation = MlpKind::geglu;
  config.attention_bias = false;
  config.attention_output_bias = false;
  config.mlp_bias = false;
  config.head = HeadKind::transformed;
  config.head_bias = true;
  config.head_layer_bias = false;
  return config;
}

int64_t default_ffn(int64_t n_embd) { return 3 * n_embd / 2; }

void read(ConfigKeys& keys, Config& config) {
  config.tie = true;
  config.block_size = keys.integer("max_position_embeddings");
  config.n_embd = keys.integer("hidden_size");
  config.n_layer = keys.integer("num_hidden_layers");
  config.n_head = keys.integer("num_attention_heads");
  config.n_ffn = keys.integer("intermediate_size");
  if (const Json* act = keys.find("hidden_activation"))
    config.activation = {activation_from(*act).activation, true};
  keys.optional("norm_eps", config.norm_epsilon);
  keys.optional("norm_bias", config.norm_bias);
  keys.optional("attention_bias", config.attention_bias);
  config.attention_output_bias = config.attention_bias;
  keys.optional("mlp_bias", config.mlp_bias);
  keys.optional("decoder_bias", config.head_bias);
  keys.optional("classifier_bias", config.head_layer_bias);
  keys.optional("classifier_activation", config.head_activation, activation_from);
  read_rope_by_layer(keys, config, "global_rope_theta", "local_rope_theta");
  check_world(config.rope_scaling.kind == RopeScalingKind::none, keys.path(),
              ": rotary positions must be default; they are ", name_of(config.rope_scaling.kind));
  int64_t window = 128, every = 3;
  keys.optional("local_attention", window);
  keys.optional("global_attn_every_n_layers", every);
  if (const Json* types = keys.find("layer_types")) {
    config.windows = windows_from(*types, config.n_layer, window);
  } else {
    config.windows.clear();
    for (int64_t l = 0; l < config.n_layer; ++l)
      config.windows.push_back(every > 0 && l % every == 0 ? 0 : window);
  }
  // How it is trained and run elsewhere, and layers of other tasks.
  for (const char* key : {"attention_dropout", "classifier_dropout", "classifier_pooling", "cls_token_id",
                          "deterministic_flash_attn", "embedding_dropout", "initializer_cutoff_factor",
                          "layer_norm_eps", "mlp_dropout", "reference_compile", "repad_logits_with_grad",
                          "sep_token_id", "sparse_pred_ignore_index", "sparse_prediction"}) {
    keys.find(key);
  }
  if (const Json* kind = keys.find("position_embedding_type")) {
    check_world(kind->as_string() == "absolute", kind->path(), ": must be absolute; it is '",
                kind->as_string(), "'");
  }
}

void write(Json& json, const Config& c) {
  json.set("max_position_embeddings", c.block_size);
  json.set("hidden_size", c.n_embd);
  json.set("intermediate_size", c.n_ffn);
  json.set("num_hidden_layers", c.n_layer);
  json.set("num_attention_heads", c.n_head);
  if (const std::string_view name = activation_name({c.activation.activation}); !name.empty())
    json.set("hidden_activation", name);
  json.set("norm_eps", c.norm_epsilon);
  json.set("norm_bias", c.norm_bias);
  json.set("attention_bias", c.attention_bias);
  json.set("mlp_bias", c.mlp_bias);
  json.set("decoder_bias", c.head_bias);
  json.set("classifier_bias", c.head_layer_bias);
  if (const std::string_view name = activation_name(c.head_activation); !name.empty())
    json.set("classifier_activation", name);
  // Written out: missing ones mean ids beyond a small vocabulary to the Hugging Face library.
  for (const char* key : {"pad_token_id", "cls_token_id", "sep_token_id"}) json.set(key, Json());
  json.set("global_rope_theta", c.rope_base);
  json.set("local_rope_theta", c.rope_local_base);
  int64_t window = 128;
  for (const int64_t w : c.windows) window = w > 0 ? w : window;
  json.set("local_attention", window);
  write_layer_types(json, c);
}

std::vector<FileWeight> weights(const Config& c) {
  WeightList list(c);
  list.tensor("model.embeddings.tok_embeddings.weight", "token_embedding.weight");
  if (has_table(c.position))
    list.tensor("model.embeddings.position_embeddings.weight", "position_embedding.weight");
  if (c.embedding_norm) list.norm("model.embeddings.norm", "embedding_norm");
  for (int64_t l = 0; l < c.n_layer; ++l) {
    const std::string file = "model.layers." + std::to_string(l);
    const std::string block = "blocks." + std::to_string(l);
    if (l > 0 || c.first_norm) list.norm(file + ".attn_norm", block + ".attention_norm");
    list.matrix(file + ".attn.Wqkv", block + ".attention.qkv", c.attention_bias);
    list.matrix(file + ".attn.Wo", block + ".attention.output", c.attention_output_bias);
    if (has_mlp_norm(c.block)) list.norm(file + ".mlp_norm", block + ".mlp_norm");
    // One matrix for both: the half that is bent stands first.
    for (const char* kind : {".weight", ".bias"}) {
      if (kind == std::string_view(".bias") && !c.mlp_bias) continue;
      if (c.activation.gate) list.tensor(file + ".mlp.Wi" + kind, block + ".mlp.gate" + kind);
      list.tensor(file + ".mlp.Wi" + kind, block + ".mlp.up" + kind);
    }
    list.matrix(file + ".mlp.Wo", block + ".mlp.down", c.mlp_bias);
  }
  if (c.final_norm) list.norm("model.final_norm", "final_norm");
  if (c.head == HeadKind::none) return list.take();
  if (c.head == HeadKind::transformed) {
    list.matrix("head.dense", "head.layer", c.head_layer_bias);
    list.norm("head.norm", "head.norm");
  }
  if (!c.tie) list.tensor("decoder.weight", "output.weight");
  if (c.head_bias) list.tensor("decoder.bias", "output.bias");
  return list.take();
}

std::vector<RepeatedWeight> repeated(const Config& config) {
  if (!config.tie || config.head == HeadKind::none) return {};
  return {{"decoder.weight", "token_embedding.weight"}};
}

}  // namespace

namespace records {

extern constinit const Family modernbert = {.name = "modernbert",
                                            .model_type = "modernbert",
                                            .architecture = "ModernBertForMaskedLM",
                                            .bare_architecture = "ModernBertModel",
                                            .base = "model.",
                                            .last_state_is_final = true,
                                            .defaults = defaults,
                                            .default_ffn = default_ffn,
                                            .read = read,
                                            .write = write,
                                            .weights = weights,
                                            .repeated = repeated,
                                            .may_lack_gradient = may_lack_gradient_in_encoder};

}  // namespace records
}  // namespace gradus
