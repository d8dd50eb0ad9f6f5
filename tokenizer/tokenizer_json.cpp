#include "tokenizer/tokenizer_json.hpp"

#include <algorithm>
#include <cstdio>
#include <initializer_list>
#include <unordered_map>

#include "tensor/error.hpp"
#include "tokenizer/bpe.hpp"
#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/char_model.hpp"
#include "tokenizer/unicode.hpp"

namespace gradus {
namespace {

// Any one character, line breaks included, in every regular-expression engine that reads these files.
constexpr std::string_view kAnyCharacter = "[\\s\\S]";
// A WordLevel model must name one; no character can be it, so what is unknown is an error there too.
constexpr std::string_view kNoSuchToken = "<unk>";

// ---- Writing ----

Json vocabulary_json(const Vocabulary& vocabulary) {
  Json::Object entries;
  for (int32_t id = 0; id < vocabulary.size(); ++id) entries.emplace_back(vocabulary.text(id), Json(id));
  return Json::object(std::move(entries));
}

// The parts in the order in which the Hugging Face library writes them.
Json file_json(Json added_tokens, Json pre_tokenizer, Json post_processor, Json decoder, Json model) {
  Json file;
  file.set("version", "1.0").set("truncation", nullptr).set("padding", nullptr);
  file.set("added_tokens", std::move(added_tokens)).set("normalizer", nullptr);
  file.set("pre_tokenizer", std::move(pre_tokenizer)).set("post_processor", std::move(post_processor));
  file.set("decoder", std::move(decoder)).set("model", std::move(model));
  return file;
}

Json byte_level_json(bool add_prefix_space, bool trim_offsets) {
  Json part;
  part.set("type", "ByteLevel").set("add_prefix_space", add_prefix_space);
  part.set("trim_offsets", trim_offsets).set("use_regex", true);
  return part;
}

// ---- Reading ----

// A value as an error shows it: short, however long it is.
std::string shown(const Json& value) {
  constexpr size_t kLongest = 60;
  std::string text = value.dump();
  if (text.size() <= kLongest) return text;
  text.resize(kLongest);
  text.resize(text.size() - static_cast<size_t>(incomplete_utf8_tail(text)));
  return text + "...";
}

[[noreturn]] void refuse(const Json& at, const std::string& must) {
  fail_world(at.path(), ": must be ", must, "; it is ", shown(at), "; no other is supported");
}

void check_keys(const Json& object, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.as_object()) {
    check_world(std::find(known.begin(), known.end(), key) != known.end(), value.path(),
                ": must be a key with a known meaning; this one is not and could change the result; "
                "remove it if it says nothing");
  }
}

void expect_null(const Json& object, std::string_view key) {
  const Json* value = object.find(key);
  if (value != nullptr && !value->is_null()) refuse(*value, "null");
}

// Some writers say "" where others say null.
void expect_no_text(const Json& object, std::string_view key) {
  const Json* value = object.find(key);
  if (value != nullptr && !value->is_null() && !value->as_string().empty()) refuse(*value, "null");
}

void expect_text(const Json& value, std::string_view wanted) {
  if (value.as_string() != wanted) refuse(value, shown(Json(wanted)));
}

void expect_boolean(const Json& value, bool wanted) {
  if (value.as_boolean() != wanted) refuse(value, wanted ? "true" : "false");
}

// A setting that may be missing, which means `wanted`.
void expect_optional(const Json& object, std::string_view key, bool wanted) {
  if (const Json* value = object.find(key)) expect_boolean(*value, wanted);
}

struct Entry {
  std::string text;
  const Json* id;  // where the file says it
};

// The texts by id: an error where the ids are not 0 to N - 1, each once.
std::vector<std::string> order_by_id(const std::vector<Entry>& entries) {
  const auto count = static_cast<int64_t>(entries.size());
  std::vector<std::string> texts(entries.size());
  for (const Entry& entry : entries) {
    const int64_t id = entry.id->as_integer();
    check_world(id >= 0 && id < count, entry.id->path(), ": ids must run from 0 to ", count - 1,
                " without gaps, as there are ", count, " tokens; this one is ", id,
                "; number the tokens again");
    std::string& text = texts[static_cast<size_t>(id)];
    check_world(!entry.text.empty(), entry.id->path(), ": a token must not be empty; this one is; remove it");
    check_world(text.empty(), entry.id->path(), ": each token must have an id of its own; ", id,
                " is also that of ", shown(Json(text)), "; number the tokens again");
    text = entry.text;
  }
  return texts;
}

std::vector<Entry> vocabulary_entries(const Json& model) {
  std::vector<Entry> entries;
  for (const auto& [text, id] : model.at("vocab").as_object()) entries.push_back({text, &id});
  check_world(!entries.empty(), model.at("vocab").path(), ": must have at least one token; there is none");
  check_world(entries.size() <= 0x7FFFFFFF, model.at("vocab").path(),
              ": must have fewer than 2^31 tokens; it has ", entries.size());
  return entries;
}

// The special tokens: their texts, with where the file says their ids.
std::vector<Entry> special_entries(const Json& file) {
  std::vector<Entry> entries;
  const Json* tokens = file.find("added_tokens");
  if (tokens == nullptr) return entries;
  const Json* normalized = nullptr;
  for (const Json& token : tokens->as_array()) {
    check_keys(token, {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
    expect_boolean(token.at("special"), true);
    for (const char* key : {"single_word", "lstrip", "rstrip"}) expect_optional(token, key, false);
    // Without a normalizer this only says in which of two rounds a token is looked for: one round needs one value.
    if (const Json* value = token.find("normalized")) {
      if (normalized != nullptr) expect_boolean(*value, normalized->as_boolean());
      normalized = value;
    }
    const std::string& content = token.at("content").as_string();
    for (const Entry& other : entries) {
      check_world(other.text != content, token.at("content").path(), ": a token may be added once; ",
                  shown(token.at("content")), " stands here again; remove one");
    }
    entries.push_back({content, &token.at("id")});
  }
  return entries;
}

// Checks the three ByteLevel parts, none of which may change anything about the text or the offsets.
void check_byte_level_parts(const Json& file) {
  const auto check_part = [](const Json& part) {
    if (part.is_null()) refuse(part, "of the type ByteLevel");
    expect_text(part.at("type"), "ByteLevel");
    check_keys(part, {"type", "add_prefix_space", "trim_offsets", "use_regex"});
    for (const char* key : {"add_prefix_space", "trim_offsets", "use_regex"}) {
      if (const Json* value = part.find(key)) value->as_boolean();
    }
  };
  // Each part reads only one of the settings; the others are there because all three are written alike.
  const Json& pre_tokenizer = file.at("pre_tokenizer");
  check_part(pre_tokenizer);
  expect_boolean(pre_tokenizer.at("add_prefix_space"), false);
  expect_optional(pre_tokenizer, "use_regex", true);
  const Json* post_processor = file.find("post_processor");
  if (post_processor != nullptr && !post_processor->is_null()) {
    check_part(*post_processor);
    expect_boolean(post_processor->at("trim_offsets"), false);
  }
  check_part(file.at("decoder"));
}

void check_all_bytes(const Vocabulary& vocabulary, const Json& at) {
  for (int value = 0; value < 256; ++value) {
    const std::string text = bytes_to_text(std::string(1, static_cast<char>(value)));
    if (vocabulary.find(text)) continue;
    char byte[8];
    std::snprintf(byte, sizeof byte, "0x%02X", static_cast<unsigned>(value));
    fail_world(at.path(), ": must hold all 256 bytes, so that any text can be encoded; ", byte, ", written ",
               shown(Json(text)), ", is missing; add it");
  }
}

// A merge is written "left right" or ["left", "right"].
std::pair<std::string, std::string> read_merge(const Json& merge) {
  if (merge.kind() == Json::Kind::array) {
    if (merge.as_array().size() != 2) refuse(merge, "a pair of tokens");
    return {merge.as_array()[0].as_string(), merge.as_array()[1].as_string()};
  }
  const std::string& text = merge.as_string();
  const size_t space = text.find(' ');
  if (space == std::string::npos || text.find(' ', space + 1) != std::string::npos) {
    refuse(merge, "two tokens with one space between");
  }
  return {text.substr(0, space), text.substr(space + 1)};
}

std::vector<BpeMerge> read_merges(const Json& list, const Vocabulary& vocabulary,
                                  const std::vector<int32_t>& special_ids) {
  std::vector<BpeMerge> merges;
  PairMap seen(static_cast<int64_t>(list.as_array().size()));
  for (const Json& item : list.as_array()) {
    const auto [left, right] = read_merge(item);
    const auto id_of = [&](const std::string& text) {
      const std::optional<int32_t> id = vocabulary.find(text);
      check_world(id.has_value(), item.path(), ": a merge must name tokens of the vocabulary and make one; ",
                  shown(Json(text)), " is not in it; add the token or remove the merge");
      check_world(!std::binary_search(special_ids.begin(), special_ids.end(), *id), item.path(),
                  ": a merge must not name or make a special token; ", shown(Json(text)),
                  " is one; remove the merge");
      return *id;
    };
    const BpeMerge merge{id_of(left), id_of(right), id_of(left + right)};
    const auto place = static_cast<int32_t>(merges.size());
    const int32_t first = seen.find_or_insert(merge.left, merge.right, place);
    check_world(first == place, item.path(), ": a merge may stand in the list once; this one stands at ",
                first, " too; remove one");
    merges.push_back(merge);
  }
  return merges;
}

std::shared_ptr<const TokenizerModel> read_bpe(const Json& file, const Json& model) {
  check_keys(model, {"type", "dropout", "unk_token", "continuing_subword_prefix", "end_of_word_suffix",
                     "fuse_unk", "byte_fallback", "ignore_merges", "vocab", "merges"});
  expect_null(model, "dropout");
  expect_null(model, "unk_token");
  expect_no_text(model, "continuing_subword_prefix");
  expect_no_text(model, "end_of_word_suffix");
  for (const char* key : {"fuse_unk", "byte_fallback", "ignore_merges"}) expect_optional(model, key, false);
  check_byte_level_parts(file);

  std::vector<Entry> entries = vocabulary_entries(model);
  const std::vector<Entry> specials = special_entries(file);
  std::unordered_map<std::string, const Json*> ids;
  for (const Entry& entry : entries) ids.emplace(entry.text, entry.id);
  std::vector<int32_t> special_ids;
  for (const Entry& special : specials) {
    const auto listed = ids.find(special.text);
    if (listed == ids.end()) {
      entries.push_back(special);
      continue;
    }
    check_world(listed->second->as_integer() == special.id->as_integer(), special.id->path(),
                ": an added token must have the id that the vocabulary gives it, ",
                listed->second->as_integer(), "; it is ", special.id->as_integer(), "; correct one of them");
  }
  std::vector<std::string> texts = order_by_id(entries);
  for (const Entry& special : specials) special_ids.push_back(static_cast<int32_t>(special.id->as_integer()));
  std::sort(special_ids.begin(), special_ids.end());

  std::vector<std::string> bytes(texts.size());
  for (const Entry& entry : entries) {
    const auto id = static_cast<int32_t>(entry.id->as_integer());
    if (std::binary_search(special_ids.begin(), special_ids.end(), id)) {
      bytes[static_cast<size_t>(id)] = entry.text;
      continue;
    }
    std::optional<std::string> spelled = text_to_bytes(entry.text);
    check_world(spelled.has_value(), entry.id->path(),
                ": tokens must be written in the 256 characters of the byte-level "
                "alphabet; ",
                shown(Json(entry.text)), " is not; if it is a special token, list it in added_tokens");
    bytes[static_cast<size_t>(id)] = std::move(*spelled);
  }
  Vocabulary vocabulary(std::move(bytes), std::move(texts));
  check_all_bytes(vocabulary, model.at("vocab"));
  std::vector<BpeMerge> merges = read_merges(model.at("merges"), vocabulary, special_ids);
  return std::make_shared<const BpeModel>(std::move(vocabulary), std::move(merges), std::move(special_ids));
}

std::shared_ptr<const TokenizerModel> read_chars(const Json& file, const Json& model) {
  check_keys(model, {"type", "vocab", "unk_token"});
  const Json& split = file.at("pre_tokenizer");
  if (split.is_null()) refuse(split, "a Split into characters");
  expect_text(split.at("type"), "Split");
  check_keys(split, {"type", "pattern", "behavior", "invert"});
  check_keys(split.at("pattern"), {"Regex"});
  expect_text(split.at("pattern").at("Regex"), kAnyCharacter);
  expect_text(split.at("behavior"), "Isolated");
  expect_optional(split, "invert", false);
  expect_null(file, "post_processor");
  if (file.at("decoder").is_null()) refuse(file.at("decoder"), "of the type Fuse");
  expect_text(file.at("decoder").at("type"), "Fuse");
  check_keys(file.at("decoder"), {"type"});
  if (const Json* added = file.find("added_tokens"); added != nullptr && !added->as_array().empty()) {
    refuse(*added, "empty for a vocabulary of characters");
  }

  const std::vector<Entry> entries = vocabulary_entries(model);
  std::vector<char32_t> alphabet;
  for (const std::string& text : order_by_id(entries)) {
    char32_t c = 0;
    const int length = decode_utf8(text.data(), text.data() + text.size(), c);
    if (static_cast<size_t>(length) != text.size()) {
      const auto entry =
          std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.text == text; });
      fail_world(entry->id->path(), ": tokens of a WordLevel model must be single characters; ",
                 shown(Json(text)), " is not one; words are not supported as tokens");
    }
    alphabet.push_back(c);
  }
  const Json& unknown = model.at("unk_token");
  for (const Entry& entry : entries) {
    check_world(entry.text != unknown.as_string(), unknown.path(),
                ": must not be a character of the vocabulary, as "
                "unknown characters are errors; it is ",
                shown(unknown), "; name a token that is not in it, such as ", shown(Json(kNoSuchToken)));
  }
  return std::make_shared<const CharModel>(alphabet);
}

}  // namespace

