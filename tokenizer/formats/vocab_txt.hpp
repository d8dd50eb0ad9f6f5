#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace gradus {

/// Reads a vocabulary of one token a line, as BERT has it: the tokens by id; `source` is what errors call the file.
/// note: what is wrong (an empty line, a token twice, bytes that are not UTF-8) is a std::runtime_error with the number of
///       the line; one empty line may stand at the end. Tokens are taken as they stand, spaces included.
std::vector<std::string> read_vocab_txt(std::string_view text, const std::string& source);

/// Writes such a vocabulary. y: read_vocab_txt(y) == tokens
std::string write_vocab_txt(const std::vector<std::string>& tokens);

}  // namespace gradus
