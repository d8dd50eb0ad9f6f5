#include "models/word_vectors/vocabulary.hpp"

#include <charconv>

#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/text/lines.hpp"

namespace gradus {

Vocabulary read_vocabulary(const std::string& path) {
  Vocabulary vocabulary;
  const std::string text = read_file(path);
  int64_t number = 0;
  bool counted = false;
  for (LineReader lines(text); lines.next();) {
    ++number;
    const std::string_view line = lines.line();
    if (line.empty()) continue;
    const std::size_t space = line.find_last_of(" \t");
    int64_t count = 0;
    bool has_count = false;
    if (space != line.npos) {
      const char* end = line.data() + line.size();
      const auto [at, error] = std::from_chars(line.data() + space + 1, end, count);
      has_count = error == std::errc() && at == end && count >= 0;
      check_world(has_count, path, ":", number,
                  ": a line must be a word, or a word, a space and a count; it is '",
                  std::string(line.substr(0, 60)), "'");
    }
    check_world(vocabulary.size() == 0 || has_count == counted, path, ":", number,
                ": all lines must have a count or none; this one ", has_count ? "has one" : "has none",
                ", unlike the ones before");
    counted = has_count;
    const std::string_view word = has_count ? line.substr(0, space) : line;
    check_world(!word.empty() && !vocabulary.words.find(word), path, ":", number,
                ": each word must stand once, and not be empty; '", std::string(word.substr(0, 60)), "' ",
                word.empty() ? "is" : "stood before");
    vocabulary.words.add(word);
    vocabulary.counts.push_back(count);
    vocabulary.total += count;
  }
  check_world(vocabulary.size() > 0, path, ": must hold words, one a line; it holds none");
  return vocabulary;
}

void save_vocabulary(const std::string& path, const Vocabulary& vocabulary) {
  AtomicFile file(path);
  for (int64_t row = 0; row < vocabulary.size(); ++row)
    file.write(std::string(vocabulary.words[row]) + " " +
               std::to_string(vocabulary.counts[static_cast<std::size_t>(row)]) + "\n");
  file.commit();
}

}  // namespace gradus
