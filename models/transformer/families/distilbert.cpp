// DistilBERT: BERT with half the layers, without segments and pooler.
// ref: Sanh et al., DistilBERT (2019)

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/families/encoder.hpp"
#include "tensor/error.hpp"

namespace gradus {
namespace {

constexpr std::string_view kPassedOver[] = {"embeddings.position_ids"};
constexpr EncoderNames kNames = {.token = "distilbert.embeddings.word_embeddings",
                                 .position = "distilbert.embeddings.position_embeddings",
                                 .embedding_norm = "distilbert.embeddings.LayerNorm",
                                 .block = "distilbert.transformer.layer.",
                                 .query = "attention.q_lin",
                                 .key = "attention.k_lin",
                                 .value = "attention.v_lin",
                                 .attention_output = "attention.out_lin",
                                 .attention_norm = "sa_layer_norm",
                                 .up = "ffn.lin1",
                                 .down = "ffn.lin2",
                                 .mlp_norm = "output_layer_norm",
                                 .head_layer = "vocab_transform",
                                 .head_norm = "vocab_layer_norm",
                                 .decoder = "vocab_projector",
                                 .bias = "vocab_projector.bias"};

Config defaults() { return encoder_defaults(); }

// A size by the family's own name or by the one that the Hugging Face library also takes.
int64_t size(ConfigKeys& keys, std::string_view own, std::string_view other) {
  return keys.integer(keys.contains(own) ? own : keys.contains(other) ? other : own);
}

void read(ConfigKeys& keys, Config& config) {
  config.tie = true;
  config.n_embd = size(keys, "dim", "hidden_size");
  config.n_layer = size(keys, "n_layers", "num_hidden_layers");
  config.n_head = size(keys, "n_heads", "num_attention_heads");
  config.n_ffn = size(keys, "hidden_dim", "intermediate_size");
  config.block_size = 512;
  keys.optional("max_position_embeddings", config.block_size);
  keys.optional("activation", config.activation, activation_from);
  keys.optional("dropout", config.dropout);
  config.head_activation = config.activation;
  keys.find("sinusoidal_pos_embds");  // how the table in the file was filled
  keys.find("tie_weights_");
  keys.find("qa_dropout");
  keys.find("seq_classif_dropout");
}

void write(Json& json, const Config& c) {
  json.set("max_position_embeddings", c.block_size);
  json.set("dim", c.n_embd);
  json.set("hidden_dim", c.n_ffn);
  json.set("n_layers", c.n_layer);
  json.set("n_heads", c.n_head);
  if (const std::string_view name = activation_name(c.activation); !name.empty())
    json.set("activation", name);
  json.set("dropout", c.dropout);
}

std::vector<FileWeight> weights(const Config& c) { return encoder_weights(c, kNames); }
std::vector<RepeatedWeight> repeated(const Config& c) { return encoder_repeated(c, kNames); }

}  // namespace

namespace records {

extern constinit const Family distilbert = {.name = "distilbert",
                                            .model_type = "distilbert",
                                            .architecture = "DistilBertForMaskedLM",
                                            .bare_architecture = "DistilBertModel",
                                            .base = "distilbert.",
                                            .passed_over = kPassedOver,
                                            .aliases = kEncoderAliases,
                                            .last_state_is_final = false,
                                            .defaults = defaults,
                                            .default_ffn = encoder_ffn,
                                            .read = read,
                                            .write = write,
                                            .weights = weights,
                                            .repeated = repeated,
                                            .may_lack_gradient = may_lack_gradient_in_encoder};

}  // namespace records
}  // namespace gradus
