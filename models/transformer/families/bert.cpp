// BERT, and what has its files: MiniLM, BGE, E5, GTE. Two segments, post-norm, GELU, a pooler, and a head that tells masked
// tokens.
// ref: Devlin et al., BERT: pre-training of deep bidirectional transformers (2019)

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/families/encoder.hpp"
#include "models/transformer/families/gguf_keys.hpp"
#include "tensor/error.hpp"

namespace gradus {
namespace {

// The last is the head that tells whether a text follows another.
constexpr std::string_view kPassedOver[] = {"embeddings.position_ids", "cls.seq_relationship.weight",
                                            "cls.seq_relationship.bias"};
constexpr EncoderNames kNames = {.token = "bert.embeddings.word_embeddings",
                                 .position = "bert.embeddings.position_embeddings",
                                 .segment = "bert.embeddings.token_type_embeddings",
                                 .embedding_norm = "bert.embeddings.LayerNorm",
                                 .block = "bert.encoder.layer.",
                                 .query = "attention.self.query",
                                 .key = "attention.self.key",
                                 .value = "attention.self.value",
                                 .attention_output = "attention.output.dense",
                                 .attention_norm = "attention.output.LayerNorm",
                                 .up = "intermediate.dense",
                                 .down = "output.dense",
                                 .mlp_norm = "output.LayerNorm",
                                 .pooler = "bert.pooler.dense",
                                 .head_layer = "cls.predictions.transform.dense",
                                 .head_norm = "cls.predictions.transform.LayerNorm",
                                 .decoder = "cls.predictions.decoder",
                                 .bias = "cls.predictions.bias"};

Config defaults() {
  Config config = encoder_defaults();
  config.n_segment = 2;
  config.pooler = true;
  return config;
}

void read(ConfigKeys& keys, Config& config) {
  read_encoder(keys, config);
  config.block_size = 512;
  keys.optional("max_position_embeddings", config.block_size);
  config.head_activation = config.activation;
}

void write(Json& json, const Config& c) { write_encoder(json, c); }

std::vector<FileWeight> weights(const Config& c) { return encoder_weights(c, kNames); }
std::vector<RepeatedWeight> repeated(const Config& c) { return encoder_repeated(c, kNames); }

constexpr EncoderNames kGgufNames = {.token = "token_embd",
                                     .position = "position_embd",
                                     .segment = "token_types",
                                     .embedding_norm = "token_embd_norm",
                                     .block = "blk.",
                                     .query = "attn_q",
                                     .key = "attn_k",
                                     .value = "attn_v",
                                     .attention_output = "attn_output",
                                     .attention_norm = "attn_output_norm",
                                     .up = "ffn_up",
                                     .down = "ffn_down",
                                     .mlp_norm = "layer_output_norm",
                                     .head_layer = {},
                                     .head_norm = {},
                                     .decoder = {},
                                     .bias = {}};

// GGUF files hold neither pooler nor head; of RoBERTa they hold the positions that texts have, of DistilBERT no segments.
void read_gguf(GgufKeys& keys, Config& config) {
  read_gguf_sizes(keys, config);
  config.pooler = false;
  config.head = HeadKind::none;
  config.n_segment = keys.has_tensor("token_types.weight") ? keys.rows("token_types.weight") : 0;
}

std::vector<FileWeight> gguf_weights(const Config& c) {
  Config body = c;
  body.pooler = false;
  body.head = HeadKind::none;
  return encoder_weights(body, kGgufNames);
}

constexpr GgufLayout kGguf = {
    .architecture = "bert", .read = read_gguf, .weights = gguf_weights, .write = write_gguf_sizes};

}  // namespace

namespace records {

extern constinit const Family bert = {.name = "bert",
                                      .model_type = "bert",
                                      .architecture = "BertForMaskedLM",
                                      .bare_architecture = "BertModel",
                                      .base = "bert.",
                                      .passed_over = kPassedOver,
                                      .aliases = kEncoderAliases,
                                      .last_state_is_final = false,
                                      .defaults = defaults,
                                      .default_ffn = encoder_ffn,
                                      .read = read,
                                      .write = write,
                                      .weights = weights,
                                      .repeated = repeated,
                                      .gguf = &kGguf,
                                      .may_lack_gradient = may_lack_gradient_in_encoder};

}  // namespace records
}  // namespace gradus
