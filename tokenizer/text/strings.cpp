#include "tokenizer/text/strings.hpp"

#include <algorithm>
#include <cstdio>
#include <numeric>
#include <utility>
#include <vector>

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

std::string replace_all(std::string_view text, std::string_view from, std::string_view to) {
  std::string result;
  size_t at = 0;
  for (size_t found = text.find(from); found != std::string_view::npos; found = text.find(from, at)) {
    result.append(text.substr(at, found - at)).append(to);
    at = found + from.size();
  }
  return result.append(text.substr(at));
}

size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<size_t> row(b.size() + 1);
  std::iota(row.begin(), row.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    size_t diagonal = std::exchange(row[0], i);
    for (size_t j = 1; j <= b.size(); ++j) {
      const size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = std::exchange(row[j], std::min({row[j] + 1, row[j - 1] + 1, replaced}));
    }
  }
  return row.back();
}

}  // namespace gradus
