#include "models/microworld/lexicon.hpp"

#include <algorithm>
#include <set>
#include <utility>

#include "tensor/error.hpp"
#include "tensor/random.hpp"

namespace gradus::microworld {
namespace {

constexpr std::size_t kNouns = 36, kVerbs = 22, kAdjectives = 20, kCountries = 60, kNames = 60, kUnseen = 24;
constexpr std::size_t kCompanions = 20;  // of each kind

// Makes stems of syllables.
class Syllables {
 public:
  Syllables(uint64_t seed, const char* stream, std::vector<std::string_view> onsets,
            std::vector<std::string_view> vowels, std::vector<std::string_view> codas)
      : random_(seed, stream_of(stream)),
        onsets_(std::move(onsets)),
        vowels_(std::move(vowels)),
        codas_(std::move(codas)) {}

  std::string stem(int syllables) {
    std::string word;
    for (int s = 0; s < syllables; ++s) {
      word += pick(onsets_);
      word += pick(vowels_);
    }
    word += pick(codas_);
    return word;
  }

 private:
  std::string_view pick(const std::vector<std::string_view>& from) {
    return from[random_.below(next_++, from.size())];
  }
  Random random_;
  uint64_t next_ = 0;
  std::vector<std::string_view> onsets_, vowels_, codas_;
};

// Makes words none of whose forms another word has, in either language.
class Maker {
 public:
  explicit Maker(uint64_t seed)
      : first_(seed, "microworld.first", {"b", "d", "f", "g",  "k",  "l",  "m",  "n",  "p",  "r",
                                          "s", "t", "v", "br", "dr", "gr", "kl", "pl", "st", "tr"},
               {"a", "e", "i", "o", "u"}, {"", "n", "l", "r", "m", "k"}),
        second_(seed, "microworld.second",
                {"h", "w", "j", "z", "sh", "th", "ch", "q", "m", "n", "l", "k", "t", "r"},
                {"aa", "ee", "oo", "a", "i", "u", "ei"}, {"", "n", "sh", "h"}) {}

  // build(stem, other stem): the words that must all be new.
  template <class Build>
  std::vector<Lemma> draw(int syllables, int other_syllables, const Build& build) {
    while (true) {
      std::vector<Lemma> words = build(first_.stem(syllables), second_.stem(other_syllables));
      if (std::all_of(words.begin(), words.end(), [&](const Lemma& word) { return is_new(word); })) {
        for (const Lemma& word : words) keep(word);
        return words;
      }
    }
  }

