#include "tokenizer/subword/word_level_model.hpp"

#include "tensor/error.hpp"
#include "tokenizer/text/json_fields.hpp"
#include "tokenizer/text/strings.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {

void detail::check_utf8_word(std::string_view model, std::string_view text, ByteSpan word) {
  const size_t valid = utf8_prefix(text.substr(word.begin, word.end - word.begin));
  check_world(valid == word.end - word.begin, model, ": the text must be UTF-8; byte ", word.begin + valid,
              " begins no character; convert it first");
}

WordVocabulary::WordVocabulary(std::vector<std::string> tokens)
    : tokens_(std::move(tokens)), trie_(std::vector<std::string_view>(tokens_.begin(), tokens_.end())) {
  for (size_t id = 0; id < tokens_.size(); ++id) {
    const std::string& token = tokens_[id];
    if (token.empty()) continue;
    check(all_utf8(token), "vocabulary: tokens must be UTF-8; token ", id, " is not");
    check(trie_.find(token) == static_cast<int32_t>(id), "vocabulary: tokens must differ; ",
          shown_text(token), " has the ids ", id, " and ", trie_.find(token));
  }
}

WordVocabulary WordVocabulary::read(const Json& vocab) {
  std::optional<int32_t> empty_id;
  WordVocabulary vocabulary(read_json_vocabulary(vocab, &empty_id));
  vocabulary.empty_id_ = empty_id.value_or(Trie::kNone);
  return vocabulary;
}

Json WordVocabulary::to_json() const {
  return json_vocabulary(tokens_, empty_id_ == Trie::kNone ? std::nullopt : std::optional(empty_id_));
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
                  "WordLevel: every word must be a token, as there is no unknown token; ", shown_text(bytes),
                  " at byte ", word.begin, " is none; remove it, or use a tokenizer that knows it");
      id = *unk_id_;
    }
    tokens.push_back({id, word.begin, word.end});
  }
}

std::shared_ptr<const WordLevelModel> WordLevelModel::read(const Json& model) {
  check_json_keys(model, {"type", "vocab", "unk_token"});
  return std::make_shared<const WordLevelModel>(WordVocabulary::read(model.at("vocab")),
                                                model.at("unk_token").as_string());
}

Json WordLevelModel::to_json() const {
  return Json::object({{"type", "WordLevel"}, {"vocab", vocabulary_.to_json()}, {"unk_token", unk_token_}});
}

}  // namespace gradus
