#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "models/microworld/lexicon.hpp"

namespace gradus::microworld {

/// How often each form was drawn.
using Counts = std::unordered_map<std::string_view, int64_t>;

/// A family of analogies: pairs of which each stands to its second word as all others do.
struct AnalogyFamily {
  std::string name;  ///< of grammar where it begins with "gram", see is_syntactic()
  std::vector<std::pair<std::string, std::string>> pairs;
};
std::vector<AnalogyFamily> analogy_families(const Lexicon& lexicon);

/// Questions in Google's format. At least 80 % of each family's are of words that occur five times or more; a family without
/// such a question is left out.
std::string analogies_text(const Lexicon& lexicon, const Counts& counts);

/// Pairs of words a line, with how alike they are, 0 to 10: by class and group, of people also by rank, kin and gender.
std::string similarity_text(const Lexicon& lexicon, uint64_t seed);

/// Words and their family a line: those classes whose words share an ending, with those that no text has.
std::string families_text(const Lexicon& lexicon);

/// A form and its translation a line, the frequent words of all classes first.
std::string dictionary_text(const Lexicon& lexicon);

}  // namespace gradus::microworld
