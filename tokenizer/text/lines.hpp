#pragma once

#include <cstdint>
#include <string_view>

namespace gradus {

/// A text without the byte-order mark that some editors put before it.
inline std::string_view without_mark(std::string_view text) {
  constexpr std::string_view kMark = "\xEF\xBB\xBF";
  return text.substr(text.starts_with(kMark) ? kMark.size() : 0);
}

/// Goes through the lines of a text; "\n" and "\r\n" end a line, and the last line may lack its end. A byte-order mark at
/// the beginning is passed over.
class LineReader {
 public:
  explicit LineReader(std::string_view text) : rest_(without_mark(text)) {}

  /// Goes to the next line; false after the last one.
  bool next() {
    if (rest_.empty()) return false;
    const size_t end = rest_.find('\n');
    line_ = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    if (!line_.empty() && line_.back() == '\r') line_.remove_suffix(1);
    ++number_;
    return true;
  }
  /// The present line without its end.
  std::string_view line() const { return line_; }
  /// Its number, from 1.
  int64_t number() const { return number_; }
  bool is_last() const { return rest_.empty(); }

 private:
  std::string_view rest_;
  std::string_view line_;
  int64_t number_ = 0;
};

}  // namespace gradus
