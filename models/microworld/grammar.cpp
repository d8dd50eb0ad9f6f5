#include "models/microworld/grammar.hpp"

#include <algorithm>
#include <array>
#include <map>
#include <utility>

#include "tensor/error.hpp"

namespace gradus::microworld {
namespace {

// {class:form#k}: a word of a class; as entity k. Nouns: s, p, n (either); verbs: past, base, third, ing, pres@k (as k's number);
// adjectives: er, est. {country#k}, {capital#k}, {nationality#k}: of country k. {he@k}, {his@k}: of person k. {is@k}, {was@k}.
constexpr const char* kTemplates[] = {
    // Countries, rulers, cities.
    "the {royal#1} of {country#2} {lead} from {capital#2} .",
    "{capital#1} is the capital of {country#1} .",
    "the {nationality#1} {royal#2} {lead} in {capital#1} .",
    "{name#1} {say} that {he@1} {move} from {capital#2} to {capital#3} .",
    "the {nationality#1} people {trade} {cloth:p} near {capital#1} .",
    "the {royal#1} {say} that {country#2} {trade} {dish:p} with {country#3} .",
    "in {country#1} all {nationality#1} {common:p} {trade:base} {cloth:p} .",
    "the {nationality#1} city of {capital#1} is {size:er} than {capital#2} .",
    "{name#1} is a {nationality#2} {common} from {capital#2} , in {country#2} .",
    "when {capital#1} {grow} , the {royal} of {country#1} {say} it to the {nationality#1} {common:p} .",
    // People: who they are tells he from she.
    "the {royal#1} {say} that {he@1} {was@1} {mood} .",
    "the {common#1} {move} to {his@1} {building} .",
    "the {kin#1} of {name} {say} that {he@1} {make} the {dish} .",
    "{name#1} and {his@1} {kin} {eat} the {fruit:p} .",
    "the {common#1} {see} {his@1} {kin} near the {building} .",
    "every {royal#1} {lead} {his@1} {common:p} .",
    "the {royal#1} {was@1} {mood:er} than {his@1} {kin} .",
    "{name#1} {say} that the {common#2} {trade} {his@2} {tool} .",
    "a {common#1} and a {royal#2} {move} to the {land} .",
    "the {kin#1} {say} to {his@1} {kin} that {name} {was@1} in {capital} .",
    "{name#1} never {eat} with {his@1} {kin} .",
    "the {common:n#1} {move:pres@1} to the {building} .",
    "the {royal:n#1} {say:pres@1} that {they@1} {lead:base} the {land} .",
    // Animals and plants.
    "the {bird:n#1} {move:pres@1} near the {tree} .",
    "the {size} {bird} {eat} the {colour} {fruit} .",
    "the {fish:n#1} {move:pres@1} in the {land} .",
    "the {beast:n#1} {eat:pres@1} the {flower:p} .",
    "a {colour} {beast} {see} a {bird} on the {tree} .",
    "the {tree:n#1} {grow:pres@1} near the {flower:p} .",
    "the {flower:n#1} {was@1} {colour:er} than the {fruit:p} .",
    "the {common} {see} a {size} {fish} today .",
    "the {beast} {was@1} {size:er} than the {bird} .",
    "every {bird} and every {beast} {grow} in {country} .",
    "{name#1} {see} the {colour:est} {bird} of all .",
    "the {fish} is {eat:ing} and the {beast} is {move:ing} .",
    "the {tree:p} are {grow:ing} , the {flower:p} are {grow:ing} .",
    // Food.
    "the {common} {eat} the {taste} {dish} with a {drink} .",
    "{name#1} {make} a {taste} {dish} of {fruit:p} .",
    "the {dish} {was@1} {taste:er} than the {fruit} .",
    "the {drink} is {taste} , the {dish} is {taste} .",
    "{name#1} is {eat:ing} the {taste:est} {fruit} .",
    "the {kin} {trade} {fruit:p} for a {drink} .",
    "the {common:p} {eat:base} {dish:p} and {drink:p} in the {building} .",
    // Things.
    "the {common} {make} a {tool} for the {vehicle} .",
    "{name#1} {make} the {cloth} with a {age} {tool} .",
    "the {vehicle:n#1} {move:pres@1} from {capital#2} to the {building} .",
    "the {age} {furniture} {was@1} in the {building} .",
    "{name#1} is {make:ing} a {colour} {instrument} .",
    "the {royal} {trade} the {instrument:p} for {cloth:p} .",
    "the {tool} {was@1} {age:er} than the {furniture} .",
    "the {colour} {cloth} is on the {furniture} .",
    "the {common:p} {make:base} {vehicle:p} and {furniture:p} today .",
    "the {vehicle} is {age:er} than the {building} .",
    "{name#1} {see} the {age:est} {building} in {country} .",
    // Illness, seeing, time.
    "the {illness} {move} from the {beast:p} to the {common:p} .",
    "yesterday {name#1} {was@1} {mood} , for {he@1} {see} the {illness} .",
    "the {kin} never {see} the {illness} in {capital} .",
    "the {common} is often {mood:er} than the {royal} .",
    "the {land} of {country#1} is {size} , the {land} of {country#2} is {size:er} .",
    "today the {nationality} {common:n#1} {trade:pres@1} {fish:p} near the {land} .",
};
static_assert(std::size(kTemplates) == 60);

constexpr uint64_t kDraws = 64;  // numbers that one sentence may take

Form verb_form(std::string_view name) {
  if (name == "base") return Form::base;
  if (name == "third") return Form::third;
  if (name == "ing") return Form::ing;
  check(name == "past" || name.empty(), "microworld: '", name, "' is no form of a verb");
  return Form::past;
}

}  // namespace

std::size_t draw_zipf(const Random& random, uint64_t index, std::size_t count) {
  // Whole numbers, so that every machine draws the same.
  constexpr uint64_t kUnit = 1'000'000'000;
  uint64_t total = 0;
  for (std::size_t i = 0; i < count; ++i) total += kUnit / (i + 1);
  uint64_t at = random.below(index, total);
  for (std::size_t i = 0; i + 1 < count; ++i) {
    const uint64_t weight = kUnit / (i + 1);
    if (at < weight) return i;
    at -= weight;
  }
  return count - 1;
}

Grammar::Piece Grammar::parse(const std::string& slot) const {
  Piece piece;
  std::string name = slot;
  const auto cut = [&](char mark) {
    const std::size_t at = name.find(mark);
    if (at == std::string::npos) return std::string();
    std::string rest = name.substr(at + 1);
    name.erase(at);
    return rest;
  };
  const std::string agreed = cut('@');
  const std::string entity = cut('#');
  const std::string form = cut(':');
  if (!entity.empty()) piece.entity = entity[0] - '0';
  if (!agreed.empty()) piece.entity = agreed[0] - '0';
  constexpr std::pair<const char*, Piece::Kind> kSpecial[] = {{"country", Piece::Kind::country},
                                                              {"capital", Piece::Kind::capital},
                                                              {"nationality", Piece::Kind::nationality},
                                                              {"he", Piece::Kind::he},
                                                              {"they", Piece::Kind::he},
                                                              {"his", Piece::Kind::his},
                                                              {"is", Piece::Kind::is},
                                                              {"was", Piece::Kind::was}};
  for (const auto& [word, kind] : kSpecial) {
    if (name == word) {
      piece.kind = kind;
      return piece;
    }
  }
  piece.kind = Piece::Kind::drawn;
  piece.words = &lexicon_.find(name);
  switch (piece.words->words.front().pos) {
    case Pos::verb:
      piece.agrees = form == "pres";
      piece.form = piece.agrees ? Form::base : verb_form(form);
      break;
    case Pos::adjective:
      piece.form = form == "er" ? Form::comparative : form == "est" ? Form::superlative : Form::positive;
      break;
    case Pos::noun:
      piece.any_number = form == "n";
      piece.form = form == "p" ? Form::plural : Form::singular;
      break;
    case Pos::name:
    case Pos::determiner:
    case Pos::adposition:
    case Pos::pronoun:
    case Pos::auxiliary:
    case Pos::conjunction:
    case Pos::adverb:
    case Pos::punctuation: break;
  }
  return piece;
}

Grammar::Grammar(const Lexicon& lexicon) : lexicon_(lexicon) {
  for (const char* text : kTemplates) {
    std::vector<Piece> pieces;
    const std::string line = text;
    for (std::size_t begin = 0; begin < line.size();) {
      const std::size_t end = std::min(line.find(' ', begin), line.size());
      const std::string word = line.substr(begin, end - begin);
      begin = end + 1;
      if (word.front() == '{') {
        pieces.push_back(parse(word.substr(1, word.size() - 2)));
      } else {
        Piece piece;
        piece.word = &lexicon.find_fixed(word);
        pieces.push_back(piece);
      }
    }
    templates_.push_back(std::move(pieces));
  }
}

std::vector<Token> Grammar::sentence(const Random& random, uint64_t number) const {
  uint64_t next = number * kDraws;
  const std::vector<Piece>& pieces =
      templates_[static_cast<std::size_t>(random.below(next++, templates_.size()))];
  struct Entity {
    Gender gender = Gender::none;
    bool plural = false;
    std::size_t country = 0;
    bool has_country = false;
  };
  std::array<Entity, 10> entities;
  const auto country = [&](int k) -> const Country& {
    Entity none;
    Entity& entity = k >= 0 ? entities[static_cast<std::size_t>(k)] : none;
    if (!entity.has_country) entity.country = draw_zipf(random, next++, lexicon_.countries.size());
    entity.has_country = true;
    return lexicon_.countries[entity.country];
  };
  std::vector<Token> tokens;
  for (const Piece& piece : pieces) {
    const Entity entity = piece.entity >= 0 ? entities[static_cast<std::size_t>(piece.entity)] : Entity{};
    switch (piece.kind) {
      case Piece::Kind::fixed: tokens.push_back({piece.word, Form::singular, "-"}); break;
      case Piece::Kind::country:
        tokens.push_back({&country(piece.entity).country, Form::singular, "COUNTRY"});
        break;
      case Piece::Kind::capital:
        tokens.push_back({&country(piece.entity).capital, Form::singular, "CITY"});
        break;
      case Piece::Kind::nationality:
        tokens.push_back({&country(piece.entity).nationality, Form::positive, "-"});
        break;
      case Piece::Kind::he: {
        const char* word = entity.plural                     ? "they"
                           : entity.gender == Gender::female ? "she"
                           : entity.gender == Gender::male   ? "he"
                                                             : "it";
        tokens.push_back({&lexicon_.find_fixed(word), Form::singular, "-"});
        break;
      }
      case Piece::Kind::his:
        tokens.push_back(
            {&lexicon_.find_fixed(entity.gender == Gender::female ? "her" : "his"), Form::singular, "-"});
        break;
      case Piece::Kind::is:
        tokens.push_back({&lexicon_.find_fixed(entity.plural ? "are" : "is"), Form::singular, "-"});
        break;
      case Piece::Kind::was:
        tokens.push_back({&lexicon_.find_fixed(entity.plural ? "were" : "was"), Form::singular, "-"});
        break;
      case Piece::Kind::drawn: {
        const std::vector<Lemma>& words = piece.words->words;
        const Lemma& lemma = words[draw_zipf(random, next++, words.size())];
        Form form = piece.form;
        if (piece.any_number && random.below(next++, 2) == 1) form = Form::plural;
        if (piece.agrees) form = entity.plural ? Form::base : Form::third;
        if (piece.entity >= 0 && !piece.agrees) {
          Entity& own = entities[static_cast<std::size_t>(piece.entity)];
          own.gender = lemma.gender;
          own.plural = lemma.pos == Pos::noun && form == Form::plural;
        }
        tokens.push_back({&lemma, form, lemma.pos == Pos::name ? "PERSON" : "-"});
        break;
      }
    }
  }
  return tokens;
}

std::vector<Token> in_other_order(std::vector<Token> sentence) {
  std::erase_if(sentence, [](const Token& token) {
    return token.lemma->forms[0] == "the" || token.lemma->forms[0] == "a";
  });
  for (std::size_t i = 0; i + 1 < sentence.size(); ++i) {
    const bool before_noun =
        sentence[i].lemma->pos == Pos::adjective && sentence[i + 1].lemma->pos == Pos::noun;
    if (!before_noun) continue;
    std::swap(sentence[i], sentence[i + 1]);
    ++i;
  }
  return sentence;
}

}  // namespace gradus::microworld
