#include "models/transformer/transformer.hpp"

#include <algorithm>
#include <charconv>
#include <utility>

#include "models/transformer/families/family.hpp"
#include "nn/init.hpp"
#include "tensor/math.hpp"

namespace gradus {

namespace {

NormOptions norm_options(const Config& config) {
  return {.kind = config.norm,
          .epsilon = config.norm_epsilon,
          .bias = config.norm_bias,
          .offset = config.norm_offset};
}

BlockOptions block_options(const Config& c, int64_t l) {
  return {.kind = c.block,
          .attention = {.width = c.n_embd,
                        .heads = c.n_head,
                        .kv_heads = c.n_kv_head,
                        .head_width = c.channels_per_head(),
                        .bias = c.attention_bias,
                        .output_bias = c.attention_output_bias,
                        .query_key_norm = c.query_key_norm,
                        .norm = norm_options(c),
                        .visibility = c.visibility(l),
                        .scale = c.attention_scale,
                        .local = !c.windows.empty() && c.windows[static_cast<size_t>(l)] > 0},
          .inner = c.n_ffn,
          .mlp = c.activation,
          .mlp_bias = c.mlp_bias,
          .attention_norm = l > 0 || c.first_norm,
          .dropout = c.dropout,
          .dtype = c.dtype};
}

}  // namespace

Transformer::Transformer(const Config& config) : config_(config.resolved()) {
  config_.validate();
  const Config& c = config_;
  const auto norm = [&](const char* path) { return Norm(path, c.n_embd, norm_options(c), c.dtype); };
  token_embedding = Embedding("token_embedding", c.vocab_size, c.n_embd, c.dtype);
  position = make_position(c);
  if (c.n_segment > 0) segment_embedding = Embedding("segment_embedding", c.n_segment, c.n_embd, c.dtype);
  if (c.embedding_norm) embedding_norm = norm("embedding_norm");
  embedding_dropout_ = Dropout("token_embedding.dropout", c.dropout);
  blocks.reserve(static_cast<size_t>(c.n_layer));
  for (int64_t l = 0; l < c.n_layer; ++l)
    blocks.emplace_back("blocks." + std::to_string(l), block_options(c, l));
  if (c.final_norm) final_norm = norm("final_norm");
  if (c.pooler) pooler = Linear("pooler", c.n_embd, c.n_embd, true, c.dtype);
  if (c.head == HeadKind::none) return;
  if (c.head == HeadKind::transformed) {
    head_layer = Linear("head.layer", c.n_embd, c.n_embd, c.head_layer_bias, c.dtype);
    head_norm = norm("head.norm");
  }
  if (!c.tie) output = Embedding("output", c.vocab_size, c.n_embd, c.dtype);
  if (c.head_bias) output_bias = Tensor::zeros({c.vocab_size}, c.dtype);
}

Position Transformer::make_position(const Config& config) {
  const Config c = config.resolved();
  return Position("position_embedding",
                  {.kind = c.position,
                   .positions = c.block_size,
                   .width = c.n_embd,
                   .first_row = c.first_position,
                   .base = c.rope_base,
                   .rotated = c.rotated_channels(),
                   .scaling = c.rope_scaling,
                   .local_base = c.rope_local_base},
                  c.dtype);
}

namespace {

// See Transformer::init().
double stack_deviation(const Config& config, std::string_view parameter) {
  constexpr double kDeviation = 0.02;
  constexpr double kGpt2Width = 768;
  if (!parameter.starts_with("blocks.")) return kDeviation;
  const double deviation = kDeviation * math::sqrt(kGpt2Width / static_cast<double>(config.n_embd));
  const bool ends_branch =
      parameter.ends_with(".attention.output.weight") || parameter.ends_with(".mlp.down.weight");
  return ends_branch ? deviation / math::sqrt(2.0 * static_cast<double>(config.n_layer)) : deviation;
}

}  // namespace

void Transformer::init(uint64_t seed) {
  visit("", [&](const std::string& name, Tensor& tensor) {
    if (name.ends_with(".bias")) {
      init_zeros(tensor);
    } else if (tensor.rank() == 1) {  // of a norm
      config_.norm_offset ? init_zeros(tensor) : init_ones(tensor);
    } else {
      const auto own = config_.family->deviation;
      init_normal(tensor, own ? own(config_, name) : stack_deviation(config_, name),
                  Random(seed, stream_of(name + ".init")));
    }
  });
}

std::vector<NamedTensor> Transformer::parameters() const {
  std::vector<NamedTensor> list;
  Transformer handles = *this;
  handles.visit("", [&](const std::string& name, Tensor& tensor) { list.push_back({name, tensor}); });
  return list;
}

std::vector<std::string> Transformer::optional_parameters() const {
  std::vector<std::string> names;
  if (const auto may_lack = config_.family->may_lack_gradient) {
    for (const NamedTensor& named : parameters()) {
      if (may_lack(config_, named.name)) names.push_back(named.name);
    }
  }
  return names;
}

void Transformer::pack(WeightFormat format) {
  for (Block& block : blocks) {
    block.attention.pack(format);
    block.mlp.pack(format);
  }
  if (config_.head == HeadKind::transformed) head_layer.pack(format);
  if (config_.head != HeadKind::none) (config_.tie ? token_embedding : output).pack(format);
}

void Transformer::set_requires_grad(bool on) {
  visit("", [&](const std::string&, Tensor& tensor) { tensor.set_requires_grad(on); });
}

Tensor Transformer::forward(const Tensor& ids, const Context& context) const {
  const int64_t last[] = {config_.last_layer()};
  return std::move(hidden_states(ids, context, last).front());
}

std::vector<Tensor> Transformer::hidden_states(const Tensor& ids, const Context& context,
                                               std::span<const int64_t> layers) const {
  std::vector<int64_t> wanted(layers.begin(), layers.end());
  if (wanted.empty()) wanted = parse_layers("all", config_);
  for (size_t i = 0; i < wanted.size(); ++i) {
    check(wanted[i] >= 0 && wanted[i] <= config_.last_layer() && (i == 0 || wanted[i - 1] < wanted[i]),
          "transformer: layers must be ascending numbers in [0, ", config_.last_layer(), "]; number ", i,
          " of those given is ", wanted[i]);
  }
  check(context.caches.empty() || wanted.back() >= config_.n_layer,
        "transformer: with caches every block must run; the last layer asked for is ", wanted.back(), " of ",
        config_.n_layer, "; ask for that too");

  const auto run_block = [&](int64_t l, const Tensor& x) {
    std::vector<KeyValueCache*> caches;  // this layer's of each sequence
    for (LayerCaches* sequence : context.caches) caches.push_back(&(*sequence)[static_cast<size_t>(l)]);
    return blocks[static_cast<size_t>(l)](x, position, context, caches);
  };
  std::vector<Tensor> states;
  Tensor x = embed(ids, context);
  for (int64_t l = 0;; ++l) {  // x is layer l
    if (wanted[states.size()] == l) states.push_back(x);
    if (states.size() == wanted.size()) return states;
    x = l < config_.n_layer ? run_block(l, x) : final_norm(x);
  }
}

std::vector<NamedTensor> Transformer::input_parts(const Tensor& ids, const Context& context) const {
  check_inputs(ids, context);
  Tensor token = token_embedding(ids);  // (N) -> (N,C)
  if (config_.embedding_scale) token = token * math::sqrt(static_cast<double>(config_.n_embd));
  std::vector<NamedTensor> parts = {{"token", token}};
  if (config_.n_segment > 0) {
    const Tensor first = Tensor::zeros(ids.shape(), DType::i32);
    parts.push_back({"segment", segment_embedding(context.segments.defined() ? context.segments : first)});
  }
  if (const Tensor rows = position.rows(context.positions); rows.defined())
    parts.push_back({"position", rows});
  return parts;
}

Tensor Transformer::embed(const Tensor& ids, const Context& context) const {
  Tensor x;
  for (const NamedTensor& part : input_parts(ids, context)) x = x.defined() ? x + part.tensor : part.tensor;
  if (config_.embedding_norm) x = embedding_norm(x);
  return embedding_dropout_(x, context);
}

void Transformer::check_inputs(const Tensor& ids, const Context& context) const {
  check(ids.rank() == 1 && ids.dtype() == DType::i32 && ids.size(0) >= 1,
        "transformer: ids must be i32 of shape (N), N at least 1; they are ", dtype_name(ids.dtype()),
        " of shape ", ids.shape());
  check(context.positions.shape() == ids.shape(),
        "transformer: the context must be made for as many rows as there "
        "are ids; it has ",
        context.positions.shape(), ", ids are ", ids.shape());
  if (context.segments.defined()) {
    check(config_.n_segment > 0,
          "transformer: segments must not be given to a model without segment embeddings; "
          "they are");
    check(context.segments.shape() == ids.shape(),
          "transformer: there must be a segment for each id; segments are ", context.segments.shape(),
          ", ids are ", ids.shape());
  }
  const std::vector<int64_t>& offsets = context.sequences.offsets;
  check(context.caches.empty() || context.caches.size() + 1 == offsets.size(), "transformer: each of ",
        offsets.size() - 1, " sequences must have caches; there are those of ", context.caches.size());
  for (size_t b = 0; b < context.caches.size(); ++b) {
    check(context.caches[b]->size() == blocks.size(), "transformer: there must be a cache for each of ",
          blocks.size(), " layers; sequence ", b, " has ", context.caches[b]->size());
  }
  for (size_t b = 0; b + 1 < offsets.size(); ++b) {
    const int64_t past = context.caches.empty() ? 0 : context.caches[b]->front().rows;
    const int64_t length = past + offsets[b + 1] - offsets[b];
    check(length <= config_.block_size,
          "transformer: a sequence may have at most block_size tokens; sequence ", b, " has ", length,
          ", block_size is ", config_.block_size, "; cut it into shorter ones");
  }
}

Tensor Transformer::logits(const Tensor& hidden) const {
  check(config_.head != HeadKind::none,
        "transformer: the model must have an output layer to give scores for tokens; it has none; its layers "
        "can be "
        "read with hidden_states()");
  Tensor x = hidden;
  if (config_.head == HeadKind::transformed) x = head_norm(head_layer(x, config_.head_activation.activation));
  x = (config_.tie ? token_embedding : output).logits(x);
  return config_.head_bias ? x + output_bias : x;
}

Tensor Transformer::pooled(const Tensor& last, const Ragged& sequences) const {
  check(config_.pooler, "transformer: the model must have a pooler; it has none");
  std::vector<int32_t> first;
  for (int64_t b = 0; b < sequences.count(); ++b) {
    const int64_t row = sequences.offsets[static_cast<size_t>(b)];
    check(row < sequences.offsets[static_cast<size_t>(b) + 1],
          "transformer: a sequence must have a first row to be pooled; sequence ", b, " is empty");
    first.push_back(static_cast<int32_t>(row));
  }
  const int64_t count = std::ssize(first);
  return tanh(pooler(embedding(last, Tensor::from(std::span<const int32_t>(first), {count}))));
}

Tensor Transformer::loss(const Tensor& ids, const Tensor& targets, const Context& context,
                         double divisor) const {
  const Tensor rows = forward(ids, context);
  if (config_.head != HeadKind::transformed) return cross_entropy(logits(rows), targets, divisor);
  check(targets.shape() == ids.shape() && targets.dtype() == DType::i32,
        "transformer: there must be an i32 target for each id, -1 where none is; targets are ",
        dtype_name(targets.dtype()), " ", targets.shape(), ", ids are ", ids.shape());
  std::vector<int32_t> masked, tokens;
  const std::vector<int32_t> all = targets.to_vector<int32_t>();
  for (size_t i = 0; i < all.size(); ++i) {
    if (all[i] == -1) continue;
    masked.push_back(static_cast<int32_t>(i));
    tokens.push_back(all[i]);
  }
  const Shape count = {std::ssize(masked)};
  const auto list = [&](const std::vector<int32_t>& values) {
    return Tensor::from(std::span<const int32_t>(values), count);
  };
  return cross_entropy(logits(embedding(rows, list(masked))), list(tokens), divisor);
}

LayerCaches Transformer::make_caches(int64_t capacity, DType dtype) const {
  check(
      config_.causal,
      "transformer: only a causal model can generate with caches; in this one a token takes from those after "
      "it too, so that a new one changes all before it; read whole texts with forward()");
  LayerCaches caches;
  for (size_t l = 0; l < blocks.size(); ++l) {
    caches.emplace_back(capacity, config_.n_kv_head, config_.channels_per_head(), dtype);
  }
  return caches;
}

std::string layer_name(int64_t index, int64_t n_layer) {
  check(index >= 0 && index <= n_layer + 1, "layers: an index must be in [0, ", n_layer + 1, "]; it is ",
        index);
  return index == n_layer + 1 ? "final" : "layer_" + std::to_string(index);
}

std::vector<int64_t> parse_layers(std::string_view text, const Config& config) {
  const int64_t n_layer = config.n_layer;
  std::vector<int64_t> layers;
  for (size_t begin = 0; begin <= text.size();) {
    const size_t end = std::min(text.find(',', begin), text.size());
    const std::string_view item = text.substr(begin, end - begin);
    begin = end + 1;
    if (item == "all") {
      for (int64_t l = 0; l <= config.last_layer(); ++l) layers.push_back(l);
    } else if (item == "final") {
      check(config.final_norm,
            "layers: 'final' must be there to be chosen; this model has no norm behind its last "
            "block; its last layer is ",
            n_layer, ", or -1");
      layers.push_back(n_layer + 1);
    } else {
      int64_t number = 0;
      const auto [rest, error] = std::from_chars(item.data(), item.data() + item.size(), number);
      check(error == std::errc() && rest == item.data() + item.size() && number >= -n_layer - 1 &&
                number <= n_layer,
            "layers: each must be a number in [", -n_layer - 1, ", ", n_layer, "], 'final' or 'all'; '", item,
            "' was given; the model has ", n_layer, " layers, and layer 0 is what enters the first");
      layers.push_back(number < 0 ? number + n_layer + 1 : number);
    }
  }
  std::sort(layers.begin(), layers.end());
  layers.erase(std::unique(layers.begin(), layers.end()), layers.end());
  return layers;
}

int64_t library_state(int64_t k, const Config& config) {
  check(k >= 0 && k <= config.n_layer, "hidden_states: the index must be in [0, ", config.n_layer,
        "]; it is ", k);
  return k == config.n_layer && config.final_norm && config.family->last_state_is_final ? k + 1 : k;
}

}  // namespace gradus
