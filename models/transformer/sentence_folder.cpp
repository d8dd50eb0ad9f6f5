#include "models/transformer/sentence_folder.hpp"

#include <algorithm>
#include <limits>

#include "models/files/gguf_source.hpp"
#include "models/files/tensor_source.hpp"
#include "models/transformer/families/config_keys.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/gguf_model.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/ops.hpp"
#include "tokenizer/pipeline.hpp"

namespace gradus {
namespace {

constexpr const char* kModules = "modules.json";

std::string in_folder(const std::string& folder, std::string_view name) {
  return name.empty() ? folder : folder + "/" + std::string(name);
}

Json read_json(const std::string& path) { return Json::parse(read_file(path), path); }

/// An error unless the member, where it is there and not null, is one of these.
std::string text_among(ConfigKeys& keys, std::string_view key, std::initializer_list<std::string_view> known,
                       std::string_view otherwise = "") {
  const Json* value = keys.find(key);
  if (!value) return std::string(otherwise);
  std::string names;
  for (const std::string_view name : known) {
    if (value->as_string() == name) return value->as_string();
    names += (names.empty() ? "" : ", ") + std::string(name);
  }
  fail_world(value->path(), ": must be ", known.size() > 1 ? "one of " : "", names, "; it is '",
             value->as_string(), "'");
}

/// A member that says what else a module does: it may be there as long as it is empty.
void must_be_empty(ConfigKeys& keys, std::string_view key) {
  const Json* value = keys.find(key);
  if (!value) return;
  const bool empty =
      value->kind() == Json::Kind::array ? value->as_array().empty() : value->as_object().empty();
  check_world(empty, value->path(), ": must be empty; it is ", value->dump(),
              "; models with it are not supported");
}

/// Where a module reads, and where it writes: behind the transformer there is one vector.
void check_names(ConfigKeys& keys) {
  text_among(keys, "module_input_name", {"sentence_embedding"});
  text_among(keys, "module_output_name", {"sentence_embedding"});
}

// ---- the modules ----

void read_limit_of_tokenizer(const std::string& folder, int64_t& limit) {
  const std::string path = in_folder(folder, "tokenizer_config.json");
  if (!file_exists(path)) return;
  const Json json = read_json(path);
  const Json* length = json.find("model_max_length");
  // A tokenizer without a limit has a huge one, beyond 64 bits.
  if (!length || length->kind() != Json::Kind::integer) return;
  limit = length->as_integer();
  check_world(limit >= 1, length->path(), ": must be at least 1; it is ", limit);
}

/// The text that goes through the model as it is; other kinds of input are not looked at.
void check_modality(const Json& modalities) {
  const Json& text = modalities.at("text");
  ConfigKeys keys(text);
  text_among(keys, "method", {"forward"});
  text_among(keys, "method_output_name", {"last_hidden_state"});
  keys.finish();
}

void read_transformer(const std::string& path, SentenceFolder& folder) {
  folder.model_folder = path;
  for (const char* kind : {"bert", "roberta", "distilbert", "camembert", "albert", "xlm-roberta", "xlnet"}) {
    const std::string config = in_folder(path, "sentence_" + std::string(kind) + "_config.json");
    if (!file_exists(config)) continue;
    const Json json = read_json(config);
    ConfigKeys keys(json);
    keys.optional_size("max_seq_length", folder.max_tokens);
    keys.optional("do_lower_case", folder.lower_case);
    text_among(keys, "transformer_task", {"feature-extraction"});
    text_among(keys, "module_output_name", {"token_embeddings"});
    if (const Json* modalities = keys.find("modality_config")) check_modality(*modalities);
    for (const char* key : {"processing_kwargs", "model_args", "model_kwargs", "tokenizer_args",
                            "processor_kwargs", "config_args", "config_kwargs"}) {
      must_be_empty(keys, key);
    }
    for (const char* key : {"tokenizer_name_or_path", "query_length", "document_length", "query_expansion"})
      keys.must_be_null(key);
    keys.find("unpad_inputs");  // how texts are laid out in a batch
    keys.finish();
    break;
  }
  if (folder.max_tokens == 0) read_limit_of_tokenizer(path, folder.max_tokens);
}

// In the order in which several of them are laid side by side.
constexpr std::pair<std::string_view, Pooling> kPoolingKeys[] = {
    {"pooling_mode_cls_token", Pooling::cls},
    {"pooling_mode_max_tokens", Pooling::max},
    {"pooling_mode_mean_tokens", Pooling::mean},
    {"pooling_mode_mean_sqrt_len_tokens", Pooling::mean_sqrt_len_tokens},
    {"pooling_mode_weightedmean_tokens", Pooling::weightedmean},
    {"pooling_mode_lasttoken", Pooling::last},
};

Pooling pooling_from(const Json& value) {
  try {
    return parse_pooling(value.as_string());
  } catch (const std::invalid_argument& error) {
    fail_world(value.path(), ": ", error.what());
  }
}

void read_pooling(const std::string& path, SentenceFolder& folder) {
  const Json json = read_json(in_folder(path, kConfigFile));
  ConfigKeys keys(json);
  std::vector<Pooling> switched;
  for (const auto& [key, pooling] : kPoolingKeys) {
    bool on = false;
    keys.optional(key, on);
    if (on) switched.push_back(pooling);
  }
  if (const Json* mode = keys.find("pooling_mode")) {  // which hides the switches
    switched.clear();
    if (mode->kind() == Json::Kind::array) {
      for (const Json& one : mode->as_array()) switched.push_back(pooling_from(one));
      check_world(!switched.empty(), mode->path(), ": must name a way to pool; it is empty");
    } else {
      switched.push_back(pooling_from(*mode));
    }
  }
  if (!switched.empty()) folder.pooling = switched;
  keys.optional("include_prompt", folder.include_prompt);
  const char* width =
      keys.contains("embedding_dimension") ? "embedding_dimension" : "word_embedding_dimension";
  folder.width = keys.integer(width);
  constexpr int64_t kMost = std::numeric_limits<int32_t>::max();  // so that no product of widths overflows
  check_world(folder.width >= 1 && folder.width <= kMost, json.at(width).path(), ": must be in [1, ", kMost,
              "]; it is ", folder.width);
  keys.finish();
}

struct NamedActivation {
  std::string_view name;  // of the class in torch.nn …
  Tensor (*function)(const Tensor&);
  std::string_view module = "activation";  // … and the module that it is in
};
constexpr NamedActivation kActivations[] = {
    {"Tanh", tanh},       {"Identity", nullptr, "linear"}, {"GELU", gelu}, {"ReLU", relu}, {"SiLU", silu},
    {"Sigmoid", sigmoid},
};

DenseLayer read_dense(const std::string& path, int64_t inputs) {
  const Json json = read_json(in_folder(path, kConfigFile));
  ConfigKeys keys(json);
  const int64_t in = keys.integer("in_features");
  const int64_t out = keys.integer("out_features");
  check_world(in == inputs, json.at("in_features").path(), ": must be ", inputs,
              ", as many values as the module before gives; it is ", in);
  bool with_bias = true;
  keys.optional("bias", with_bias);
  std::string activation = "torch.nn.modules.activation.Tanh";
  keys.optional("activation_function", activation, [](const Json& value) { return value.as_string(); });
  keys.must_be("use_residual", false);
  check_names(keys);
  keys.finish();

  const auto known = std::find_if(std::begin(kActivations), std::end(kActivations), [&](const auto& entry) {
    return activation.starts_with("torch.nn.") && activation.substr(activation.rfind('.') + 1) == entry.name;
  });
  if (known == std::end(kActivations)) {
    std::string names;
    for (const auto& entry : kActivations) names += (names.empty() ? "" : ", ") + std::string(entry.name);
    fail_world(json.at("activation_function").path(), ": must be one of torch.nn's ", names, "; it is '",
               activation, "'");
  }

  const std::string weights = weights_path(path);
  check_world(file_exists(weights), path, ": a dense layer's weights must stand in ", kWeightsFile,
              "; there is none",
              file_exists(in_folder(path, "pytorch_model.bin"))
                  ? ", and pytorch_model.bin is a pickle, which can hold code and is never read; load the "
                    "folder with sentence-transformers and save it with safe_serialization=True"
                  : "");
  const std::unique_ptr<TensorSource> source = open_tensors(weights);
  const auto tensor = [&](const char* name, const Shape& shape) {
    const TensorInfo& info = source->info(name);
    check_world(info.shape == shape, source->file_of(name), ": '", name, "' must have the shape ", shape,
                "; it has ", info.shape);
    const Tensor x = source->tensor(name);
    return x.dtype() == DType::f32 ? x : cast(x, DType::f32);
  };
  for (const std::string& name : source->names()) {
    check_world(
        name == "linear.weight" || (with_bias && name == "linear.bias"), source->file_of(name),
        ": a dense layer must have linear.weight and, where config.json says so, linear.bias; it has '", name,
        "'");
  }
  DenseLayer layer{.linear = Linear(path, 0, 0, false), .activation = known->function};
  layer.linear.weight = tensor("linear.weight", {out, in});
  if (with_bias) layer.linear.bias = tensor("linear.bias", {out});
  return layer;
}

void read_normalize(const std::string& path) {
  const std::string config = in_folder(path, kConfigFile);
  if (!file_exists(config)) return;
  const Json json = read_json(config);
  ConfigKeys keys(json);
  check_names(keys);
  keys.finish();
}

void read_prompts(const std::string& path, SentenceFolder& folder) {
  if (!file_exists(path)) return;
  const Json json = read_json(path);
  ConfigKeys keys(json);
  text_among(keys, "model_type", {"SentenceTransformer"});
  if (const Json* prompts = keys.find("prompts")) {
    for (const auto& [name, text] : prompts->as_object()) {
      if (!text.is_null()) folder.prompts.emplace_back(name, text.as_string());
    }
  }
  folder.similarity = text_among(keys, "similarity_fn_name", {"cosine", "dot", "euclidean", "manhattan"});
  keys.optional_size("truncate_dim", folder.truncate_dim);
  if (const Json* name = keys.find("default_prompt_name")) {
    folder.default_prompt = name->as_string();
    try {
      folder.prompt(folder.default_prompt);
    } catch (const std::invalid_argument& error) {
      fail_world(name->path(), ": ", error.what());
    }
  }
  keys.find("__version__");
  keys.find("requirements");  // packages of Python
  keys.finish();
}

// ---- modules.json ----

struct Module {
  std::string kind;   // the last part of its class's name
  std::string place;  // where modules.json says so
  std::string path;   // its folder
};

Module read_module(const Json& json, const std::string& folder) {
  ConfigKeys keys(json);
  for (const char* key : {"idx", "name"}) keys.find(key);
  keys.find("type");
  keys.find("path");
  must_be_empty(keys, "kwargs");
  keys.finish();
  const Json& type = json.at("type");
  const Json& path = json.at("path");
  const std::string& name = type.as_string();
  check_world(name.starts_with("sentence_transformers."), type.path(),
              ": must be a class of sentence_transformers; it is '", name, "', whose code is not known here");
  std::string below = path.as_string();
  while (below.ends_with('/')) below.pop_back();
  if (below == ".") below.clear();
  check_world(!below.starts_with('/') && below.find("..") == std::string::npos, path.path(),
              ": must be a folder inside the model's; it is '", path.as_string(), "'");
  return {name.substr(name.rfind('.') + 1), type.path(), in_folder(folder, below)};
}

SentenceFolder read_modules(const std::string& folder) {
  const std::string path = in_folder(folder, kModules);
  const Json json = read_json(path);
  SentenceFolder result;
  int64_t width = 0;  // of what the modules so far give; 0: that of the transformer's rows
  for (const Json& entry : json.as_array()) {
    const Module module = read_module(entry, folder);
    const bool is_first = result.model_folder.empty();
    const bool is_model = module.kind == "Transformer" || module.kind == "StaticEmbedding";
    check_world(is_first == is_model, module.place,
                ": Transformer or StaticEmbedding must be the first module and no other; this is number ",
                &entry - json.as_array().data(), " and '", module.kind, "'");
    if (module.kind == "Transformer") {
      read_transformer(module.path, result);
    } else if (module.kind == "StaticEmbedding") {
      result.model_folder = module.path;
      result.static_model = read_static_model(module.path);
      result.max_tokens = result.static_model->max_tokens;
      width = result.width = result.static_model->table.size(1);
    } else if (module.kind == "Pooling") {
      check_world(width == 0, module.place,
                  ": Pooling must come once, behind a Transformer; here it does not");
      read_pooling(module.path, result);
      width = result.width * std::ssize(result.pooling);
    } else {
      check_world(width > 0, module.place, ": Pooling must come before '", module.kind, "'; it does not");
      if (module.kind == "Dense") {
        result.steps.emplace_back(read_dense(module.path, width));
        width = result.steps.back()->linear.weight.size(0);
      } else if (module.kind == "Normalize") {
        read_normalize(module.path);
        result.steps.emplace_back(std::nullopt);
      } else {
        check_world(
            module.kind == "Dropout", module.place,
            ": must be one of Transformer, StaticEmbedding, Pooling, Dense, Normalize, Dropout; it is '",
            module.kind, "'");
      }
    }
  }
  check_world(width > 0, path, ": there must be a Pooling module behind the Transformer; there is none");
  return result;
}

}  // namespace

bool SentenceFolder::normalizes() const {
  return std::any_of(steps.begin(), steps.end(), [](const auto& step) { return !step; });
}

const std::string& SentenceFolder::prompt(std::string_view name) const {
  std::string names;
  for (const auto& [known, text] : prompts) {
    if (known == name) return text;
    names += (names.empty() ? "" : ", ") + known;
  }
  fail("prompt: must be one of ", prompts.empty() ? "none, for the folder has no prompts" : names,
       "; it is '", name, "'");
}

bool is_sentence_folder(const std::string& folder) {
  if (is_gguf_file(folder)) return pooling_from_gguf(open_gguf_model(folder)).has_value();
  return file_exists(in_folder(folder, kModules)) || is_model2vec(folder);
}

Json pooling_to_json(const SentenceFolder& folder) {
  Json json = Json::object();
  json.set("word_embedding_dimension", folder.width);
  for (const auto& [key, pooling] : kPoolingKeys) {
    const bool on = std::find(folder.pooling.begin(), folder.pooling.end(), pooling) != folder.pooling.end();
    json.set(std::string(key), on);
  }
  return json.set("include_prompt", folder.include_prompt);
}

Json dense_to_json(const DenseLayer& layer) {
  const auto known = std::find_if(std::begin(kActivations), std::end(kActivations),
                                  [&](const auto& entry) { return entry.function == layer.activation; });
  check(known != std::end(kActivations), "convert: a dense layer's activation must be one with a name");
  Json json = Json::object();
  json.set("in_features", layer.linear.weight.size(1)).set("out_features", layer.linear.weight.size(0));
  json.set("bias", layer.linear.bias.defined());
  return json.set("activation_function",
                  "torch.nn.modules." + std::string(known->module) + "." + std::string(known->name));
}

Json prompts_to_json(const SentenceFolder& folder) {
  Json prompts = Json::object();
  for (const auto& [name, text] : folder.prompts) prompts.set(name, text);
  Json json = Json::object();
  json.set("prompts", prompts);
  json.set("default_prompt_name", folder.default_prompt.empty() ? Json() : Json(folder.default_prompt));
  json.set("similarity_fn_name", folder.similarity.empty() ? Json() : Json(folder.similarity));
  if (folder.truncate_dim > 0) json.set("truncate_dim", folder.truncate_dim);
  return json;
}

SentenceFolder read_sentence_folder(const std::string& folder) {
  SentenceFolder result;
  if (is_gguf_file(folder)) {
    const GgufFile file = open_gguf_model(folder);
    result.model_folder = folder;
    if (const std::optional<Pooling> pooling = pooling_from_gguf(file)) result.pooling = {*pooling};
    result.width = config_from_gguf(file).n_embd;
    return result;
  }
  if (file_exists(in_folder(folder, kModules))) {
    result = read_modules(folder);
    const auto& model = result.static_model;
    check_world(!model || model->normalize.value_or(result.normalizes()) == result.normalizes(),
                in_folder(folder, kModules),
                ": must have Normalize where config.json says `normalize`, and only "
                "there; it does not; correct the one that is wrong");
  } else {
    result.model_folder = folder;
    result.static_model = read_static_model(folder);
    result.max_tokens = result.static_model->max_tokens;
    result.width = result.static_model->table.size(1);
    if (result.static_model->normalize.value_or(false)) result.steps.emplace_back(std::nullopt);
  }
  read_prompts(in_folder(folder, "config_sentence_transformers.json"), result);
  return result;
}

int64_t sentence_width(const SentenceFolder& folder) {
  int64_t width = folder.width * std::ssize(folder.pooling);
  for (const std::optional<DenseLayer>& step : folder.steps) {
    if (step) width = step->linear.weight.size(0);
  }
  return folder.truncate_dim > 0 ? std::min(width, folder.truncate_dim) : width;
}

void check_width(const SentenceFolder& folder, int64_t n_embd) {
  check_world(folder.width == n_embd, folder.model_folder, ": Pooling must be as wide as the model; it says ",
              folder.width, ", the model's rows have ", n_embd, " values");
}

int64_t prompt_length(std::span<const int32_t> prompt_ids, const Tokenizer& tokenizer) {
  const bool ends = !prompt_ids.empty() && tokenizer.is_special(prompt_ids.back());
  return std::ssize(prompt_ids) - (ends ? 1 : 0);
}

RowRange pooled_range(const SentenceFolder& folder, const RowRange& text, int64_t prompt_length) {
  if (folder.include_prompt) return text;
  check(prompt_length >= 0 && text.begin + prompt_length < text.end,
        "pooling: a text must have a token behind its prompt; it has ", text.end - text.begin,
        ", the prompt ", prompt_length, "; shorten the prompt");
  return {text.begin + prompt_length, text.end, prompt_length};
}

Tokenizer lower_cased(const Tokenizer& tokenizer) {
  const auto& normalizer = tokenizer.parts().normalizer;
  const Json given = normalizer ? normalizer->to_json() : Json();
  const auto is_lower = [](const Json& step) { return step.at("type").as_string() == "Lowercase"; };
  Json steps = Json::array({Json::object({{"type", "Lowercase"}})});
  if (!given.is_null()) {
    const bool sequence = given.at("type").as_string() == "Sequence";
    const Json::Array all = sequence ? given.at("normalizers").as_array() : Json::Array{given};
    if (std::any_of(all.begin(), all.end(), is_lower)) return tokenizer;
    for (const Json& step : all) steps.push(step);
  }
  TokenizerParts parts = tokenizer.parts();
  parts.normalizer = read_normalizer(Json::object({{"type", "Sequence"}, {"normalizers", steps}}));
  return Tokenizer(std::move(parts));
}

Tensor sentence_vectors(const SentenceFolder& folder, const Tensor& rows, std::span<const RowRange> texts,
                        bool last_layer) {
  Tensor y;
  const auto is_empty = [](const RowRange& text) { return text.begin == text.end; };
  if (folder.static_model && std::any_of(texts.begin(), texts.end(), is_empty)) {
    y = Tensor::zeros({std::ssize(texts), rows.size(1) * std::ssize(folder.pooling)});
    for (size_t i = 0; i < texts.size(); ++i) {
      if (is_empty(texts[i])) continue;
      const auto at = static_cast<int64_t>(i);
      slice(y, 0, at, at + 1).copy_from(pool_rows(rows, texts.subspan(i, 1), folder.pooling));
    }
  } else {
    y = pool_rows(rows, texts, folder.pooling);
  }
  if (!last_layer) return folder.normalizes() ? normalize_rows(y) : y;
  for (const std::optional<DenseLayer>& step : folder.steps) {
    if (!step) {
      y = normalize_rows(y);
      continue;
    }
    const NoGrad no_grad;
    y = step->linear(y);
    if (step->activation) y = step->activation(y);
  }
  if (folder.truncate_dim > 0 && folder.truncate_dim < y.size(1))
    y = slice(y, 1, 0, folder.truncate_dim).to_contiguous();
  return y;
}

}  // namespace gradus
