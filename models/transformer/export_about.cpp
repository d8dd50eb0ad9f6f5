// What the makers of a model say of it beside its numbers, in folders and in GGUF files.

#include <algorithm>
#include <string_view>

#include "models/files/gguf_file.hpp"
#include "models/files/gguf_source.hpp"
#include "models/transformer/export_detail.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/json.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus::detail {
namespace {

// Keys of a card of the Hugging Face hub and of a GGUF file.
constexpr std::pair<std::string_view, std::string_view> kLicenceKeys[] = {
    {"license", "general.license"},
    {"license_name", "general.license.name"},
    {"license_link", "general.license.link"}};

// The key of a role in a GGUF file, without "tokenizer.ggml." and "_token_id" ("seperator" is how the format spells it).
constexpr std::pair<std::string_view, std::string_view> kRoles[] = {{"bos", "bos"},       {"unk", "unknown"},
                                                                    {"sep", "seperator"}, {"pad", "padding"},
                                                                    {"cls", "cls"},       {"mask", "mask"}};

std::string_view without_spaces(std::string_view text) {
  const auto from = text.find_first_not_of(" \t\r");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r") + 1 - from);
}

// The one-line value of a key in a card's front matter, the lines between two of "---"; "" where there is none.
std::string in_front_matter(std::string_view card, std::string_view key) {
  bool within = false;
  while (!card.empty()) {
    const std::string_view line = card.substr(0, card.find('\n'));
    card.remove_prefix(std::min(card.size(), line.size() + 1));
    const bool fence = without_spaces(line) == "---";
    if (fence == within) return "";  // the end, or no front matter at all
    within = true;
    if (fence || !line.starts_with(key) || !line.substr(key.size()).starts_with(":")) continue;
    std::string_view value = without_spaces(line.substr(key.size() + 1));
    const bool quoted =
        value.size() >= 2 && (value[0] == '"' || value[0] == '\'') && value.back() == value[0];
    if (quoted) value = value.substr(1, value.size() - 2);
    return std::string(value);
  }
  return "";
}

// A file of a folder as a JSON object; null where it is not there, or none.
Json object_in(const std::string& path) {
  if (!file_exists(path)) return {};
  Json json = Json::parse(read_file(path), path);
  return json.kind() == Json::Kind::object ? json : Json();
}

ModelAbout about_gguf(const GgufFile& file, int64_t vocab_size) {
  ModelAbout about;
  for (const auto& [card, key] : kLicenceKeys) {
    const GgufValue* value = file.find(key);
    if (value && value->type() == GgufType::string && !value->is_array())
      about.licence.emplace_back(card, value->as_string());
  }
  for (const auto& [role, key] : kRoles) {
    const GgufValue* value = file.find("tokenizer.ggml." + std::string(key) + "_token_id");
    if (value == nullptr || value->type() != GgufType::u32 || value->is_array()) continue;
    const int64_t id = value->as_integer();
    if (id < vocab_size) about.roles[std::string(role)] = id;
  }
  return about;
}

ModelAbout about_folder(const std::string& folder, const LanguageModel& loaded) {
  ModelAbout about;
  if (file_exists(folder + "/" + kCardFile)) {
    const std::string card = read_file(folder + "/" + kCardFile);
    for (const auto& [key, other] : kLicenceKeys) {
      const std::string value = in_front_matter(card, key);
      if (!value.empty()) about.licence.emplace_back(key, value);
    }
  }
  const Json config = object_in(folder + "/" + kConfigFile);
  const Json tokenizer = object_in(folder + "/" + kTokenizerConfigFile);
  for (const auto& [role, other] : kRoles) {
    const std::string name(role);
    // Either the token, or an object that describes it.
    const Json* token = tokenizer.is_null() ? nullptr : tokenizer.find(name + "_token");
    if (token && token->kind() == Json::Kind::object) token = token->find("content");
    if (token && token->kind() == Json::Kind::string && loaded.has_tokenizer) {
      if (const auto id = loaded.tokenizer.id_of(token->as_string())) about.roles[name] = *id;
    }
    const Json* id = config.is_null() ? nullptr : config.find(name + "_token_id");
    if (about.roles.contains(name) || !id || id->kind() != Json::Kind::integer) continue;
    if (id->as_integer() >= 0 && id->as_integer() < loaded.model.config().vocab_size)
      about.roles[name] = id->as_integer();
  }
  return about;
}

// What of a run's card holds of the model wherever it is: the table, not what to do with the run.
std::string table_of(std::string_view card) {
  std::string table;
  while (!card.empty()) {
    const std::string_view line = card.substr(0, card.find('\n'));
    card.remove_prefix(std::min(card.size(), line.size() + 1));
    if (line.starts_with("|")) table += std::string(line) + "\n";
  }
  return table.empty() ? "" : "\n" + table;
}

}  // namespace

ModelAbout model_about(const LanguageModel& loaded) {
  const std::string& path = loaded.folder;
  if (is_directory(path)) return about_folder(path, loaded);
  if (is_gguf_file(path)) return about_gguf(GgufFile::open(path), loaded.model.config().vocab_size);
  return {};
}

std::string model_card(const LanguageModel& loaded, const ModelAbout& about) {
  const std::string path = folder_beside(loaded.folder) + "/" + kCardFile;
  std::string text = "Converted with `gradus convert`.\n";
  if (is_directory(loaded.folder) && file_exists(path)) {
    const bool run = file_exists(loaded.folder + "/" + kStateFile);
    text = run ? text + table_of(read_file(path)) : read_file(path);
  }
  std::string front;
  const auto add = [&](std::string_view key, std::string_view value) {
    if (in_front_matter(text, key).empty())
      front += std::string(key) + ": " + Json(replace_invalid_utf8(value)).dump() + "\n";
  };
  add("base_model", model_name(loaded.folder));
  for (const auto& [key, value] : about.licence) add(key, value);
  if (text.starts_with("---\n")) return text.insert(4, front);
  return "---\n" + front + "---\n\n" + text;
}

void write_licence(GgufFields& fields, const ModelAbout& about) {
  for (const auto& [key, value] : about.licence) {
    for (const auto& [card, general] : kLicenceKeys) {
      if (key == card) fields.text(general, value);
    }
  }
}

}  // namespace gradus::detail
