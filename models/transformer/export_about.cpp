// What the makers of a model say of it beside its numbers, in folders and in GGUF files.

#include <algorithm>
#include <optional>
#include <string_view>

#include "models/files/gguf_file.hpp"
#include "models/files/gguf_source.hpp"
#include "models/transformer/export_detail.hpp"
#include "models/transformer/run_card.hpp"
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

// A card: a text with lines of YAML in front of it, between two of "---". Of YAML what such lines usually hold is read: one
// plain or quoted phrase behind a key.
class Card {
 public:
  explicit Card(std::string text) : text_(std::move(text)) {
    constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
    if (text_.starts_with(kByteOrderMark)) text_.erase(0, kByteOrderMark.size());
    std::string_view rest = text_;
    if (without_spaces(cut_line(rest)) != "---") return;
    const size_t begin = text_.size() - rest.size();
    while (!rest.empty()) {
      const size_t line = text_.size() - rest.size();
      if (without_spaces(cut_line(rest)) != "---") continue;
      front_ = begin;
      front_end_ = line;
      return;
    }
  }

  /// Whether there is a key, whatever stands behind it.
  bool says(std::string_view key) const { return behind(key).has_value(); }
  /// What stands behind a key; nothing where it is not there, or more than a phrase on one line.
  std::optional<std::string> phrase(std::string_view key) const {
    const std::optional<std::string_view> found = behind(key);
    if (!found || found->empty()) return {};
    const char first = found->front();
    if (std::string_view("[]{}|>&*!%@`,?").find(first) != std::string_view::npos) return {};
    const bool quoted = first == '"' || first == '\'';
    const size_t end = quoted ? found->find(first, 1) : std::min(found->find(" #"), found->size());
    if (end == std::string_view::npos) return {};
    const std::string_view rest = without_spaces(found->substr(quoted ? end + 1 : end));
    const std::string_view value = found->substr(quoted, end - quoted);
    if ((!rest.empty() && rest.front() != '#') || (quoted && value.find('\\') != std::string_view::npos))
      return {};
    return std::string(quoted ? value : without_spaces(value));
  }
  /// The text with a key and its value in front, unless it is there.
  void add(std::string_view key, std::string_view value) {
    if (says(key)) return;
    const std::string line = std::string(key) + ": " + Json(replace_invalid_utf8(value)).dump() + "\n";
    if (!front_) {
      text_ = "---\n---\n\n" + text_;
      front_ = front_end_ = std::string_view("---\n").size();
    }
    text_.insert(front_end_, line);
    front_end_ += line.size();
  }
  const std::string& text() const { return text_; }

 private:
  static std::string_view cut_line(std::string_view& rest) {
    const std::string_view line = rest.substr(0, rest.find('\n'));
    rest.remove_prefix(std::min(rest.size(), line.size() + 1));
    return line;
  }
  std::optional<std::string_view> behind(std::string_view key) const {
    std::string_view rest = front_ ? std::string_view(text_).substr(*front_, front_end_ - *front_) : "";
    while (!rest.empty()) {
      std::string_view line = cut_line(rest);
      const bool quoted = !line.empty() && (line.front() == '"' || line.front() == '\'');
      if (quoted) line.remove_prefix(1);
      if (!line.starts_with(key)) continue;
      line.remove_prefix(key.size());
      if (quoted) line.remove_prefix(std::min<size_t>(line.size(), 1));
      line = without_spaces(line);
      if (line.starts_with(":")) return without_spaces(line.substr(1));
    }
    return {};
  }

  std::string text_;
  std::optional<size_t> front_;  // where the lines of YAML begin
  size_t front_end_ = 0;
};

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

ModelAbout about_folder(const LanguageModel& loaded, const std::string& home) {
  const std::string& folder = loaded.folder;
  ModelAbout about;
  if (file_exists(home + "/" + kCardFile)) {
    const Card card(read_file(home + "/" + kCardFile));
    for (const auto& [key, other] : kLicenceKeys) {
      if (const auto phrase = card.phrase(key)) about.licence.emplace_back(key, *phrase);
      about.licence_unread = about.licence_unread || (card.says(key) && !card.phrase(key));
    }
  }
  const Json config = object_in(folder + "/" + kConfigFile);
  const Json tokenizer = object_in(folder + "/" + kTokenizerConfigFile);
  const Json* side = tokenizer.is_null() ? nullptr : tokenizer.find("padding_side");
  if (side && side->kind() == Json::Kind::string) about.padding_side = side->as_string();
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

void remove(std::string& text, std::string_view part) {
  const size_t at = text.find(part);
  if (at != std::string::npos) text.erase(at, part.size());
}

}  // namespace

ModelAbout model_about(const LanguageModel& loaded, const std::string& home) {
  const std::string& path = loaded.folder;
  if (is_directory(path)) return about_folder(loaded, home);
  if (is_gguf_file(path)) return about_gguf(GgufFile::open(path), loaded.model.config().vocab_size);
  return {};
}

std::string model_card(const std::string& home, const ModelAbout& about) {
  const std::string path = home + "/" + kCardFile;
  std::string text = "Converted with `gradus convert`.\n";
  if (is_directory(home) && file_exists(path)) {
    text = read_file(path);
    for (const std::string_view of_run : {kCardOfFiles, kCardOfUse}) remove(text, of_run);
  }
  Card card(std::move(text));
  card.add("base_model", model_name(home));
  for (const auto& [key, value] : about.licence) card.add(key, value);
  return card.text();
}

void write_licence(GgufFields& fields, const ModelAbout& about) {
  for (const auto& [key, value] : about.licence) {
    for (const auto& [card, general] : kLicenceKeys) {
      if (key == card) fields.text(general, value);
    }
  }
}

}  // namespace gradus::detail
