#include "tokenizer/subword/char_model.hpp"

#include <algorithm>

#include "tensor/error.hpp"
#include "tokenizer/text/byte_alphabet.hpp"
#include "tokenizer/text/json_fields.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

// A WordLevel model must name an unknown token; no character can be it, so what is unknown is an error there too.
constexpr std::string_view kNoSuchToken = "<unk>";

// Reads the character at text[at]; an error where there is none.
int read_char(const char* op, std::string_view text, size_t at, char32_t& c) {
  const int length = decode_utf8(text.data() + at, text.data() + text.size(), c);
  if (length == 0) [[unlikely]] {
    fail_world(op, ": a tokenizer of characters needs text in UTF-8; byte ", hex_byte(text[at]),
               " at offset ", at, " begins no character; convert the text, or use byte or bpe:N");
  }
  return length;
}

}  // namespace

CharModel::CharModel(const std::vector<char32_t>& alphabet) : tokens_(alphabet.size()) {
  const auto largest = std::max_element(alphabet.begin(), alphabet.end());
  ids_.assign(largest == alphabet.end() ? 0 : static_cast<size_t>(*largest) + 1, -1);
  for (size_t id = 0; id < alphabet.size(); ++id) {
    append_utf8(alphabet[id], tokens_[id]);
    ids_[alphabet[id]] = static_cast<int32_t>(id);
  }
}

std::shared_ptr<const CharModel> CharModel::train(std::string_view text) {
  std::vector<bool> seen(kCodePoints, false);
  for (size_t at = 0; at < text.size();) {
    char32_t c = 0;
    at += static_cast<size_t>(read_char("train_char", text, at, c));
    seen[c] = true;
  }
  std::vector<char32_t> alphabet;
  for (char32_t c = 0; c < seen.size(); ++c) {
    if (seen[c]) alphabet.push_back(c);
  }
  check(!alphabet.empty(),
        "train_char: the text must hold at least one character; it is empty; give another text");
  return std::make_shared<const CharModel>(alphabet);
}

std::shared_ptr<const CharModel> CharModel::read(const Json& model) {
  check_json_keys(model, {"type", "vocab", "unk_token"});
  const std::vector<std::string> tokens = read_json_vocabulary(model.at("vocab"));
  std::vector<char32_t> alphabet;
  for (const std::string& token : tokens) {
    const std::optional<char32_t> c = single_char(token);
    if (!c || token == model.at("unk_token").as_string()) return nullptr;
    alphabet.push_back(*c);
  }
  return std::make_shared<const CharModel>(alphabet);
}

void CharModel::encode(std::string_view text, std::span<const ByteSpan> words,
                       std::vector<Token>& tokens) const {
  for (const ByteSpan word : words) {
    char32_t c = 0;
    read_char("encode", text, word.begin, c);
    const int32_t id = c < ids_.size() ? ids_[c] : -1;
    if (id >= 0) [[likely]] {
      tokens.push_back({id, word.begin, word.end});
      continue;
    }
    fail_world("encode: every character must be one of the tokenizer's ", tokens_.size(), "; ",
               describe_char(c), " at byte ", word.begin,
               " is not; change the text, or train a tokenizer of the kind byte or bpe:N, which knows every "
               "character");
  }
}

std::optional<int32_t> CharModel::find(std::string_view token) const {
  const std::optional<char32_t> c = single_char(token);
  return c && *c < ids_.size() && ids_[*c] >= 0 ? std::optional(ids_[*c]) : std::nullopt;
}

Json CharModel::to_json() const {
  Json model;
  model.set("type", "WordLevel").set("vocab", json_vocabulary(tokens_)).set("unk_token", kNoSuchToken);
  return model;
}

}  // namespace gradus
