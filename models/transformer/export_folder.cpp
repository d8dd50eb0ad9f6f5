// Models as folders of the Hugging Face library and of sentence-transformers.

#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "models/transformer/export_detail.hpp"
#include "models/transformer/families/family.hpp"
#include "models/transformer/sentence_folder.hpp"
#include "models/transformer/weights.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/json.hpp"
#include "tensor/io/safetensors.hpp"
#include "tensor/ops.hpp"
#include "tokenizer/pipeline.hpp"

namespace gradus::detail {
namespace {

namespace fs = std::filesystem;

DType dtype_of(ExportType type) {
  switch (type) {
    case ExportType::f32: return DType::f32;
    case ExportType::f16: return DType::f16;
    case ExportType::bf16: return DType::bf16;
    case ExportType::q8_0: break;
  }
  fail("convert: weights of a folder can be f32, f16 or bf16; blocks (q8_0) stand in GGUF files alone");
}

const char* library_name(ExportType type) {
  switch (type) {
    case ExportType::f32: return "float32";
    case ExportType::f16: return "float16";
    case ExportType::bf16: return "bfloat16";
    case ExportType::q8_0: break;
  }
  return "";
}

// The token that texts begin with, where somebody has said so; of a model trained here it is the one between documents.
std::optional<int64_t> begin_token(const LanguageModel& loaded, const ModelAbout& about) {
  if (loaded.has_tokenizer && loaded.add_special) {
    const AddedAround added = loaded.tokenizer.added_around();
    if (!added.before.empty()) return added.before.front();
  }
  if (const auto said = about.roles.find("bos"); said != about.roles.end()) return said->second;
  const std::vector<int64_t>& ends = loaded.model.config().end_tokens;
  if (!file_exists(loaded.folder + "/" + kStateFile) || ends.empty()) return {};
  return ends.front();
}

Json config_for_library(const LanguageModel& loaded, const ModelAbout& about, ExportType type) {
  const Config& config = loaded.model.config();
  Json json = config_to_json(config);
  const Json* own = json.find("gradus");
  check(is_standard(config),
        "convert: the Hugging Face library has no model like this one: ", own ? own->dump() : "",
        " is nothing that its ", config.family->architecture, " can be told");
  Json written = Json::object();
  for (const auto& [key, value] : json.as_object()) {
    if (key != "gradus") written.set(key, key == "torch_dtype" ? Json(library_name(type)) : value);
  }
  const std::optional<int64_t> begin = begin_token(loaded, about);
  if (written.find("bos_token_id")) written.set("bos_token_id", begin ? Json(*begin) : Json());
  const Json* padding = written.find("pad_token_id");
  const auto pad = about.roles.find("pad");
  if (pad != about.roles.end() && (padding == nullptr || padding->is_null()))
    written.set("pad_token_id", pad->second);
  return written;
}

void write_weights(const Transformer& model, const std::string& path, ExportType type) {
  const DType dtype = dtype_of(type);
  const NoGrad no_grad_here;
  std::vector<NamedTensor> tensors = file_weights(model);
  for (NamedTensor& named : tensors) {
    check_range(named, type);
    if (named.tensor.dtype() != dtype) named.tensor = cast(named.tensor, dtype);
  }
  save_safetensors(path, tensors, {{"format", "pt"}});
}

// What a library wants to know of a tokenizer beside its file. `texts_together`: it pads texts of one batch, and needs a
// token for that.
Json tokenizer_config(const LanguageModel& loaded, const ModelAbout& about, const Tokenizer& tokenizer,
                      bool texts_together) {
  const int64_t most_tokens = loaded.model.config().block_size;
  Json json = Json::object();
  json.set("tokenizer_class", "PreTrainedTokenizerFast");
  json.set("model_max_length", most_tokens);
  json.set("clean_up_tokenization_spaces", false);
  if (!about.padding_side.empty()) json.set("padding_side", about.padding_side);
  // -1: there is none
  const auto token = [&](const std::string& key, int64_t id) {
    const bool there = id >= 0 && id < tokenizer.vocab_size();
    if (there) json.set(key, tokenizer.token_text(static_cast<int32_t>(id)));
    return there;
  };
  // As it is said, or else by what such a token is usually called.
  const auto role = [&](const std::string& name, std::initializer_list<const char*> usual) {
    const auto said = about.roles.find(name);
    if (said != about.roles.end() && token(name + "_token", said->second)) return true;
    for (const char* text : usual) {
      const std::optional<int32_t> id = tokenizer.id_of(text);
      if (id && tokenizer.is_special(*id)) return token(name + "_token", *id);
    }
    return false;
  };
  const std::vector<int64_t>& ends = loaded.model.config().end_tokens;
  const int64_t end = ends.empty() ? int64_t{tokenizer.end_of_text().value_or(-1)} : ends.front();
  token("bos_token", begin_token(loaded, about).value_or(-1));
  token("eos_token", end);
  role("unk", {"<unk>", "[UNK]"});
  if (!role("pad", {"<pad>", "[PAD]", "<|padding|>"}) && texts_together) token("pad_token", end);
  role("cls", {"[CLS]"});
  role("sep", {"[SEP]"});
  role("mask", {"[MASK]", "<mask>"});
  return json;
}

/// A folder that takes its place when it is whole: until then its files stand in one beside it, which goes where it is not
/// done.
class NewFolder {
 public:
  NewFolder(const std::string& path, const ExportOptions& options, ExportReport& report)
      : path_(follow_links(path)),
        partial_(path_ + "." + std::to_string(::getpid()) + ".partial"),
        options_(options),
        report_(report) {
    check(!file_exists(path) || (is_directory(path) && fs::is_empty(path)), "convert: ", path,
          " must be a new folder or an empty one, for nothing in it is replaced; it is not");
    check(!file_exists(partial_), "convert: ", partial_, " is in the way; move it away");
    create_directories(partial_);
  }
  ~NewFolder() {
    std::error_code ignored;
    fs::remove_all(partial_, ignored);
  }
  NewFolder(const NewFolder&) = delete;
  NewFolder& operator=(const NewFolder&) = delete;

