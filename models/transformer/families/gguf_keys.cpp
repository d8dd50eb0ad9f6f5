#include "models/transformer/families/gguf_keys.hpp"

#include <algorithm>
#include <cmath>

#include "tensor/error.hpp"
#include "tensor/ops.hpp"

namespace gradus {

GgufKeys::GgufKeys(const GgufFile& file)
    : file_(file), architecture_(file.at("general.architecture").as_string()) {}

const GgufValue* GgufKeys::find(std::string_view key) {
  const std::string name = named(key);
  const GgufValue* value = file_.find(name);
  if (value) seen_.insert(name);
  return value;
}

int64_t GgufKeys::integer(std::string_view key) {
  find(key);
  return file_.at(named(key)).as_integer();
}

void GgufKeys::optional(std::string_view key, int64_t& field) {
  if (const GgufValue* value = find(key)) field = value->as_integer();
}

void GgufKeys::optional(std::string_view key, double& field) {
  if (const GgufValue* value = find(key)) field = value->as_decimal();
}

void GgufKeys::optional(std::string_view key, bool& field) {
  if (const GgufValue* value = find(key)) field = value->as_boolean();
}

void GgufKeys::must_be(std::string_view key, bool expected) {
  bool value = expected;
  optional(key, value);
  check_world(value == expected, path(), ": ", named(key), " must be ", expected ? "true" : "false",
              "; it is not; models with the other choice are not supported");
}

void GgufKeys::must_be(std::string_view key, int64_t expected) {
  int64_t value = expected;
  optional(key, value);
  check_world(value == expected, path(), ": ", named(key), " must be ", expected, "; it is ", value,
              "; models with another are not supported");
}

void GgufKeys::must_be(std::string_view key, double expected) {
  double value = expected;
  optional(key, value);
  check_world(value == expected, path(), ": ", named(key), " must be ", expected, "; it is ", value,
              "; models with another are not supported");
}

void GgufKeys::finish() const {
  for (const std::string_view key : file_.keys()) {
    check_world(!key.starts_with(architecture_ + ".") || seen_.contains(std::string(key)), path(),
                ": every key must be known, for it may change what the model computes; '", key,
                "' is not; models with it are not supported");
  }
}

const GgufTensor* GgufKeys::find_tensor(std::string_view name) const {
  const std::vector<GgufTensor>& tensors = file_.tensors();
  const auto found = std::find_if(tensors.begin(), tensors.end(),
                                  [&](const GgufTensor& tensor) { return tensor.name == name; });
  return found == tensors.end() ? nullptr : &*found;
}

const GgufTensor& GgufKeys::tensor(std::string_view name) const {
  const GgufTensor* found = find_tensor(name);
  check_world(found != nullptr && found->shape.rank() > 0, path(), ": must hold the tensor '", name,
              "'; it does not");
  return *found;
}

int64_t GgufKeys::rows(std::string_view name) const { return tensor(name).shape[0]; }

std::vector<double> GgufKeys::values(std::string_view name) const {
  tensor(name);
  return cast(file_.tensor(name), DType::f64).to_vector<double>();
}

void read_gguf_sizes(GgufKeys& keys, Config& config) {
  config.vocab_size = keys.rows("token_embd.weight");
  keys.find("vocab_size");  // the table has as many rows as it has
  config.block_size = keys.integer("context_length");
  config.n_embd = keys.integer("embedding_length");
  config.n_layer = keys.integer("block_count");
  config.n_head = keys.integer("attention.head_count");
  config.n_ffn = keys.integer("feed_forward_length");
  keys.optional("attention.head_count_kv", config.n_kv_head);
  keys.optional("attention.key_length", config.head_width);
  int64_t value_length = config.head_width;
  keys.optional("attention.value_length", value_length);
  check_world(value_length == config.head_width ||
                  (config.head_width == 0 && value_length * config.n_head == config.n_embd),
              keys.path(), ": ", keys.architecture(),
              ".attention.value_length must be attention.key_length, ", config.head_width, "; it is ",
              value_length, "; models with another are not supported");
  keys.optional(
      config.norm == NormKind::rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon",
      config.norm_epsilon);
  keys.must_be("attention.causal", config.causal);
  keys.must_be("expert_count", int64_t{0});
  keys.must_be("expert_used_count", int64_t{0});
  keys.find("tensor_data_layout");  // where the weights came from
  keys.find("pooling_type");        // of vectors of texts, which are made outside the model
  check_world(config.n_head >= 1, keys.path(), ": ", keys.architecture(),
              ".attention.head_count must be at least 1; it is ", config.n_head);
  // A layer's parameters take memory before its tensors are looked for.
  const std::string last = "blk." + std::to_string(config.n_layer - 1) + ".ffn_down.weight";
  check_world(config.n_layer >= 1 && keys.has_tensor(last), keys.path(), ": ", keys.architecture(),
              ".block_count must be the number of layers; it is ", config.n_layer,
              ", and there is no tensor '", last, "'");
}

void write_gguf_sizes(GgufKeyWriter& keys, const Config& c) {
  keys.integer("vocab_size", c.vocab_size);
  keys.integer("context_length", c.block_size);
  keys.integer("embedding_length", c.n_embd);
  keys.integer("block_count", c.n_layer);
  keys.integer("feed_forward_length", c.n_ffn);
  keys.integer("attention.head_count", c.n_head);
  keys.integer("attention.head_count_kv", c.n_kv_head);
  if (c.head_width != 0) {
    keys.integer("attention.key_length", c.head_width);
    keys.integer("attention.value_length", c.head_width);
  }
  keys.number(c.norm == NormKind::rms ? "attention.layer_norm_rms_epsilon" : "attention.layer_norm_epsilon",
              c.norm_epsilon);
  if (!c.causal) keys.boolean("attention.causal", false);
}

namespace {

constexpr double kTurn = 6.283185307179586;  // 2π
constexpr int64_t kPositions = 8192;

// Waves for one turn in 1/start … 1/end positions are slowed down in part.
RopeScaling llama3_between(double factor, double start, double end) {
  RopeScaling scaling;
  scaling.kind = RopeScalingKind::llama3;
  scaling.factor = factor;
  scaling.original_positions = kPositions;
  scaling.low_freq_factor = start * static_cast<double>(kPositions);
  scaling.high_freq_factor = end * static_cast<double>(kPositions);
  return scaling;
}

double rounded(double number) { return std::round(number * 1e3) / 1e3; }

}  // namespace

RopeScaling llama3_scaling(const std::vector<double>& factors, int64_t rotated, double base,
                           const std::string& path) {
  check_world(std::ssize(factors) * 2 == rotated, path,
              ": tensor 'rope_freqs.weight' must have a factor for every two of ", rotated,
              " channels that turn; it has ", factors.size());
  const std::vector<double> plain = rotary_frequencies(rotated, base, {});
  if (std::all_of(factors.begin(), factors.end(), [](double f) { return f == 1; })) return {};
  const auto fits = [&](const RopeScaling& scaling) {
    if (!(scaling.low_freq_factor > 0 && scaling.high_freq_factor > scaling.low_freq_factor)) return false;
    const std::vector<double> scaled = rotary_frequencies(rotated, base, scaling);
    for (size_t i = 0; i < plain.size(); ++i) {
      if (!(std::fabs(plain[i] / scaled[i] / factors[i] - 1) < 2e-6)) return false;
    }
    return true;
  };
  // Frequencies fall: first those left alone, then those slowed down in part, s of the way back, then the others.
  const double factor = factors.back();
  std::vector<std::pair<double, double>> between;  // turns in a position, s
  double above = 2 * plain.front() / kTurn, below = plain.back() / kTurn / 2;
  for (size_t i = 0; i < plain.size(); ++i) {
    const double turns = plain[i] / kTurn;
    if (factors[i] == 1) {
      above = turns;
    } else if (factors[i] < factor) {
      between.emplace_back(turns, (1 / factors[i] - 1 / factor) / (1 - 1 / factor));
    } else {
      below = turns;
      break;
    }
  }
  std::vector<RopeScaling> candidates = {llama3_between(factor, 1.0 / kPositions, 4.0 / kPositions)};
  if (between.size() > 1) {
    // s is a line over the turns.
    const auto [x1, s1] = between.front();
    const auto [x0, s0] = between.back();
    const double slope = (s1 - s0) / (x1 - x0);
    const RopeScaling solved = llama3_between(factor, x0 - s0 / slope, x0 + (1 - s0) / slope);
    RopeScaling simple = solved;
    simple.low_freq_factor = rounded(simple.low_freq_factor);
    simple.high_freq_factor = rounded(simple.high_freq_factor);
    candidates.insert(candidates.end(), {simple, solved});
  } else {
    // Several lines do: one that keeps to the room between the neighbours.
    const auto [x, s] = between.empty() ? std::pair((above + below) / 2, 0.5) : between.front();
    const double width = std::min((x - below) / s, (above - x) / (1 - s)) / 2;
    candidates.push_back(llama3_between(factor, x - s * width, x + (1 - s) * width));
  }
  const auto found = std::find_if(candidates.begin(), candidates.end(), fits);
  check_world(
      found != candidates.end(), path,
      ": the factors of tensor 'rope_freqs.weight' must be those of the scaling llama3; they are not; "
      "models with others are not supported");
  return *found;
}

void read_gguf_rope(GgufKeys& keys, Config& config) {
  keys.optional("rope.freq_base", config.rope_base);
  keys.optional("rope.dimension_count", config.rotated);
  RopeScaling& s = config.rope_scaling;
  std::string_view kind = "none";
  if (const GgufValue* type = keys.find("rope.scaling.type")) kind = type->as_string();
  keys.optional("rope.scaling.factor", s.factor);
  keys.find("rope.scaling.finetuned");  // how it was made
  if (s.factor == 0) s.factor = 1;
  if (kind == "linear") {
    s.kind = RopeScalingKind::linear;
  } else if (kind == "yarn") {
    s.kind = RopeScalingKind::yarn;
    s.original_positions = config.block_size;
    keys.optional("rope.scaling.original_context_length", s.original_positions);
    keys.optional("rope.scaling.yarn_beta_fast", s.beta_fast);
    keys.optional("rope.scaling.yarn_beta_slow", s.beta_slow);
    keys.must_be("rope.scaling.yarn_ext_factor", 1.0);
    keys.must_be("rope.scaling.yarn_attn_factor", 1.0);
  } else {
    check_world(kind == "none", keys.path(), ": ", keys.architecture(),
                ".rope.scaling.type must be none, linear or yarn; it is '", kind,
                "'; models with it are not supported");
    s = {};
  }
  keys.must_be("rope.scaling.attn_factor", 1.0);
  // The name that older files have for the factor of a linear scaling.
  double linear = 1;
  keys.optional("rope.scale_linear", linear);
  if (linear != 1 && linear != 0 && s.kind == RopeScalingKind::none) {
    s.kind = RopeScalingKind::linear;
    s.factor = linear;
  }
  if (keys.has_tensor("rope_freqs.weight")) {
    check_world(s.kind == RopeScalingKind::none, keys.path(),
                ": must have one scaling of rotary positions; it has the tensor 'rope_freqs.weight' beside ",
                keys.architecture(), ".rope.scaling.type, '", kind, "'");
    s = llama3_scaling(keys.values("rope_freqs.weight"), config.rotated_channels(), config.rope_base,
                       keys.path());
  }
}

void write_gguf_rope(GgufKeyWriter& keys, const Config& c) {
  keys.number("rope.freq_base", c.rope_base);
  keys.integer("rope.dimension_count", c.rotated_channels());
  const RopeScaling& s = c.rope_scaling;
  switch (s.kind) {
    case RopeScalingKind::none:
    case RopeScalingKind::llama3: return;
    case RopeScalingKind::linear: break;
    case RopeScalingKind::yarn:
      keys.integer("rope.scaling.original_context_length", s.original_positions);
      keys.number("rope.scaling.yarn_beta_fast", s.beta_fast);
      keys.number("rope.scaling.yarn_beta_slow", s.beta_slow);
      break;
  }
  keys.text("rope.scaling.type", name_of(s.kind));
  keys.number("rope.scaling.factor", s.factor);
}

Tensor llama3_factors(const RopeScaling& scaling, int64_t rotated, double base) {
  const std::vector<double> plain = rotary_frequencies(rotated, base, {});
  const std::vector<double> scaled = rotary_frequencies(rotated, base, scaling);
  std::vector<float> factors;
  for (size_t i = 0; i < plain.size(); ++i) factors.push_back(static_cast<float>(plain[i] / scaled[i]));
  return Tensor::from(std::span<const float>(factors), {std::ssize(factors)});
}

}  // namespace gradus
