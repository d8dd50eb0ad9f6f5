#include <optional>
#include <string>
#include <utility>

#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/families/family.hpp"
#include "tensor/error.hpp"

namespace gradus {
namespace {

constexpr const char* kOwnKey = "gradus";
constexpr std::string_view kOwnPrefix = "gradus_";

// Keys that change nothing in what a model computes: what other programs do with it, how it was trained, and layers of
// tasks that are not here.
constexpr std::string_view kPassedOver[] = {"_name_or_path",
                                            "_attn_implementation",
                                            "architectures",
                                            "attention_dropout",
                                            "attention_probs_dropout_prob",
                                            "attn_pdrop",
                                            "bos_token_id",
                                            "chunk_size_feed_forward",
                                            "classifier_dropout",
                                            "finetuning_task",
                                            "gradient_checkpointing",
                                            "id2label",
                                            "initializer_range",
                                            "is_llama_config",
                                            "label2id",
                                            "num_labels",
                                            "output_attentions",
                                            "output_hidden_states",
                                            "output_past",
                                            "pad_token_id",
                                            "pretraining_tp",
                                            "problem_type",
                                            "return_dict",
                                            "summary_activation",
                                            "summary_first_dropout",
                                            "summary_proj_to_labels",
                                            "summary_type",
                                            "summary_use_proj",
                                            "task_specific_params",
                                            "transformers.js_config",
                                            "transformers_version",
                                            "use_cache"};

DType dtype_from(const Json& value) {
  const std::string& name = value.as_string();
  if (name == "float64") return DType::f64;
  check_world(name == "float32" || name == "float16" || name == "bfloat16", value.path(),
              ": must be float32, float64, float16 or bfloat16; it is '", name, "'");
  return DType::f32;  // what 16-bit weights are computed in
}

const char* name_in_file(DType dtype) {
  switch (dtype) {
    case DType::f32: return "float32";
    case DType::f64: return "float64";
    case DType::bf16:
    case DType::f16:
    case DType::i32: break;  // no model computes in them, see Config::validate()
  }
  fail("config: dtype must be f32 or f64; it is ", dtype_name(dtype));
}

void read_common(ConfigKeys& keys, Config& config) {
  config.vocab_size = keys.integer("vocab_size");
  keys.optional("tie_word_embeddings", config.tie);
  keys.optional("torch_dtype", config.dtype, dtype_from);
  keys.optional("dtype", config.dtype, dtype_from);
  if (const Json* end = keys.find("eos_token_id")) {
    if (end->kind() == Json::Kind::array) {
      for (const Json& id : end->as_array()) config.end_tokens.push_back(id.as_integer());
    } else {
      config.end_tokens = {end->as_integer()};
    }
  }
  for (const std::string_view key : {"add_cross_attention", "is_encoder_decoder", "is_decoder"})
    keys.must_be(key, false);
  for (const std::string_view key : kPassedOver) keys.find(key);
}

// A choice that a family's own keys may be unable to say.
struct OwnChoice {
  const char* key;
  bool in_function;  // whether it changes what the model computes, and not only how it is trained
  Json (*get)(const Config&);
  void (*set)(Config&, const Json&);
};

Json to_json(int64_t value) { return value; }
Json to_json(double value) { return value; }
Json to_json(bool value) { return value; }
Json to_json(const std::optional<bool>& value) { return value ? Json(*value) : Json(); }
Json to_json(const std::vector<int64_t>& values) {
  Json list = Json::array();
  for (const int64_t value : values) list.push(value);
  return list;
}
Json to_json(const RopeScaling& s) {
  Json json = Json::object();
  json.set("kind", name_of(s.kind));
  json.set("factor", s.factor);
  json.set("original_positions", s.original_positions);
  json.set("low_freq_factor", s.low_freq_factor);
  json.set("high_freq_factor", s.high_freq_factor);
  json.set("beta_fast", s.beta_fast);
  json.set("beta_slow", s.beta_slow);
  json.set("truncate", s.truncate);
  json.set("attention_factor", s.attention_factor);
  json.set("mscale", s.mscale);
  json.set("mscale_all_dim", s.mscale_all_dim);
  return json;
}
template <class Kind>
Json to_json(Kind kind) {
  return name_of(kind);
}

void from_json(const Json& value, int64_t& field) { field = value.as_integer(); }
void from_json(const Json& value, double& field) { field = value.as_number(); }
void from_json(const Json& value, bool& field) { field = value.as_boolean(); }
void from_json(const Json& value, std::optional<bool>& field) { field = value.as_boolean(); }
void from_json(const Json& value, std::vector<int64_t>& field) {
  field.clear();
  for (const Json& item : value.as_array()) field.push_back(item.as_integer());
}
void from_json(const Json& value, RopeScaling& field) {
  ConfigKeys keys(value);
  keys.optional("kind", field.kind, [](const Json& kind) { return parse_rope_scaling(kind.as_string()); });
  keys.optional("factor", field.factor);
  keys.optional("original_positions", field.original_positions);
  keys.optional("low_freq_factor", field.low_freq_factor);
  keys.optional("high_freq_factor", field.high_freq_factor);
  keys.optional("beta_fast", field.beta_fast);
  keys.optional("beta_slow", field.beta_slow);
  keys.optional("truncate", field.truncate);
  keys.optional("attention_factor", field.attention_factor);
  keys.optional("mscale", field.mscale);
  keys.optional("mscale_all_dim", field.mscale_all_dim);
  keys.finish();
}
void from_json(const Json& value, HeadKind& field) { field = parse_head(value.as_string()); }
void from_json(const Json& value, NormKind& field) { field = parse_norm(value.as_string()); }
void from_json(const Json& value, PositionKind& field) { field = parse_position(value.as_string()); }
void from_json(const Json& value, MlpKind& field) { field = parse_activation(value.as_string()); }
void from_json(const Json& value, BlockKind& field) { field = parse_block(value.as_string()); }

template <auto Field>
constexpr OwnChoice choice(const char* key, bool in_function = true) {
  return {key, in_function, [](const Config& config) { return to_json(config.*Field); },
          [](Config& config, const Json& value) { from_json(value, config.*Field); }};
}

// `attention_bias` alone is that of all four matrices.
constexpr OwnChoice kAttentionBias = {
    "attention_bias", true, [](const Config& config) { return to_json(config.attention_bias); },
    [](Config& config, const Json& value) {
      config.attention_bias = config.attention_output_bias = value.as_boolean();
    }};

// Those that set others stand before them.
constexpr OwnChoice kOwnChoices[] = {choice<&Config::norm>("norm"),
                                     choice<&Config::position>("position"),
                                     choice<&Config::activation>("activation"),
                                     choice<&Config::n_kv_head>("n_kv_head"),
                                     choice<&Config::rope_base>("rope_base"),
                                     kAttentionBias,
                                     choice<&Config::attention_output_bias>("attention_output_bias"),
                                     choice<&Config::mlp_bias>("mlp_bias"),
                                     choice<&Config::block>("block"),
                                     choice<&Config::causal>("causal"),
                                     choice<&Config::final_norm>("final_norm"),
                                     choice<&Config::n_ffn>("n_ffn"),
                                     choice<&Config::norm_epsilon>("norm_epsilon"),
                                     choice<&Config::norm_bias>("norm_bias"),
                                     choice<&Config::norm_offset>("norm_offset"),
                                     choice<&Config::first_norm>("first_norm"),
                                     choice<&Config::head_width>("head_width"),
                                     choice<&Config::first_position>("first_position"),
                                     choice<&Config::rope_scaling>("rope_scaling"),
                                     choice<&Config::rope_local_base>("rope_local_base"),
                                     choice<&Config::rotated>("rotated"),
                                     choice<&Config::n_segment>("n_segment"),
                                     choice<&Config::embedding_scale>("embedding_scale"),
                                     choice<&Config::embedding_norm>("embedding_norm"),
                                     choice<&Config::query_key_norm>("query_key_norm"),
                                     choice<&Config::attention_scale>("attention_scale"),
                                     choice<&Config::windows>("windows"),
                                     choice<&Config::head_bias>("head_bias"),
                                     choice<&Config::head_layer_bias>("head_layer_bias"),
                                     choice<&Config::head_activation>("head_activation"),
                                     choice<&Config::head>("head", false),
                                     choice<&Config::pooler>("pooler", false),
                                     choice<&Config::dropout>("dropout", false),
                                     choice<&Config::add_special>("add_special", false)};

void read_own(const Json& json, Config& config) {
  ConfigKeys own(json);
  for (const OwnChoice& choice : kOwnChoices) {
    const Json* value = own.find(choice.key);
    if (!value) continue;
    try {
      choice.set(config, *value);
    } catch (const std::invalid_argument& error) {
      fail_world(value->path(), ": ", error.what());
    }
  }
  own.finish();
}

// What the family's keys cannot say, and whether nothing of it changes the function.
std::pair<Json, bool> own_choices(const Config& config, const Json& family_keys) {
  Config said = default_config(*config.family);
  ConfigKeys keys(family_keys);
  config.family->read(keys, said);
  said = said.resolved();
  Json own = Json::object();
  bool standard = true;
  for (const OwnChoice& choice : kOwnChoices) {
    const Json value = choice.get(config);
    if (value.dump() == choice.get(said).dump()) continue;
    own.set(choice.key, value);
    choice.set(said, value);
    standard = standard && !choice.in_function;
  }
  return {own, standard};
}

// The family of a `model_type`, with or without the prefix.
const Family& family_of(const Json& type) {
  std::string_view name = type.as_string();
  if (name.starts_with(kOwnPrefix)) name.remove_prefix(kOwnPrefix.size());
  if (const Family* family = family_of_type(name)) return *family;
  std::string names;
  for (size_t i = 0; i < families().size(); ++i) {
    const char* between = i == 0 ? "" : i + 1 < families().size() ? ", " : " or ";
    names += between + std::string(families()[i]->model_type);
  }
  fail_world(type.path(), ": must be ", names, "; it is '", type.as_string(),
             "'; models of this type are not supported");
}

}  // namespace

Json config_to_json(const Config& config) {
  const Config c = config.resolved();
  c.validate();
  Json family_keys = Json::object();
  c.family->write(family_keys, c);
  const auto [own, standard] = own_choices(c, family_keys);
  Json json = Json::object();
  json.set("architectures",
           Json::array({c.head == HeadKind::none ? c.family->bare_architecture : c.family->architecture}));
  json.set("model_type", std::string(standard ? "" : kOwnPrefix) + std::string(c.family->model_type));
  json.set("vocab_size", c.vocab_size);
  for (const auto& [key, value] : family_keys.as_object()) json.set(key, value);
  json.set("initializer_range", 0.02);
  json.set("tie_word_embeddings", c.tie);
  // Written out where there is none: a missing key means 50256 or 2 to the Hugging Face library.
  json.set("bos_token_id", c.end_tokens.empty() ? Json() : Json(c.end_tokens.front()));
  Json ends = c.end_tokens.empty() ? Json() : Json(c.end_tokens.front());
  if (c.end_tokens.size() > 1) {
    ends = Json::array();
    for (const int64_t id : c.end_tokens) ends.push(id);
  }
  json.set("eos_token_id", ends);
  json.set("torch_dtype", name_in_file(c.dtype));
  if (!own.as_object().empty()) json.set(kOwnKey, own);
  return json;
}

bool is_standard(const Config& config) {
  const Config c = config.resolved();
  Json family_keys = Json::object();
  c.family->write(family_keys, c);
  return own_choices(c, family_keys).second;
}

Config config_from_json(const Json& json) {
  ConfigKeys keys(json);
  keys.find("model_type");
  const Family& family = family_of(json.at("model_type"));
  Config config = default_config(family);
  family.read(keys, config);
  read_common(keys, config);
  if (const Json* own = keys.find(kOwnKey)) read_own(*own, config);
  keys.finish();
  try {
    config = config.resolved();
    config.validate();
  } catch (const std::invalid_argument& error) {
    fail_world(json.path(), ": ", error.what());
  }
  return config;
}

}  // namespace gradus
