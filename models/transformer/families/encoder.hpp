#pragma once

#include <string>
#include <vector>

#include "models/transformer/families/family.hpp"

/// What BERT and the encoders built like it have in common: post-norm blocks that see both ways, learned positions, a norm
/// behind the embeddings, and a layer and a norm before the tied output layer.

namespace gradus {

/// How one encoder's files call the tensors; "" for what it does not have. A block's names follow `block` and its number.
struct EncoderNames {
  std::string_view token, position, segment = {}, embedding_norm;
  std::string_view block;
  std::string_view query, key, value, attention_output, attention_norm, up, down, mlp_norm;
  std::string_view pooler = {};
  std::string_view head_layer, head_norm;  ///< of a transformed head …
  std::string_view decoder;                ///< … and its output layer, where it is not tied
  std::string_view bias;                   ///< the bias of a tied output layer
};

Config encoder_defaults();
/// Reads the keys that BERT has, all but those of positions.
void read_encoder(ConfigKeys& keys, Config& config);
/// Sets what read_encoder() reads, and max_position_embeddings.
void write_encoder(Json& json, const Config& config);
int64_t encoder_ffn(int64_t n_embd);

std::vector<FileWeight> encoder_weights(const Config& config, const EncoderNames& names);
/// The tied output layer and its bias, which some files hold a second time.
std::vector<RepeatedWeight> encoder_repeated(const Config& config, const EncoderNames& names);
/// A task may use neither.
bool may_lack_gradient_in_encoder(const Config& config, std::string_view parameter);

/// Names of weights and biases of norms in files converted from TensorFlow.
inline constexpr NameAlias kEncoderAliases[] = {{".LayerNorm.weight", ".LayerNorm.gamma"},
                                                {".LayerNorm.bias", ".LayerNorm.beta"}};

}  // namespace gradus
