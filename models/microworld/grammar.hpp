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

/// Draws sentences: a template, and words for its places by Zipf's law. A word brings its favourite companions along, whatever
/// its form, and what tells the form: articles, helping verbs, "very" or "than", he or she.
class Grammar {
 public:
  explicit Grammar(const Lexicon& lexicon);

  /// The sentence with this number in a stream of random numbers.
  std::vector<Token> sentence(const Random& random, uint64_t number) const;
  int64_t templates() const { return static_cast<int64_t>(templates_.size()); }

 private:
  // A class of words with the classes of their companions.
  struct Words {
    const WordClass *kind = nullptr, *before = nullptr, *behind = nullptr;
    const Lemma *kind_word = nullptr, *group_word = nullptr;
  };
  struct Piece {
    enum class Kind { fixed, noun, name, verb, adjective, country, capital, nationality, he, his, is, was };
    Kind kind = Kind::fixed;
    Words words;                  // of nouns, names, verbs, adjectives
    Words attribute;              // adjectives before a noun
    const Lemma* word = nullptr;  // of fixed
    bool singular = false;        // a noun in no plural
    bool bare = false;            // a noun without an article
    int entity = -1;              // what it is, or goes with: 0 to 9
  };
  // Small words, of which one is drawn; nullptr: none.
  using Choice = std::vector<const Lemma*>;
  struct Marks {
    Choice one, many;                    // before nouns
    Choice past, base, third, ing;       // before verbs
    Choice positive, comparative, than;  // before adjectives; behind the comparative
    Choice ing_one, ing_many;            // "is" …
  };
  class Draft;

  Piece parse(const std::string& slot) const;
  Words words_of(const std::string& name) const;
  Choice choice(const char* words) const;

  const Lexicon& lexicon_;
  const WordClass *epithets_, *places_;  // of countries
  Marks marks_;
  std::vector<const Lemma*> men_, women_;  // names
  std::vector<std::vector<Piece>> templates_;
};

/// A number below `count`, the n-th 1/n as often as the first.
std::size_t draw_zipf(const Random& random, uint64_t index, std::size_t count);

/// The sentence in the other language, whose adjectives stand behind nouns and which has no articles.
std::vector<Token> in_other_order(std::vector<Token> sentence);

}  // namespace gradus::microworld
