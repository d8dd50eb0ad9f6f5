#include "models/embeddings/word_table.hpp"

#include <algorithm>
#include <utility>

#include "tensor/error.hpp"
#include "tokenizer/text/strings.hpp"

namespace gradus {
std::optional<int64_t> WordTable::find(std::string_view word) const {
  const auto found = std::find(words.begin(), words.end(), word);
  if (found == words.end()) return std::nullopt;
  return found - words.begin();
}

int64_t WordTable::row(std::string_view word) const {
  if (const auto found = find(word)) return *found;
  constexpr size_t kMostEdits = 2;
  constexpr size_t kSuggestions = 3;
  std::vector<std::pair<size_t, size_t>> close;  // distance, row: more frequent words first
  for (size_t w = 0; w < words.size(); ++w) {
    const size_t distance = edit_distance(word, words[w]);
    if (distance <= std::min(kMostEdits, word.size() - std::min<size_t>(word.size(), 1)))
      close.emplace_back(distance, w);
  }
  std::sort(close.begin(), close.end());
  std::string hint;
  for (size_t i = 0; i < std::min(close.size(), kSuggestions); ++i) {
    hint += (i == 0 ? "; did you mean " : ", ") + words[close[i].second];
  }
  fail("neighbors: a word must be among the ", words.size(),
       " of the table, which are the frequent ones of its text; '", word, "' is not",
       hint.empty() ? "" : hint + "?");
}

const Tensor& WordTable::layer(std::string_view name) const {
  std::string names;
  for (size_t l = 0; l < layer_names.size(); ++l) {
    if (layer_names[l] == name) return layers[l];
    names += (l == 0 ? "" : ", ") + layer_names[l];
  }
  fail("neighbors: the layer must be one of ", names, "; it is '", name, "'");
}

}  // namespace gradus
