// GPT-NeoX, and Pythia: rotary positions of a part of each head, attention and the feed-forward layer side by side, layer
// norms, untied output. Queries, keys and values stand in one matrix, head by head.
// ref: Black et al., GPT-NeoX-20B (2022); Biderman et al., Pythia (2023)

#include <string>

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/families/family.hpp"
#include "models/transformer/families/gguf_keys.hpp"
#include "models/transformer/families/rope_keys.hpp"
#include "models/transformer/families/weight_list.hpp"
#include "tensor/error.hpp"

namespace gradus {
namespace {

constexpr std::string_view kPassedOver[] = {".attention.bias", ".attention.masked_bias",
                                            ".rotary_emb.inv_freq"};
constexpr NameAlias kAliases[] = {{"embed_out.weight", "lm_head.weight"}};
constexpr double kRotatedPart = 0.25;

Config defaults() {
  Config config;
  config.block = BlockKind::parallel;
  config.norm = NormKind::layer;
  config.norm_epsilon = 1e-5;
  config.position = PositionKind::rotary;
  config.rope_base = 10000.0;
  config.activation = MlpKind::gelu;
  config.tie = false;
  return config;
}

int64_t default_ffn(int64_t n_embd) { return 4 * n_embd; }

void read(ConfigKeys& keys, Config& config) {
  config.tie = false;
  config.block_size = keys.integer("max_position_embeddings");
  config.n_embd = keys.integer("hidden_size");
  config.n_layer = keys.integer("num_hidden_layers");
  config.n_head = keys.integer("num_attention_heads");
  config.n_ffn = keys.integer("intermediate_size");
  const int64_t head_width = config.n_head > 0 ? config.n_embd / config.n_head : 0;
  keys.must_be("head_dim", head_width);
  keys.optional("hidden_act", config.activation, activation_from);
  keys.optional("layer_norm_eps", config.norm_epsilon);
  keys.optional("attention_bias", config.attention_bias);
  config.attention_output_bias = config.attention_bias;
  bool parallel = true;
  keys.optional("use_parallel_residual", parallel);
  config.block = parallel ? BlockKind::parallel : BlockKind::pre_norm;
  keys.optional("hidden_dropout", config.dropout);
  double part = kRotatedPart;
  keys.optional("rotary_pct", part);
  keys.optional("rotary_emb_base", config.rope_base);
  read_rope(keys, config, &part);
  config.rotated = static_cast<int64_t>(static_cast<double>(head_width) * part);
  check_world(config.rotated >= 2 && config.rotated % 2 == 0, keys.path(),
              ": the part of a head that turns must be an even number of channels; it is ", config.rotated,
              " of ", head_width);
}

void write(Json& json, const Config& c) {
  json.set("max_position_embeddings", c.block_size);
  json.set("hidden_size", c.n_embd);
  json.set("intermediate_size", c.n_ffn);
  json.set("num_hidden_layers", c.n_layer);
  json.set("num_attention_heads", c.n_head);
  if (const std::string_view name = activation_name(c.activation); !name.empty())
    json.set("hidden_act", name);
  json.set("layer_norm_eps", c.norm_epsilon);
  json.set("attention_bias", c.attention_bias);
  json.set("use_parallel_residual", c.block == BlockKind::parallel);
  json.set("hidden_dropout", c.dropout);
  json.set("rotary_pct",
           static_cast<double>(c.rotated_channels()) / static_cast<double>(c.channels_per_head()));
  json.set("rotary_emb_base", c.rope_base);
  write_rope(json, c);
}

std::vector<FileWeight> weights(const Config& c) {
  // (3, heads, D) here, (heads, 3, D) in the file, which cannot have fewer key/value heads.
  const RowSwap by_head{.outer = 1, .a = 3, .b = c.n_head};
  const MatrixPart qkv{.swap = c.n_kv_head == c.n_head ? by_head : RowSwap()};
  WeightList list(c);
  list.tensor("gpt_neox.embed_in.weight", "token_embedding.weight");
  if (has_table(c.position)) list.tensor("gpt_neox.embed_positions.weight", "position_embedding.weight");
  for (int64_t l = 0; l < c.n_layer; ++l) {
    const std::string file = "gpt_neox.layers." + std::to_string(l);
    const std::string block = "blocks." + std::to_string(l);
    if (l > 0 || c.first_norm) list.norm(file + ".input_layernorm", block + ".attention_norm");
    if (has_mlp_norm(c.block)) list.norm(file + ".post_attention_layernorm", block + ".mlp_norm");
    list.matrix(file + ".attention.query_key_value", block + ".attention.qkv", c.attention_bias, qkv);
    list.matrix(file + ".attention.dense", block + ".attention.output", c.attention_output_bias);
    if (c.activation.gate) list.matrix(file + ".mlp.gate", block + ".mlp.gate", c.mlp_bias);
    list.matrix(file + ".mlp.dense_h_to_4h", block + ".mlp.up", c.mlp_bias);
    list.matrix(file + ".mlp.dense_4h_to_h", block + ".mlp.down", c.mlp_bias);
  }
  if (c.final_norm) list.norm("gpt_neox.final_layer_norm", "final_norm");
  if (!c.tie && c.head != HeadKind::none) list.tensor("embed_out.weight", "output.weight");
  return list.take();
}

std::vector<RepeatedWeight> repeated(const Config& config) {
  if (!config.tie) return {};
  return {{"embed_out.weight", "token_embedding.weight"}};
}

void read_gguf(GgufKeys& keys, Config& config) {
  read_gguf_sizes(keys, config);
  read_gguf_rope(keys, config);
  bool parallel = true;
  keys.optional("use_parallel_residual", parallel);
  config.block = parallel ? BlockKind::parallel : BlockKind::pre_norm;
  config.attention_bias = keys.has_tensor("blk.0.attn_qkv.bias");
  config.attention_output_bias = config.attention_bias;
  config.tie = !keys.has_tensor("output.weight");
}

void write_gguf(GgufKeyWriter& keys, const Config& c) {
  write_gguf_sizes(keys, c);
  write_gguf_rope(keys, c);
  keys.boolean("use_parallel_residual", c.block == BlockKind::parallel);
}

// In GGUF files all queries stand before all keys and these before all values.
std::vector<FileWeight> gguf_weights(const Config& c) {
  WeightList list(c);
  list.tensor("token_embd.weight", "token_embedding.weight");
  for (int64_t l = 0; l < c.n_layer; ++l) {
    const std::string file = "blk." + std::to_string(l);
    const std::string block = "blocks." + std::to_string(l);
    list.norm(file + ".attn_norm", block + ".attention_norm");
    list.norm(file + ".ffn_norm", block + ".mlp_norm");
    list.matrix(file + ".attn_qkv", block + ".attention.qkv", c.attention_bias);
    list.matrix(file + ".attn_output", block + ".attention.output", c.attention_output_bias);
    list.matrix(file + ".ffn_up", block + ".mlp.up", true);
    list.matrix(file + ".ffn_down", block + ".mlp.down", true);
  }
  list.norm("output_norm", "final_norm");
  if (!c.tie) list.tensor("output.weight", "output.weight");
  return list.take();
}

constexpr GgufLayout kGguf = {
    .architecture = "gptneox", .read = read_gguf, .weights = gguf_weights, .write = write_gguf};

}  // namespace

namespace records {

extern constinit const Family gpt_neox = {.name = "gpt_neox",
                                          .model_type = "gpt_neox",
                                          .architecture = "GPTNeoXForCausalLM",
                                          .bare_architecture = "GPTNeoXModel",
                                          .base = "gpt_neox.",
                                          .passed_over = kPassedOver,
                                          .aliases = kAliases,
                                          .last_state_is_final = true,
                                          .defaults = defaults,
                                          .default_ffn = default_ffn,
                                          .read = read,
                                          .write = write,
                                          .weights = weights,
                                          .repeated = repeated,
                                          .gguf = &kGguf};

}  // namespace records
}  // namespace gradus
