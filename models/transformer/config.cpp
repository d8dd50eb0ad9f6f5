#include "models/transformer/config.hpp"

#include <array>
#include <limits>

#include "models/transformer/families/family.hpp"
#include "tensor/error.hpp"
#include "tensor/io/bounds.hpp"

namespace gradus {
namespace {

constexpr std::array<Preset, 4> kPresets = {{
    {"nano", 4, 4, 128, 64, 12},
    {"micro", 6, 6, 384, 256, 16},
    {"small", 8, 8, 512, 512, 8},
    {"gpt2", 12, 12, 768, 1024, 4},
}};

template <class T>
struct Named {
  std::string_view name;
  T value;
};
constexpr Named<BlockKind> kBlocks[] = {{"pre_norm", BlockKind::pre_norm},
                                        {"post_norm", BlockKind::post_norm},
                                        {"sandwich", BlockKind::sandwich},
                                        {"parallel", BlockKind::parallel},
                                        {"parallel_shared", BlockKind::parallel_shared}};
constexpr Named<PositionKind> kPositions[] = {{"none", PositionKind::none},
                                              {"learned", PositionKind::learned},
                                              {"sinusoidal", PositionKind::sinusoidal},
                                              {"rotary", PositionKind::rotary}};
constexpr Named<RopeScalingKind> kRopeScalings[] = {{"none", RopeScalingKind::none},
                                                    {"linear", RopeScalingKind::linear},
                                                    {"llama3", RopeScalingKind::llama3},
                                                    {"yarn", RopeScalingKind::yarn}};
constexpr Named<HeadKind> kHeads[] = {
    {"none", HeadKind::none}, {"plain", HeadKind::plain}, {"transformed", HeadKind::transformed}};
constexpr Named<NormKind> kNorms[] = {{"layer", NormKind::layer}, {"rms", NormKind::rms}};
constexpr Named<MlpKind> kActivations[] = {
    {"gelu", MlpKind::gelu},   {"gelu_tanh", MlpKind::gelu_tanh},       {"relu", MlpKind::relu},
    {"silu", MlpKind::silu},   {"relu_squared", MlpKind::relu_squared}, {"swiglu", MlpKind::swiglu},
    {"geglu", MlpKind::geglu}, {"geglu_tanh", MlpKind::geglu_tanh}};

template <class T, size_t N>
std::string_view name_in(const Named<T> (&table)[N], const char* what, T value) {
  for (const Named<T>& entry : table) {
    if (entry.value == value) return entry.name;
  }
  fail("config: ", what, " must be a known kind; it is none of them");
}

template <class T, size_t N>
T parse_in(const Named<T> (&table)[N], const char* what, std::string_view name) {
  std::string names;
  for (const Named<T>& entry : table) {
    if (entry.name == name) return entry.value;
    names += (names.empty() ? "" : ", ") + std::string(entry.name);
  }
  fail("config: ", what, " must be one of ", names, "; it is '", name, "'");
}

// Sums and products of sizes that are known to be >= 0.
class Count {
 public:
  Count(int64_t value) : value_(value) {}
  friend Count operator*(Count a, Count b) { return fitting(checked_multiply(a.value_, b.value_)); }
  friend Count operator+(Count a, Count b) { return fitting(checked_add(a.value_, b.value_)); }
  int64_t value() const { return value_; }

