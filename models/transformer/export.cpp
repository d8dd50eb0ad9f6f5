#include "models/transformer/export.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "models/transformer/families/family.hpp"
#include "models/transformer/weights.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/json.hpp"
#include "tensor/io/safetensors.hpp"
#include "tensor/ops.hpp"
#include "tokenizer/formats/hostile_texts.hpp"
#include "tokenizer/pipeline.hpp"

namespace gradus {
namespace {

namespace fs = std::filesystem;

constexpr const char* kTokenizerConfigFile = "tokenizer_config.json";
constexpr const char* kCardFile = "README.md";

const char* library_name(DType dtype) {
  switch (dtype) {
    case DType::f32: return "float32";
    case DType::f16: return "float16";
    case DType::bf16: return "bfloat16";
    case DType::f64:
    case DType::i32: break;
  }
  fail("convert: weights can be written as f32, f16 or bf16; ", dtype_name(dtype), " was asked for");
}

// Of the root mean square: what rounding each weight to the type can come to in the last layer. Half a unit in the last
// place of a weight is 2^-12 or 2^-9 of it; a deep model carries some of them on.
double bound_of(DType dtype) {
  switch (dtype) {
    case DType::f32: return 0;
    case DType::f16: return 0.03;
    case DType::bf16: return 0.25;
    case DType::f64:
    case DType::i32: break;
  }
  return 0;
}

Json config_for_library(const Config& config, DType dtype) {
  Json json = config_to_json(config);
  const Json* own = json.find("gradus");
  check(is_standard(config),
        "convert: the Hugging Face library has no model like this one: ", own ? own->dump() : "",
        " is nothing that its ", config.family->architecture, " can be told");
  Json written = Json::object();
  for (const auto& [key, value] : json.as_object()) {
    if (key != "gradus") written.set(key, key == "torch_dtype" ? Json(library_name(dtype)) : value);
  }
  return written;
}

void write_weights(const Transformer& model, const std::string& path, DType dtype) {
  const NoGrad no_grad_here;
  std::vector<NamedTensor> tensors = file_weights(model);
  if (dtype != DType::f32) {
    for (NamedTensor& named : tensors) named.tensor = cast(named.tensor, dtype);
  }
  save_safetensors(path, tensors, {{"format", "pt"}});
}

Json tokenizer_config(const Tokenizer& tokenizer, const Config& config) {
  Json json = Json::object();
  json.set("tokenizer_class", "PreTrainedTokenizerFast");
  json.set("model_max_length", config.block_size);
  json.set("clean_up_tokenization_spaces", false);
  const auto name = [&](const char* key, std::initializer_list<const char*> texts) {
    for (const char* text : texts) {
      const std::optional<int32_t> id = tokenizer.id_of(text);
      if (!id || !tokenizer.is_special(*id)) continue;
      json.set(key, text);
      return;
    }
  };
  name("bos_token", {"<s>", "<|begin_of_text|>", "<bos>", "<|endoftext|>"});
  if (const auto end = tokenizer.end_of_text()) json.set("eos_token", tokenizer.token_text(*end));
  name("unk_token", {"<unk>", "[UNK]"});
  name("pad_token", {"<pad>", "[PAD]", "<|padding|>"});
  name("cls_token", {"[CLS]"});
  name("sep_token", {"[SEP]"});
  name("mask_token", {"[MASK]", "<mask>"});
  return json;
}

// Where a model's licence and card stand: its folder, or that of its file.
std::string folder_of(const std::string& model) {
  if (is_directory(model)) return model;
  const std::string parent = fs::path(model).parent_path().string();
  return parent.empty() ? "." : parent;
}

// The card that stands beside the original, or a short one, with the model it is made of in front.
std::string card(const std::string& model) {
  const std::string path = folder_of(model) + "/" + kCardFile;
  std::string text = file_exists(path) ? read_file(path) : "Converted with `gradus convert`.\n";
  const std::string name =
      fs::path(fs::absolute(model).lexically_normal() / "").parent_path().filename().string();
  const std::string line = "base_model: " + Json(name).dump() + "\n";
  if (text.starts_with("---\n")) {
    if (text.find("\nbase_model:") == std::string::npos) text.insert(4, line);
    return text;
  }
  return "---\n" + line + "---\n\n" + text;
}

bool is_copied(const std::string& name) { return name.starts_with("LICENSE") || name.starts_with("NOTICE"); }

double difference(const Tensor& found, const Tensor& expected) {
  const std::vector<float> a = found.to_vector<float>(), b = expected.to_vector<float>();
  double largest = 0, squares = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    largest = std::max(largest, std::fabs(static_cast<double>(a[i]) - static_cast<double>(b[i])));
    squares += static_cast<double>(b[i]) * static_cast<double>(b[i]);
  }
  return largest / std::sqrt(squares / static_cast<double>(b.size()));
}

// Reads back what was written, and compares.
void compare(const LanguageModel& from, const std::string& folder, DType dtype, ExportReport& report) {
  const LanguageModel to = load_language_model(folder, from.has_tokenizer);
  if (from.has_tokenizer) {
    for (const std::string& text : hostile_texts()) {
      const auto ids = [&](const LanguageModel& model, bool add) {
        return model.tokenizer.encode(text, {.add_special = add, .whole = true});
      };
      std::vector<int32_t> expected;
      try {
        expected = ids(from, from.add_special);
      } catch (const std::exception&) {
        continue;  // a text that it cannot take
      }
      check_world(ids(to, true) == expected, folder,
                  ": the tokenizer that was written must give the same ids; it does not of ",
                  Json(text).dump());
      ++report.texts;
    }
  }
  const Config& config = from.model.config();
  const auto time = std::min<int64_t>(config.block_size, 64);
  std::vector<int32_t> ids;
  for (int64_t i = 0; i < time; ++i) ids.push_back(static_cast<int32_t>((i * 7919 + 13) % config.vocab_size));
  const NoGrad no_grad_here;
  const Tensor input = Tensor::from(std::span<const int32_t>(ids), {time});
  const Tensor before = from.model.forward(input, Context::of_batch(1, time));
  const Tensor after = to.model.forward(input, Context::of_batch(1, time));
  report.hidden_state = difference(after, before);
  if (config.head != HeadKind::none)
    report.logits = difference(to.model.logits(after), from.model.logits(before));
  for (const auto& [what, found] :
       {std::pair("last layer", report.hidden_state), {"logits", report.logits}}) {
    check_world(found <= bound_of(dtype), folder, ": the ", what, " of what was written must be within ",
                bound_of(dtype), " of the original's root mean square; it is ", found, " off");
  }
}

}  // namespace

