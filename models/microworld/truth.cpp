#include "models/microworld/truth.hpp"

#include <algorithm>
#include <set>

#include "tensor/random.hpp"

namespace gradus::microworld {
namespace {

constexpr int64_t kOften = 5;

// A word, and what is alike between it and others.
struct Rated {
  const Lemma* lemma;
  const WordClass* kind;
  std::size_t place;
};

int64_t rating(const Rated& a, const Rated& b) {
  if (a.lemma == b.lemma) return 10;
  const bool people = a.kind->group == "person" && b.kind->group == "person";
  if (people) {
    // A man and the woman of the same rank stand next to each other.
    const bool pair = a.kind == b.kind && a.place / 2 == b.place / 2;
    return 4 + (a.kind == b.kind ? 3 : 0) + (pair ? 2 : 0) + (a.lemma->gender == b.lemma->gender ? 1 : 0);
  }
  if (a.lemma->pos != b.lemma->pos) return 0;
  if (a.kind == b.kind) return 8;
  if (a.lemma->pos == Pos::noun) return a.kind->group == b.kind->group ? 5 : 2;
  return 3;
}

}  // namespace

std::vector<AnalogyFamily> analogy_families(const Lexicon& lexicon) {
  AnalogyFamily capital{"capital-country", {}}, nationality{"country-nationality", {}}, gender{"gender", {}};
  for (const Country& country : lexicon.countries) {
    capital.pairs.emplace_back(country.capital.forms[0], country.country.forms[0]);
    nationality.pairs.emplace_back(country.country.forms[0], country.nationality.forms[0]);
  }
  for (const WordClass& kind : lexicon.people) {
    for (std::size_t i = 0; i + 1 < kind.words.size(); i += 2)
      gender.pairs.emplace_back(kind.words[i].forms[0], kind.words[i + 1].forms[0]);
  }
  std::vector<AnalogyFamily> families = {capital, nationality, gender};
  const auto by_form = [&](const char* name, const std::vector<WordClass>& classes, Form to) {
    AnalogyFamily family{name, {}};
    std::size_t longest = 0;
    for (const WordClass& kind : classes) longest = std::max(longest, kind.words.size());
    // The frequent words of all classes first. What has two senses is no clear case.
    for (std::size_t i = 0; i < longest; ++i) {
      for (const WordClass& kind : classes) {
        if (i < kind.words.size() && kind.words[i].sense == 0)
          family.pairs.emplace_back(kind.words[i].forms[0],
                                    kind.words[i].forms[static_cast<std::size_t>(to)]);
      }
    }
    families.push_back(std::move(family));
  };
  by_form("gram1-plural", lexicon.nouns, Form::plural);
  by_form("gram2-past", lexicon.verbs, Form::past);
  by_form("gram3-ing", lexicon.verbs, Form::ing);
  by_form("gram4-comparative", lexicon.adjectives, Form::comparative);
  by_form("gram5-superlative", lexicon.adjectives, Form::superlative);
  return families;
}

std::string analogies_text(const Lexicon& lexicon, const Counts& counts) {
  constexpr std::size_t kPairs = 60, kPartners = 8;
  const auto often = [&](const std::string& word) {
    const auto found = counts.find(word);
    return found != counts.end() && found->second >= kOften;
  };
  std::string text;
  for (const AnalogyFamily& family : analogy_families(lexicon)) {
    const std::size_t count = std::min(family.pairs.size(), kPairs);
    std::vector<std::string> good, others;
    for (std::size_t i = 0; i < count; ++i) {
      for (std::size_t step = 1; step <= std::min(kPartners, count - 1); ++step) {
        const auto& [a, b] = family.pairs[i];
        const auto& [c, d] = family.pairs[(i + step) % count];
        const bool all = often(a) && often(b) && often(c) && often(d);
        (all ? good : others).push_back(a + " " + b + " " + c + " " + d + "\n");
      }
    }
    if (good.empty()) continue;
    others.resize(std::min(others.size(), good.size() / 4));
    text += ": " + family.name + "\n";
    for (const auto* lines : {&good, &others}) {
      for (const std::string& line : *lines) text += line;
    }
  }
  return text;
}

std::string similarity_text(const Lexicon& lexicon, uint64_t seed) {
  constexpr std::size_t kFrequent = 14;
  std::vector<std::vector<Rated>> kinds(4);  // people, nouns, verbs, adjectives
  std::size_t k = 0;
  for (const auto* classes : {&lexicon.people, &lexicon.nouns, &lexicon.verbs, &lexicon.adjectives}) {
    for (const WordClass& kind : *classes) {
      for (std::size_t i = 0; i < std::min(kind.words.size(), kFrequent); ++i) {
        if (kind.words[i].sense == 0) kinds[k].push_back({&kind.words[i], &kind, i});
      }
    }
    ++k;
  }
  const Random random(seed, stream_of("microworld.similarity"));
  uint64_t next = 0;
  std::set<std::pair<std::string, std::string>> seen;
  std::string text;
  const auto add = [&](const Rated& a, const Rated& b) {
    const std::string &x = a.lemma->forms[0], &y = b.lemma->forms[0];
    if (x == y || !seen.insert(std::minmax(x, y)).second) return false;
    text += x + "\t" + y + "\t" + std::to_string(rating(a, b)) + "\n";
    return true;
  };
  const auto any = [&](const std::vector<Rated>& from) -> const Rated& {
    return from[random.below(next++, from.size())];
  };
  constexpr std::size_t kOf[] = {120, 240, 90, 90};
  for (std::size_t i = 0; i < kinds.size(); ++i) {
    for (std::size_t added = 0; added < kOf[i];) {
      const Rated& a = any(kinds[i]);
      const Rated& b = any(kinds[i]);
      // Half of them of one class, which chance alone would seldom give.
      if (added % 2 == 0 && a.kind != b.kind) continue;
      added += add(a, b) ? 1 : 0;
    }
  }
  for (std::size_t added = 0; added < 60;) {
    const std::size_t one = random.below(next++, kinds.size()), other = random.below(next++, kinds.size());
    if (one == other || one + other == 1) continue;  // people are nouns, too
    // One after the other: the order in which arguments are evaluated is the compiler's.
    const Rated& b = any(kinds[other]);
    const Rated& a = any(kinds[one]);
    added += add(a, b) ? 1 : 0;
  }
  return text;
}

std::string families_text(const Lexicon& lexicon) {
  std::string text;
  for (const WordClass& kind : lexicon.nouns) {
    if (kind.ending.empty()) continue;
    for (const Lemma& word : kind.words) {
      if (word.forms[0].ends_with(kind.ending)) text += word.forms[0] + "\t" + kind.name + "\n";
    }
    for (const std::string& word : kind.unseen) text += word + "\t" + kind.name + "\n";
  }
  return text;
}

std::string dictionary_text(const Lexicon& lexicon) {
  std::vector<std::vector<const Lemma*>> lists(1);
  for (const Lemma& word : lexicon.fixed) lists[0].push_back(&word);
  for (const auto* classes :
       {&lexicon.people, &lexicon.nouns, &lexicon.verbs, &lexicon.adjectives, &lexicon.companions}) {
    for (const WordClass& kind : *classes) {
      lists.emplace_back();
      for (const Lemma& word : kind.words) lists.back().push_back(&word);
    }
  }
  lists.emplace_back();
  for (const Country& country : lexicon.countries)
    lists.back().insert(lists.back().end(), {&country.country, &country.capital, &country.nationality});
  lists.emplace_back();
  for (const Lemma& word : lexicon.names.words) lists.back().push_back(&word);
  std::size_t longest = 0;
  for (const auto& list : lists) longest = std::max(longest, list.size());
  std::string text;
  std::set<std::pair<std::string, std::string>> seen;
  for (std::size_t i = 0; i < longest; ++i) {
    for (const auto& list : lists) {
      if (i >= list.size() || list[i]->pos == Pos::punctuation) continue;
      for (std::size_t f = 0; f < kForms; ++f) {
        const std::string &form = list[i]->forms[f], &other = list[i]->others[f];
        if (!form.empty() && form != other && seen.emplace(form, other).second)
          text += form + "\t" + other + "\n";
      }
    }
  }
  return text;
}

}  // namespace gradus::microworld
