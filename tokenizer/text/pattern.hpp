#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace gradus {

/// A regular expression of a tokenizer.json, compiled by PCRE2 to mean what it means to the Hugging Face library.
/// note: may be used from any number of threads.
class Pattern {
 public:
  /// `where` begins every error: the place of the expression in its file.
  /// note: an expression that is wrong, or not known to mean the same to PCRE2, is an error (std::runtime_error).
  Pattern(std::string_view regex, const std::string& where);
  ~Pattern();
  Pattern(const Pattern&) = delete;
  Pattern& operator=(const Pattern&) = delete;

  /// The first match that begins at byte `from` or later, which may be empty; false where there is none.
  /// note: bytes that are not UTF-8 match nothing, as if the text were cut there. A match that needs more steps or
  ///       memory than any sensible expression is an error (std::runtime_error), not a wait.
  bool find(std::string_view text, size_t from, size_t& begin, size_t& end) const;

 private:
  struct Code;
  std::string where_;
  std::unique_ptr<const Code> code_;
};

/// The matches of a pattern in a text, one after the other, as the Hugging Face library goes through them.
/// note: an empty match is left out where the match before it ended. Both must live as long.
class PatternMatches {
 public:
  PatternMatches(const Pattern& pattern, std::string_view text) : pattern_(pattern), text_(text) {}
  /// The next match; false at the end.
  bool next(size_t& begin, size_t& end);

 private:
  const Pattern& pattern_;
  std::string_view text_;
  size_t from_ = 0;
  size_t last_end_ = static_cast<size_t>(-1);  // of the match before
};

}  // namespace gradus