  /// Where the files stand until it is done.
  const std::string& partial() const { return partial_; }
  /// Where a file is to be written; its folder is there then.
  std::string add(const std::string& name) {
    if (options_.on_progress) options_.on_progress();
    report_.files.push_back(name);
    const std::string path = partial_ + "/" + name;
    create_directories(fs::path(path).parent_path().string());
    return path;
  }
  void write(const std::string& name, std::string_view contents) { write_file_atomic(add(name), contents); }
  void write_json(const std::string& name, const Json& json) { write(name, json.dump(2) + "\n"); }
  void done() {
    if (options_.on_progress) options_.on_progress();
    rename_synced(partial_, path_);
  }

 private:
  std::string path_, partial_;
  const ExportOptions& options_;
  ExportReport& report_;
};

void write_tokenizer(const LanguageModel& loaded, const ModelAbout& about, const ExportOptions& options,
                     NewFolder& folder, ExportReport& report) {
  TokenizerParts parts = loaded.tokenizer.parts();
  if (!loaded.add_special && !loaded.tokenizer.added_around().empty()) {
    set_post_processor(parts, {});
    report.notes.push_back(kAddsNone);
  }
  const Tokenizer tokenizer(std::move(parts));
  folder.write(kTokenizerFile, tokenizer.to_json());
  const bool sentences = options.format == ExportFormat::sentence_transformers;
  const Json described = tokenizer_config(loaded, about, tokenizer, sentences);
  folder.write_json(kTokenizerConfigFile, described);
  if (sentences && described.find("pad_token") == nullptr) {
    report.notes.push_back(
        "the tokenizer has no token to pad texts with; sentence-transformers takes one text at a time "
        "(batch_size=1)");
  }
}

// ---- what sentence-transformers has behind a model ----

void write_sentences(const SentenceFolder& sentences, const Config& config, NewFolder& folder) {
  Json modules = Json::array();
  const auto add_module = [&](const std::string& path, const char* kind) {
    const int64_t number = std::ssize(modules.as_array());
    modules.push(Json::object()
                     .set("idx", number)
                     .set("name", std::to_string(number))
                     .set("path", path)
                     .set("type", std::string("sentence_transformers.models.") + kind));
  };
  add_module("", "Transformer");
  add_module("1_Pooling", "Pooling");
  folder.write_json("1_Pooling/config.json", pooling_to_json(sentences));
  for (const std::optional<DenseLayer>& step : sentences.steps) {
    const std::string number = std::to_string(modules.as_array().size());
    if (!step) {
      add_module(number + "_Normalize", "Normalize");
      continue;
    }
    const std::string path = number + "_Dense";
    add_module(path, "Dense");
    folder.write_json(path + "/config.json", dense_to_json(*step));
    std::vector<NamedTensor> tensors = {{"linear.weight", step->linear.weight}};
    if (step->linear.bias.defined()) tensors.push_back({"linear.bias", step->linear.bias});
    save_safetensors(folder.add(path + "/" + kWeightsFile), tensors, {{"format", "pt"}});
  }
  folder.write_json("modules.json", modules);
  folder.write_json(
      "sentence_bert_config.json",
      Json::object()
          .set("max_seq_length", sentences.max_tokens > 0 ? sentences.max_tokens : config.block_size)
          .set("do_lower_case", sentences.lower_case));
  folder.write_json("config_sentence_transformers.json", prompts_to_json(sentences));
}

void check_sentences(const SentenceFolder& expected, const std::string& path, const Tensor& rows) {
  const SentenceFolder found = read_sentence_folder(path);
  const std::vector<RowRange> texts = {{0, rows.size(0)}};
  const std::vector<float> before = sentence_vectors(expected, rows, texts, true).to_vector<float>();
  const std::vector<float> after = sentence_vectors(found, rows, texts, true).to_vector<float>();
  check_world(
      before == after && found.prompts == expected.prompts &&
          found.default_prompt == expected.default_prompt && found.include_prompt == expected.include_prompt,
      path, ": the modules that were written must make the same vector of the same rows; they do not");
}

}  // namespace

ExportReport export_folder(const LanguageModel& loaded, const std::string& path,
                           const ExportOptions& options) {
  const Config& config = loaded.model.config();
  dtype_of(options.type);  // an error before anything is written
  const std::string& home = options.home.empty() ? loaded.folder : options.home;
  const ModelAbout about = model_about(loaded, home);
  const Json described = config_for_library(loaded, about, options.type);
  ExportReport report;
  NewFolder folder(path, options, report);
  folder.write_json(kConfigFile, described);
  write_weights(loaded.model, folder.add(kWeightsFile), options.type);
  if (loaded.has_tokenizer) write_tokenizer(loaded, about, options, folder, report);
  if (!loaded.chat_template.empty()) folder.write(kChatTemplateFile, loaded.chat_template);
  folder.write(kCardFile, model_card(home, about));
  for (const auto& entry : fs::directory_iterator(folder_beside(home))) {
    const std::string name = entry.path().filename().string();
    if (entry.is_regular_file() && is_licence(name)) folder.write(name, read_file(entry.path().string()));
  }
  const bool sentences = options.format == ExportFormat::sentence_transformers;
  SentenceFolder modules = options.sentences ? *options.sentences : SentenceFolder{};
  if (!options.sentences) modules.width = config.n_embd;
  if (sentences) {
    check(loaded.has_tokenizer, "convert: a folder of sentence-transformers must have a tokenizer; ",
          loaded.folder, " has none");
    write_sentences(modules, config, folder);
    if (!options.sentences)
      report.notes.push_back(
          "the model says nothing of how a text becomes one vector; the mean of its tokens");
  } else if (options.sentences) {
    report.notes.push_back(
        "how a text becomes one vector is left out; --to sentence-transformers writes that, too");
  }
  check_unchanged(loaded);
  const LanguageModel written = load_language_model(folder.partial(), loaded.has_tokenizer);
  compare_exported(loaded, written, options.type, report);
  if (sentences) {
    const Tensor rows =
        slice(loaded.model.token_embedding.weight, 0, 0, std::min<int64_t>(config.vocab_size, 9));
    check_sentences(modules, folder.partial(), rows);
  }
  folder.done();
  return report;
}

}  // namespace gradus::detail
