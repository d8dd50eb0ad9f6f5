#include "tokenizer/formats/tokenizer_json.hpp"

#include <algorithm>
#include <unordered_map>

#include "tensor/error.hpp"
#include "tokenizer/stages/presets.hpp"
#include "tokenizer/subword/bpe_model.hpp"
#include "tokenizer/subword/char_model.hpp"
#include "tokenizer/subword/unigram_model.hpp"
#include "tokenizer/subword/word_level_model.hpp"
#include "tokenizer/subword/wordpiece_model.hpp"
#include "tokenizer/text/json_fields.hpp"

namespace gradus {
namespace {

Json member(const Json& file, std::string_view key) {
  const Json* value = file.find(key);
  return value == nullptr ? Json() : *value;
}

std::vector<AddedToken> read_added_tokens(const Json& list, const SubwordModel& model) {
  std::vector<AddedToken> tokens;
  if (list.is_null()) return tokens;
  std::unordered_map<std::string_view, const Json*> seen;
  const int64_t most = id_limit(model.tokens().size() + list.as_array().size());
  for (const Json& item : list.as_array()) {
    check_json_keys(item, {"id", "content", "single_word", "lstrip", "rstrip", "normalized", "special"});
    const Json& content = item.at("content");
    const Json& id = item.at("id");
    check_world(!content.as_string().empty(), content.path(),
                ": an added token must have a text; it is \"\"; remove it");
    check_world(seen.emplace(content.as_string(), &item).second, content.path(),
                ": a token may be added once; ", shown_json(content), " stands here again; remove one");
    check_world(id.as_integer() >= 0 && id.as_integer() < most, id.path(), ": an id must be from 0 to ",
                most - 1, " beside this vocabulary; it is ", id.as_integer(), "; number the tokens again");
    const std::optional<int32_t> listed = model.find(content.as_string());
    check_world(!listed || *listed == id.as_integer(), id.path(),
                ": an added token must have the id that the vocabulary gives it, ", listed.value_or(0),
                "; it is ", id.as_integer(), "; correct one of them");
    const bool taken = !listed && static_cast<size_t>(id.as_integer()) < model.tokens().size() &&
                       !model.tokens()[static_cast<size_t>(id.as_integer())].empty();
    check_world(!taken, id.path(), ": each token must have an id of its own; ", id.as_integer(),
                " is also that of ",
                taken ? Json(model.tokens()[static_cast<size_t>(id.as_integer())]).dump() : "",
                "; number the tokens again");
    const bool special = boolean_or(item, "special", false);
    tokens.push_back({static_cast<int32_t>(id.as_integer()), content.as_string(),
                      boolean_or(item, "single_word", false), boolean_or(item, "lstrip", false),
                      boolean_or(item, "rstrip", false), boolean_or(item, "normalized", !special), special});
  }
  // Ids twice among the added tokens themselves.
  std::vector<const Json*> by_id;
  for (const Json& item : list.as_array()) by_id.push_back(&item);
  std::sort(by_id.begin(), by_id.end(),
            [](const Json* a, const Json* b) { return a->at("id").as_integer() < b->at("id").as_integer(); });
  for (size_t i = 1; i < by_id.size(); ++i) {
    check_world(by_id[i - 1]->at("id").as_integer() != by_id[i]->at("id").as_integer(),
                by_id[i]->at("id").path(), ": each token must have an id of its own; ",
                by_id[i]->at("id").as_integer(), " is also that of ", shown_json(by_id[i - 1]->at("content")),
                "; number the tokens again");
  }
  return tokens;
}

std::shared_ptr<const SubwordModel> read_model(const Json& model, bool byte_level, bool by_characters) {
  const Json* type = model.find("type");
  // Files older than the key "type" held a BPE where they held merges.
  const std::string name =
      type == nullptr && model.find("merges") != nullptr ? "BPE" : model.at("type").as_string();
  if (name == "BPE") return BpeModel::read(model, byte_level);
  check_world(!byte_level, model.path(),
              ": the model must be a BPE after the pre-tokenizer ByteLevel; it is ", shown_json(*type),
              "; no other is supported");
  if (name == "WordLevel") {
    if (by_characters) {
      if (auto characters = CharModel::read(model)) return characters;
    }
    return WordLevelModel::read(model);
  }
  if (name == "WordPiece") return WordPieceModel::read(model);
  if (name == "Unigram") return UnigramModel::read(model);
  refuse_json(*type, "\"BPE\", \"WordPiece\", \"Unigram\" or \"WordLevel\"");
}

}  // namespace

TokenizerParts read_tokenizer_json(const Json& file) {
  check_json_keys(file, {"version", "truncation", "padding", "added_tokens", "normalizer", "pre_tokenizer",
                         "post_processor", "decoder", "model"});
  if (file.at("version").as_string() != "1.0") refuse_json(file.at("version"), "\"1.0\"");
  TokenizerParts parts;
  parts.truncation = read_truncation(member(file, "truncation"));
  parts.padding = read_padding(member(file, "padding"));
  parts.normalizer = read_normalizer(member(file, "normalizer"));
  parts.pre_tokenizer = read_pre_tokenizer(member(file, "pre_tokenizer"));
  const bool byte_level = parts.pre_tokenizer != nullptr && parts.pre_tokenizer->byte_level();
  const bool by_characters = parts.pre_tokenizer != nullptr && parts.normalizer == nullptr &&
                             parts.pre_tokenizer->to_json().dump() == preset(kCharacterSplit).dump();
  parts.model = read_model(file.at("model"), byte_level, by_characters);
  parts.added_tokens = read_added_tokens(member(file, "added_tokens"), *parts.model);
  set_post_processor(parts, member(file, "post_processor"));
  parts.decoder = read_decoder(member(file, "decoder"));
  return parts;
}

Json write_tokenizer_json(const TokenizerParts& parts) {
  const auto json_of = [](const auto& part) { return part == nullptr ? Json() : part->to_json(); };
  Json::Array added;
  const auto add = [&](const AddedToken& token) {
    added.push_back(Json::object({{"id", token.id},
                                  {"content", token.content},
                                  {"single_word", token.single_word},
                                  {"lstrip", token.lstrip},
                                  {"rstrip", token.rstrip},
                                  {"normalized", token.normalized},
                                  {"special", token.special}}));
  };
  for (const AddedToken& token : parts.added_tokens) add(token);
  for (const int32_t id : parts.control_ids)
    add({id, parts.model->tokens()[static_cast<size_t>(id)], false, false, false, false, true});
  Json file;
  file.set("version", "1.0");
  file.set("truncation", parts.truncation ? to_json(*parts.truncation) : Json());
  file.set("padding", parts.padding ? to_json(*parts.padding) : Json());
  file.set("added_tokens", Json::array(std::move(added))).set("normalizer", json_of(parts.normalizer));
  file.set("pre_tokenizer", json_of(parts.pre_tokenizer))
      .set("post_processor", json_of(parts.post_processor));
  file.set("decoder", json_of(parts.decoder)).set("model", parts.model->to_json());
  return file;
}

}  // namespace gradus
