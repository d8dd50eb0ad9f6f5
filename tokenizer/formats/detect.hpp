#pragma once

#include <string>
#include <string_view>

namespace gradus {

enum class TokenizerFormat {
  tokenizer_json,  // of the Hugging Face library
  sentencepiece,   // a .model file
  tiktoken,        // ranks
  vocab_txt,       // of WordPiece: one token a line
  vocab_json,      // {"token": id}, with a merges.txt beside it
};

/// What a file holds, judged by its contents alone; `source` is what errors call it.
/// note: looks at the beginning, and further only as far as telling the formats apart needs; reading the file can still
///       find it damaged. What is none of the formats is a std::runtime_error that lists them.
TokenizerFormat detect_tokenizer_format(std::string_view bytes, const std::string& source);

/// A tokenizer's files.
struct TokenizerFiles {
  TokenizerFormat format;
  std::string path;
  std::string merges_path;  // only for vocab_json; empty where no merges.txt stands beside it
};

/// Finds a tokenizer at a path: a file, or a folder that holds one under a usual name.
/// note: in a folder the first of tokenizer.json, tokenizer.model, sentencepiece.bpe.model, spiece.model, vocab.json
///       and vocab.txt counts.
TokenizerFiles detect_tokenizer(const std::string& path);

}  // namespace gradus
