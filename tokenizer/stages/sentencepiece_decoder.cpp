#include "tokenizer/stages/sentencepiece_decoder.hpp"

#include <algorithm>
#include <optional>

#include "tokenizer/stages/presets.hpp"
#include "tokenizer/text/byte_alphabet.hpp"
#include "tokenizer/text/space_mark.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

// Appends bytes, or in the place of those that are not UTF-8, of each one, U+FFFD.
void append_bytes(std::string_view bytes, InvalidUtf8 invalid, std::string& text) {
  if (invalid == InvalidUtf8::keep) {
    text += bytes;
    return;
  }
  for (size_t at = 0; at < bytes.size();) {
    char32_t c = 0;
    const int length = decode_utf8(bytes.data() + at, bytes.data() + bytes.size(), c);
    if (length == 0) {
      text += "\uFFFD";
      ++at;
    } else {
      text.append(bytes, at, static_cast<size_t>(length));
      at += static_cast<size_t>(length);
    }
  }
}

}  // namespace

Json SentencePieceDecoder::to_json() const {
  return sentencepiece_decoder(settings_.unknown_piece, settings_.unknown_surface,
                               settings_.add_dummy_prefix || settings_.remove_extra_whitespaces);
}

std::string SentencePieceDecoder::decode(std::vector<std::string> tokens, InvalidUtf8 invalid) const {
  const std::vector<std::string>& control = settings_.control_pieces;
  std::string text;
  std::string bytes;
  bool dropped_one = false;
  const auto flush = [&] {
    append_bytes(bytes, invalid, text);
    bytes.clear();
  };
  for (std::string_view token : tokens) {
    if (const std::optional<char> byte = byte_of_token(token)) {
      bytes += *byte;
      continue;
    }
    flush();
    const bool first = text.empty() && !dropped_one;
    dropped_one = false;
    if (std::find(control.begin(), control.end(), token) != control.end()) continue;
    if (token == settings_.unknown_piece) {
      text += settings_.unknown_surface;
      continue;
    }
    if (first && (settings_.add_dummy_prefix || settings_.remove_extra_whitespaces) &&
        token.starts_with(kSpaceText)) {
      token.remove_prefix(kSpaceText.size());
      dropped_one = !settings_.remove_extra_whitespaces;
    }
    for (size_t at = 0; at < token.size();) {
      if (token.substr(at, kSpaceText.size()) == kSpaceText) {
        text += ' ';
        at += kSpaceText.size();
      } else {
        text += token[at++];
      }
    }
  }
  flush();
  return text;
}

}  // namespace gradus
