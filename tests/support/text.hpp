#pragma once

#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace gradus::testing {

/// The words of a text, cut at white space.
inline std::vector<std::string> words_at_spaces(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> words;
  for (std::string word; in >> word;) words.push_back(word);
  return words;
}

/// The lines of a text without their ends.
inline std::vector<std::string> lines_of(const std::string& text) {
  std::istringstream in(text);
  std::vector<std::string> lines;
  for (std::string line; std::getline(in, line);) lines.push_back(line);
  return lines;
}

/// `text` with `with` in the first place of `what`, which must be there.
inline std::string replaced(std::string text, const std::string& what, const std::string& with) {
  const std::size_t at = text.find(what);
  if (at == std::string::npos) throw std::logic_error("the text does not hold " + what);
  return text.replace(at, what.size(), with);
}

}  // namespace gradus::testing
