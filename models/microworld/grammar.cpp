#include "models/microworld/grammar.hpp"

#include <algorithm>
#include <array>
#include <iterator>
#include <sstream>
#include <utility>

#include "tensor/error.hpp"

namespace gradus::microworld {
namespace {

// {class#k}: a word of a class, as entity k. A noun has an article and any number: {class:s#k} is singular, {class:bare#k} has no
// article, {adjectives/class#k} is one with an attribute. {verbs@k} is a verb in any tense with entity k's number; {adjectives} in
// any degree. {country#k}, {capital#k}, {nationality#k}: of country k. {he@k}, {his@k}, {is@k}, {was@k}: of entity k.
constexpr const char* kTemplates[] = {
    // Countries, rulers, cities.
    "{royal#1} in {country#2} {lead@1} from {capital#2} .",
    "{capital#1} is the capital of {country#1} .",
    "the {nationality#1} {royal:bare#2} {lead@2} in {capital#1} .",
    "{name#1} {say@1} that {he@1} {move@1} from {capital#2} to {capital#3} .",
    "the {nationality#1} {common:bare#2} {trade@2} {cloth} near {capital#1} .",
    "{royal#1} {say@1} that {country#2} {trade@2} {dish} .",
    "in {country#1} the {nationality#1} {common:bare#2} {trade@2} {tool} .",
    "{capital#1} is a {nationality#1} city and is {size} .",
    "{name#1} {is@1} a {nationality#2} {common:bare-s} from {capital#2} , in {country#2} .",
    "when {capital#1} {grow@1} , the {nationality#1} {royal:bare#2} {say@2} it to {common} .",
    // People: who they are tells he from she.
    "{royal#1} {say@1} that {he@1} {was@1} {mood} .",
    "{common#1} {move@1} to {his@1} {building:bare} .",
    "{kin:s#1} {say@1} that {he@1} {make@1} {dish} .",
    "{name#1} and {his@1} {kin:bare#2} {eat@2} {fruit} .",
    "{common#1} {see@1} {his@1} {vehicle:bare} .",
    "{royal#1} {lead@1} {his@1} {common:bare} .",
    "{royal#1} {was@1} {mood} , for {he@1} {see@1} {his@1} {land:bare} .",
    "{name#1} {say@1} that {common#2} {trade@2} {his@2} {tool:bare} .",
    "{common#1} {was@1} {mood} , for {he@1} {lead@1} {beast} .",
    "{kin#1} {say@1} that {he@1} {was@1} in {capital} .",
    "{kin#1} {grow@1} {his@1} {tree:bare} .",
    "{kin#1} {was@1} {mood} when {he@1} {eat@1} {his@1} {dish:bare} .",
    "{royal:s#1} {say@1} to {kin} that {he@1} {lead@1} {land} .",
    // Animals and plants.
    "{bird#1} {move@1} near {tree} .",
    "{size/bird#1} {eat@1} {colour/fruit} .",
    "{fish#1} {move@1} in {land} .",
    "{beast#1} {eat@1} {flower} .",
    "{colour/beast#1} {see@1} {bird} on {tree} .",
    "{tree#1} {grow@1} near {flower} .",
    "{flower#1} {was@1} {colour} .",
    "{common#1} {see@1} {size/fish} .",
    "{beast#1} {was@1} {size} near {fish} .",
    "{bird#1} {grow@1} in {country} .",
    "{name#1} {see@1} {colour/bird} near {fish} .",
    "{fish#1} {was@1} {age} and {beast#2} {move@2} .",
    "{flower#1} {grow@1} on {land} .",
    // Food.
    "{common#1} {eat@1} {taste/dish} with {drink} .",
    "{name#1} {make@1} {taste/dish} of {fruit} .",
    "{dish#1} {was@1} {taste} with {drink} .",
    "{drink#1} {was@1} {taste} , {fruit#2} {was@2} {taste} .",
    "{name#1} {eat@1} {taste/fruit} .",
    "{kin#1} {trade@1} {fruit} for {drink} .",
    "{common#1} {eat@1} {dish} and {drink} .",
    // Things.
    "{common#1} {make@1} {age/tool} .",
    "{name#1} {make@1} {cloth} with {age/tool} .",
    "{vehicle#1} {move@1} to {building} .",
    "{age/furniture#1} {was@1} in {building} .",
    "{name#1} {make@1} {colour/instrument} .",
    "{royal#1} {trade@1} {instrument} for {cloth} .",
    "{tool#1} {was@1} {age} on {furniture} .",
    "{colour/cloth#1} {was@1} on {furniture} .",
    "{common#1} {make@1} {vehicle} and {furniture} .",
    "{vehicle#1} {was@1} {age} near {building} .",
    "{name#1} {see@1} {age/instrument} in {country} .",
    // Illness, seeing, growing.
    "{illness#1} {move@1} from {beast} .",
    "{name#1} {was@1} {mood} , for {he@1} {see@1} {illness} .",
    "{kin#1} {see@1} {illness} in {capital} .",
    "{illness#1} {was@1} {age} and {instrument#2} {was@2} {colour} .",
    "the {nationality#1} {land:bare#2} {grow@2} and {was@2} {size} .",
    "{kin#1} {lead@1} {illness} to {land} .",
};
static_assert(std::size(kTemplates) == 60);

constexpr uint64_t kDraws = 256;  // numbers that one sentence may take

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

// A sentence while it is drawn. Draws stand in statements of their own: the order of arguments is the compiler's.
class Grammar::Draft {
 public:
  Draft(const Grammar& grammar, const Random& random, uint64_t first)
      : grammar_(grammar), random_(random), next_(first) {}

