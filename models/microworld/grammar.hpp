#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "models/microworld/lexicon.hpp"
#include "tensor/random.hpp"

namespace gradus::microworld {

/// A word of a sentence.
struct Token {
  const Lemma* lemma;
  Form form;
  std::string_view entity;  ///< "PERSON", "COUNTRY", "CITY", or "-"
};

/// Draws sentences: a template, and words for its places by Zipf's law.
class Grammar {
 public:
  explicit Grammar(const Lexicon& lexicon);

  /// The sentence with this number in a stream of random numbers.
  std::vector<Token> sentence(const Random& random, uint64_t number) const;
  int64_t templates() const { return static_cast<int64_t>(templates_.size()); }

 private:
  struct Piece {
    enum class Kind { fixed, drawn, country, capital, nationality, he, his, is, was } kind = Kind::fixed;
    const WordClass* words = nullptr;  // of drawn
    const Lemma* word = nullptr;       // of fixed
    Form form = Form::singular;
    bool any_number = false;  // a noun in singular or plural
    int entity = -1;          // what it is, or goes with: 0 to 9
    bool agrees = false;      // a verb in the present, with its entity's number
  };
  Piece parse(const std::string& slot) const;

  const Lexicon& lexicon_;
  std::vector<std::vector<Piece>> templates_;
};

/// A number below `count`, the n-th 1/n as often as the first.
std::size_t draw_zipf(const Random& random, uint64_t index, std::size_t count);

/// The sentence in the other language, whose adjectives stand behind nouns and which has no articles.
std::vector<Token> in_other_order(std::vector<Token> sentence);

}  // namespace gradus::microworld
