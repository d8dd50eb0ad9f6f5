#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gradus {

/// The tokens of a tiktoken rank file. It holds neither the pattern that cuts texts into words nor special tokens.
struct TiktokenFile {
  std::vector<std::string> tokens;  // bytes by rank, which is also the id; empty where no token has the rank

  /// How many ranks have a token.
  int64_t count() const;
};

/// Reads a rank file: lines of a token in base64, a space and its rank; `source` is what errors call it.
/// note: ranks may have gaps, no more than there are tokens; each of the 256 single bytes must be a token. What is
///       wrong is a std::runtime_error with the number of the line.
TiktokenFile read_tiktoken(std::string_view text, const std::string& source);

/// Writes a rank file, ascending by rank.
std::string write_tiktoken(const TiktokenFile& file);

/// What a rank file leaves out, for an encoding that OpenAI has published.
/// note: of two special tokens with one id both texts are the token; o200k_harmony has one such id, 200018.
/// ref: openai/tiktoken, tiktoken_ext/openai_public.py
struct TiktokenEncoding {
  std::string name;
  int64_t count;        // of the ranks
  std::string pattern;  // the regular expression whose matches are the words
  std::vector<std::pair<std::string, int32_t>> special_tokens;
};

/// The published encodings: gpt2, r50k_base, p50k_base, p50k_edit, cl100k_base, o200k_base and o200k_harmony.
const std::vector<TiktokenEncoding>& tiktoken_encodings();

/// The encoding of this name; nullptr where there is none.
const TiktokenEncoding* find_tiktoken_encoding(std::string_view name);

/// The encodings whose ranks these are, judged by their number and a few tokens; none for any other file.
/// note: several can share their ranks (o200k_base and o200k_harmony do): they differ in the special tokens.
std::vector<const TiktokenEncoding*> recognise_tiktoken(const TiktokenFile& file);

/// The encoding that a file holds; where several share their ranks, the one that its path names, or the first. None:
/// nullptr.
const TiktokenEncoding* encoding_of(const TiktokenFile& file, std::string_view path);

}  // namespace gradus
