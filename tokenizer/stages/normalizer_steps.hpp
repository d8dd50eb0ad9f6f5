#pragma once

/// What the files that implement normalizers share; to be included by them alone.

#include <memory>
#include <string_view>

#include "tokenizer/stages/normalizers.hpp"
#include "tokenizer/text/json_fields.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {

/// Read the values of the larger normalizers, whose `type` has been looked at.
std::shared_ptr<const Normalizer> read_bert_normalizer(const Json& value);
std::shared_ptr<const Normalizer> read_replace(const Json& value);
std::shared_ptr<const Normalizer> read_precompiled(const Json& value);

/// Whether a character that decomposes or is a mark is newer than the tables of the Hugging Face library, to which it is
/// then a character like any other.
bool is_newer_than_unicode_9(char32_t c);
/// Whether StripAccents takes a character for a mark: the general category M of Unicode 9.
bool is_mark_to_strip_accents(char32_t c);
/// Whether BertNormalizer takes a character, of category `kind`, for a nonspacing mark: Mn of Unicode 8.
bool is_nonspacing_mark_to_bert(char32_t c, Category kind);

/// What stands for nothing in the maps of ascii_map().
inline constexpr char32_t kDroppedChar = 0x80;

/// A map of ASCII to be filled by `becomes(c)`, c a char32_t; kDroppedChar for what is dropped.
template <class Becomes>
AlignedText::AsciiMap ascii_map(Becomes&& becomes) {
  AlignedText::AsciiMap map;
  for (char32_t c = 0; c < 0x80; ++c) {
    map[c] = static_cast<char>(becomes(c));
  }
  return map;
}

/// Rewrites a text character by character: ASCII as a map says, others by `each(to, c, bytes)`, which keeps or replaces
/// the next `bytes` bytes. What is not UTF-8 is kept.
template <class Each>
void rewrite_chars(AlignedText& text, const AlignedText::AsciiMap& map, Each&& each) {
  const std::string_view source = text.text();
  const char* const end = source.data() + source.size();
  AlignedText::Rewriter to(text);
  while (to.read() < source.size()) {
    to.map(ascii_prefix(source.substr(to.read())), map);
    char32_t c;
    for (const char* at;
         (at = source.data() + to.read()) != end && static_cast<unsigned char>(*at) >= 0x80;) {
      const int length = decode_utf8(at, end, c);
      if (length == 0) {
        to.keep(1);
      } else {
        each(to, c, static_cast<size_t>(length));
      }
    }
  }
  to.finish();
}

}  // namespace gradus
