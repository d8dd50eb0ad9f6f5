#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// The text that a model learns from and the text that is kept from it.
///
/// Each file is a document. The bytes of all documents in order are cut once: the last `held_out` fraction is held out
/// for validation (at a character's beginning), whichever document that falls into.
struct Corpus {
  std::vector<std::string> documents;  ///< the files' contents
  std::vector<std::string_view> training;
  std::vector<std::string_view> held_out;
  int64_t bytes = 0;   ///< of all documents
  std::string sha256;  ///< of the documents, each preceded by its length
  std::string name;    ///< the first file's name without folder and extension

  Corpus() = default;
  Corpus(Corpus&&) = default;
  Corpus& operator=(Corpus&&) = default;
};

/// Reads the files. An empty or missing file is an error naming it.
/// shape: held_out in [0, 0.5]
Corpus load_corpus(const std::vector<std::string>& paths, double held_out);

/// Token ids, with the bytes of text that each stands for, so that a loss can be given per byte.
/// note: what a tokenizer drops (spaces, say) belongs to the token behind it, or to the last one; an unknown token stands for
///       the bytes that it takes the place of. So the bytes of all tokens are those of the text, whatever of it is lost.
struct TokenText {
  std::vector<int32_t> ids;
  std::vector<int32_t> bytes_of;  ///< one for each id
  int64_t bytes = 0;              ///< of the text
};

/// The ids of documents with `<|endoftext|>` between them where the tokenizer has one (which counts no bytes).
/// note: an error names the document of `names` (or its number) in which a character is unknown.
TokenText tokenize_documents(const Tokenizer& tokenizer, const std::vector<std::string_view>& documents,
                             const std::vector<std::string>& names = {});

/// How many of the ids are the tokenizer's unknown token.
int64_t count_unknown(const Tokenizer& tokenizer, std::span<const int32_t> ids);

}  // namespace gradus
