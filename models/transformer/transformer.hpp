#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "models/transformer/config.hpp"
#include "nn/block.hpp"
#include "nn/embedding.hpp"

namespace gradus {

/// A language model: token ids in, for each of them a score for every token that might come next.
///
///   layer_0 = embedding[ids] (· √C) (+ positions + segments), where the Config says so normalised
///   layer_l = block l of layer_{l-1}            each adds what it found to the row it was given
///   final   = norm(layer_L)                     where the Config has a final norm
///   logits  = head(final) · outputᵀ (+ bias)    of layer_L where it has none; head: nothing, or norm(act(layer(row)))
///
/// One stack for all families: they differ in the Config. Rows of several sequences lie end to end, (N,C) with N the
/// number of tokens, so there is no padding anywhere, and a sequence's rows are the same bits in any company.
/// ref: Vaswani et al., Attention is all you need (2017); Radford et al., GPT-2 (2019)
class Transformer {
 public:
  /// Empty: only assignment makes sense.
  Transformer() = default;
  /// All parameters are zero (norms: one) until init() or a file fills them.
  explicit Transformer(const Config& config);

  const Config& config() const { return config_; }

  /// Draws the parameters: tables normal with deviation 0.02, matrices of the blocks s = 0.02 √(768/C), those that end a
  /// residual branch s/√(2L), so that the sum over layers starts no larger; biases 0; norms 1.
  /// ref: Radford et al., GPT-2 (2019), section 2.3
  /// note: at GPT-2's width of 768 this is its 0.02. A product with C terms of deviation s grows a row by s√C, so a
  ///       narrower matrix needs larger entries; a model 128 wide (0.049) ends 2000 steps 0.13 nats lower.
  /// note: each tensor draws from a stream of its own name: adding one changes no other. A family may have deviations of its
  ///       own.
  void init(uint64_t seed);

  /// f(name, tensor) for each parameter: token_embedding.weight, blocks.0.attention.qkv.weight …
  template <class F>
  void visit(const std::string& prefix, F&& f) {
    token_embedding.visit(join_path(prefix, "token_embedding"), f);
    position.visit(join_path(prefix, "position_embedding"), f);
    if (config_.n_segment > 0) segment_embedding.visit(join_path(prefix, "segment_embedding"), f);
    if (config_.embedding_norm) embedding_norm.visit(join_path(prefix, "embedding_norm"), f);
    for (size_t l = 0; l < blocks.size(); ++l) {
      blocks[l].visit(join_path(prefix, "blocks." + std::to_string(l)), f);
    }
    if (config_.final_norm) final_norm.visit(join_path(prefix, "final_norm"), f);
    if (config_.pooler) pooler.visit(join_path(prefix, "pooler"), f);
    if (config_.head == HeadKind::none) return;
    if (config_.head == HeadKind::transformed) {
      head_layer.visit(join_path(prefix, "head.layer"), f);
      head_norm.visit(join_path(prefix, "head.norm"), f);
    }
    if (!config_.tie) output.visit(join_path(prefix, "output"), f);
    if (config_.head_bias) f(join_path(prefix, "output.bias"), output_bias);
  }
  /// The parameters by name, as visit() shows them.
  std::vector<NamedTensor> parameters() const;
  /// Names of those that a loss may leave without a gradient, as the family says: for AdamWOptions::optional.
  std::vector<std::string> optional_parameters() const;
  /// Packs the matrices of the blocks and of the output layer for inference; see Linear::pack(). A token table that is not
  /// tied stays as it is, for only the rows of the text are read.
  /// note: f32 changes no result; bf16 and q8 round the weights, see PackedWeight.
  void pack(WeightFormat format);
  /// Makes all parameters leaves that gather gradients, or no longer so.
  void set_requires_grad(bool on);

  /// The rows after the final norm, or after the last block where there is none.   shape: ids i32 (N) -> (N,C).
  Tensor forward(const Tensor& ids, const Context& context) const;
  /// shape: (…,C) -> (…,V). An error where the model has no output layer.
  Tensor logits(const Tensor& hidden) const;
  /// One vector for each sequence: tanh(pooler(its first row)).   shape: last layer (N,C) -> (B,C).
  /// ref: Devlin et al., BERT (2019), where it is trained to tell whether the second text follows the first
  Tensor pooled(const Tensor& last, const Ragged& sequences) const;
  /// The mean surprise at the targets, in nats; see cross_entropy for targets of -1 and for the divisor. In a causal model
  /// the target of a row is the token that comes next; in others, the token that the row's own place held before it was
  /// masked.
  /// note: with a transformed head only rows with a target get scores, as most have none.
  Tensor loss(const Tensor& ids, const Tensor& targets, const Context& context, double divisor = 0) const;
  /// What layers make of the tokens: a tensor (N,C) for each of `layers`, ascending indices as parse_layers() gives them;
  /// empty: for all, layer_0 … layer_L and, where there is one, final.
  /// note: only the blocks below the last of them run, and only what is asked for is held. With caches every block must
  ///       run, or the next rows would miss its keys.
  std::vector<Tensor> hidden_states(const Tensor& ids, const Context& context,
                                    std::span<const int64_t> layers = {}) const;

  /// What the rows of layer_0 are the sum of, added in this order: `token` (· √C where the Config says so), and where there
  /// are such, `segment` and `position`.   shape: each (N,C).
  /// note: layer_0 is their sum, where the Config says so normalised.
  std::vector<NamedTensor> input_parts(const Tensor& ids, const Context& context) const;

  /// Empty caches for a sequence of up to `capacity` tokens; `dtype` as in KeyValueCache. An error unless the model is
  /// causal.
  LayerCaches make_caches(int64_t capacity, DType dtype = DType::f32) const;

  /// The positions of a configuration, with their tables.
  static Position make_position(const Config& config);

  Embedding token_embedding;
  Position position;
  Embedding segment_embedding;  ///< this and those below are empty where the Config has none
  Norm embedding_norm;
  std::vector<Block> blocks;
  Norm final_norm;
  Linear pooler;
  Linear head_layer;
  Norm head_norm;
  Embedding output;    ///< empty where it is tied to token_embedding
  Tensor output_bias;  ///< (V)

 private:
  Tensor embed(const Tensor& ids, const Context& context) const;
  void check_inputs(const Tensor& ids, const Context& context) const;

  Config config_;
  Dropout embedding_dropout_;
};

/// "layer_0" … "layer_L", then "final", by the index that hidden_states() has for it.
std::string layer_name(int64_t index, int64_t n_layer);
/// Indices for hidden_states() from "all", "final", or numbers with commas ("0,4,-1"); -1 is layer_L, -2 the one before.
/// note: the result is ascending, each once; what is not there is an error that says what is.
std::vector<int64_t> parse_layers(std::string_view text, const Config& config);
/// The index into hidden_states() of what the Hugging Face library has as hidden_states[k], k in [0, L].
int64_t library_state(int64_t k, const Config& config);

}  // namespace gradus