 private:
  bool is_new(const Lemma& word) const {
    for (std::size_t f = 0; f < kForms; ++f) {
      if (!word.forms[f].empty() && (used_.contains(word.forms[f]) || others_.contains(word.others[f])))
        return false;
    }
    return true;
  }
  void keep(const Lemma& word) {
    for (std::size_t f = 0; f < kForms; ++f) {
      if (word.forms[f].empty()) continue;
      used_.insert(word.forms[f]);
      if (word.pos != Pos::punctuation) others_.insert(word.others[f]);
    }
  }
  Syllables first_, second_;
  std::set<std::string> used_, others_;
};

bool ends(const std::string& word, std::string_view ending) { return word.ends_with(ending); }

std::string plural_of(const std::string& word) {
  constexpr std::pair<const char*, const char*> kOthers[] = {
      {"man", "men"}, {"woman", "women"}, {"wife", "wives"}, {"lady", "ladies"}, {"hero", "heroes"}};
  for (const auto& [one, many] : kOthers) {
    if (word == one) return many;
  }
  return word + (ends(word, "s") || ends(word, "ch") || ends(word, "x") || ends(word, "z") ? "es" : "s");
}

Lemma noun(const std::string& word, const std::string& other, Gender gender = Gender::none) {
  Lemma lemma;
  lemma.forms = {word, plural_of(word), "", ""};
  lemma.others = {other, other + "ku", "", ""};
  lemma.gender = gender;
  return lemma;
}

Lemma verb(const std::string& word, const std::string& other) {
  Lemma lemma;
  lemma.pos = Pos::verb;
  lemma.forms = {word, word + "s", word + "ed", word + "ing"};
  lemma.others = {other, other + "ti", other + "lo", other + "wen"};
  return lemma;
}

Lemma adjective(const std::string& word, const std::string& other) {
  Lemma lemma;
  lemma.pos = Pos::adjective;
  lemma.forms = {word, word + "er", word + "est", ""};
  lemma.others = {other, "mo" + other, "momo" + other, ""};
  return lemma;
}

Lemma single(const std::string& word, const std::string& other, Pos pos, Gender gender = Gender::none) {
  Lemma lemma;
  lemma.pos = pos;
  lemma.forms[0] = word;
  lemma.others[0] = other;
  lemma.gender = gender;
  return lemma;
}

struct NounClass {
  const char *name, *group, *ending;
};
constexpr NounClass kNounClasses[] = {
    {"bird", "animal", "wing"},  {"fish", "animal", "fin"}, {"beast", "animal", ""},
    {"tree", "plant", "wood"},   {"flower", "plant", ""},   {"fruit", "food", ""},
    {"dish", "food", "stew"},    {"drink", "food", ""},     {"tool", "thing", "grip"},
    {"cloth", "thing", "weave"}, {"vehicle", "thing", ""},  {"furniture", "thing", ""},
    {"instrument", "thing", ""}, {"building", "place", ""}, {"land", "place", ""},
    {"illness", "matter", ""}};

// What is done, and the particle that stands behind it.
constexpr std::pair<const char*, const char*> kVerbClasses[] = {
    {"lead", "along"}, {"say", "aloud"}, {"move", "away"},  {"eat", "up"},
    {"make", "anew"},  {"see", "afar"},  {"grow", "forth"}, {"trade", "fairly"}};
constexpr const char* kAdjectiveClasses[] = {"size", "colour", "taste", "mood", "age"};

constexpr std::pair<const char*, const char*> kRoyal[] = {{"king", "queen"},   {"prince", "princess"},
                                                          {"duke", "duchess"}, {"emperor", "empress"},
                                                          {"lord", "lady"},    {"baron", "baroness"}};
constexpr std::pair<const char*, const char*> kKin[] = {{"father", "mother"},  {"son", "daughter"},
                                                        {"brother", "sister"}, {"husband", "wife"},
                                                        {"uncle", "aunt"},     {"grandfather", "grandmother"},
                                                        {"nephew", "niece"}};
constexpr std::pair<const char*, const char*> kCommon[] = {
    {"man", "woman"},       {"boy", "girl"},          {"actor", "actress"},
    {"waiter", "waitress"}, {"hero", "heroine"},      {"wizard", "witch"},
    {"monk", "nun"},        {"hunter", "huntress"},   {"shepherd", "shepherdess"},
    {"host", "hostess"},    {"steward", "stewardess"}};

struct FixedWord {
  const char* word;
  Pos pos;
  Gender gender = Gender::none;
};
constexpr FixedWord kFixed[] = {{"the", Pos::determiner},
                                {"a", Pos::determiner},
                                {"every", Pos::determiner},
                                {"this", Pos::determiner},
                                {"these", Pos::determiner},
                                {"many", Pos::determiner},
                                {"some", Pos::determiner},
                                {"of", Pos::adposition},
                                {"in", Pos::adposition},
                                {"from", Pos::adposition},
                                {"to", Pos::adposition},
                                {"with", Pos::adposition},
                                {"for", Pos::adposition},
                                {"near", Pos::adposition},
                                {"by", Pos::adposition},
                                {"than", Pos::adposition},
                                {"on", Pos::adposition},
                                {"and", Pos::conjunction},
                                {"or", Pos::conjunction},
                                {"that", Pos::conjunction},
                                {"when", Pos::conjunction},
                                {"is", Pos::auxiliary},
                                {"are", Pos::auxiliary},
                                {"was", Pos::auxiliary},
                                {"were", Pos::auxiliary},
                                {"will", Pos::auxiliary},
                                {"must", Pos::auxiliary},
                                {"can", Pos::auxiliary},
                                {"had", Pos::auxiliary},
                                {"keeps", Pos::auxiliary},
                                {"keep", Pos::auxiliary},
                                {"not", Pos::adverb},
                                {"never", Pos::adverb},
                                {"today", Pos::adverb},
                                {"yesterday", Pos::adverb},
                                {"often", Pos::adverb},
                                {"very", Pos::adverb},
                                {"quite", Pos::adverb},
                                {"rather", Pos::adverb},
                                {"much", Pos::adverb},
                                {"even", Pos::adverb},
                                {"ever", Pos::adverb},
                                {"before", Pos::adverb},
                                {"usual", Pos::adjective},
                                {"far", Pos::adverb},
                                {"once", Pos::adverb},
                                {"then", Pos::adverb},
                                {"now", Pos::adverb},
                                {"still", Pos::adverb},
                                {"always", Pos::adverb},
                                {"all", Pos::determiner},
                                {"they", Pos::pronoun},
                                {"he", Pos::pronoun, Gender::male},
                                {"she", Pos::pronoun, Gender::female},
                                {"his", Pos::pronoun, Gender::male},
                                {"her", Pos::pronoun, Gender::female},
                                {"their", Pos::pronoun},
                                {"himself", Pos::pronoun, Gender::male},
                                {"herself", Pos::pronoun, Gender::female},
                                {"it", Pos::pronoun},
                                {"city", Pos::noun},
                                {"capital", Pos::noun},
                                {"people", Pos::noun},
                                {"realm", Pos::noun},
                                {"native", Pos::adjective},
                                {",", Pos::punctuation},
                                {".", Pos::punctuation}};

// Of some classes words are spelt as one of another: the two senses. Both are frequent.
constexpr std::pair<const char*, const char*> kSpeltAlike[] = {
    {"beast", "tool"},     {"fruit", "vehicle"},  {"flower", "instrument"},
    {"drink", "building"}, {"land", "furniture"}, {"beast", "illness"}};
constexpr std::size_t kAlikePlaces[] = {1, 3, 5, 7};

template <std::size_t N>
WordClass people(const char* name, const std::pair<const char*, const char*> (&pairs)[N], Maker& maker) {
  WordClass result{name, "person", "", {}, {}, {}, {}, {}};
  for (const auto& pair : pairs) {
    for (Lemma& word : maker.draw(1, 2, [&](const std::string&, const std::string& other) {
           return std::vector<Lemma>{noun(pair.first, other, Gender::male),
                                     noun(pair.second, other + "na", Gender::female)};
         }))
      result.words.push_back(std::move(word));
  }
  return result;
}

// A class of so many words.
template <class Build>
WordClass class_of(const char* name, const char* group, std::size_t count, Maker& maker, const Build& build) {
  WordClass result{name, group, "", {}, {}, {}, {}, {}};
  for (std::size_t i = 0; i < count; ++i) {
    const auto words = maker.draw(2, 2, [&](const std::string& stem, const std::string& other) {
      return std::vector<Lemma>{build(stem, other)};
    });
    result.words.push_back(words.front());
  }
  return result;
}

// What words are known by, whatever their form. A few companions, shared by all classes: a word is told by which of them it
// likes, so that what tells words from each other is of few dimensions, the same ones in every training.
void add_companions(Lexicon& lexicon, Maker& maker) {
  const auto add = [&](const char* name, Pos pos, const char* ending) {
    lexicon.companions.push_back(class_of(name, "companion", kCompanions, maker,
                                          [&](const std::string& stem, const std::string& other) {
                                            return single(stem + ending, other, pos);
                                          }));
  };
  add("epithet", Pos::adjective, "");
  add("place", Pos::name, "");
  add("manner", Pos::adverb, "ly");
  add("habit", Pos::noun, "");
  const auto have = [](std::vector<WordClass>& classes, const char* before, const char* behind) {
    for (WordClass& kind : classes) {
      kind.before = before;
      kind.behind = behind;
    }
  };
  have(lexicon.people, "epithet", "place");
  have(lexicon.nouns, "epithet", "place");
  have(lexicon.verbs, "manner", "habit");
  have(lexicon.adjectives, "manner", "place");
}

// Draws which companions the words of a class like, each others than its neighbours.
class Likings {
 public:
  explicit Likings(uint64_t seed) : random_(seed, stream_of("microworld.favourites")) {}

