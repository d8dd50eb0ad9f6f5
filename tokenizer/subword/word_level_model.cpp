#include "tokenizer/subword/word_level_model.hpp"

#include <algorithm>

#include "tensor/error.hpp"
#include "tokenizer/text/json_parts.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {

namespace {

// The first byte of a text that begins no character, or its size.
size_t utf8_end(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  char32_t c;
  while (at < end) {
    const int bytes = decode_utf8(at, end, c);
    if (bytes == 0) break;
    at += bytes;
  }
  return static_cast<size_t>(at - text.data());
}

}  // namespace

void detail::check_utf8_word(std::string_view model, std::string_view text, ByteSpan word) {
  const size_t valid = utf8_end(text.substr(word.begin, word.end - word.begin));
  check_world(valid == word.end - word.begin, model, ": the text must be UTF-8; byte ", word.begin + valid,
              " begins no character; convert it first");
}

std::string detail::quoted(std::string_view word) {
  constexpr size_t kShown = 40;
  if (word.size() <= kShown) return '"' + std::string(word) + '"';
  const size_t cut = kShown - static_cast<size_t>(incomplete_utf8_tail(word.substr(0, kShown)));
  return '"' + std::string(word.substr(0, cut)) + "…\" (" + std::to_string(word.size()) + " bytes)";
}

WordVocabulary::WordVocabulary(std::vector<std::string> tokens)
    : tokens_(std::move(tokens)), trie_(std::vector<std::string_view>(tokens_.begin(), tokens_.end())) {
  for (size_t id = 0; id < tokens_.size(); ++id) {
    const std::string& token = tokens_[id];
    if (token.empty()) continue;
    check(utf8_end(token) == token.size(), "vocabulary: tokens must be UTF-8; token ", id, " is not");
    check(trie_.find(token) == static_cast<int32_t>(id), "vocabulary: tokens must differ; ",
          detail::quoted(token), " has the ids ", id, " and ", trie_.find(token));
  }
}

WordVocabulary WordVocabulary::read(const Json& vocab) {
  std::optional<int32_t> empty_id;
  WordVocabulary vocabulary(read_json_vocabulary(vocab, &empty_id));
  vocabulary.empty_id_ = empty_id.value_or(Trie::kNone);
  return vocabulary;
}

Json WordVocabulary::to_json() const {
  Json::Object members;
  members.reserve(tokens_.size());
  for (size_t id = 0; id < tokens_.size(); ++id) {
    if (tokens_[id].empty() && static_cast<int32_t>(id) != empty_id_) continue;
    members.emplace_back(tokens_[id], Json(static_cast<int64_t>(id)));
  }
  return Json::object(std::move(members));
}

std::optional<WordVocabulary> WordVocabulary::without(std::span<const int32_t> ids) const {
  std::vector<std::string> left = tokens_;
  for (const int32_t id : ids) left[static_cast<size_t>(id)].clear();
  if (left == tokens_) return std::nullopt;
  WordVocabulary vocabulary(std::move(left));
  vocabulary.empty_id_ = empty_id_;
  return vocabulary;
}

std::optional<int32_t> WordVocabulary::find(std::string_view token) const {
  const int32_t id = token.empty() ? empty_id_ : trie_.find(token);
  return id == Trie::kNone ? std::nullopt : std::optional<int32_t>(id);
}

WordLevelModel::WordLevelModel(WordVocabulary vocabulary, std::string unk_token)
    : vocabulary_(std::move(vocabulary)),
      unk_token_(std::move(unk_token)),
      unk_id_(vocabulary_.find(unk_token_)) {}

std::shared_ptr<const SubwordModel> WordLevelModel::without(std::span<const int32_t> tokens) const {
  auto vocabulary = vocabulary_.without(tokens);
  if (!vocabulary) return nullptr;
  auto model = std::make_shared<WordLevelModel>(std::move(*vocabulary), unk_token_);
  model->unk_id_ = unk_id_;
  return model;
}

void WordLevelModel::encode(std::string_view text, std::span<const ByteSpan> words,
                            std::vector<Token>& tokens) const {
  const Trie& trie = vocabulary_.trie();
  for (const ByteSpan word : words) {
    const std::string_view bytes = text.substr(word.begin, word.end - word.begin);
    int32_t id = trie.find(bytes);
    if (id == Trie::kNone) {
      detail::check_utf8_word("WordLevel", text, word);
      check_world(unk_id_.has_value(),
                  "WordLevel: every word must be a token, as there is no unknown token; ",
                  detail::quoted(bytes), " at byte ", word.begin,
                  " is none; remove it, or use a tokenizer that knows it");
      id = *unk_id_;
    }
    tokens.push_back({id, word.begin, word.end});
  }
}

std::shared_ptr<const WordLevelModel> WordLevelModel::read(const Json& model) {
  for (const auto& [key, value] : model.as_object()) {
    if (key == "vocab" || key == "unk_token") continue;
    check_world(key == "type", value.path(),
                ": no such key of a WordLevel model is known; use a newer version, or take it out");
    check_world(value.as_string() == "WordLevel", value.path(), ": must be \"WordLevel\"; it is ",
                detail::quoted(value.as_string()));
  }
  return std::make_shared<const WordLevelModel>(WordVocabulary::read(model.at("vocab")),
                                                model.at("unk_token").as_string());
}

Json WordLevelModel::to_json() const {
  return Json::object({{"type", "WordLevel"}, {"vocab", vocabulary_.to_json()}, {"unk_token", unk_token_}});
}

}  // namespace gradus
