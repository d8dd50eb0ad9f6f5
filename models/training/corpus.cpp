#include "models/training/corpus.hpp"

#include <algorithm>
#include <exception>
#include <filesystem>

#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"
#include "tokenizer/pipeline.hpp"

namespace gradus {

namespace {

/// "books" of "texts/books.txt", of "texts/books/", and of "." in a folder of that name.
std::string name_of_path(const std::string& path) {
  namespace fs = std::filesystem;
  if (path == "-") return "stdin";
  fs::path whole = fs::absolute(path).lexically_normal();
  if (!whole.has_filename()) whole = whole.parent_path();
  const std::string name = is_directory(path) ? whole.filename().string() : whole.stem().string();
  return name.empty() ? "texts" : name;
}

}  // namespace

Corpus load_corpus(const std::vector<std::string>& paths, double held_out, const TextOptions& options) {
  check(!paths.empty(), "corpus: at least one text file must be given");
  check(held_out >= 0 && held_out <= 0.5, "corpus: TrainingOptions::val_fraction must be in [0, 0.5]; it is ",
        held_out);
  Corpus corpus;
  Sha256 hash;
  int64_t empty = 0;
  const auto add = [&](std::string_view text, const TextItem& item) {
    check_world(!text.empty() || item.line > 0, item.where(), ": the file must hold text; it is empty");
    if (text.empty()) {
      ++empty;
      return;
    }
    hash.update(std::to_string(text.size()) + ":").update(text);
    corpus.bytes += static_cast<int64_t>(text.size());
    corpus.documents.emplace_back(text);
    corpus.names.push_back(item.where());
  };
  TextReader reader(paths, options);
  constexpr std::size_t kAtOnce = 4096;
  reader.for_batches(kAtOnce, [&](const std::vector<TextItem>& items) {
    for (const TextItem& item : items) {
      add(item.text, item);
      if (item.pair) add(*item.pair, item);
    }
  });
  check_world(!corpus.documents.empty(), reader.files().front(), ": there must be text; there is none in ",
              reader.files().size(), reader.files().size() == 1 ? " file" : " files");
  corpus.files = reader.files();
  for (const auto& [file, contents] : reader.streams()) corpus.streams.emplace_back(file, contents);
  corpus.passed_over = reader.passed_over();
  if (empty > 0) {
    corpus.passed_over += (corpus.passed_over.empty() ? "" : ", ") + std::to_string(empty) +
                          (empty == 1 ? " empty text passed over" : " empty texts passed over");
  }
  corpus.sha256 = hash.hex();
  corpus.name = name_of_path(paths.front());
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
  for (const TokenSpan& span : tokenizer.encode_spans(document, {.whole = true})) {
    // Several tokens may stand for one character.
    const int64_t end = std::max(at, span.end);
    append(span.id, before + end - at);
    before = 0;
    at = end;
  }
  before += static_cast<int64_t>(document.size()) - at;
}

}  // namespace

TokenText tokenize_documents(const Tokenizer& tokenizer, const std::vector<std::string_view>& documents,
                             const std::vector<std::string>& names, const TokenizeOptions& options) {
  const std::vector<int32_t> first =
      options.add_special ? tokenizer.added_around().before : std::vector<int32_t>{};
  TokenText result;
  int64_t before = 0;
  for (std::size_t i = 0; i < documents.size(); ++i) {
    if (i > 0) {
      if (const auto separator = tokenizer.end_of_text()) result.ids.push_back(*separator);
    }
    result.ids.insert(result.ids.end(), first.begin(), first.end());
    result.bytes_of.resize(options.bytes_of ? result.ids.size() : 0);
    try {
      if (options.bytes_of) {
        append_tokens(tokenizer, documents[i], before, result);
      } else {
        const std::vector<int32_t> ids = tokenizer.encode(documents[i]);
        result.ids.insert(result.ids.end(), ids.begin(), ids.end());
      }
    } catch (const std::exception& error) {
      fail_world(i < names.size() ? names[i] : "document " + std::to_string(i), ": ", error.what());
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

double TrainingText::bytes_per_token() const {
  return static_cast<double>(training.bytes) /
         static_cast<double>(std::max<std::size_t>(training.ids.size(), 1));
}

double TrainingText::unknown_rate(const Tokenizer& tokenizer) const {
  const int64_t unknown = count_unknown(tokenizer, training.ids) + count_unknown(tokenizer, held_out.ids);
  return static_cast<double>(unknown) /
         static_cast<double>(std::max<std::size_t>(training.ids.size() + held_out.ids.size(), 1));
}

TrainingText encode_corpus(const Corpus& corpus, const Tokenizer& tokenizer, bool add_special) {
  TrainingText text;
  text.training = tokenize_documents(tokenizer, corpus.training, corpus.names,
                                     {.add_special = add_special, .bytes_of = false});
  // What is held out is the end of the last documents.
  std::vector<std::string> names(corpus.names.end() - static_cast<std::ptrdiff_t>(corpus.held_out.size()),
                                 corpus.names.end());
  if (!names.empty()) names.front() += " (from where it is held out)";
  text.held_out = tokenize_documents(tokenizer, corpus.held_out, names, {.add_special = add_special});
  return text;
}

}  // namespace gradus
