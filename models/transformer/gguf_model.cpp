#include "models/transformer/gguf_model.hpp"

#include <algorithm>
#include <array>

#include "models/transformer/families/gguf_keys.hpp"
#include "tensor/error.hpp"

namespace gradus {
namespace {

// Beside those of the architecture and the tokenizer: where a model comes from, and how it was packed.
constexpr std::string_view kPassedOver[] = {"general.", "split.", "quantize.", "tokenizer."};

const Family& family_of(const GgufFile& file) {
  const std::string_view architecture = file.at("general.architecture").as_string();
  if (const Family* family = family_of_architecture(architecture)) return *family;
  std::string names;
  for (const Family* family : families()) {
    const std::string name(family->gguf ? family->gguf->architecture : "");
    if (!name.empty() && (names + ",").find(name + ",") == std::string::npos)
      names += (names.empty() ? "" : ", ") + name;
  }
  fail_world(file.path(), ": general.architecture must be one of ", names, "; it is '", architecture,
             "'; models of this one are not supported");
}

void check_keys(const GgufFile& file) {
  const std::string own = std::string(file.at("general.architecture").as_string()) + ".";
  for (const std::string_view key : file.keys()) {
    const bool known =
        key.starts_with(own) || std::any_of(std::begin(kPassedOver), std::end(kPassedOver),
                                            [&](std::string_view begin) { return key.starts_with(begin); });
    check_world(known, file.path(), ": every key must be known, for it may change what the model computes; '",
                key, "' is not; models with it are not supported");
  }
  const GgufValue* type = file.find("general.type");
  check_world(type == nullptr || type->as_string() == "model", file.path(),
              ": general.type must be model; it is '", type ? type->as_string() : "", "'");
}

}  // namespace

namespace {

constexpr std::pair<int64_t, Pooling> kPoolings[] = {
    {1, Pooling::mean}, {2, Pooling::cls}, {3, Pooling::last}};

}  // namespace

std::optional<Pooling> pooling_from_gguf(const GgufFile& file) {
  const GgufValue* value =
      file.find(std::string(file.at("general.architecture").as_string()) + ".pooling_type");
  if (value == nullptr || value->as_integer() == 0) return {};
  for (const auto& [number, pooling] : kPoolings) {
    if (value->as_integer() == number) return pooling;
  }
  fail_world(file.path(), ": pooling_type must be 0 (none), 1 (mean), 2 (cls) or 3 (last); it is ",
             value->as_integer(), "; models that rank texts instead of making vectors are not supported");
}

std::optional<int64_t> gguf_pooling_number(Pooling pooling) {
  for (const auto& [number, known] : kPoolings) {
    if (known == pooling) return number;
  }
  return {};
}

Config config_from_gguf(const GgufFile& file) {
  const Family& family = family_of(file);
  check_keys(file);
  pooling_from_gguf(file);
  GgufKeys keys(file);
  Config config = default_config(family);
  try {
    family.gguf->read(keys, config);
    keys.finish();
    for (const char* end : {"eos", "eot", "eom"}) {
      const GgufValue* value = file.find("tokenizer.ggml." + std::string(end) + "_token_id");
      if (value == nullptr || !config.causal) continue;
      const int64_t id = value->as_integer();
      const std::vector<int64_t>& known = config.end_tokens;
      if (std::find(known.begin(), known.end(), id) == known.end()) config.end_tokens.push_back(id);
    }
    config = config.resolved();
    config.validate();
  } catch (const std::invalid_argument& error) {
    fail_world(file.path(), ": ", error.what());
  }
  return config;
}

}  // namespace gradus