 private:
  static Count fitting(std::optional<int64_t> result) {
    check(result.has_value(),
          "config: the number of parameters must fit in 63 bits; choose a smaller vocab_size, n_embd, "
          "n_ffn or n_layer");
    return *result;
  }
  int64_t value_;
};

constexpr int64_t kMost = std::numeric_limits<int32_t>::max();  // ids are i32

void check_range(const char* field, int64_t value, int64_t low, int64_t high) {
  check(value >= low && value <= high, "config: ", field, " must be in [", low, ", ", high, "]; it is ",
        value);
}

}  // namespace

std::string_view name_of(BlockKind kind) { return name_in(kBlocks, "block", kind); }
std::string_view name_of(PositionKind kind) { return name_in(kPositions, "position", kind); }
std::string_view name_of(RopeScalingKind kind) { return name_in(kRopeScalings, "rope_scaling", kind); }
std::string_view name_of(HeadKind kind) { return name_in(kHeads, "head", kind); }
std::string_view name_of(NormKind kind) { return name_in(kNorms, "norm", kind); }
std::string_view name_of(MlpKind kind) { return name_in(kActivations, "activation", kind); }
BlockKind parse_block(std::string_view name) { return parse_in(kBlocks, "block", name); }
PositionKind parse_position(std::string_view name) { return parse_in(kPositions, "position", name); }
RopeScalingKind parse_rope_scaling(std::string_view name) {
  return parse_in(kRopeScalings, "rope_scaling", name);
}
HeadKind parse_head(std::string_view name) { return parse_in(kHeads, "head", name); }
NormKind parse_norm(std::string_view name) { return parse_in(kNorms, "norm", name); }
MlpKind parse_activation(std::string_view name) { return parse_in(kActivations, "activation", name); }

Config Config::resolved() const {
  check(family, "config: a family must be given; none is; begin with default_config(\"gpt\") or another");
  Config config = *this;
  if (config.n_kv_head == 0) config.n_kv_head = config.n_head;
  if (config.n_ffn == 0) {
    check_range("n_embd", n_embd, 1, kMost);
    config.n_ffn = family->default_ffn(n_embd);
  }
  if (n_head > 0 && head_width * n_head == n_embd) config.head_width = 0;
  if (rotated == config.channels_per_head()) config.rotated = 0;
  return config;
}

int64_t Config::channels_per_head() const {
  return head_width > 0 || n_head == 0 ? head_width : n_embd / n_head;
}

int64_t Config::rotated_channels() const { return rotated > 0 ? rotated : channels_per_head(); }

Visibility Config::visibility(int64_t l) const {
  const int64_t window = windows.empty() ? 0 : windows[static_cast<size_t>(l)];
  return causal ? Visibility::causal(window) : Visibility::both_ways(window);
}

void Config::validate() const {
  check_range("vocab_size", vocab_size, 1, kMost);
  check_range("block_size", block_size, 1, 1 << 20);  // there is a row of positions for each
  check_range("n_layer", n_layer, 1, 100000);
  check_range("n_head", n_head, 1, kMost);
  check_range("n_embd", n_embd, 1, kMost);
  check_range("head_width", head_width, 0, kMost);
  check(head_width > 0 || n_embd % n_head == 0, "config: n_embd must be a multiple of n_head; n_embd is ",
        n_embd, ", n_head is ", n_head, "; each head takes n_embd / n_head channels");
  const Config full = resolved();
  check_range("n_kv_head", full.n_kv_head, 1, n_head);
  check(n_head % full.n_kv_head == 0, "config: n_head must be a multiple of n_kv_head; n_head is ", n_head,
        ", n_kv_head is ", full.n_kv_head, "; each key/value head serves n_head / n_kv_head query heads");
  check_range("n_ffn", full.n_ffn, 1, kMost);
  if (position == PositionKind::rotary) {
    check(rotated_channels() % 2 == 0, "config: rotary positions need an even head width; ",
          head_width > 0 || rotated > 0 ? "it is " : "n_embd / n_head is ", rotated_channels(),
          "; choose another n_embd or n_head");
    check_range("rotated", rotated_channels(), 2, channels_per_head());
    check_rope_scaling(rope_scaling);
    check(rope_local_base == 0 || (rope_local_base > 1 && rope_local_base < 1e15),
          "config: rope_local_base must be in (1, 1e15); it is ", rope_local_base);
  }
  check_range("first_position", first_position, 0, 1 << 20);
  check_range("n_segment", n_segment, 0, kMost);
  check(windows.empty() || std::ssize(windows) == n_layer, "config: windows must be given for each of the ",
        n_layer, " layers; they are for ", windows.size());
  for (const int64_t window : windows) check_range("windows", window, 0, kMost);
  check(attention_scale >= 0 && attention_scale < 1e9, "config: attention_scale must be in [0, 1e9); it is ",
        attention_scale);
  check(head != HeadKind::transformed || !head_activation.gate,
        "config: head_activation must be one without a gate; it is ", name_of(head_activation));
  check(norm_epsilon > 0 && norm_epsilon < 1, "config: norm_epsilon must be in (0, 1); it is ", norm_epsilon);
  check(rope_base > 1 && rope_base < 1e15, "config: rope_base must be in (1, 1e15); it is ", rope_base);
  check(dropout >= 0 && dropout < 1, "config: dropout must be in [0, 1); it is ", dropout);
  for (const int64_t id : end_tokens) {
    check(id >= 0 && id < vocab_size, "config: end_tokens must be ids below vocab_size ", vocab_size,
          "; one is ", id);
  }
  check(is_floating(dtype), "config: dtype must be f32 or f64; it is ", dtype_name(dtype));
  parameter_count(*this);
}

namespace {

// The weights of one layer's matrices.
struct BlockMatrices {
  Count qkv, output, mlp;
};

BlockMatrices block_matrices(const Config& c) {
  const Count width = c.n_embd;
  return {.qkv = c.channels_per_head() * (Count(c.n_head) + Count(2) * c.n_kv_head) * width,
          .output = Count(c.n_head) * c.channels_per_head() * width,
          .mlp = Count(2 + c.activation.gate) * c.n_ffn * width};
}

}  // namespace

int64_t parameter_count(const Config& config) {
  const Config c = config.resolved();
  const Count width = c.n_embd, layers = c.n_layer;
  const auto norm = [&](const Count& channels) { return channels * (1 + (c.norm_bias && has_bias(c.norm))); };
  const auto if_there = [](bool there, const Count& count) { return there ? count : Count(0); };
  const BlockMatrices matrices = block_matrices(c);
  Count block = matrices.qkv + matrices.output + matrices.mlp;
  block =
      block + if_there(c.attention_bias, c.channels_per_head() * (Count(c.n_head) + Count(2) * c.n_kv_head));
  block = block + if_there(c.attention_output_bias, width);
  block = block + if_there(c.query_key_norm, norm(c.channels_per_head()) * 2);
  block = block + if_there(c.mlp_bias, Count(c.n_ffn) * (1 + c.activation.gate) + width);
  block = block + norm(width) * (has_mlp_norm(c.block) + 2 * has_outer_norms(c.block));

  const Count table = Count(c.vocab_size) * width;
  Count total = table + layers * block + norm(width) * (layers.value() - !c.first_norm);
  total = total + if_there(has_table(c.position), (Count(c.first_position) + c.block_size) * width);
  total = total + Count(c.n_segment) * width + norm(width) * (int64_t{c.embedding_norm} + c.final_norm);
  total = total + if_there(c.pooler, width * width + width);
  if (c.head == HeadKind::none) return total.value();
  total = total + if_there(!c.tie, table) + if_there(c.head_bias, c.vocab_size);
  if (c.head == HeadKind::transformed)
    total = total + width * width + if_there(c.head_layer_bias, width) + norm(width);
  return total.value();
}

int64_t matrix_weight_count(const Config& config) {
  const Config c = config.resolved();
  const Count width = c.n_embd;
  const BlockMatrices matrices = block_matrices(c);
  Count total = Count(c.n_layer) * (matrices.qkv + matrices.output + matrices.mlp);
  if (c.head == HeadKind::transformed) total = total + width * width;
  return (total + (c.head == HeadKind::none ? Count(0) : Count(c.vocab_size) * width)).value();
}

std::span<const Preset> presets() { return kPresets; }

const Preset& find_preset(std::string_view name) {
  std::string names;
  for (const Preset& preset : kPresets) {
    if (preset.name == name) return preset;
    names += (names.empty() ? "" : ", ") + std::string(preset.name);
  }
  fail("config: preset must be one of ", names, "; it is '", name, "'");
}

Config make_config(std::string_view family, const Preset& preset, int64_t vocab_size) {
  Config config = default_config(family);
  config.vocab_size = vocab_size;
  config.block_size = preset.block_size;
  config.n_layer = preset.n_layer;
  config.n_head = preset.n_head;
  config.n_embd = preset.n_embd;
  return config.resolved();
}

}  // namespace gradus