  void add(const Piece& piece) {
    switch (piece.kind) {
      case Piece::Kind::fixed: put(piece.word); break;
      case Piece::Kind::noun: noun(piece); break;
      case Piece::Kind::name: name(piece); break;
      case Piece::Kind::verb: verb(piece); break;
      case Piece::Kind::adjective: predicate(piece.words); break;
      case Piece::Kind::country: country(piece, &Country::country, "COUNTRY"); break;
      case Piece::Kind::capital: country(piece, &Country::capital, "CITY"); break;
      case Piece::Kind::nationality: country(piece, &Country::nationality, "-"); break;
      case Piece::Kind::he: {
        const Entity& who = entity(piece);
        put(who.plural                     ? "they"
            : who.gender == Gender::female ? "she"
            : who.gender == Gender::male   ? "he"
                                           : "it");
        break;
      }
      case Piece::Kind::his: {
        const Entity& who = entity(piece);
        put(who.plural ? "their" : who.gender == Gender::female ? "her" : "his");
        break;
      }
      case Piece::Kind::is: put(entity(piece).plural ? "are" : "is"); break;
      case Piece::Kind::was: {
        const bool plural = entity(piece).plural;
        if (below(2) == 0)
          put(plural ? "are" : "is");
        else
          put(plural ? "were" : "was");
        break;
      }
    }
  }
  std::vector<Token> take() { return std::move(tokens_); }
  uint64_t below(uint64_t bound) { return random_.below(next_++, bound); }

 private:
  struct Entity {
    Gender gender = Gender::none;
    bool plural = false;
    std::size_t country = 0;
    bool has_country = false;
  };

