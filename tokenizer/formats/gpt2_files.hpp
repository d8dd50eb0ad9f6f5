#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gradus {

/// The two files of a BPE vocabulary as GPT-2 has them, vocab.json and merges.txt.
struct Gpt2Files {
  std::vector<std::string> tokens;  // by id, as written ("\u0120king"); empty where no token has the id
  std::vector<std::pair<std::string, std::string>> merges;  // in the order in which they apply
};

/// Reads both files, of which the first is {"token": id, …}. `vocab_source` and `merges_source` are what errors call them.
/// note: ids may have gaps, no more than there are tokens. Each merge is "left right"; both and what they join to must be tokens. Lines that begin with "#version" are
///       skipped, as in the Hugging Face library. What is wrong is a std::runtime_error with the number of the line.
Gpt2Files read_gpt2_files(std::string_view vocab, const std::string& vocab_source, std::string_view merges,
                          const std::string& merges_source);

/// The vocab.json of a vocabulary: one line, ascending by id.
std::string write_vocab_json(const std::vector<std::string>& tokens);

/// The merges.txt of a vocabulary, with the line of its version.
std::string write_merges_txt(const std::vector<std::pair<std::string, std::string>>& merges);

}  // namespace gradus
