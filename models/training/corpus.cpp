#include "models/training/corpus.hpp"

#include <algorithm>
#include <exception>
#include <filesystem>

#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"

namespace gradus {

Corpus load_corpus(const std::vector<std::string>& paths, double held_out) {
  check(!paths.empty(), "train: at least one text file must be given");
  check(held_out >= 0 && held_out <= 0.5, "train: --val-fraction must be in [0, 0.5]; it is ", held_out);
  Corpus corpus;
  Sha256 hash;
  for (const std::string& path : paths) {
    std::string text = read_file(path);
    check_world(!text.empty(), path, ": the file must hold text; it is empty");
    hash.update(std::to_string(text.size()) + ":").update(text);
    corpus.bytes += static_cast<int64_t>(text.size());
    corpus.documents.push_back(std::move(text));
  }
  corpus.sha256 = hash.hex();
  corpus.name = std::filesystem::path(paths.front()).stem().string();
  int64_t training_left = corpus.bytes - static_cast<int64_t>(static_cast<double>(corpus.bytes) * held_out);
  for (const std::string& document : corpus.documents) {
    const std::string_view text = document;
    const int64_t size = static_cast<int64_t>(text.size());
    int64_t cut = std::min(training_left, size);
    const auto continues = [&](int64_t at) {
      return (static_cast<unsigned char>(text[static_cast<std::size_t>(at)]) & 0xc0) == 0x80;
    };
    // A character is at most four bytes; in text that is not UTF-8 the cut stays where it is.
    int64_t begin = cut;
    while (begin > 0 && begin > cut - 3 && begin < size && continues(begin)) --begin;
    if (begin < size && !continues(begin)) cut = begin;
    if (cut > 0) corpus.training.push_back(text.substr(0, static_cast<std::size_t>(cut)));
    if (cut < size) corpus.held_out.push_back(text.substr(static_cast<std::size_t>(cut)));
    training_left = cut < size ? 0 : training_left - size;
  }
  return corpus;
}

TokenText tokenize_documents(const Tokenizer& tokenizer, const std::vector<std::string_view>& documents,
                             const std::vector<std::string>& names) {
  TokenText result;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    if (i > 0) {
      if (const auto separator = tokenizer.end_of_text()) result.ids.push_back(*separator);
    }
    try {
      const std::vector<int32_t> ids = tokenizer.encode(documents[i]);
      result.ids.insert(result.ids.end(), ids.begin(), ids.end());
    } catch (const std::exception& error) {
      fail(i < names.size() ? names[i] : "document " + std::to_string(i), ": ", error.what());
    }
    result.bytes += static_cast<int64_t>(documents[i].size());
  }
  return result;
}

}  // namespace gradus
