#include "tokenizer/char_model.hpp"

#include <algorithm>
#include <cstdio>

#include "tensor/error.hpp"
#include "tokenizer/unicode.hpp"

namespace gradus {
namespace {

// Reads the character at text[at]; an error where there is none.
int read_char(const char* op, std::string_view text, size_t at, int64_t offset, char32_t& c) {
  const int length = decode_utf8(text.data() + at, text.data() + text.size(), c);
  if (length == 0) [[unlikely]] {
    char byte[8];
    std::snprintf(byte, sizeof byte, "0x%02X", static_cast<unsigned>(static_cast<unsigned char>(text[at])));
    fail(op, ": a tokenizer of characters needs text in UTF-8; byte ", byte, " at offset ",
         offset + static_cast<int64_t>(at), " begins no character; convert the text, or use byte or bpe:N");
  }
  return length;
}

Vocabulary char_vocabulary(const std::vector<char32_t>& alphabet) {
  std::vector<std::string> texts(alphabet.size());
  for (size_t id = 0; id < alphabet.size(); ++id) append_utf8(alphabet[id], texts[id]);
  return Vocabulary(texts, texts);
}

}  // namespace

CharModel::CharModel(const std::vector<char32_t>& alphabet) : TokenizerModel(char_vocabulary(alphabet), {}) {
  const auto largest = std::max_element(alphabet.begin(), alphabet.end());
  ids_.assign(largest == alphabet.end() ? 0 : static_cast<size_t>(*largest) + 1, -1);
  for (size_t id = 0; id < alphabet.size(); ++id) ids_[alphabet[id]] = static_cast<int32_t>(id);
}

std::shared_ptr<const CharModel> CharModel::train(std::string_view text) {
  std::vector<bool> seen(0x110000, false);
  for (size_t at = 0; at < text.size();) {
    char32_t c = 0;
    at += static_cast<size_t>(read_char("train_char", text, at, 0, c));
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

void CharModel::encode(std::string_view text, int64_t offset, std::vector<int32_t>& ids) const {
  for (size_t at = 0; at < text.size();) {
    char32_t c = 0;
    const int length = read_char("encode", text, at, offset, c);
    const int32_t id = c < ids_.size() ? ids_[c] : -1;
    if (id < 0) [[unlikely]] {
      fail("encode: every character must be one of the tokenizer's ", vocabulary().size(), "; ",
           describe_char(c), " at byte ", offset + static_cast<int64_t>(at),
           " is not; change the text, or train a tokenizer of the kind byte or bpe:N, which knows every "
           "character");
    }
    ids.push_back(id);
    at += static_cast<size_t>(length);
  }
}

}  // namespace gradus
