#include "models/microworld/microworld.hpp"

#include <filesystem>
#include <memory>
#include <system_error>
#include <vector>

#include "models/microworld/baskets.hpp"
#include "models/microworld/grammar.hpp"
#include "models/microworld/truth.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/random.hpp"

namespace gradus {
namespace {

using namespace microworld;

constexpr std::size_t kPieceBytes = std::size_t{1} << 18;

// A file that is written in large pieces.
class Lines {
 public:
  explicit Lines(const std::string& path) : file_(path) {}
  void add(std::string_view text) {
    bytes_ += std::ssize(text);
    waiting_ += text;
    if (waiting_.size() < kPieceBytes) return;
    file_.write(waiting_);
    waiting_.clear();
  }
  int64_t bytes() const { return bytes_; }
  void sync() {
    file_.write(waiting_);
    waiting_.clear();
    file_.sync();
  }
  void commit() { file_.commit(); }

 private:
  AtomicFile file_;
  std::string waiting_;
  int64_t bytes_ = 0;
};

std::string readme(const MicroworldOptions& options, const MicroworldReport& report, int64_t templates) {
  const auto text = [](auto number) { return std::to_string(number); };
  return "# A microworld\n\nMade by `gradus corpus microworld --size " + text(options.bytes) + " --seed " +
         text(options.seed) +
         "`; the same bytes everywhere.\n\n| File | What it holds |\n| --- | --- |\n| `text.txt` | " +
         text(report.sentences) + " sentences of " + text(report.tokens) +
         " words and signs, a sentence a line, from " + text(templates) +
         " templates |\n| `text2.txt` | other sentences of the same world in another language: adjectives "
         "stand behind nouns, there are no articles |\n"
         "| `tokens.tsv` | form, pos, number, tense, gender, entity, sense of each word of text.txt; an "
         "empty line ends a sentence |\n"
         "| `dictionary.tsv` | word, translation |\n"
         "| `analogies.txt` | questions in Google's format; families of grammar begin with gram |\n"
         "| `similarity.tsv` | word, word, how alike they are, 0 to 10 |\n"
         "| `families.tsv` | word, family: six kinds of things whose words share an ending, among them words "
         "that stand in no text |\n"
         "| `baskets.train.txt`, `baskets.test.txt` | " +
         text(report.baskets) +
         " baskets of things bought together, a basket a line |\n\n"
         "The words are made of syllables, and what they mean only their surroundings tell, but for the six "
         "families. Each has a few\n"
         "companions that it likes, in all its forms. Some have two\n"
         "senses (`sense` 1 and 2). Titles of people and the small words are English, so that sentences can "
         "be read.\n";
}

}  // namespace

MicroworldReport write_microworld(const std::string& folder, const MicroworldOptions& options,
                                  const ProgressFn& progress) {
  check(options.bytes >= 1, "microworld: the size must be at least 1 byte; it is ", options.bytes);
  namespace fs = std::filesystem;
  check(!file_exists(folder) || (is_directory(folder) && fs::is_empty(folder)), "microworld: the folder ",
        folder, " must be new or empty, for nothing in it is replaced; it is not");
  const bool made = !file_exists(folder);
  create_directories(folder);
  MicroworldReport report;
  try {
    const Lexicon lexicon = make_lexicon(options.seed);
    const Grammar grammar(lexicon);
    Lines text(folder + "/text.txt"), tokens(folder + "/tokens.tsv"), text2(folder + "/text2.txt");
    Counts counts;
    tokens.add("form\tpos\tnumber\ttense\tgender\tentity\tsense\n");
    const auto tell = [&] {
      if (progress) progress(text.bytes() + text2.bytes(), 2 * options.bytes);
    };
    const Random first(options.seed, stream_of("microworld.text"));
    for (uint64_t number = 0; text.bytes() < options.bytes; ++number) {
      std::string line, rows;
      for (const Token& token : grammar.sentence(first, number)) {
        const Lemma& lemma = *token.lemma;
        const std::string& form = lemma.forms[static_cast<std::size_t>(token.form)];
        line += (line.empty() ? "" : " ") + form;
        rows += form + "\t" + std::string(name_of(lemma.pos)) + "\t" +
                std::string(number_of(lemma.pos, token.form)) + "\t" +
                std::string(tense_of(lemma.pos, token.form)) + "\t" + std::string(name_of(lemma.gender)) +
                "\t" + std::string(token.entity) + "\t" +
                (lemma.sense == 0 ? std::string("-") : std::to_string(lemma.sense)) + "\n";
        ++counts[form];
        ++report.tokens;
      }
      text.add(line + "\n");
      tokens.add(rows + "\n");
      ++report.sentences;
      if (number % 1024 == 0) tell();
    }
    const Random second(options.seed, stream_of("microworld.text2"));
    for (uint64_t number = 0; text2.bytes() < options.bytes; ++number) {
      std::string line;
      for (const Token& token : in_other_order(grammar.sentence(second, number)))
        line += (line.empty() ? "" : " ") + token.lemma->others[static_cast<std::size_t>(token.form)];
      text2.add(line + "\n");
      if (number % 1024 == 0) tell();
    }
    report.types = std::ssize(counts);
    report.bytes = text.bytes();
    // A tenth as much of baskets, of which each tenth is held out.
    Lines train(folder + "/baskets.train.txt"), test(folder + "/baskets.test.txt");
    const Shop shop(lexicon, options.seed);
    for (uint64_t number = 0; train.bytes() < options.bytes / 10 || number < 20; ++number) {
      (number % 10 == 9 ? test : train).add(shop.basket(number) + "\n");
      ++report.baskets;
      if (number % 1024 == 0) tell();
    }
    std::vector<std::pair<std::string, std::string>> small = {
        {"dictionary.tsv", dictionary_text(lexicon)},
        {"analogies.txt", analogies_text(lexicon, counts)},
        {"similarity.tsv", similarity_text(lexicon, options.seed)},
        {"families.tsv", families_text(lexicon)},
        {"README.md", readme(options, report, grammar.templates())}};
    std::vector<std::unique_ptr<Lines>> others;
    for (const auto& [name, contents] : small) {
      others.push_back(std::make_unique<Lines>(folder + "/" + name));
      others.back()->add(contents);
    }
    // None takes its place before the others could.
    for (Lines* file : {&text, &text2, &tokens, &train, &test}) file->sync();
    for (const auto& file : others) file->sync();
    for (Lines* file : {&text, &text2, &tokens, &train, &test}) file->commit();
    for (const auto& file : others) file->commit();
  } catch (...) {
    std::error_code holds_something;
    if (made) fs::remove(folder, holds_something);
    throw;
  }
  return report;
}

}  // namespace gradus
