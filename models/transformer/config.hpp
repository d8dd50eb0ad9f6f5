#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "nn/block.hpp"
#include "tensor/io/json.hpp"

namespace gradus {

/// A family of models: it sets defaults and the layout of files, nothing else. See families/family.hpp.
struct Family;
/// The first of the list.
const Family& default_family();

/// What stands between the last row and a score for each token.
enum class HeadKind {
  none,         ///< nothing: the model gives rows, not scores
  plain,        ///< the output layer alone (GPT-2, Llama)
  transformed,  ///< a layer, its activation and a norm before it (BERT's prediction of masked tokens)
};

/// Everything that the transformer stack can vary. The names of sizes and their meaning are nanoGPT's.
struct Config {
  const Family* family = &default_family();
  int64_t vocab_size = 0;  ///< V
  int64_t block_size = 0;  ///< most tokens that the model sees at once
  int64_t n_layer = 0;     ///< L
  int64_t n_head = 0;      ///< H
  int64_t n_kv_head = 0;   ///< G; 0: as many as n_head
  int64_t n_embd = 0;      ///< C
  int64_t n_ffn = 0;       ///< F; 0: the default of the family
  int64_t head_width = 0;  ///< D; 0: C/H
  BlockKind block = BlockKind::pre_norm;
  bool causal = true;      ///< a token sees those before it, not those after it
  bool final_norm = true;  ///< a norm behind the last block; without it there is no layer `final`
  bool first_norm = true;  ///< before the attention of the first block, as before that of the others
  NormKind norm = NormKind::layer;
  double norm_epsilon = 1e-5;
  bool norm_bias = true;     ///< of those norms whose kind has one
  bool norm_offset = false;  ///< norms multiply by 1 + weight
  PositionKind position = PositionKind::learned;
  int64_t first_position = 0;  ///< learned: the row of the table that a text's first token has
  double rope_base = 10000.0;  ///< of rotary and sinusoidal positions
  RopeScaling rope_scaling;    ///< of rotary positions, but not where rope_local_base holds
  double rope_local_base = 0;  ///< rotary: the base in layers with a window; 0: as in the others
  int64_t rotated = 0;         ///< rotary: channels of a head that turn; 0: all
  int64_t n_segment =
      0;  ///< texts of a sequence that are told apart by a vector of their own; 0: there is none
  bool embedding_scale = false;  ///< token embeddings are multiplied by √C
  bool embedding_norm = false;   ///< a norm before the first block
  MlpKind activation = MlpKind::gelu_tanh;
  bool attention_bias = true;         ///< of queries, keys and values
  bool attention_output_bias = true;  ///< of what attention gives
  bool mlp_bias = true;
  bool query_key_norm = false;  ///< queries and keys are normalised, head by head, before they turn
  double attention_scale = 0;   ///< of the products of queries and keys; 0: 1/√D
  /// How many rows each layer sees, see Visibility: 0: all; empty: all in all layers.
  std::vector<int64_t> windows;
  HeadKind head = HeadKind::plain;
  bool head_bias = false;                   ///< a bias for each token
  bool head_layer_bias = true;              ///< transformed: of its layer
  MlpKind head_activation = MlpKind::gelu;  ///< transformed: of its layer
  bool pooler =
      false;  ///< a layer that makes one vector of a text out of its first row; see Transformer::pooled()
  bool tie = true;       ///< the output layer is the token embedding
  double dropout = 0.0;  ///< of the embeddings and of what each layer adds, while training
  /// Ids that end a text, the one between documents first; for other programs, and for generation to stop at.
  std::vector<int64_t> end_tokens;
  /// Whether texts begin and end with the special tokens that the tokenizer adds; absent where nobody has said.
  std::optional<bool> add_special;
  DType dtype = DType::f32;  ///< f64 for gradient checks

  bool operator==(const Config&) const = default;

  /// The index of the last layer: that of `final`, or of layer_L where there is none.
  int64_t last_layer() const { return n_layer + (final_norm ? 1 : 0); }

  /// D: head_width, or C/H.
  int64_t channels_per_head() const;
  /// The channels of a head that turn: rotated, or all.
  int64_t rotated_channels() const;
  /// What the rows of layer l see.
  Visibility visibility(int64_t l) const;
  /// The same with the defaults in place of n_kv_head = 0 and n_ffn = 0, and 0 for a head_width or rotated that is no other
  /// than the default.
  Config resolved() const;
  /// An error naming the field, its value and its range, unless a model of this configuration can exist.
  void validate() const;
};

/// Parameters of a model, a tied output counted once; an error where they do not fit in 63 bits.
int64_t parameter_count(const Config& config);
/// Of these, the weights that each token is multiplied by: all matrices but tables that are only looked up; a tied
/// table counts, once, as the output layer.
int64_t matrix_weight_count(const Config& config);

/// A named size, and the batch that suits it.
struct Preset {
  std::string_view name;
  int64_t n_layer, n_head, n_embd, block_size, batch_size;
};
/// nano, micro, small, gpt2.
std::span<const Preset> presets();
/// An error listing the presets where there is no such one.
const Preset& find_preset(std::string_view name);
/// The defaults of the family of this name ("gpt", "llama") in a preset's size.
Config make_config(std::string_view family, const Preset& preset, int64_t vocab_size);
/// The defaults of the family of this name, all sizes 0; an error lists the families.
Config default_config(std::string_view family);

/// Names as on the command line and in files, and back; an error lists the possible ones.
std::string_view name_of(BlockKind kind);
std::string_view name_of(PositionKind kind);
std::string_view name_of(RopeScalingKind kind);
std::string_view name_of(HeadKind kind);
std::string_view name_of(NormKind kind);
std::string_view name_of(MlpKind kind);
BlockKind parse_block(std::string_view name);
PositionKind parse_position(std::string_view name);
RopeScalingKind parse_rope_scaling(std::string_view name);
HeadKind parse_head(std::string_view name);
NormKind parse_norm(std::string_view name);
MlpKind parse_activation(std::string_view name);

/// A config.json as the Hugging Face library reads and writes it, with the family's `model_type`.
/// note: choices that the library's model does not have (say, gpt with rotary positions) stand under the key `gradus`,
///       and `model_type` then begins with gradus_, as in gradus_gpt2: other programs refuse the model instead of computing
///       something else with its weights. Choices that only matter in training stand there without that change.
Json config_to_json(const Config& config);
/// Whether the library has this model: nothing that changes what it computes stands under `gradus`.
bool is_standard(const Config& config);
/// note: a key that is not known here is an error, for it may change what the model computes; keys known to change
///       nothing (`use_cache`, `transformers_version` …) are passed over; so is `attn_pdrop`, since attention
///       probabilities are never dropped here.
Config config_from_json(const Json& json);

}  // namespace gradus
