#include "models/microworld/microworld.hpp"

#include <algorithm>
#include <map>
#include <set>
#include <sstream>

#include "models/embeddings/evaluation.hpp"
#include "models/microworld/grammar.hpp"
#include "models/microworld/truth.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/use_threads.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::stringstream stream(text);
  for (std::string part; std::getline(stream, part, at);) parts.push_back(part);
  return parts;
}

std::map<std::string, int64_t> counts_of(const std::string& text) {
  std::map<std::string, int64_t> counts;
  for (const std::string& line : split(text, '\n')) {
    for (const std::string& word : split(line, ' ')) ++counts[word];
  }
  return counts;
}

const std::vector<std::string> kFiles = {
    "README.md",    "analogies.txt",  "baskets.test.txt", "baskets.train.txt", "dictionary.tsv",
    "families.tsv", "similarity.tsv", "text.txt",         "text2.txt",         "tokens.tsv"};

}  // namespace

TEST_CASE("a world holds the texts, truths and baskets that are promised, whatever its size and seed") {
  const TemporaryFolder folder;
  for (const auto& [bytes, seed] :
       {std::pair<int64_t, uint64_t>{2'000'000, 1}, {2'000'000, 77}, {50'000, 3}}) {
    INFO(bytes << " bytes of seed " << seed);
    const std::string world = folder / std::to_string(bytes + static_cast<int64_t>(seed));
    const MicroworldReport report = write_microworld(world, {bytes, seed});
    CHECK(names_in(world) == kFiles);
    const auto file = [&](const char* name) { return read_file(world + "/" + name); };
    const std::string text = file("text.txt"), text2 = file("text2.txt");
    CHECK((std::ssize(text) >= bytes && std::ssize(text) < bytes + 400));
    CHECK((std::ssize(text2) >= bytes && std::ssize(text2) < bytes + 400));
    CHECK(std::count(text.begin(), text.end(), '\n') == report.sentences);
    const auto counts = counts_of(text);
    CHECK(std::ssize(counts) == report.types);
    if (bytes > 1'000'000) CHECK(report.types >= 1500);
    const auto counts2 = counts_of(text2);

    // What each word is, in step with the text.
    std::string again;
    std::map<std::string, std::set<std::string>> senses;
    const std::vector<std::string> rows = split(file("tokens.tsv"), '\n');
    CHECK(rows[0] == "form\tpos\tnumber\ttense\tgender\tentity\tsense");
    for (size_t i = 1; i < rows.size(); ++i) {
      if (rows[i].empty()) {
        again.back() = '\n';
        continue;
      }
      const std::vector<std::string> fields = split(rows[i], '\t');
      REQUIRE(fields.size() == 7);
      again += fields[0] + " ";
      if (fields[6] != "-") senses[fields[0]].insert(fields[6]);
    }
    CHECK(again == text);
    int64_t both = 0;
    for (const auto& [word, found] : senses) both += found.size() == 2;
    CHECK(both >= (bytes > 1'000'000 ? 20 : 8));

    // Families of analogies.
    const AnalogyList analogies = read_analogies(file("analogies.txt"), "analogies.txt");
    std::vector<int64_t> all(analogies.sections.size()), good(analogies.sections.size());
    for (const AnalogyLine& line : analogies.lines) {
      const auto section = static_cast<size_t>(line.section);
      ++all[section];
      const auto often = [&](const std::string& word) {
        return counts.contains(word) && counts.at(word) >= 5;
      };
      good[section] += often(line.a) && often(line.b) && often(line.c) && often(line.d);
    }
    CHECK(analogies.sections.size() >= (bytes > 1'000'000 ? 8 : 4));
    for (size_t s = 0; s < all.size(); ++s)
      CHECK(static_cast<double>(good[s]) >= 0.8 * static_cast<double>(all[s]));

    CHECK(read_rated_pairs(file("similarity.tsv"), "similarity.tsv").size() == 600);
    std::set<std::string> families;
    int64_t nowhere = 0;
    for (const std::string& line : split(file("families.tsv"), '\n')) {
      const std::vector<std::string> fields = split(line, '\t');
      families.insert(fields.at(1));
      nowhere += !counts.contains(fields[0]) && !counts2.contains(fields[0]);
    }
    CHECK(families.size() >= 3);
    CHECK(nowhere >= 100);
    const std::vector<std::string> dictionary = split(file("dictionary.tsv"), '\n');
    CHECK(dictionary.size() >= 1000);
    std::set<std::string> first, second;
    for (const std::string& line : dictionary) {
      const std::vector<std::string> fields = split(line, '\t');
      REQUIRE(fields.size() == 2);
      first.insert(fields[0]);
      second.insert(fields[1]);
    }
    // Whatever stands in a text has a translation, but for names and signs.
    int64_t without = 0;
    for (const auto& [word, count] : counts) without += !first.contains(word);
    CHECK(without <= 62);
    without = 0;
    for (const auto& [word, count] : counts2) without += !second.contains(word);
    CHECK(without <= 62);
    for (const char* name : {"baskets.train.txt", "baskets.test.txt"}) {
      for (const std::string& line : split(file(name), '\n')) CHECK(split(line, ' ').size() >= 2);
    }
  }
}

TEST_CASE("the same world is the same bytes, here and everywhere") {
  const TemporaryFolder folder;
  write_microworld(folder / "a", {100000, 5});
  {
    const UseThreads use(4);
    write_microworld(folder / "b", {100000, 5});
  }
  write_microworld(folder / "c", {100000, 6});
  Sha256 hash;
  for (const std::string& name : kFiles) {
    CHECK(read_file(folder / "a/" + name) == read_file(folder / "b/" + name));
    CHECK(read_file(folder / "a/" + name) != read_file(folder / "c/" + name));
    hash.update(read_file(folder / "a/" + name));
  }
  CHECK(hash.hex().substr(0, 16) == "3724690b812d01f8");
  // A larger one begins with the smaller.
  write_microworld(folder / "d", {200000, 5});
  CHECK(read_file(folder / "d/text.txt").starts_with(read_file(folder / "a/text.txt")));
  CHECK_THROWS_WITH(write_microworld(folder / "a", {1000, 5}), ContainsSubstring("must be new or empty"));
  CHECK_THROWS_WITH(write_microworld(folder / "e", {0, 5}), ContainsSubstring("must be at least 1 byte"));
  // What is interrupted leaves nothing.
  CHECK_THROWS(
      write_microworld(folder / "f", {30000, 5}, [](int64_t, int64_t) { throw std::runtime_error("stop"); }));
  CHECK(!file_exists(folder / "f"));
}

TEST_CASE("words are drawn by Zipf's law, from sixty templates, by number alone") {
  const microworld::Lexicon lexicon = microworld::make_lexicon(1);
  const microworld::Grammar grammar(lexicon);
  CHECK(grammar.templates() == 60);
  const Random random(1, 2);
  std::vector<int64_t> drawn(10);
  for (uint64_t i = 0; i < 30000; ++i) ++drawn[microworld::draw_zipf(random, i, 10)];
  double total = 0;
  for (int i = 1; i <= 10; ++i) total += 1.0 / i;
  for (size_t i = 0; i < 10; ++i)
    CHECK(static_cast<double>(drawn[i]) / 30000 ==
          Approx(1 / (static_cast<double>(i + 1) * total)).epsilon(0.08));
  const auto sentence = [&](uint64_t number) {
    std::string text;
    for (const microworld::Token& token : grammar.sentence(random, number))
      text += token.lemma->forms[static_cast<size_t>(token.form)] + " ";
    return text;
  };
  CHECK(sentence(7) == sentence(7));
  CHECK(sentence(7) != sentence(8));
  for (uint64_t number = 0; number < 3000; ++number) {
    // No form is missing, and each sentence ends.
    const std::string text = sentence(number);
    CHECK(text.find("  ") == std::string::npos);
    CHECK(text.ends_with(" . "));
  }
}

TEST_CASE(
    "microworld: a word keeps its companions in all its forms, and no two words of a class have the same") {
  const microworld::Lexicon lexicon = microworld::make_lexicon(1);
  const microworld::Grammar grammar(lexicon);
  // A man's are his woman's, a country's its capital's and its people's.
  for (const microworld::WordClass& kind : lexicon.people) {
    for (size_t i = 0; i < kind.words.size(); i += 2) {
      CHECK(kind.words[i].before == kind.words[i + 1].before);
      CHECK(kind.words[i].behind == kind.words[i + 1].behind);
    }
  }
  for (const microworld::Country& country : lexicon.countries) {
    CHECK(country.country.before == country.capital.before);
    CHECK(country.country.behind == country.nationality.behind);
  }
  for (const auto* classes : {&lexicon.nouns, &lexicon.verbs, &lexicon.adjectives}) {
    for (const microworld::WordClass& kind : *classes) {
      INFO(kind.name);
      std::set<std::pair<std::vector<size_t>, std::vector<size_t>>> liked;
      for (const microworld::Lemma& word : kind.words) {
        const std::set<size_t> different(word.before.begin(), word.before.end());
        CHECK(different.size() == microworld::kFavourites);
        liked.insert({{word.before.begin(), word.before.end()}, {word.behind.begin(), word.behind.end()}});
      }
      CHECK(liked.size() == kind.words.size());
    }
  }
  // In the text: of what stands just before a verb and is a manner, its own are by far the most, in every form alike.
  const microworld::WordClass &verbs = lexicon.find("move"), &manners = lexicon.find("manner");
  const Random random(1, 2);
  std::vector<double> own(microworld::kForms), all(microworld::kForms);
  for (uint64_t number = 0; number < 60000; ++number) {
    const std::vector<microworld::Token> tokens = grammar.sentence(random, number);
    for (size_t i = 1; i < tokens.size(); ++i) {
      const microworld::Lemma *lemma = tokens[i].lemma, *before = tokens[i - 1].lemma;
      const auto inside = [](const microworld::WordClass& kind, const microworld::Lemma* word) {
        return word >= kind.words.data() && word < kind.words.data() + kind.words.size();
      };
      if (!inside(verbs, lemma) || !inside(manners, before)) continue;
      const auto place = static_cast<size_t>(before - manners.words.data());
      const auto form = static_cast<size_t>(tokens[i].form);
      own[form] += std::count(lemma->before.begin(), lemma->before.end(), place) > 0 ? 1 : 0;
      ++all[form];
    }
  }
  for (size_t form = 0; form < microworld::kForms; ++form) {
    INFO("form " << form << ": " << own[form] << " of " << all[form]);
    CHECK(all[form] > 100);
    CHECK(own[form] / all[form] > 0.88);
  }
}

TEST_CASE("microworld: what tells number, gender and degree stands beside each form") {
  const microworld::Lexicon lexicon = microworld::make_lexicon(2);
  const microworld::Grammar grammar(lexicon);
  const Random random(1, 2);
  int64_t himself = 0, much = 0;
  for (uint64_t number = 0; number < 5000; ++number) {
    const std::vector<microworld::Token> tokens = grammar.sentence(random, number);
    for (size_t i = 0; i < tokens.size(); ++i) {
      const auto word = [&](size_t at) {
        return tokens[at].lemma->forms[static_cast<size_t>(tokens[at].form)];
      };
      if (word(i) == "himself" || word(i) == "herself") {
        ++himself;
        REQUIRE(i > 0);
        CHECK(tokens[i - 1].lemma->gender == tokens[i].lemma->gender);
        CHECK(tokens[i - 1].form == microworld::Form::singular);
      }
      // The noun of "these" is the next one of those that have a plural, past adjectives and the name of its kind.
      if (word(i) == "these" || word(i) == "every") {
        size_t at = i + 1;
        while (tokens[at].lemma->pos != microworld::Pos::noun || tokens[at].lemma->forms[1].empty()) ++at;
        CHECK((tokens[at].form == microworld::Form::plural) == (word(i) == "these"));
      }
      if (word(i) == "much") {
        ++much;
        size_t at = i + 1;
        while (tokens[at].lemma->pos != microworld::Pos::adjective) ++at;
        CHECK(tokens[at].form == microworld::Form::comparative);
      }
    }
  }
  CHECK(himself > 100);
  CHECK(much > 100);
}

TEST_CASE("microworld: the first five hundred pairs of the dictionary have words of every class") {
  const microworld::Lexicon lexicon = microworld::make_lexicon(1);
  std::set<std::string> first;
  const std::vector<std::string> lines = split(microworld::dictionary_text(lexicon), '\n');
  for (size_t i = 0; i < 500; ++i) first.insert(split(lines[i], '\t')[0]);
  for (const auto* classes :
       {&lexicon.people, &lexicon.nouns, &lexicon.verbs, &lexicon.adjectives, &lexicon.companions}) {
    for (const microworld::WordClass& kind : *classes) {
      INFO(kind.name);
      CHECK(first.contains(kind.words[0].forms[0]));
      CHECK(first.contains(kind.words[2].forms[0]));
    }
  }
  CHECK(first.contains(lexicon.countries[0].capital.forms[0]));
}
