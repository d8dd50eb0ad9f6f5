#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "models/transformer/config.hpp"
#include "tensor/error.hpp"

namespace gradus {
namespace {

constexpr const char* kOwnKey = "gradus";
constexpr std::string_view kOwnPrefix = "gradus_";

std::string_view model_type_of(Arch arch) { return arch == Arch::gpt ? "gpt2" : "llama"; }

// The names of activations in the Hugging Face library, the one to write first.
constexpr std::array<std::pair<std::string_view, MlpKind>, 7> kActivationNames = {{
    {"gelu_new", MlpKind::gelu_tanh},
    {"gelu_pytorch_tanh", MlpKind::gelu_tanh},
    {"gelu", MlpKind::gelu},
    {"relu", MlpKind::relu},
    {"relu2", MlpKind::relu_squared},
    {"silu", MlpKind::silu},
    {"swish", MlpKind::silu},
}};

MlpKind activation_from(const Json& value) {
  std::string names;
  for (const auto& [name, kind] : kActivationNames) {
    if (name == value.as_string()) return kind;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  fail_world(value.path(), ": the activation must be one of ", names, "; it is '", value.as_string(), "'");
}

// Keys that change nothing in what a model computes.
constexpr std::string_view kPassedOver[] = {"_name_or_path",
                                            "_attn_implementation",
                                            "architectures",
                                            "attention_dropout",
                                            "attn_pdrop",
                                            "gradient_checkpointing",
                                            "id2label",
                                            "initializer_range",
                                            "is_llama_config",
                                            "label2id",
                                            "output_past",
                                            "pad_token_id",
                                            "pretraining_tp",
                                            "problem_type",
                                            "summary_activation",
                                            "summary_first_dropout",
                                            "summary_proj_to_labels",
                                            "summary_type",
                                            "summary_use_proj",
                                            "task_specific_params",
                                            "transformers_version",
                                            "use_cache"};

// Reads the members of an object one after the other by key, and knows which were asked for.
class Members {
 public:
  explicit Members(const Json& json) : json_(json), seen_(json.as_object().size(), false) {}

  // The member, or nullptr where it is missing or null.
  const Json* find(std::string_view key) {
    const Json::Object& members = json_.as_object();
    for (size_t i = 0; i < members.size(); ++i) {
      if (members[i].first != key) continue;
      seen_[i] = true;
      return members[i].second.is_null() ? nullptr : &members[i].second;
    }
    return nullptr;
  }
  int64_t integer(std::string_view key) {
    find(key);
    return json_.at(key).as_integer();
  }
  template <class T, class Read>
  void optional(std::string_view key, T& field, Read&& read) {
    if (const Json* value = find(key)) field = read(*value);
  }
  // A feature that is not here may stand in the file as long as it is switched off.
  void must_be(std::string_view key, bool expected) {
    const Json* value = find(key);
    check_world(!value || value->as_boolean() == expected, value ? value->path() : "", ": must be ",
                expected ? "true" : "false", "; it is not; models with the other choice are not supported");
  }
  void must_be(std::string_view key, int64_t expected) {
    const Json* value = find(key);
    check_world(!value || value->as_integer() == expected, value ? value->path() : "", ": must be ", expected,
                "; it is ", value ? value->as_integer() : 0);
  }
  // An error at the first member that nobody asked for.
  void finish() const {
    const Json::Object& members = json_.as_object();
    for (size_t i = 0; i < members.size(); ++i) {
      check_world(seen_[i], members[i].second.path(),
                  ": every key must be known, for it may change what the model computes; '", members[i].first,
                  "' is not; remove it if you are sure that it does not matter");
    }
  }

 private:
  const Json& json_;
  std::vector<bool> seen_;
};

int64_t as_integer(const Json& value) { return value.as_integer(); }
double as_number(const Json& value) { return value.as_number(); }
bool as_boolean(const Json& value) { return value.as_boolean(); }

DType dtype_from(const Json& value) {
  const std::string& name = value.as_string();
  if (name == "float64") return DType::f64;
  check_world(name == "float32" || name == "float16" || name == "bfloat16", value.path(),
              ": must be float32, float64, float16 or bfloat16; it is '", name, "'");
  return DType::f32;  // what 16-bit weights are computed in
}

void read_common(Members& members, Config& config) {
  config.vocab_size = members.integer("vocab_size");
  members.optional("tie_word_embeddings", config.tie, as_boolean);
  members.optional("torch_dtype", config.dtype, dtype_from);
  members.optional("dtype", config.dtype, dtype_from);
  members.find("bos_token_id");
  if (const Json* end = members.find("eos_token_id")) {
    if (end->kind() == Json::Kind::array) {
      for (const Json& id : end->as_array()) config.end_tokens.push_back(id.as_integer());
    } else {
      config.end_tokens = {end->as_integer()};
    }
  }
  for (const std::string_view key : kPassedOver) members.find(key);
}

void read_gpt(Members& members, Config& config) {
  config.tie = true;
  read_common(members, config);
  config.block_size = members.integer("n_positions");
  members.must_be("n_ctx", config.block_size);
  config.n_embd = members.integer("n_embd");
  config.n_layer = members.integer("n_layer");
  config.n_head = members.integer("n_head");
  members.optional("n_inner", config.n_ffn, as_integer);
  members.optional("activation_function", config.activation, activation_from);
  members.optional("layer_norm_epsilon", config.norm_epsilon, as_number);
  members.optional("resid_pdrop", config.dropout, as_number);
  if (const Json* embd = members.find("embd_pdrop")) {
    check_world(embd->as_number() == config.dropout, embd->path(), ": must equal resid_pdrop, ",
                config.dropout, ", as there is one dropout here; it is ", embd->as_number());
  }
  members.must_be("scale_attn_weights", true);
  members.must_be("scale_attn_by_inverse_layer_idx", false);
  members.must_be("reorder_and_upcast_attn", false);
  members.must_be("add_cross_attention", false);
}

void read_llama(Members& members, Config& config) {
  config.tie = false;  // what a missing key means in this family
  read_common(members, config);
  config.block_size = members.integer("max_position_embeddings");
  config.n_embd = members.integer("hidden_size");
  config.n_layer = members.integer("num_hidden_layers");
  config.n_head = members.integer("num_attention_heads");
  config.n_ffn = members.integer("intermediate_size");
  members.optional("num_key_value_heads", config.n_kv_head, as_integer);
  members.must_be("head_dim", config.n_head > 0 ? config.n_embd / config.n_head : 0);
  config.norm_epsilon = 1e-6;
  members.optional("rms_norm_eps", config.norm_epsilon, as_number);
  members.optional("rope_theta", config.rope_base, as_number);
  if (const Json* value = members.find("rope_parameters")) {
    Members rope(*value);
    rope.optional("rope_theta", config.rope_base, as_number);
    if (const Json* type = rope.find("rope_type")) {
      check_world(type->as_string() == "default", type->path(), ": must be default; it is '",
                  type->as_string(), "'; scaled rotary positions are not supported");
    }
    rope.finish();
  }
  if (const Json* value = members.find("rope_scaling")) {
    fail_world(value->path(), ": must be null; it is ", value->dump(),
               "; scaled rotary positions are not supported");
  }
  members.must_be("rope_interleaved", false);
  members.optional("attention_bias", config.attention_bias, as_boolean);
  members.optional("mlp_bias", config.mlp_bias, as_boolean);
  if (const Json* act = members.find("hidden_act")) {
    check_world(activation_from(*act) == MlpKind::silu, act->path(), ": must be silu, the gate's; it is '",
                act->as_string(), "'");
  }
}

void read_own(const Json& json, Config& config) {
  Members own(json);
  const auto named = [](auto parse) {
    return [parse](const Json& value) { return parse(value.as_string()); };
  };
  own.optional("norm", config.norm, named(parse_norm));
  own.optional("position", config.position, named(parse_position));
  own.optional("activation", config.activation, named(parse_activation));
  own.optional("n_kv_head", config.n_kv_head, as_integer);
  own.optional("rope_base", config.rope_base, as_number);
  own.optional("attention_bias", config.attention_bias, as_boolean);
  own.optional("mlp_bias", config.mlp_bias, as_boolean);
  own.optional("dropout", config.dropout, as_number);
  own.optional("add_special", config.add_special, as_boolean);
  own.finish();
}

// What the library's model of this family cannot say, in two kinds: what changes the function, and what does not.
std::pair<Json, bool> own_choices(const Config& c) {
  Json own = Json::object();
  bool standard = true;
  const auto choice = [&](bool differs, const char* key, Json value) {
    if (!differs) return;
    own.set(key, std::move(value));
    standard = false;
  };
  const bool gpt = c.arch == Arch::gpt;
  const Config usual = default_config(c.arch);
  choice(c.norm != usual.norm, "norm", name_of(c.norm));
  choice(c.position != usual.position, "position", name_of(c.position));
  choice((c.activation == MlpKind::swiglu) == gpt, "activation", name_of(c.activation));
  if (gpt) {
    choice(c.n_kv_head != c.n_head, "n_kv_head", c.n_kv_head);
    choice(c.rope_base != usual.rope_base, "rope_base", c.rope_base);
    choice(!c.attention_bias, "attention_bias", false);
    choice(!c.mlp_bias, "mlp_bias", false);
  } else if (c.dropout != 0) {
    own.set("dropout", c.dropout);
  }
  if (c.add_special) own.set("add_special", *c.add_special);
  return {own, standard};
}

}  // namespace

Json config_to_json(const Config& config) {
  const Config c = config.resolved();
  c.validate();
  const auto [own, standard] = own_choices(c);
  const bool gpt = c.arch == Arch::gpt;
  Json json = Json::object();
  json.set("architectures", Json::array({gpt ? "GPT2LMHeadModel" : "LlamaForCausalLM"}));
  json.set("model_type", std::string(standard ? "" : kOwnPrefix) + std::string(model_type_of(c.arch)));
  json.set("vocab_size", c.vocab_size);
  if (gpt) {
    json.set("n_positions", c.block_size);
    json.set("n_embd", c.n_embd);
    json.set("n_layer", c.n_layer);
    json.set("n_head", c.n_head);
    json.set("n_inner", c.n_ffn);
    for (const auto& [name, kind] : kActivationNames) {
      if (kind != c.activation) continue;
      json.set("activation_function", name);
      break;
    }
    json.set("layer_norm_epsilon", c.norm_epsilon);
    json.set("resid_pdrop", c.dropout);
    json.set("embd_pdrop", c.dropout);
    json.set("attn_pdrop", 0.0);
  } else {
    json.set("max_position_embeddings", c.block_size);
    json.set("hidden_size", c.n_embd);
    json.set("intermediate_size", c.n_ffn);
    json.set("num_hidden_layers", c.n_layer);
    json.set("num_attention_heads", c.n_head);
    json.set("num_key_value_heads", c.n_kv_head);
    json.set("head_dim", c.n_embd / c.n_head);
    json.set("rms_norm_eps", c.norm_epsilon);
    json.set("rope_theta", c.rope_base);
    json.set("attention_bias", c.attention_bias);
    json.set("mlp_bias", c.mlp_bias);
    if (c.activation == MlpKind::swiglu) json.set("hidden_act", "silu");
  }
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
  json.set("torch_dtype", c.dtype == DType::f64 ? "float64" : "float32");
  if (!own.as_object().empty()) json.set(kOwnKey, own);
  return json;
}

Config config_from_json(const Json& json) {
  Members members(json);
  members.find("model_type");
  const Json& type = json.at("model_type");
  std::string_view name = type.as_string();
  if (name.starts_with(kOwnPrefix)) name.remove_prefix(kOwnPrefix.size());
  check_world(name == "gpt2" || name == "llama", type.path(), ": must be gpt2 or llama; it is '",
              type.as_string(), "'; models of this type are not supported");
  Config config = default_config(name == "gpt2" ? Arch::gpt : Arch::llama);
  if (config.arch == Arch::gpt) {
    read_gpt(members, config);
  } else {
    read_llama(members, config);
  }
  if (const Json* own = members.find(kOwnKey)) read_own(*own, config);
  members.finish();
  try {
    config = config.resolved();
    config.validate();
  } catch (const std::invalid_argument& error) {
    fail_world(json.path(), ": ", error.what());
  }
  return config;
}

}  // namespace gradus
