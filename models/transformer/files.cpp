#include "models/transformer/files.hpp"

#include "models/transformer/weights.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"
#include "tensor/io/json.hpp"
#include "tensor/io/safetensors.hpp"

namespace gradus {
namespace {

std::string in_folder(const std::string& folder, const char* name) { return folder + "/" + name; }

}  // namespace

Config load_config(const std::string& folder) {
  const std::string path = in_folder(folder, kConfigFile);
  return config_from_json(Json::parse(read_file(path), path));
}

void save_transformer(const std::string& folder, const Transformer& model,
                      const std::map<std::string, std::string>& metadata) {
  // `format` is what the Hugging Face library wants to find before it opens a file.
  std::map<std::string, std::string> all = metadata;
  all.emplace("format", "pt");
  save_safetensors(in_folder(folder, kWeightsFile), file_weights(model), all);
  write_file_atomic(in_folder(folder, kConfigFile), config_to_json(model.config()).dump(2) + "\n");
}

Transformer load_transformer(const std::string& folder) {
  const Config config = load_config(folder);
  const SafetensorsFile file = SafetensorsFile::open(in_folder(folder, kWeightsFile));
  return map_weights(config, file);
}

namespace {

// A run's state tells which tokenizer its ids came from: one of the same size would go unnoticed otherwise.
void check_tokenizer_of_run(const Tokenizer& tokenizer, const std::string& folder) {
  const std::string path = in_folder(folder, kStateFile);
  if (!file_exists(path)) return;
  const SafetensorsFile state = SafetensorsFile::open(path);
  const auto kept = state.metadata().find("tokenizer_sha256");
  if (kept == state.metadata().end()) return;
  check_world(
      sha256_hex(tokenizer.to_json()) == kept->second, in_folder(folder, kTokenizerFile),
      ": must be the tokenizer that the model was trained with; it is another; restore the original file");
}

}  // namespace

LanguageModel load_language_model(const std::string& folder) {
  LanguageModel loaded;
  loaded.tokenizer = Tokenizer::load(in_folder(folder, kTokenizerFile));
  const Config config = load_config(folder);
  check_tokenizer(config, loaded.tokenizer, folder);
  check_tokenizer_of_run(loaded.tokenizer, folder);
  loaded.model = load_transformer(folder);
  return loaded;
}

std::string model_sha256(const std::string& folder) { return sha256_file(in_folder(folder, kWeightsFile)); }

void check_tokenizer(const Config& config, const Tokenizer& tokenizer, const std::string& folder) {
  check_world(tokenizer.vocab_size() == config.vocab_size, folder,
              ": the tokenizer must have the model's vocabulary; ", kTokenizerFile, " has ",
              tokenizer.vocab_size(), " tokens, ", kConfigFile, " says vocab_size ", config.vocab_size,
              "; use the tokenizer that the model was trained with");
}

}  // namespace gradus
