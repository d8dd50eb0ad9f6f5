#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/microworld/lexicon.hpp"

namespace gradus::microworld {

/// What is bought together: recipes of a few places, of which each can be filled by one of two things that replace each other.
class Shop {
 public:
  Shop(const Lexicon& lexicon, uint64_t seed);
  /// The basket with this number, its items with spaces between.
  std::string basket(uint64_t number) const;

 private:
  struct Recipe {
    std::vector<std::vector<std::string>> places;  // each with what can fill it
  };
  uint64_t seed_;
  std::vector<Recipe> recipes_;  // the popular ones first
  std::vector<std::string> items_;
};

}  // namespace gradus::microworld
