#pragma once

#include <map>
#include <string>

#include "models/transformer/transformer.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// The names of a model's files in its folder.
inline constexpr const char* kConfigFile = "config.json";
inline constexpr const char* kTokenizerFile = "tokenizer.json";
/// What a training keeps beside its model, to go on from.
inline constexpr const char* kStateFile = "state.safetensors";
inline constexpr const char* kWeightsFile = "model.safetensors";

/// Reads the configuration of a model folder.
Config load_config(const std::string& folder);

/// Writes config.json and model.safetensors (each whole or not at all) into a folder that exists.
/// note: the bytes depend on the model and `metadata` alone.
void save_transformer(const std::string& folder, const Transformer& model,
                      const std::map<std::string, std::string>& metadata = {});

/// Reads both; see config_from_json and map_weights for what is refused, and for which weights stay in the file.
Transformer load_transformer(const std::string& folder);

/// A folder's model and tokenizer together.
struct LanguageModel {
  Transformer model;
  Tokenizer tokenizer;
};
/// note: a tokenizer with another vocabulary than the model's is an error.
LanguageModel load_language_model(const std::string& folder);
/// The SHA-256 of a folder's model.safetensors, 64 hexadecimal digits.
std::string model_sha256(const std::string& folder);

/// An error naming both sizes unless the tokenizer has exactly the model's vocabulary.
void check_tokenizer(const Config& config, const Tokenizer& tokenizer, const std::string& folder);

}  // namespace gradus
