#include "tokenizer/text/shown_text.hpp"

#include <cstdio>

#include "tokenizer/text/unicode.hpp"

namespace gradus {

std::string shown_text(std::string_view text) {
  constexpr size_t kLongest = 60;
  std::string shown = "\"";
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    char32_t c = 0;
    const int length = decode_utf8(at, end, c);
    if (static_cast<size_t>(at - text.data()) + static_cast<size_t>(length) > kLongest)
      return shown + "\"...";
    if (length == 0 || c < 0x20 || c == 0x7F) {
      char escaped[8];
      std::snprintf(escaped, sizeof escaped, "\\x%02X",
                    static_cast<unsigned>(static_cast<unsigned char>(*at)));
      shown += escaped;
      ++at;
    } else {
      shown.append(at, static_cast<size_t>(length));
      at += length;
    }
  }
  return shown + '"';
}

bool all_utf8(std::string_view bytes) {
  const char* const end = bytes.data() + bytes.size();
  for (const char* at = bytes.data(); at < end;) {
    char32_t c = 0;
    const int length = decode_utf8(at, end, c);
    if (length == 0) return false;
    at += length;
  }
  return true;
}

}  // namespace gradus
