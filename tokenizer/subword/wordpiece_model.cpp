#include "tokenizer/subword/wordpiece_model.hpp"

#include <algorithm>

#include "tensor/error.hpp"
#include "tokenizer/text/json_fields.hpp"
#include "tokenizer/text/strings.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {

namespace {

// Tokens of more bytes make it worth finding them in one pass: reading on in vain could cost as much for every byte.
constexpr size_t kLongToken = 256;

}  // namespace

WordPieceModel::WordPieceModel(WordVocabulary vocabulary, Options options)
    : vocabulary_(std::move(vocabulary)),
      options_(std::move(options)),
      unk_id_(vocabulary_.find(options_.unk_token)) {
  check(options_.max_input_chars_per_word >= 0,
        "WordPiece: max_input_chars_per_word must not be negative; it is ",
        options_.max_input_chars_per_word);
  const std::string& prefix = options_.continuing_subword_prefix;
  inside_ = Trie::kRoot;
  for (const char byte : prefix) {
    if (!inside_ || !vocabulary_.trie().step(*inside_, static_cast<unsigned char>(byte))) inside_.reset();
  }
  size_t longest = 0;
  std::vector<std::string_view> inner(tokens().size());
  for (size_t id = 0; id < inner.size(); ++id) {
    const std::string_view token = tokens()[id];
    if (token.substr(0, prefix.size()) != prefix) continue;
    inner[id] = token.substr(prefix.size());
    longest = std::max(longest, inner[id].size());
  }
  if (longest <= kLongToken) return;
  long_matches_.emplace(inner);
  for (const std::string_view text : inner) inner_bytes_.push_back(static_cast<uint32_t>(text.size()));
}

std::shared_ptr<const SubwordModel> WordPieceModel::without(std::span<const int32_t> tokens) const {
  auto vocabulary = vocabulary_.without(tokens);
  if (!vocabulary) return nullptr;
  auto model = std::make_shared<WordPieceModel>(std::move(*vocabulary), options_);
  model->unk_id_ = unk_id_;
  return model;
}

bool WordPieceModel::too_long(std::string_view word) const {
  const auto most = static_cast<size_t>(options_.max_input_chars_per_word);
  return word.size() > most && count_chars(word) > most;
}

// Appends the tokens of a word, if it comes out even.
bool WordPieceModel::append_pieces(std::string_view text, ByteSpan word, std::vector<Token>& tokens) const {
  std::string_view rest = text.substr(word.begin, word.end - word.begin);
  if (rest.size() > kLongToken && long_matches_) return append_long(text, word, tokens);
  Trie::Node from = Trie::kRoot;
  uint32_t begin = word.begin;
  for (;;) {
    const Trie::Match match = vocabulary_.trie().longest(from, rest);
    if (match.value == Trie::kNone) return false;
    const uint32_t end = begin + static_cast<uint32_t>(match.length);
    tokens.push_back({match.value, begin, end});
    if (end == word.end) return true;
    if (!inside_) return false;
    rest.remove_prefix(match.length);
    begin = end;
    from = *inside_;
  }
}

// The same for a long word and a vocabulary with long tokens.
bool WordPieceModel::append_long(std::string_view text, ByteSpan word, std::vector<Token>& tokens) const {
  const std::string_view bytes = text.substr(word.begin, word.end - word.begin);
  std::vector<int32_t> longest;
  long_matches_->find(bytes, longest);
  const Trie::Match first = vocabulary_.trie().longest(Trie::kRoot, bytes);
  int32_t id = first.value;
  size_t length = first.length;
  for (size_t begin = 0;;) {
    if (id == Trie::kNone) return false;
    tokens.push_back(
        {id, static_cast<uint32_t>(word.begin + begin), static_cast<uint32_t>(word.begin + begin + length)});
    begin += length;
    if (begin == bytes.size()) return true;
    id = longest[begin];
    if (id != Trie::kNone) length = inner_bytes_[static_cast<size_t>(id)];
  }
}

void WordPieceModel::append_unknown(std::string_view text, ByteSpan word, std::vector<Token>& tokens) const {
  detail::check_utf8_word("WordPiece", text, word);
  check_world(unk_id_.has_value(), "WordPiece: every word must be made of tokens, as the unknown token ",
              shown_text(options_.unk_token), " has no id; ",
              shown_text(text.substr(word.begin, word.end - word.begin)), " at byte ", word.begin,
              " is not; remove it, or use a tokenizer that knows it");
  tokens.push_back({*unk_id_, word.begin, word.end});
}

void WordPieceModel::encode(std::string_view text, std::span<const ByteSpan> words,
                            std::vector<Token>& tokens) const {
  for (const ByteSpan word : words) {
    if (word.begin == word.end) continue;
    const size_t from = tokens.size();
    if (!too_long(text.substr(word.begin, word.end - word.begin)) && append_pieces(text, word, tokens))
      continue;
    tokens.resize(from);
    append_unknown(text, word, tokens);
  }
}

std::shared_ptr<const WordPieceModel> WordPieceModel::read(const Json& model) {
  check_json_keys(model,
                  {"type", "unk_token", "continuing_subword_prefix", "max_input_chars_per_word", "vocab"});
  Options options{model.at("unk_token").as_string(), model.at("continuing_subword_prefix").as_string(),
                  integer_within(model.at("max_input_chars_per_word"), 0, INT64_MAX)};
  return std::make_shared<const WordPieceModel>(WordVocabulary::read(model.at("vocab")), std::move(options));
}

Json WordPieceModel::to_json() const {
  return Json::object({{"type", "WordPiece"},
                       {"unk_token", options_.unk_token},
                       {"continuing_subword_prefix", options_.continuing_subword_prefix},
                       {"max_input_chars_per_word", options_.max_input_chars_per_word},
                       {"vocab", vocabulary_.to_json()}});
}

}  // namespace gradus