Json CharModel::to_json() const {
  Json pattern;
  pattern.set("Regex", kAnyCharacter);
  Json split;
  split.set("type", "Split")
      .set("pattern", std::move(pattern))
      .set("behavior", "Isolated")
      .set("invert", false);
  Json decoder;
  decoder.set("type", "Fuse");
  Json model;
  model.set("type", "WordLevel").set("vocab", vocabulary_json(vocabulary())).set("unk_token", kNoSuchToken);
  return file_json(Json::array(), std::move(split), nullptr, std::move(decoder), std::move(model));
}

Json BpeModel::to_json() const {
  Json::Array added;
  for (const int32_t id : special_ids()) {
    Json token;
    token.set("id", id).set("content", vocabulary().text(id)).set("single_word", false).set("lstrip", false);
    token.set("rstrip", false).set("normalized", false).set("special", true);
    added.push_back(std::move(token));
  }
  Json::Array merges;
  for (const BpeMerge& merge : merges_.list()) {
    merges.emplace_back(vocabulary().text(merge.left) + " " + vocabulary().text(merge.right));
  }
  Json model;
  model.set("type", "BPE").set("dropout", nullptr).set("unk_token", nullptr);
  model.set("continuing_subword_prefix", nullptr).set("end_of_word_suffix", nullptr).set("fuse_unk", false);
  model.set("byte_fallback", false).set("ignore_merges", false);
  model.set("vocab", vocabulary_json(vocabulary())).set("merges", Json::array(std::move(merges)));
  return file_json(Json::array(std::move(added)), byte_level_json(false, true), byte_level_json(true, false),
                   byte_level_json(true, true), std::move(model));
}

std::shared_ptr<const TokenizerModel> read_tokenizer_json(const Json& file) {
  check_keys(file, {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                    "post_processor", "decoder", "model"});
  expect_text(file.at("version"), "1.0");
  expect_null(file, "truncation");
  expect_null(file, "padding");
  expect_null(file, "normalizer");
  const Json& model = file.at("model");
  // Files older than the key "type" held a BPE where they held merges.
  const Json* type = model.find("type");
  if (type == nullptr && model.find("merges") != nullptr) return read_bpe(file, model);
  const std::string& name = model.at("type").as_string();
  if (name == "BPE") return read_bpe(file, model);
  if (name == "WordLevel") return read_chars(file, model);
  refuse(*type, "\"BPE\" (byte-level) or \"WordLevel\" (of characters)");
}

}  // namespace gradus
