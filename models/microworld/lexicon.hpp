#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gradus::microworld {

/// What a word is, as tokens.tsv says it.
enum class Pos {
  noun,
  verb,
  adjective,
  name,
  determiner,
  adposition,
  pronoun,
  auxiliary,
  conjunction,
  adverb,
  punctuation
};
std::string_view name_of(Pos pos);

/// The forms of a word: nouns have the first two, verbs four, adjectives three, others one.
enum class Form : uint8_t {
  singular = 0,
  plural = 1,
  base = 0,
  third = 1,  ///< of a verb: "walks"
  past = 2,
  ing = 3,
  positive = 0,
  comparative = 1,
  superlative = 2,
};
inline constexpr std::size_t kForms = 4;

/// How many companions of a kind a word has a liking for.
inline constexpr std::size_t kFavourites = 3;

enum class Gender : uint8_t { none, male, female };

/// A word in both languages, in all its forms.
struct Lemma {
  std::array<std::string, kForms> forms, others;  ///< of the first and of the second language
  Pos pos = Pos::noun;
  Gender gender = Gender::none;
  int64_t sense = 0;  ///< 1 or 2 where another word is spelt the same
  /// Its favourite companions, which stand before and behind it whatever its form: places in the lists of its class. A man and
  /// the woman of his rank share them, and so do a country, its capital and its people.
  std::array<std::size_t, kFavourites> before{}, behind{};
};

/// Words that can stand in the same place of a sentence, the frequent ones first.
struct WordClass {
  std::string name;    ///< "bird"
  std::string group;   ///< what it has in common with other classes: "animal"
  std::string ending;  ///< that its words have in common; "": none
  std::vector<Lemma> words;
  std::vector<std::string> unseen;  ///< words with its ending that no text has
  std::string
      kind_word;  ///< a fixed word that says what they are: "the bird tarwing", "eats up", "red in colour"
  std::string before, behind;  ///< the classes of its words' companions; "": they have none
};

struct Country {
  Lemma country, capital, nationality;
};

/// All words of a world, which follow from its seed.
struct Lexicon {
  std::vector<WordClass> nouns, verbs, adjectives;
  std::vector<WordClass> people;  ///< "royal", "kin", "common": words by twos, a man and a woman
  WordClass names;                ///< of persons: a man and a woman in turns
  std::vector<Country> countries;
  std::vector<WordClass> companions;  ///< what words are known by: epithets, places, manners …
  std::vector<Lemma> fixed;           ///< "the", "of" …

  const WordClass& find(std::string_view name) const;
  const Lemma& find_fixed(std::string_view word) const;
};
Lexicon make_lexicon(uint64_t seed);

/// What a form is called in tokens.tsv: "s", "p" or "-"; "past", "pres", "ing" or "-"; "m", "f" or "-".
std::string_view number_of(Pos pos, Form form);
std::string_view tense_of(Pos pos, Form form);
std::string_view name_of(Gender gender);
/// How many forms a part of speech has.
std::size_t forms_of(Pos pos);

}  // namespace gradus::microworld
