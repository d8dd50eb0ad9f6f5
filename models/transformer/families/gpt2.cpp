// GPT-2: layer norms, learned positions, GELU (tanh form), biases everywhere, tied output. Its matrices stand transposed in
// the files, inputs first, for it was written with 1×1 convolutions.
// ref: Radford et al., Language models are unsupervised multitask learners (2019)

#include <string>

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/families/family.hpp"
#include "models/transformer/families/gguf_keys.hpp"
#include "models/transformer/families/weight_list.hpp"
#include "tensor/error.hpp"

namespace gradus {
namespace {

constexpr std::string_view kPassedOver[] = {".attn.bias", ".attn.masked_bias"};

Config defaults() {
  Config config;
  config.norm = NormKind::layer;
  config.norm_epsilon = 1e-5;
  config.position = PositionKind::learned;
  config.activation = MlpKind::gelu_tanh;
  config.attention_bias = true;
  config.mlp_bias = true;
  config.tie = true;
  return config;
}

int64_t default_ffn(int64_t n_embd) { return 4 * n_embd; }

void read(ConfigKeys& keys, Config& config) {
  config.tie = true;
  config.block_size = keys.integer("n_positions");
  keys.must_be("n_ctx", config.block_size);
  config.n_embd = keys.integer("n_embd");
  config.n_layer = keys.integer("n_layer");
  config.n_head = keys.integer("n_head");
  keys.optional_size("n_inner", config.n_ffn);
  keys.optional("activation_function", config.activation, activation_from);
  keys.optional("layer_norm_epsilon", config.norm_epsilon);
  keys.optional("resid_pdrop", config.dropout);
  if (const Json* embd = keys.find("embd_pdrop")) {
    check_world(embd->as_number() == config.dropout, embd->path(), ": must equal resid_pdrop, ",
                config.dropout, ", as there is one dropout here; it is ", embd->as_number());
  }
  keys.must_be("scale_attn_weights", true);
  keys.must_be("scale_attn_by_inverse_layer_idx", false);
  keys.must_be("reorder_and_upcast_attn", false);
}

void write(Json& json, const Config& c) {
  json.set("n_positions", c.block_size);
  json.set("n_embd", c.n_embd);
  json.set("n_layer", c.n_layer);
  json.set("n_head", c.n_head);
  json.set("n_inner", c.n_ffn);
  if (const std::string_view name = activation_name(c.activation); !name.empty())
    json.set("activation_function", name);
  json.set("layer_norm_epsilon", c.norm_epsilon);
  json.set("resid_pdrop", c.dropout);
  json.set("embd_pdrop", c.dropout);
  json.set("attn_pdrop", 0.0);
}

std::vector<FileWeight> weights(const Config& c) {
  constexpr MatrixPart kInputsFirst{.transposed = true};
  WeightList list(c);
  list.tensor("transformer.wte.weight", "token_embedding.weight");
  if (has_table(c.position)) list.tensor("transformer.wpe.weight", "position_embedding.weight");
  for (int64_t l = 0; l < c.n_layer; ++l) {
    const std::string file = "transformer.h." + std::to_string(l);
    const std::string block = "blocks." + std::to_string(l);
    if (l > 0 || c.first_norm) list.norm(file + ".ln_1", block + ".attention_norm");
    list.matrix(file + ".attn.c_attn", block + ".attention.qkv", c.attention_bias, kInputsFirst);
    list.matrix(file + ".attn.c_proj", block + ".attention.output", c.attention_output_bias, kInputsFirst);
    if (has_mlp_norm(c.block)) list.norm(file + ".ln_2", block + ".mlp_norm");
    if (c.activation.gate) list.matrix(file + ".mlp.c_gate", block + ".mlp.gate", c.mlp_bias, kInputsFirst);
    list.matrix(file + ".mlp.c_fc", block + ".mlp.up", c.mlp_bias, kInputsFirst);
    list.matrix(file + ".mlp.c_proj", block + ".mlp.down", c.mlp_bias, kInputsFirst);
  }
  if (c.final_norm) list.norm("transformer.ln_f", "final_norm");
  if (!c.tie && c.head != HeadKind::none) list.tensor("lm_head.weight", "output.weight");
  return list.take();
}

std::vector<RepeatedWeight> repeated(const Config& config) {
  if (!config.tie) return {};
  return {{"lm_head.weight", "token_embedding.weight"}};
}

void read_gguf(GgufKeys& keys, Config& config) {
  read_gguf_sizes(keys, config);
  config.tie = !keys.has_tensor("output.weight");
}

// In GGUF files outputs stand first.
std::vector<FileWeight> gguf_weights(const Config& c) {
  WeightList list(c);
  list.tensor("token_embd.weight", "token_embedding.weight");
  list.tensor("position_embd.weight", "position_embedding.weight");
  for (int64_t l = 0; l < c.n_layer; ++l) {
    const std::string file = "blk." + std::to_string(l);
    const std::string block = "blocks." + std::to_string(l);
    list.norm(file + ".attn_norm", block + ".attention_norm");
    list.matrix(file + ".attn_qkv", block + ".attention.qkv", true);
    list.matrix(file + ".attn_output", block + ".attention.output", true);
    list.norm(file + ".ffn_norm", block + ".mlp_norm");
    list.matrix(file + ".ffn_up", block + ".mlp.up", true);
    list.matrix(file + ".ffn_down", block + ".mlp.down", true);
  }
  list.norm("output_norm", "final_norm");
  if (!c.tie) list.tensor("output.weight", "output.weight");
  return list.take();
}

constexpr GgufLayout kGguf = {
    .architecture = "gpt2", .read = read_gguf, .weights = gguf_weights, .write = write_gguf_sizes};

}  // namespace

namespace records {

extern constinit const Family gpt2 = {.name = "gpt",
                                      .model_type = "gpt2",
                                      .architecture = "GPT2LMHeadModel",
                                      .bare_architecture = "GPT2Model",
                                      .base = "transformer.",
                                      .passed_over = kPassedOver,
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