  void begin_class() { before_.clear(); }
  // Of a few draws the one that has the least in common with any word of the class.
  void draw(Lemma& word) {
    constexpr int kTries = 64;
    std::size_t least = 0;
    Lemma best;
    for (int i = 0; i < kTries; ++i) {
      Lemma drawn;
      drawn.before = favourites();
      drawn.behind = favourites();
      std::size_t most = 0;
      for (const Lemma& other : before_)
        most = std::max(most, common(drawn.before, other.before) + common(drawn.behind, other.behind));
      if (i > 0 && most >= least) continue;
      least = most;
      best = drawn;
    }
    word.before = best.before;
    word.behind = best.behind;
    before_.push_back(best);
  }

 private:
  using Favourites = std::array<std::size_t, kFavourites>;

  Favourites favourites() {
    Favourites chosen{};
    for (std::size_t i = 0; i < kFavourites; ++i) {
      const auto end = chosen.begin() + static_cast<std::ptrdiff_t>(i);
      do {
        chosen[i] = static_cast<std::size_t>(random_.below(next_++, kCompanions));
      } while (std::find(chosen.begin(), end, chosen[i]) != end);
    }
    return chosen;
  }
  // How often two words come with the same companion, who like the n-th 1/n as much as the first.
  static std::size_t common(const Favourites& a, const Favourites& b) {
    constexpr std::size_t kUnit = 36;
    std::size_t sum = 0;
    for (std::size_t i = 0; i < kFavourites; ++i) {
      for (std::size_t j = 0; j < kFavourites; ++j) sum += a[i] == b[j] ? kUnit / ((i + 1) * (j + 1)) : 0;
    }
    return sum;
  }
  Random random_;
  uint64_t next_ = 0;
  std::vector<Lemma> before_;
};

void draw_favourites(Lexicon& lexicon, uint64_t seed) {
  Likings likings(seed);
  const auto same = [](const Lemma& from, Lemma& to) {
    to.before = from.before;
    to.behind = from.behind;
  };
  for (WordClass& kind : lexicon.people) {
    likings.begin_class();
    for (std::size_t i = 0; i + 1 < kind.words.size(); i += 2) {
      likings.draw(kind.words[i]);
      same(kind.words[i], kind.words[i + 1]);
    }
  }
  for (auto* classes : {&lexicon.nouns, &lexicon.verbs, &lexicon.adjectives}) {
    for (WordClass& kind : *classes) {
      likings.begin_class();
      for (Lemma& word : kind.words) likings.draw(word);
    }
  }
  likings.begin_class();
  for (Country& country : lexicon.countries) {
    likings.draw(country.country);
    same(country.country, country.capital);
    same(country.country, country.nationality);
  }
}

}  // namespace

Lexicon make_lexicon(uint64_t seed) {
  Maker maker(seed);
  Lexicon lexicon;
  for (const FixedWord& fixed : kFixed) {
    const auto words = maker.draw(1, 1, [&](const std::string&, const std::string& other) {
      return std::vector<Lemma>{
          single(fixed.word, fixed.pos == Pos::punctuation ? fixed.word : other, fixed.pos, fixed.gender)};
    });
    lexicon.fixed.push_back(words.front());
  }
  // What kinds of things are called.
  const auto call = [&](const char* word, Pos pos) {
    const bool known = std::any_of(lexicon.fixed.begin(), lexicon.fixed.end(),
                                   [&](const Lemma& lemma) { return lemma.forms[0] == word; });
    if (known) return;
    const auto words = maker.draw(1, 1, [&](const std::string&, const std::string& other) {
      return std::vector<Lemma>{single(word, other, pos)};
    });
    lexicon.fixed.push_back(words.front());
  };
  for (const NounClass& kind : kNounClasses) call(kind.name, Pos::noun);
  for (const NounClass& kind : kNounClasses) call(kind.group, Pos::noun);
  for (const auto& [name, particle] : kVerbClasses) call(particle, Pos::adverb);
  for (const char* name : kAdjectiveClasses) call(name, Pos::noun);
  lexicon.people.push_back(people("royal", kRoyal, maker));
  lexicon.people.push_back(people("kin", kKin, maker));
  lexicon.people.push_back(people("common", kCommon, maker));
  for (const NounClass& kind : kNounClasses) {
    const auto build = [&](const std::string& stem, const std::string& other) {
      return noun(stem + kind.ending, other);
    };
    WordClass nouns = class_of(kind.name, kind.group, kNouns, maker, build);
    nouns.ending = kind.ending;
    nouns.kind_word = kind.name;
    if (!nouns.ending.empty()) {
      for (const Lemma& word : class_of(kind.name, kind.group, kUnseen, maker, build).words)
        nouns.unseen.push_back(word.forms[0]);
    }
    lexicon.nouns.push_back(std::move(nouns));
  }
  for (std::size_t i = 0; i < std::size(kSpeltAlike); ++i) {
    const auto find = [&](std::string_view name) -> WordClass& {
      return *std::find_if(lexicon.nouns.begin(), lexicon.nouns.end(),
                           [&](const WordClass& kind) { return kind.name == name; });
    };
    for (const std::size_t place : kAlikePlaces) {
      // A class that stands twice lends other words the second time.
      Lemma& one = find(kSpeltAlike[i].first).words[place + (i == 5 ? 8 : 0)];
      Lemma& other = find(kSpeltAlike[i].second).words[place];
      other.forms = one.forms;
      one.sense = 1;
      other.sense = 2;
    }
  }
  for (const auto& [name, particle] : kVerbClasses) {
    lexicon.verbs.push_back(class_of(name, name, kVerbs, maker, verb));
    lexicon.verbs.back().kind_word = particle;
  }
  for (const char* name : kAdjectiveClasses) {
    lexicon.adjectives.push_back(class_of(name, name, kAdjectives, maker, adjective));
    lexicon.adjectives.back().kind_word = name;
  }
  for (std::size_t i = 0; i < kCountries; ++i) {
    auto words = maker.draw(2, 2, [&](const std::string& stem, const std::string& other) {
      return std::vector<Lemma>{single(stem + "ia", other + "ta", Pos::name),
                                single(stem + "ian", other + "ra", Pos::adjective)};
    });
    auto capital = maker.draw(3, 3, [&](const std::string& stem, const std::string& other) {
      return std::vector<Lemma>{single(stem, other, Pos::name)};
    });
    lexicon.countries.push_back({words[0], capital[0], words[1]});
  }
  lexicon.names = {"name", "person", "", {}, {}, {}, {}, {}};
  for (std::size_t i = 0; i < kNames; ++i) {
    const auto words = maker.draw(2, 2, [&](const std::string& stem, const std::string&) {
      return std::vector<Lemma>{single(stem, stem, Pos::name, i % 2 == 0 ? Gender::male : Gender::female)};
    });
    lexicon.names.words.push_back(words.front());
  }
  add_companions(lexicon, maker);
  draw_favourites(lexicon, seed);
  return lexicon;
}

const WordClass& Lexicon::find(std::string_view name) const {
  if (name == names.name) return names;
  for (const auto* classes : {&nouns, &verbs, &adjectives, &people, &companions}) {
    for (const WordClass& kind : *classes) {
      if (kind.name == name) return kind;
    }
  }
  fail("microworld: there is no class of words named ", name);
}

const Lemma& Lexicon::find_fixed(std::string_view word) const {
  for (const Lemma& lemma : fixed) {
    if (lemma.forms[0] == word) return lemma;
  }
  fail("microworld: there is no word '", word, "'");
}

std::string_view name_of(Pos pos) {
  switch (pos) {
    case Pos::noun: return "NOUN";
    case Pos::verb: return "VERB";
    case Pos::adjective: return "ADJ";
    case Pos::name: return "PROPN";
    case Pos::determiner: return "DET";
    case Pos::adposition: return "ADP";
    case Pos::pronoun: return "PRON";
    case Pos::auxiliary: return "AUX";
    case Pos::conjunction: return "CCONJ";
    case Pos::adverb: return "ADV";
    case Pos::punctuation: return "PUNCT";
  }
  return "?";
}

std::size_t forms_of(Pos pos) {
  switch (pos) {
    case Pos::noun: return 2;
    case Pos::verb: return 4;
    case Pos::adjective: return 3;
    case Pos::name:
    case Pos::determiner:
    case Pos::adposition:
    case Pos::pronoun:
    case Pos::auxiliary:
    case Pos::conjunction:
    case Pos::adverb:
    case Pos::punctuation: return 1;
  }
  return 1;
}

std::string_view number_of(Pos pos, Form form) {
  if (pos != Pos::noun) return "-";
  return form == Form::plural ? "p" : "s";
}

std::string_view tense_of(Pos pos, Form form) {
  if (pos != Pos::verb) return "-";
  return form == Form::past ? "past" : form == Form::ing ? "ing" : "pres";
}

std::string_view name_of(Gender gender) {
  switch (gender) {
    case Gender::none: return "-";
    case Gender::male: return "m";
    case Gender::female: return "f";
  }
  return "?";
}

}  // namespace gradus::microworld
