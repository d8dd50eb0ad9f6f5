#include "models/training/corpus.hpp"

#include <algorithm>
#include <exception>
#include <filesystem>

#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"
#include "tokenizer/pipeline.hpp"

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

namespace {

/// The tokenizer without the cutting and padding of texts that its file may ask for: each token of a text counts.
Tokenizer uncut(const Tokenizer& tokenizer) {
  TokenizerParts parts = tokenizer.parts();
  if (!parts.truncation && !parts.padding) return tokenizer;
  parts.truncation.reset();
  parts.padding.reset();
  return Tokenizer(std::move(parts));
}

/// Appends a document's tokens with their bytes; `before` is the text that has no token yet.
void append_tokens(const Tokenizer& tokenizer, std::string_view document, int64_t& before,
                   TokenText& result) {
  const auto append = [&](int32_t id, int64_t bytes) {
    result.ids.push_back(id);
    result.bytes_of.push_back(static_cast<int32_t>(bytes));
  };
  if (tokenizer.lossless()) {
    for (const int32_t id : tokenizer.encode(document)) {
      append(id, static_cast<int64_t>(tokenizer.token_bytes(id).size()));
    }
    return;
  }
  int64_t at = 0;
  for (const Piece& piece : tokenizer.encode_pieces(document)) {
    // Several tokens may stand for one character.
    const int64_t end = std::max(at, piece.end);
    append(piece.id, before + end - at);
    before = 0;
    at = end;
  }
  before += static_cast<int64_t>(document.size()) - at;
}

}  // namespace

TokenText tokenize_documents(const Tokenizer& tokenizer, const std::vector<std::string_view>& documents,
                             const std::vector<std::string>& names) {
  const Tokenizer whole = uncut(tokenizer);
  TokenText result;
  int64_t before = 0;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    if (i > 0) {
      if (const auto separator = tokenizer.end_of_text()) {
        result.ids.push_back(*separator);
        result.bytes_of.push_back(0);
      }
    }
    try {
      append_tokens(whole, documents[i], before, result);
    } catch (const std::exception& error) {
      fail(i < names.size() ? names[i] : "document " + std::to_string(i), ": ", error.what());
    }
    result.bytes += static_cast<int64_t>(documents[i].size());
  }
  if (!result.bytes_of.empty()) result.bytes_of.back() += static_cast<int32_t>(before);
  return result;
}

int64_t count_unknown(const Tokenizer& tokenizer, std::span<const int32_t> ids) {
  const auto unknown = tokenizer.unknown_id();
  // Some files name the token between documents as the unknown one, which then stands for nothing unknown.
  if (!unknown || unknown == tokenizer.end_of_text()) return 0;
  return std::count(ids.begin(), ids.end(), *unknown);
}

}  // namespace gradus
