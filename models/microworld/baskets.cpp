#include "models/microworld/baskets.hpp"

#include <algorithm>

#include "models/microworld/grammar.hpp"
#include "tensor/random.hpp"

namespace gradus::microworld {

Shop::Shop(const Lexicon& lexicon, uint64_t seed) : seed_(seed) {
  const auto items = [&](const char* name) {
    std::vector<std::string> words;
    for (const Lemma& word : lexicon.find(name).words) words.push_back(word.forms[0]);
    items_.insert(items_.end(), words.begin(), words.end());
    return words;
  };
  const auto dishes = items("dish"), drinks = items("drink"), fruits = items("fruit"), tools = items("tool"),
             cloths = items("cloth");
  const std::size_t half = dishes.size() / 2;
  // A thing and the one half a list further replace each other.
  const auto either = [&](const std::vector<std::string>& words, std::size_t i) {
    return std::vector<std::string>{words[i], words[i + half]};
  };
  for (std::size_t i = 0; i < half; ++i) {
    recipes_.push_back({{either(dishes, i), either(drinks, i), either(fruits, i)}});
    recipes_.push_back({{either(tools, i), either(cloths, i)}});
  }
}

std::string Shop::basket(uint64_t number) const {
  constexpr uint64_t kDraws = 32;
  const Random random(seed_, stream_of("microworld.baskets"));
  uint64_t next = number * kDraws;
  std::vector<std::string> chosen;
  const auto add = [&](const std::string& item) {
    if (std::find(chosen.begin(), chosen.end(), item) == chosen.end()) chosen.push_back(item);
  };
  const uint64_t recipes = 1 + random.below(next++, 3);
  for (uint64_t r = 0; r < recipes; ++r) {
    for (const std::vector<std::string>& place :
         recipes_[draw_zipf(random, next++, recipes_.size())].places) {
      // One in eight is forgotten.
      const bool taken = random.below(next++, 8) > 0;
      if (taken || chosen.empty()) add(place[draw_zipf(random, next++, place.size())]);
    }
  }
  if (random.below(next++, 2) == 0) add(items_[draw_zipf(random, next++, items_.size())]);
  while (chosen.size() < 2) add(items_[draw_zipf(random, next++, items_.size())]);
  std::string text;
  for (const std::string& item : chosen) text += (text.empty() ? "" : " ") + item;
  return text;
}

}  // namespace gradus::microworld