  void put(const Lemma* word, Form form = Form::singular, std::string_view entity = "-") {
    tokens_.push_back({word, form, entity});
  }
  void put(const char* word) { put(&grammar_.lexicon_.find_fixed(word)); }
  void put_one_of(const Choice& words) {
    const Lemma* word = words[static_cast<std::size_t>(below(words.size()))];
    if (word != nullptr) put(word);
  }
  // Of a piece that goes with nothing, its own.
  Entity& entity(const Piece& piece) {
    if (piece.entity >= 0) return entities_[static_cast<std::size_t>(piece.entity)];
    none_ = {};
    return none_;
  }
  const Lemma& draw(const WordClass& kind) {
    return kind.words[draw_zipf(random_, next_++, kind.words.size())];
  }
  // One of the favourites, the first the most, now and then any of their class; or nothing.
  const Lemma* companion(const WordClass* kind, const std::array<std::size_t, kFavourites>& favourites,
                         uint64_t eighths) {
    if (kind == nullptr || below(8) >= eighths) return nullptr;
    if (below(12) == 0) return &draw(*kind);
    return &kind->words[favourites[draw_zipf(random_, next_++, kFavourites)]];
  }
  // How many times in eight: things are frequent enough to be known by less.
  static uint64_t brought(const Lemma& lemma) {
    if (lemma.pos == Pos::noun) return lemma.gender == Gender::none ? 3 : 5;
    return lemma.pos == Pos::adjective && !lemma.forms[1].empty() ? 6 : 7;
  }
  void before(const Words& words, const Lemma& lemma) {
    if (const Lemma* word = companion(words.before, lemma.before, brought(lemma))) put(word);
  }
  void behind(const WordClass* kind, const Lemma& lemma, const char* link) {
    const Lemma* word = companion(kind, lemma.behind, brought(lemma));
    if (word == nullptr) return;
    put(link);
    put(word);
  }
  // "much taller": with what is known of the adjective before it.
  void degree(const Words& words, const Lemma& lemma, Form form) {
    if (form != Form::superlative)
      put_one_of(form == Form::positive ? grammar_.marks_.positive : grammar_.marks_.comparative);
    before(words, lemma);
    put(&lemma, form);
  }
  Form any_degree() {
    constexpr Form kDegrees[] = {Form::positive, Form::comparative, Form::superlative};
    return kDegrees[below(std::size(kDegrees))];
  }
  void predicate(const Words& words) {
    const Lemma& lemma = draw(*words.kind);
    const Form form = any_degree();
    if (form == Form::superlative) put("the");
    degree(words, lemma, form);
    if (below(8) < 4) {
      put("in");
      put(words.kind_word);
    }
    behind(words.behind, lemma, "in");
    const bool told = below(4) > 0;
    if (told && form == Form::comparative) {
      put("than");
      put_one_of(grammar_.marks_.than);
    } else if (told && form == Form::superlative) {
      put("of");
      put("all");
    }
  }

  void noun(const Piece& piece) {
    const Lemma& lemma = draw(*piece.words.kind);
    Entity& own = entity(piece);
    own.gender = lemma.gender;
    own.plural = !piece.singular && below(2) == 1;
    const Lemma* attribute = piece.attribute.kind != nullptr ? &draw(*piece.attribute.kind) : nullptr;
    const Form how = attribute != nullptr ? any_degree() : Form::positive;
    if (how == Form::superlative)
      put("the");
    else if (!piece.bare)
      put_one_of(own.plural ? grammar_.marks_.many : grammar_.marks_.one);
    if (attribute != nullptr) degree(piece.attribute, *attribute, how);
    before(piece.words, lemma);
    if (piece.words.kind_word != nullptr) {
      const uint64_t said = below(8);
      if (said < 6) put(said < 4 ? piece.words.kind_word : piece.words.group_word);
    }
    put(&lemma, own.plural ? Form::plural : Form::singular);
    if (lemma.gender != Gender::none && !own.plural) who(lemma.gender);
    behind(piece.words.behind, lemma, "of");
  }
  // "himself", or a name.
  void who(Gender gender) {
    const uint64_t how = below(4);
    const bool woman = gender == Gender::female;
    if (how == 0) put(woman ? "herself" : "himself");
    if (how == 1) {
      const auto& names = woman ? grammar_.women_ : grammar_.men_;
      put(names[draw_zipf(random_, next_++, names.size())], Form::singular, "PERSON");
    }
  }
  void name(const Piece& piece) {
    const Lemma& lemma = draw(*piece.words.kind);
    entity(piece).gender = lemma.gender;
    put(&lemma, Form::singular, "PERSON");
  }
  void verb(const Piece& piece) {
    const Lemma& lemma = draw(*piece.words.kind);
    const bool plural = entity(piece).plural;
    const Marks& marks = grammar_.marks_;
    Form form = Form::past;
    switch (below(4)) {
      case 0: put_one_of(marks.past); break;
      case 1:
        form = Form::base;
        put_one_of(marks.base);
        break;
      case 2:
        form = plural ? Form::base : Form::third;
        put_one_of(marks.third);
        break;
      default:
        form = Form::ing;
        put_one_of(plural ? marks.ing_many : marks.ing_one);
        put_one_of(marks.ing);
        break;
    }
    before(piece.words, lemma);
    put(&lemma, form);
    if (below(8) < 6) put(piece.words.kind_word);
    if (form == Form::ing && below(2) == 0) put("today");
    behind(piece.words.behind, lemma, "with");
  }
  void country(const Piece& piece, Lemma Country::*which, std::string_view kind) {
    Entity& own = entity(piece);
    const std::vector<Country>& countries = grammar_.lexicon_.countries;
    if (!own.has_country) own.country = draw_zipf(random_, next_++, countries.size());
    own.has_country = true;
    const Lemma& lemma = countries[own.country].*which;
    if (which == &Country::nationality && below(2) == 0) put("native");
    if (which != &Country::nationality && below(4) == 0) {
      put("the");
      put(which == &Country::country ? "realm" : "city");
      put("of");
    }
    before({nullptr, grammar_.epithets_, nullptr, nullptr, nullptr}, lemma);
    put(&lemma, Form::singular, kind);
    if (which != &Country::nationality) behind(grammar_.places_, lemma, "by");
  }