ExportReport export_to_hugging_face(const LanguageModel& loaded, const std::string& folder,
                                    const ExportOptions& options) {
  check(!file_exists(folder) || (is_directory(folder) && fs::is_empty(folder)), "convert: the folder ",
        folder, " must be new or empty, for nothing in it is replaced; it is not");
  const Config& config = loaded.model.config();
  const Json described = config_for_library(config, options.dtype);
  const bool made = !file_exists(folder);
  create_directories(folder);
  ExportReport report;
  try {
    const auto write = [&](const std::string& name, const std::string& contents) {
      write_file_atomic(folder + "/" + name, contents);
      report.files.push_back(name);
    };
    write(kConfigFile, described.dump(2) + "\n");
    write_weights(loaded.model, folder + "/" + kWeightsFile, options.dtype);
    report.files.push_back(kWeightsFile);
    if (loaded.has_tokenizer) {
      TokenizerParts parts = loaded.tokenizer.parts();
      if (!loaded.add_special && !loaded.tokenizer.added_around().empty()) {
        set_post_processor(parts, {});
        report.notes.push_back(
            "the model was trained without the special tokens that its tokenizer adds; the tokenizer "
            "that is written adds none");
      }
      const Tokenizer tokenizer(std::move(parts));
      write(kTokenizerFile, tokenizer.to_json());
      write(kTokenizerConfigFile, tokenizer_config(tokenizer, config).dump(2) + "\n");
    }
    write(kCardFile, card(loaded.folder));
    for (const auto& entry : fs::directory_iterator(folder_of(loaded.folder))) {
      const std::string name = entry.path().filename().string();
      if (entry.is_regular_file() && is_copied(name)) write(name, read_file(entry.path().string()));
    }
    compare(loaded, folder, options.dtype, report);
  } catch (...) {
    for (const std::string& name : report.files) fs::remove(folder + "/" + name);
    std::error_code holds_something;
    if (made) fs::remove(folder, holds_something);
    throw;
  }
  return report;
}

}  // namespace gradus
