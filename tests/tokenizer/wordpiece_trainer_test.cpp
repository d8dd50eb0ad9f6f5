#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/text.hpp"
#include "tokenizer/training/wordpiece_trainer.hpp"

using namespace gradus;
using gradus::testing::words_at_spaces;

namespace {

// The words of a text, cut at white space.
std::vector<CountedWord> words_of(const std::string& text, WordCountTable& table) {
  for (const std::string& word : words_at_spaces(text)) table.add(word);
  return table.list();
}

WordPieceTrainingOptions plain_options(int64_t vocab_size) {
  WordPieceTrainingOptions options;
  options.vocab_size = vocab_size;
  options.special_tokens = {};
  return options;
}

}  // namespace

TEST_CASE("a vocabulary is special tokens, the alphabet, its later forms as words show them, then merges") {
  WordCountTable table;
  WordPieceTrainingOptions options;
  options.vocab_size = 17;
  const WordPieceTraining training =
      train_wordpiece(words_of("unite unit cut unite unit unit cut", table), options);
  CHECK(training.tokens ==
        words_at_spaces("[PAD] [UNK] [CLS] [SEP] [MASK] c e i n t u ##n ##i ##t ##e ##u un"));
  CHECK(training.dropped.empty());
}

TEST_CASE("WordPiece tokens are those that the Hugging Face library trains") {
  // From its trainer on these lines, cut at white space. It numbers the later forms of characters in the order of a hash
  // table; words of count 0 put ours into the same order.
  const std::string lines =
      "In the beginning God created the heaven and the earth.\n"
      "And the earth was without form, and void; and darkness was upon the face of the deep.\n"
      "And God said, Let there be light: and there was light.\n"
      "And God saw the light, that it was good: and God divided the light from the darkness.\n";
  const std::string alphabet = ", . : ; A G I L a b c d e f g h i k l m n o p r s t u v w ";
  const std::string forms =
      "##a ##r ##t ##h ##. ##e ##p ##c ##n ##s ##d ##i ##, ##g ##o ##m ##f ##w ##v ##k ##: ##; ##u ";
  const std::string merges =
      "th the ##nd and ##od God li wa ##ar ##ht ##ght light was And ##re ##th ##id be dar ear sa "
      "##at ##es ##ed ##nes ##in ##knes there darknes earth darkness In Le cre de di fa fr fo go he "
      "it of up vo wi ##av ##rm ##ep ##en ##ce ##nin ##gin ##on ##om ##ou ##vid that ##od: light. "
      "light, light: ##thou ##id, ##id; begin saw said, ##ated earth. darkness. Let created deep "
      "divid face from form good: heav upon void; withou ##ning beginning deep. divided form, "
      "heaven without ";
  WordCountTable table;
  for (const std::string& form : words_at_spaces(forms)) table.add("a" + form.substr(2), 0);
  WordPieceTrainingOptions options = plain_options(30000);
  options.min_frequency = 0;
  CHECK(train_wordpiece(words_of(lines, table), options).tokens ==
        words_at_spaces(alphabet + forms + merges));
}

TEST_CASE("rare characters beyond the limit are left out of words, and told") {
  WordCountTable table;
  WordPieceTrainingOptions options = plain_options(7);
  options.alphabet_limit = 2;
  const WordPieceTraining training = train_wordpiece(words_of("axb axb ab xa", table), options);
  // The x of "xa" goes, but its a is no first character for that.
  CHECK(training.tokens == words_at_spaces("a b ##b ##a ab"));
  CHECK((training.dropped == std::vector<DroppedChar>{{U'x', 3}}));
}

TEST_CASE("the initial alphabet is kept whether it occurs or not") {
  WordCountTable table;
  WordPieceTrainingOptions options = plain_options(4);
  options.initial_alphabet = std::u32string(1, U'z');
  options.alphabet_limit = 2;
  CHECK(train_wordpiece(words_of("aa aa b", table), options).tokens == words_at_spaces("a z ##a aa"));
}

TEST_CASE("a prefix may be any text but must be there") {
  WordCountTable table;
  WordPieceTrainingOptions options = plain_options(4);
  options.continuing_subword_prefix = "@";
  CHECK(train_wordpiece(words_of("ab ab", table), options).tokens == words_at_spaces("a b @b ab"));
  options.continuing_subword_prefix = "";
  CHECK_THROWS_AS(train_wordpiece({}, options), std::invalid_argument);
}

TEST_CASE("text made of the prefix itself ends like any other") {
  WordCountTable table;
  WordPieceTrainingOptions options = plain_options(100);
  options.min_frequency = 1;
  const std::vector<std::string> tokens =
      train_wordpiece(words_of("##a ##a #a #### ##a##a ####a a", table), options).tokens;
  CHECK(std::find(tokens.begin(), tokens.end(), "##a") != tokens.end());
  for (const std::string& token : tokens) CHECK(std::count(tokens.begin(), tokens.end(), token) == 1);
}