  const Grammar& grammar_;
  const Random& random_;
  uint64_t next_;
  std::array<Entity, 10> entities_;
  Entity none_;
  std::vector<Token> tokens_;
};

Grammar::Words Grammar::words_of(const std::string& name) const {
  const WordClass& kind = lexicon_.find(name);
  const auto companions = [&](const std::string& its) { return its.empty() ? nullptr : &lexicon_.find(its); };
  const auto fixed = [&](const std::string& word) {
    return word.empty() ? nullptr : &lexicon_.find_fixed(word);
  };
  const bool grouped = !kind.kind_word.empty() && kind.words.front().pos == Pos::noun;
  return {&kind, companions(kind.before), companions(kind.behind), fixed(kind.kind_word),
          fixed(grouped ? kind.group : "")};
}

Grammar::Choice Grammar::choice(const char* words) const {
  Choice result;
  std::istringstream stream(words);
  for (std::string word; stream >> word;)
    result.push_back(word == "-" ? nullptr : &lexicon_.find_fixed(word));
  return result;
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
                                                              {"his", Piece::Kind::his},
                                                              {"is", Piece::Kind::is},
                                                              {"was", Piece::Kind::was}};
  for (const auto& [word, kind] : kSpecial) {
    if (name == word) {
      piece.kind = kind;
      return piece;
    }
  }
  if (const std::size_t at = name.find('/'); at != std::string::npos) {
    piece.attribute = words_of(name.substr(0, at));
    name.erase(0, at + 1);
  }
  piece.words = words_of(name);
  const Pos pos = piece.words.kind->words.front().pos;
  piece.kind = pos == Pos::verb        ? Piece::Kind::verb
               : pos == Pos::adjective ? Piece::Kind::adjective
               : pos == Pos::name      ? Piece::Kind::name
                                       : Piece::Kind::noun;
  check(form.empty() || form == "s" || form == "bare" || form == "bare-s", "microworld: '", form,
        "' is no form of a noun");
  piece.singular = form.ends_with("s");
  piece.bare = form.starts_with("bare");
  return piece;
}

Grammar::Grammar(const Lexicon& lexicon)
    : lexicon_(lexicon), epithets_(&lexicon.find("epithet")), places_(&lexicon.find("place")) {
  marks_.one = choice("the the a a every this");
  marks_.many = choice("the these many many some some");
  marks_.past = choice("had had once then");
  marks_.base = choice("will will must can");
  marks_.third = choice("always often never");
  marks_.ing_one = choice("is was keeps");
  marks_.ing_many = choice("are were keep");
  marks_.ing = choice("now still");
  marks_.positive = choice("very quite rather");
  marks_.comparative = choice("- much even far");
  marks_.than = choice("ever before all usual");
  for (const Lemma& name : lexicon.names.words)
    (name.gender == Gender::female ? women_ : men_).push_back(&name);
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
  Draft draft(*this, random, number * kDraws);
  const std::vector<Piece>& pieces = templates_[static_cast<std::size_t>(draft.below(templates_.size()))];
  for (const Piece& piece : pieces) draft.add(piece);
  return draft.take();
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
