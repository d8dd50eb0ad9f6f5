#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "models/transformer/transformer.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// A model stands in a folder; wherever one is named here, a GGUF file can stand in its place, which holds all of it, or a file
/// of llama2.c, which holds all but the tokenizer.

/// The names of a model's files in its folder.
inline constexpr const char* kConfigFile = "config.json";
inline constexpr const char* kTokenizerFile = "tokenizer.json";
/// How a chat is laid out for a model; only passed on, see LanguageModel.
inline constexpr const char* kChatTemplateFile = "chat_template.jinja";
/// What a training keeps beside its model, to go on from.
inline constexpr const char* kStateFile = "state.safetensors";
inline constexpr const char* kWeightsFile = "model.safetensors";
/// In the place of kWeightsFile where the weights stand in several files.
inline constexpr const char* kWeightsIndexFile = "model.safetensors.index.json";

/// What a folder's weights are opened by: model.safetensors, or the index of several files where only that is there.
std::string weights_path(const std::string& folder);
/// All files that a folder's weights are in, the index among them.
std::vector<std::string> weights_files(const std::string& folder);

/// Reads the config.json of a model folder; see config_from_gguf() for what a GGUF file says. A file of llama2.c is a Llama
/// whose other choices are those of its program: theta 10000, an epsilon of 1e-5, and `<s>`, the id 1, at a text's end.
Config read_config(const std::string& folder);
/// The same, without the parts that the weights beside it do not have, see fitted().
Config load_config(const std::string& folder);

/// Writes config.json and model.safetensors (each whole or not at all) into a folder that exists.
/// note: the bytes depend on the model and `metadata` alone.
void save_transformer(const std::string& folder, const Transformer& model,
                      const std::map<std::string, std::string>& metadata = {});

/// Reads both; see config_from_json and map_weights for what is refused, and for which weights stay in the file. `dtype`:
/// what the parameters become; absent: f32, or f64 where config.json says so.
Transformer load_transformer(const std::string& folder, std::optional<DType> dtype = {});

/// A tokenizer's file or folder, see Tokenizer::load(), or the tokenizer in a GGUF file.
Tokenizer open_tokenizer(const std::string& path);

/// A folder's model and tokenizer together.
struct LanguageModel {
  Transformer model;
  Tokenizer tokenizer;
  bool has_tokenizer = true;
  /// Whether the model was trained on texts with the special tokens that the tokenizer adds: what config.json says; where it
  /// does not, not those of a run folder, whose state.safetensors is there, and those of all other models.
  bool add_special = false;
  /// Whether the text of a special token is that token in what a model is given to read, as in the libraries: of all models but
  /// those trained here, to which texts are data, see EncodeOptions.
  bool parse_special = false;
  std::string note;  ///< what somebody should know of the two together, or ""
  std::string
      chat_template;  ///< how the model's makers lay out chats, a template of Jinja's; "": nobody says
  std::string folder;
  std::map<std::string, std::string> identities;  ///< of each file of the weights, when it was opened
};
/// note: a tokenizer with another vocabulary than the model's is an error; a model's may be padded, see check_tokenizer().
/// note: a folder without a tokenizer is an error where one is needed. `tokenizer_file` ("": none) takes its place.
/// note: with a file of llama2.c a tokenizer that has `<s>`, the id 1, and adds nothing puts it before each text.
LanguageModel load_language_model(const std::string& folder, bool needs_tokenizer = true,
                                  const std::string& tokenizer_file = {});
/// An error where a file of a model's weights is no longer the one that was opened: a training may have written its next
/// checkpoint, or somebody may have written into the file, whose weights are read when they are needed.
void check_unchanged(const LanguageModel& loaded);
/// The SHA-256 of a GGUF file, or of a folder's model.safetensors, 64 hexadecimal digits; of several files, that of the lines that
/// `sha256sum` prints of them, in the order of their names.
std::string model_sha256(const std::string& folder);

/// Whether a tokenizer has a model's vocabulary. The model's may be padded to a multiple of 8, as many are for speed, by
/// less than 64 ids or a sixteenth. Ids without a token count in a loss's denominator, as in the Hugging Face library.
bool has_vocabulary(const Tokenizer& tokenizer, const Config& config);
/// An error naming both sizes unless has_vocabulary().
/// note: `tokenizer_file` is where the tokenizer comes from, "" from the model itself.
void check_tokenizer(const Config& config, const Tokenizer& tokenizer, const std::string& folder,
                     const std::string& tokenizer_file = {});

}  // namespace gradus
