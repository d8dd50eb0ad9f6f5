#include "models/transformer/families/config_keys.hpp"

#include <string>
#include <utility>

#include "tensor/error.hpp"

namespace gradus {
namespace {

// The name to write stands first.
constexpr std::pair<std::string_view, MlpKind> kActivationNames[] = {
    {"gelu_new", MlpKind::gelu_tanh},
    {"gelu_pytorch_tanh", MlpKind::gelu_tanh},
    {"gelu_python_tanh", MlpKind::gelu_tanh},
    {"gelu_accurate", MlpKind::gelu_tanh},
    {"gelu_fast", MlpKind::gelu_tanh},
    {"gelu", MlpKind::gelu},
    {"gelu_python", MlpKind::gelu},
    {"relu", MlpKind::relu},
    {"relu2", MlpKind::relu_squared},
    {"silu", MlpKind::silu},
    {"swish", MlpKind::silu},
};

}  // namespace

const Json* ConfigKeys::find(std::string_view key) {
  const Json::Object& members = json_.as_object();
  for (size_t i = 0; i < members.size(); ++i) {
    if (members[i].first != key) continue;
    seen_[i] = true;
    return members[i].second.is_null() ? nullptr : &members[i].second;
  }
  return nullptr;
}

int64_t ConfigKeys::integer(std::string_view key) {
  find(key);
  return json_.at(key).as_integer();
}

void ConfigKeys::optional_size(std::string_view key, int64_t& field) {
  const Json* value = find(key);
  if (!value) return;
  field = value->as_integer();
  check_world(field >= 1, value->path(), ": must be at least 1; it is ", field);
}

void ConfigKeys::must_be(std::string_view key, bool expected) {
  const Json* value = find(key);
  check_world(!value || value->as_boolean() == expected, value ? value->path() : "", ": must be ",
              expected ? "true" : "false", "; it is not; models with the other choice are not supported");
}

void ConfigKeys::must_be(std::string_view key, int64_t expected) {
  const Json* value = find(key);
  check_world(!value || value->as_integer() == expected, value ? value->path() : "", ": must be ", expected,
              "; it is ", value ? value->as_integer() : 0);
}

void ConfigKeys::must_be(std::string_view key, double expected) {
  const Json* value = find(key);
  check_world(!value || value->as_number() == expected, value ? value->path() : "", ": must be ", expected,
              "; it is ", value ? value->as_number() : 0);
}

void ConfigKeys::must_be_null(std::string_view key) {
  const Json* value = find(key);
  check_world(!value, value ? value->path() : "", ": must be null; it is ", value ? value->dump() : "",
              "; models with it are not supported");
}

void ConfigKeys::finish() const {
  const Json::Object& members = json_.as_object();
  for (size_t i = 0; i < members.size(); ++i) {
    check_world(seen_[i], members[i].second.path(),
                ": every key must be known, for it may change what the model computes; '", members[i].first,
                "' is not; remove it if you are sure that it does not matter");
  }
}

MlpKind activation_from(const Json& value) {
  std::string names;
  for (const auto& [name, kind] : kActivationNames) {
    if (name == value.as_string()) return kind;
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  fail_world(value.path(), ": the activation must be one of ", names, "; it is '", value.as_string(), "'");
}

std::string_view activation_name(MlpKind kind) {
  for (const auto& [name, known] : kActivationNames) {
    if (known == kind) return name;
  }
  return {};
}

}  // namespace gradus
