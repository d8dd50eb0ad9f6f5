#include "models/transformer/families/rope_keys.hpp"

#include <string>

#include "models/transformer/families/config_keys.hpp"
#include "tensor/error.hpp"

namespace gradus {
namespace {

constexpr std::string_view kFull = "full_attention";
constexpr std::string_view kSliding = "sliding_attention";

// `rope_type`, or `type` as it was called first.
std::string rope_type(ConfigKeys& rope) {
  const Json* type = rope.find("rope_type");
  const Json* old = rope.find("type");
  check_world(!type || !old || type->as_string() == old->as_string(), old ? old->path() : "",
              ": must equal rope_type; it does not");
  if (!type) type = old;
  return type ? type->as_string() : "default";
}

void read_part(ConfigKeys& keys, double* part) {
  if (part) {
    keys.optional("partial_rotary_factor", *part);
  } else {
    keys.must_be("partial_rotary_factor", 1.0);
  }
}

// Reads an object that describes rotary positions: its theta, where it has one, and its scaling.
void read_rope_object(const Json& json, const Config& config, double& theta, RopeScaling& scaling,
                      double* part = nullptr) {
  ConfigKeys rope(json);
  const std::string type = rope_type(rope);
  rope.optional("rope_theta", theta);
  read_part(rope, part);
  RopeScaling s;
  if (type == "default") {
    s.kind = RopeScalingKind::none;
  } else if (type == "linear") {
    s.kind = RopeScalingKind::linear;
    s.factor = json.at("factor").as_number();
  } else if (type == "llama3") {
    s.kind = RopeScalingKind::llama3;
    s.factor = json.at("factor").as_number();
    s.low_freq_factor = json.at("low_freq_factor").as_number();
    s.high_freq_factor = json.at("high_freq_factor").as_number();
    rope.find("low_freq_factor");
    rope.find("high_freq_factor");
  } else if (type == "yarn") {
    s.kind = RopeScalingKind::yarn;
    rope.optional("beta_fast", s.beta_fast);
    rope.optional("beta_slow", s.beta_slow);
    if (s.beta_fast == 0) s.beta_fast = RopeScaling().beta_fast;
    if (s.beta_slow == 0) s.beta_slow = RopeScaling().beta_slow;
    rope.optional("truncate", s.truncate);
    rope.optional("attention_factor", s.attention_factor);
    rope.optional("mscale", s.mscale);
    rope.optional("mscale_all_dim", s.mscale_all_dim);
    rope.find("finetuned");  // how it was made
  } else {
    fail_world(json.path(), ": rotary positions must be default, linear, llama3 or yarn; they are '", type,
               "'; models with these are not supported");
  }
  const bool has_original = s.kind == RopeScalingKind::llama3 || s.kind == RopeScalingKind::yarn;
  if (has_original) {
    s.original_positions = config.block_size;
    rope.optional("original_max_position_embeddings", s.original_positions);
  }
  if (s.kind == RopeScalingKind::yarn && !rope.find("factor")) {
    s.factor = static_cast<double>(config.block_size) / static_cast<double>(s.original_positions);
  } else if (s.kind != RopeScalingKind::none) {
    s.factor = json.at("factor").as_number();
    rope.find("factor");
  }
  rope.finish();
  scaling = s;
}

// A theta that stands in two places must be one number.
void check_theta(ConfigKeys& keys, std::string_view key, double theta, const Json& object) {
  const Json* top = keys.find(key);
  check_world(!top || top->as_number() == theta, object.path(), ": rope_theta must equal ", key, ", ",
              top ? top->as_number() : 0, "; it is ", theta);
}

// The object that stands for all layers, or nullptr; an empty one says nothing.
const Json* scaling_object(ConfigKeys& keys) {
  const auto object = [&](std::string_view key) {
    const Json* value = keys.find(key);
    return value && value->as_object().empty() ? nullptr : value;
  };
  const Json* scaling = object("rope_scaling");
  const Json* parameters = object("rope_parameters");
  check_world(!scaling || !parameters, scaling ? scaling->path() : "",
              ": must not be there beside rope_parameters, which says the same; remove one of them");
  return scaling ? scaling : parameters;
}

}  // namespace

void read_rope(ConfigKeys& keys, Config& config, double* part) {
  keys.optional("rope_theta", config.rope_base);
  const Json* object = scaling_object(keys);
  if (object) {
    read_rope_object(*object, config, config.rope_base, config.rope_scaling, part);
    check_theta(keys, "rope_theta", config.rope_base, *object);
  }
  // Some files have it here.
  if (const Json* original = keys.find("original_max_position_embeddings"))
    config.rope_scaling.original_positions = original->as_integer();
  if (keys.contains("partial_rotary_factor")) read_part(keys, part);
}

void read_rope_by_layer(ConfigKeys& keys, Config& config, std::string_view theta_key,
                        std::string_view local_key) {
  keys.optional(theta_key, config.rope_base);
  keys.optional(local_key, config.rope_local_base);
  const Json* object = scaling_object(keys);
  if (!object) return;
  const auto has = [&](std::string_view key) { return object->find(key) != nullptr; };
  if (!has(kFull) && !has(kSliding)) {
    read_rope_object(*object, config, config.rope_base, config.rope_scaling);
    check_theta(keys, theta_key, config.rope_base, *object);
    return;
  }
  ConfigKeys kinds(*object);
  if (const Json* full = kinds.find(kFull)) {
    read_rope_object(*full, config, config.rope_base, config.rope_scaling);
    check_theta(keys, theta_key, config.rope_base, *full);
  }
  if (const Json* sliding = kinds.find(kSliding)) {
    RopeScaling scaling;
    read_rope_object(*sliding, config, config.rope_local_base, scaling);
    check_theta(keys, local_key, config.rope_local_base, *sliding);
    check_world(scaling.kind == RopeScalingKind::none, sliding->path(),
                ": rotary positions of layers with a window must be default; they are ",
                name_of(scaling.kind));
  }
  kinds.finish();
}

std::vector<int64_t> windows_from(const Json& layer_types, int64_t n_layer, int64_t window) {
  check_world(std::ssize(layer_types.as_array()) == n_layer, layer_types.path(),
              ": must name the kind of each of ", n_layer, " layers; it names ",
              layer_types.as_array().size());
  std::vector<int64_t> windows;
  bool some = false;
  for (const Json& type : layer_types.as_array()) {
    const std::string& name = type.as_string();
    check_world(name == kFull || name == kSliding, type.path(), ": must be ", kFull, " or ", kSliding,
                "; it is '", name, "'");
    check_world(name == kFull || window > 0, type.path(),
                ": a layer with sliding_attention needs sliding_window; it is not given");
    windows.push_back(name == kSliding ? window : 0);
    some = some || name == kSliding;
  }
  return some ? windows : std::vector<int64_t>();
}

void write_layer_types(Json& json, const Config& c) {
  Json types = Json::array();
  for (int64_t l = 0; l < c.n_layer; ++l)
    types.push(c.windows.empty() || c.windows[static_cast<size_t>(l)] == 0 ? kFull : kSliding);
  json.set("layer_types", types);
}

void write_rope(Json& json, const Config& c) {
  json.set("rope_theta", c.rope_base);
  const RopeScaling& s = c.rope_scaling;
  if (s.kind == RopeScalingKind::none) return;
  Json rope = Json::object();
  rope.set("rope_type", name_of(s.kind));
  rope.set("factor", s.factor);
  if (s.kind == RopeScalingKind::llama3) {
    rope.set("low_freq_factor", s.low_freq_factor);
    rope.set("high_freq_factor", s.high_freq_factor);
  }
  if (s.kind == RopeScalingKind::yarn) {
    rope.set("beta_fast", s.beta_fast);
    rope.set("beta_slow", s.beta_slow);
    if (s.attention_factor > 0) rope.set("attention_factor", s.attention_factor);
    if (s.mscale > 0) rope.set("mscale", s.mscale);
    if (s.mscale_all_dim > 0) rope.set("mscale_all_dim", s.mscale_all_dim);
    if (!s.truncate) rope.set("truncate", s.truncate);
  }
  if (s.original_positions > 0) rope.set("original_max_position_embeddings", s.original_positions);
  json.set("rope_scaling", rope);
}

}  // namespace gradus
