// RoBERTa and XLM-R: BERT whose positions begin at 2, with one segment and a head of its own.
// ref: Liu et al., RoBERTa (2019); Conneau et al., Unsupervised cross-lingual representation learning at scale (2020)

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/families/encoder.hpp"
#include "tensor/error.hpp"

namespace gradus {
namespace {

constexpr std::string_view kPassedOver[] = {"embeddings.position_ids"};
constexpr EncoderNames kNames = {.token = "roberta.embeddings.word_embeddings",
                                 .position = "roberta.embeddings.position_embeddings",
                                 .segment = "roberta.embeddings.token_type_embeddings",
                                 .embedding_norm = "roberta.embeddings.LayerNorm",
                                 .block = "roberta.encoder.layer.",
                                 .query = "attention.self.query",
                                 .key = "attention.self.key",
                                 .value = "attention.self.value",
                                 .attention_output = "attention.output.dense",
                                 .attention_norm = "attention.output.LayerNorm",
                                 .up = "intermediate.dense",
                                 .down = "output.dense",
                                 .mlp_norm = "output.LayerNorm",
                                 .pooler = "roberta.pooler.dense",
                                 .head_layer = "lm_head.dense",
                                 .head_norm = "lm_head.layer_norm",
                                 .decoder = "lm_head.decoder",
                                 .bias = "lm_head.bias"};

Config defaults() {
  Config config = encoder_defaults();
  config.n_segment = 1;
  config.pooler = true;
  config.first_position = 2;
  return config;
}

// Positions are counted from the place behind that of padding.
void read(ConfigKeys& keys, Config& config) {
  read_encoder(keys, config);
  int64_t rows = 512, pad = 1;
  keys.optional("max_position_embeddings", rows);
  keys.optional("pad_token_id", pad);
  config.first_position = pad + 1;
  config.block_size = rows - config.first_position;
  config.head_activation = MlpKind::gelu;
}

void write(Json& json, const Config& c) {
  write_encoder(json, c);
  json.set("pad_token_id", c.first_position - 1);
}

std::vector<FileWeight> weights(const Config& c) { return encoder_weights(c, kNames); }
std::vector<RepeatedWeight> repeated(const Config& c) { return encoder_repeated(c, kNames); }

}  // namespace

namespace records {

extern constinit const Family roberta = {.name = "roberta",
                                         .model_type = "roberta",
                                         .architecture = "RobertaForMaskedLM",
                                         .bare_architecture = "RobertaModel",
                                         .base = "roberta.",
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

extern constinit const Family xlm_roberta = {.name = "xlm_roberta",
                                             .model_type = "xlm-roberta",
                                             .architecture = "XLMRobertaForMaskedLM",
                                             .bare_architecture = "XLMRobertaModel",
                                             .base = "roberta.",
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
