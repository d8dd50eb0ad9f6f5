#include "models/transformer/files.hpp"

#include <algorithm>

#include "models/files/gguf_source.hpp"
#include "models/files/llama2c_source.hpp"
#include "models/files/safetensors_source.hpp"
#include "models/transformer/gguf_model.hpp"
#include "models/transformer/weights.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"
#include "tensor/io/json.hpp"
#include "tensor/io/safetensors.hpp"
#include "tokenizer/pipeline.hpp"
#include "tokenizer/stages/presets.hpp"

namespace gradus {
namespace {

constexpr const char* kChatNote = "the model has a template for chats; texts are taken as they are";

std::string in_folder(const std::string& folder, const char* name) { return folder + "/" + name; }

// What is neither a GGUF file nor one of llama2.c.
void check_is_folder(const std::string& folder) {
  check_world(
      is_directory(folder), folder, ": must be a model's folder, a GGUF file or a file of llama2.c; ",
      file_exists(folder) ? "it is a file of another kind, or empty" : "there is nothing of this name");
}

constexpr int32_t kLlama2cBegin = 1;

Config config_of(const Llama2cHeader& header) {
  Config config = default_config("llama");
  config.vocab_size = header.vocab_size;
  config.block_size = header.block_size;
  config.n_layer = header.n_layer;
  config.n_head = header.n_head;
  config.n_kv_head = header.n_kv_head;
  config.n_embd = header.n_embd;
  config.n_ffn = header.n_ffn;
  config.tie = header.tied;
  if (header.vocab_size > kLlama2cBegin) config.end_tokens = {kLlama2cBegin};
  return config.resolved();
}

}  // namespace

std::string weights_path(const std::string& folder) {
  if (is_gguf_file(folder) || is_llama2c_file(folder)) return folder;
  const bool in_shards =
      !file_exists(in_folder(folder, kWeightsFile)) && file_exists(in_folder(folder, kWeightsIndexFile));
  return in_folder(folder, in_shards ? kWeightsIndexFile : kWeightsFile);
}

std::vector<std::string> weights_files(const std::string& folder) {
  const std::string path = weights_path(folder);
  std::vector<std::string> files{path};
  if (!path.ends_with(kWeightsIndexFile)) return files;
  for (const std::string& shard : safetensors_shards(path)) files.push_back(shard);
  return files;
}

Config read_config(const std::string& folder) {
  if (is_gguf_file(folder)) return config_from_gguf(open_gguf_model(folder));
  if (is_llama2c_file(folder)) return config_of(read_llama2c_header(folder));
  check_is_folder(folder);
  const std::string path = in_folder(folder, kConfigFile);
  return config_from_json(Json::parse(read_file(path), path));
}

Config load_config(const std::string& folder) {
  const Config config = read_config(folder);
  const std::string weights = weights_path(folder);
  return file_exists(weights) ? fitted(config, *open_tensors(weights)) : config;
}

void save_transformer(const std::string& folder, const Transformer& model,
                      const std::map<std::string, std::string>& metadata) {
  // `format` is what the Hugging Face library wants to find before it opens a file.
  std::map<std::string, std::string> all = metadata;
  all.emplace("format", "pt");
  save_safetensors(in_folder(folder, kWeightsFile), file_weights(model), all);
  write_file_atomic(in_folder(folder, kConfigFile), config_to_json(model.config()).dump(2) + "\n");
}

namespace {

// A pickle is a program; what it would give can be written as data by whoever trusts it.
void check_not_only_pickled(const std::string& folder) {
  if (file_exists(weights_path(folder))) return;
  for (const char* name : {"pytorch_model.bin", "pytorch_model.bin.index.json"}) {
    check_world(
        !file_exists(in_folder(folder, name)), in_folder(folder, name),
        ": weights must stand in model.safetensors; this is a pickle, which can hold code and is never read; "
        "whoever trusts it can convert it with the transformers library: "
        "AutoModel.from_pretrained(FOLDER).save_pretrained(NEW)");
  }
}

// How a folder says to lay out a chat for its model; "" where it does not.
std::string chat_template_in(const std::string& folder) {
  const std::string file = in_folder(folder, kChatTemplateFile);
  if (file_exists(file)) return read_file(file);
  const std::string path = in_folder(folder, "tokenizer_config.json");
  if (!file_exists(path)) return "";
  const Json config = Json::parse(read_file(path), path);
  const Json* found = config.kind() == Json::Kind::object ? config.find("chat_template") : nullptr;
  if (found == nullptr || found->is_null()) return "";
  // Some have several, by name.
  return found->kind() == Json::Kind::string ? found->as_string() : found->dump();
}

}  // namespace

Transformer load_transformer(const std::string& folder, std::optional<DType> dtype) {
  check_not_only_pickled(folder);
  Config config = load_config(folder);
  config.dtype = dtype.value_or(config.dtype);
  return map_weights(config, *open_tensors(weights_path(folder)));
}

namespace {

// A run's state tells which tokenizer its ids came from, and which function its weights belong to: another tokenizer of the
// same size, or another number of heads, would go unnoticed otherwise.
void check_files_of_run(const Tokenizer& tokenizer, const std::string& tokenizer_file, const Config& config,
                        const std::string& folder) {
  const std::string path = in_folder(folder, kStateFile);
  if (!file_exists(path)) return;
  const SafetensorsFile state = SafetensorsFile::open(path);
  const auto differs = [&](const char* key, const std::string& hash) {
    const auto kept = state.metadata().find(key);
    return kept != state.metadata().end() && kept->second != hash;
  };
  check_world(
      !differs("tokenizer_sha256", sha256_hex(tokenizer.to_json())), tokenizer_file,
      ": must be the tokenizer that the model was trained with; it is another; restore the original file");
  check_world(!differs("config_sha256", sha256_hex(config_to_json(config).dump())),
              in_folder(folder, kConfigFile),
              ": must hold the configuration that the model was trained with; it holds another; restore the "
              "original file");
}

}  // namespace

namespace {

void add_note(LanguageModel& loaded, const std::string& note) {
  if (!note.empty()) loaded.note += (loaded.note.empty() ? "" : "; ") + note;
}

void check_has_tokenizer(bool found, const std::string& path) {
  check_world(found, path,
              ": must have a tokenizer; it has none; give the model's own with --tokenizer FILE");
}

// Sets the tokenizer in a GGUF file, and says what the file asks for that is not done.
void read_gguf_tokenizer(LanguageModel& loaded, const std::string& path, bool needed) {
  const GgufFile file = open_gguf_model(path);
  std::optional<GgufTokenizer> found = tokenizer_from_gguf(file);
  check_has_tokenizer(found || !needed, path);
  loaded.has_tokenizer = found.has_value();
  if (found) {
    loaded.tokenizer = std::move(found->tokenizer);
    add_note(loaded, found->note);
  }
  if (const GgufValue* chat = file.find("tokenizer.chat_template"))
    loaded.chat_template = std::string(chat->as_string());
}

}  // namespace

Tokenizer open_tokenizer(const std::string& path) {
  if (!is_gguf_file(path)) return Tokenizer::load(path);
  std::optional<GgufTokenizer> found = tokenizer_from_gguf(open_gguf_model(path));
  check_has_tokenizer(found.has_value(), path);
  return std::move(found->tokenizer);
}

namespace {

// Other files of tokenizers leave unsaid what stands around a text, and how letters are changed first.
void check_tokenizer_file(const std::string& tokenizer, const std::string& folder) {
  if (file_exists(tokenizer) || tokenizer != in_folder(folder, kTokenizerFile)) return;
  for (const char* other : {"tokenizer.model", "vocab.txt", "vocab.json"}) {
    check_world(!file_exists(in_folder(folder, other)), tokenizer,
                ": the tokenizer must stand in tokenizer.json, which says all of it; it is not there; "
                "--tokenizer ",
                in_folder(folder, other), " takes that file, as far as it goes");
  }
}

// SentencePiece adds no `<s>`, and the models of llama2.c have it before each text.
void add_begin(LanguageModel& loaded) {
  const Tokenizer& tokenizer = loaded.tokenizer;
  const bool has_begin =
      tokenizer.vocab_size() > kLlama2cBegin && tokenizer.token_text(kLlama2cBegin) == "<s>";
  if (!has_begin || !tokenizer.added_around().empty()) return;
  TokenizerParts parts = tokenizer.parts();
  set_post_processor(parts,
                     template_json({{kLlama2cBegin, "<s>", false, false, false, false, true}}, "<s>", ""));
  loaded.tokenizer = Tokenizer(std::move(parts));
  add_note(loaded, "each text begins with <s>, as those that llama2.c trains with");
}

}  // namespace

LanguageModel load_language_model(const std::string& folder, bool needs_tokenizer,
                                  const std::string& tokenizer_file) {
  LanguageModel loaded;
  if (!is_gguf_file(folder) && !is_llama2c_file(folder)) check_is_folder(folder);
  const std::string in_model = in_folder(folder, kTokenizerFile);
  const std::string& tokenizer = tokenizer_file.empty() ? in_model : tokenizer_file;
  if (tokenizer_file.empty() && is_gguf_file(folder)) {
    read_gguf_tokenizer(loaded, folder, needs_tokenizer);
  } else {
    const bool is_llama2c = is_llama2c_file(folder);
    check_has_tokenizer(!is_llama2c || !needs_tokenizer || !tokenizer_file.empty(), folder);
    loaded.has_tokenizer = needs_tokenizer || file_exists(tokenizer);
    if (loaded.has_tokenizer && !is_llama2c) check_tokenizer_file(tokenizer, folder);
    if (loaded.has_tokenizer) loaded.tokenizer = open_tokenizer(tokenizer);
    if (is_llama2c && loaded.has_tokenizer) add_begin(loaded);
  }
  if (loaded.chat_template.empty()) loaded.chat_template = chat_template_in(folder);
  if (!loaded.chat_template.empty()) add_note(loaded, kChatNote);
  const Config config = load_config(folder);
  if (loaded.has_tokenizer) {
    check_tokenizer(config, loaded.tokenizer, folder, tokenizer_file);
    check_files_of_run(loaded.tokenizer, tokenizer, config, folder);
  }
  loaded.folder = folder;
  for (const std::string& path : weights_files(folder)) loaded.identities[path] = file_identity(path);
  loaded.model = load_transformer(folder, DType::f32);
  if (config.dtype == DType::f64) add_note(loaded, "weights of 64 bits are rounded to 32");
  const bool from_elsewhere = !file_exists(in_folder(folder, kStateFile));
  loaded.add_special = config.add_special.value_or(from_elsewhere);
  loaded.parse_special = !config.add_special && from_elsewhere;
  if (loaded.has_tokenizer && config.vocab_size > loaded.tokenizer.vocab_size()) {
    add_note(loaded, detail::join("the model has ", config.vocab_size,
                                  " ids, of which the tokenizer has a token for ",
                                  loaded.tokenizer.vocab_size(), ": the others are never generated"));
  }
  return loaded;
}

void check_unchanged(const LanguageModel& loaded) {
  for (const auto& [path, identity] : loaded.identities) {
    check_world(
        file_identity(path) == identity, path,
        ": must stay as it is while the model is used; it has changed, perhaps by the next checkpoint of a "
        "training; run this again");
  }
}

std::string model_sha256(const std::string& folder) {
  const std::string path = weights_path(folder);
  if (!path.ends_with(kWeightsIndexFile)) return sha256_file(path);
  std::string lines;
  for (const std::string& shard : safetensors_shards(path))
    lines += sha256_file(shard) + "  " + shard.substr(shard.rfind('/') + 1) + "\n";
  return sha256_hex(lines);
}

bool has_vocabulary(const Tokenizer& tokenizer, const Config& config) {
  constexpr int64_t kPadding = 8;
  constexpr int64_t kFew = 64;
  const int64_t more = config.vocab_size - tokenizer.vocab_size();
  return more == 0 ||
         (more > 0 && more < std::max(kFew, config.vocab_size / 16) && config.vocab_size % kPadding == 0);
}

void check_tokenizer(const Config& config, const Tokenizer& tokenizer, const std::string& folder,
                     const std::string& tokenizer_file) {
  if (has_vocabulary(tokenizer, config)) return;
  const bool gguf = is_gguf_file(folder) || is_llama2c_file(folder);
  const std::string file = !tokenizer_file.empty() ? tokenizer_file : gguf ? "its own" : kTokenizerFile;
  const std::string size =
      gguf ? "the embedding has rows for" : std::string(kConfigFile) + " says vocab_size";
  fail_world(folder, ": the tokenizer must have the model's vocabulary; ", file, " has ",
             tokenizer.vocab_size(), " tokens, ", size, " ", config.vocab_size,
             "; use the tokenizer that the model was trained with");
}

}  // namespace gradus
