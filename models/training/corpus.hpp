#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/training/texts.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// The text that a model learns from and the text that is kept from it.
///
/// Each file is a document, of a .jsonl each line: see TextReader. The bytes of all documents in order are cut once: the last
/// `held_out` fraction is held out for validation (at a character's beginning), whichever document that falls into.
struct Corpus {
  std::vector<std::string> documents;
  std::vector<std::string> names;  ///< where each document was found, "book.txt" or "lines.jsonl:12"
  std::vector<std::string> files;  ///< that were read, folders listed
  /// The contents of those files that nobody can read again (standard input, pipes), by index into `files`.
  std::vector<std::pair<std::size_t, std::string>> streams;
  std::string passed_over;  ///< what was left out on the way, or ""
  std::vector<std::string_view> training;
  std::vector<std::string_view> held_out;
  int64_t bytes = 0;   ///< of all documents
  std::string sha256;  ///< of the documents, each preceded by its length
  std::string name;    ///< of the first path, without folder and extension

  Corpus() = default;
  Corpus(Corpus&&) = default;
  Corpus& operator=(Corpus&&) = default;
};

/// Reads the texts of files and folders. An empty or missing file is an error naming it; empty texts of a .jsonl are
/// passed over.
/// shape: held_out in [0, 0.5]
Corpus load_corpus(const std::vector<std::string>& paths, double held_out, const TextOptions& options = {});

/// Token ids, with the bytes of text that each stands for, so that a loss can be given per byte.
/// note: what a tokenizer drops (spaces, say) belongs to the token behind it, or to the last one; an unknown token stands for
///       the bytes that it takes the place of. So the bytes of all tokens are those of the text, whatever of it is lost.
struct TokenText {
  std::vector<int32_t> ids;
  std::vector<int32_t> bytes_of;  ///< one for each id, where asked for
  int64_t bytes = 0;              ///< of the text
};

struct TokenizeOptions {
  /// Whether each document begins with the special tokens that the tokenizer puts before a text.
  bool add_special = false;
  /// Whether to tell the bytes of each token, which takes time and memory where a tokenizer rewrites texts.
  bool bytes_of = true;
};

/// The ids of documents with `<|endoftext|>` between them where the tokenizer has one (which counts no bytes).
/// note: an error names the document of `names` (or its number) in which a character is unknown.
TokenText tokenize_documents(const Tokenizer& tokenizer, const std::vector<std::string_view>& documents,
                             const std::vector<std::string>& names = {}, const TokenizeOptions& options = {});

/// How many of the ids are the tokenizer's unknown token.
int64_t count_unknown(const Tokenizer& tokenizer, std::span<const int32_t> ids);

/// A corpus in tokens.
struct TrainingText {
  TokenText training;  ///< without bytes_of
  TokenText held_out;

  /// Of the training part.
  double bytes_per_token() const;
  /// The part of all tokens that is unknown.
  double unknown_rate(const Tokenizer& tokenizer) const;
};
TrainingText encode_corpus(const Corpus& corpus, const Tokenizer& tokenizer, bool add_special);

}  // namespace gradus
