#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tensor/parallel.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/text.hpp"
#include "tests/support/use_threads.hpp"
#include "tokenizer/text/byte_alphabet.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tokenizer/training/bpe_trainer.hpp"

using namespace gradus;
using gradus::testing::UseThreads;
using gradus::testing::words_at_spaces;

namespace {

using Words = std::vector<std::pair<std::string, int64_t>>;

std::vector<CountedWord> views(const Words& words) {
  std::vector<CountedWord> counted;
  for (const auto& [bytes, count] : words) counted.push_back({bytes, count});
  return counted;
}

// The rule, written down as plainly as can be: all pairs are counted anew for every merge.
struct PlainBpe {
  std::vector<std::string> tokens;
  std::vector<BpeTraining::Merge> merges;

  struct Word {
    std::vector<int32_t> symbols;
    int64_t count;
  };

  void train(std::vector<Word> words, const BpeTrainingOptions& options) {
    std::vector<int64_t> lengths(tokens.size(), 1);
    while (static_cast<int64_t>(tokens.size()) < options.vocab_size) {
      std::map<std::pair<int32_t, int32_t>, int64_t> counts;
      for (const Word& word : words) {
        for (size_t i = 0; i + 1 < word.symbols.size(); ++i) {
          counts[{word.symbols[i], word.symbols[i + 1]}] += word.count;
        }
      }
      std::pair<int32_t, int32_t> best;
      int64_t most = 0;
      for (const auto& [pair, count] : counts) {  // by left id, then right id
        const int64_t length =
            lengths[static_cast<size_t>(pair.first)] + lengths[static_cast<size_t>(pair.second)];
        if (options.max_token_length > 0 && length > 2 && length >= options.max_token_length) continue;
        if (count > most) best = pair, most = count;
      }
      if (most < std::max(options.min_frequency, int64_t{1})) return;
      const auto [left, right] = best;
      const auto made = static_cast<int32_t>(tokens.size());
      std::string tail = tokens[static_cast<size_t>(right)];
      if (tail.starts_with(prefix)) tail = tail.substr(prefix.size());
      tokens.push_back(tokens[static_cast<size_t>(left)] + tail);
      lengths.push_back(lengths[static_cast<size_t>(left)] + lengths[static_cast<size_t>(right)]);
      merges.push_back({left, right, made});
      for (Word& word : words) {
        std::vector<int32_t> symbols;
        for (size_t i = 0; i < word.symbols.size(); ++i) {
          if (i + 1 < word.symbols.size() && word.symbols[i] == left && word.symbols[i + 1] == right) {
            symbols.push_back(made);
            ++i;
          } else {
            symbols.push_back(word.symbols[i]);
          }
        }
        word.symbols = symbols;
      }
    }
  }

  std::string prefix;
};

PlainBpe plain_byte_bpe(const Words& words, const BpeTrainingOptions& options) {
  PlainBpe bpe;
  std::map<char, int32_t> ids;
  for (const uint8_t byte : byte_order()) {
    ids[static_cast<char>(byte)] = static_cast<int32_t>(bpe.tokens.size());
    bpe.tokens.emplace_back(1, static_cast<char>(byte));
  }
  std::vector<PlainBpe::Word> split;
  for (const auto& [bytes, count] : words) {
    split.push_back({{}, count});
    for (const char byte : bytes) split.back().symbols.push_back(ids[byte]);
  }
  bpe.train(split, options);
  return bpe;
}

std::vector<std::string> characters(const std::string& text) {
  std::vector<std::string> parts;
  for (const char byte : text) {
    if ((static_cast<unsigned char>(byte) & 0xC0) == 0x80) {
      parts.back() += byte;
    } else {
      parts.emplace_back(1, byte);
    }
  }
  return parts;
}

PlainBpe plain_char_bpe(const Words& words, const CharBpeOptions& options) {
  PlainBpe bpe;
  bpe.tokens = options.special_tokens;
  bpe.prefix = options.continuing_subword_prefix;
  std::map<std::string, int64_t> counts;  // UTF-8 sorts as code points do
  for (const auto& [text, count] : words) {
    for (const std::string& c : characters(text)) counts[c] += count;
  }
  for (const char32_t c : options.initial_alphabet) {
    std::string text;
    append_utf8(c, text);
    counts[text] = int64_t{1} << 60;
  }
  while (options.alphabet_limit > 0 && static_cast<int64_t>(counts.size()) > options.alphabet_limit) {
    auto rarest = counts.begin();
    for (auto at = counts.begin(); at != counts.end(); ++at) {
      if (at->second <= rarest->second) rarest = at;
    }
    counts.erase(rarest);
  }
  for (const auto& [c, count] : counts) bpe.tokens.push_back(c);
  std::vector<PlainBpe::Word> split;
  for (const auto& [text, count] : words) {
    split.push_back({{}, count});
    const std::vector<std::string> parts = characters(text);
    for (size_t i = 0; i < parts.size(); ++i) {
      if (counts.count(parts[i]) == 0) continue;
      const std::string form = (i > 0 ? options.continuing_subword_prefix : "") + parts[i] +
                               (i + 1 == parts.size() ? options.end_of_word_suffix : "");
      auto at = std::find(bpe.tokens.begin(), bpe.tokens.end(), form);
      if (at == bpe.tokens.end()) at = bpe.tokens.insert(at, form);
      split.back().symbols.push_back(static_cast<int32_t>(at - bpe.tokens.begin()));
    }
  }
  bpe.train(split, options);
  return bpe;
}

// Few letters and small counts, so that many pairs tie; runs of one letter among them.
Words random_words(std::mt19937_64& random, size_t number, size_t longest,
                   const std::vector<std::string>& letters) {
  std::set<std::string> seen;
  Words words;
  for (size_t i = 0; i < number; ++i) {
    std::string word;
    const size_t length = 1 + random() % longest;
    while (characters(word).size() < length) {
      const std::string& letter = letters[random() % letters.size()];
      for (uint64_t times = random() % 4 == 0 ? 1 + random() % 6 : 1; times > 0; --times) word += letter;
    }
    if (seen.insert(word).second) words.emplace_back(word, random() % 5);
  }
  return words;
}

}  // namespace

TEST_CASE("byte-level training is the plain rule, ties and runs included") {
  std::mt19937_64 random(1);
  for (int round = 0; round < 150; ++round) {
    const std::vector<std::string> letters = {"a", "b", "c", round % 2 == 0 ? " " : "\xC3\xA9"};
    const Words words = random_words(random, 1 + random() % 60, 1 + random() % 30, letters);
    BpeTrainingOptions options;
    options.vocab_size = 256 + static_cast<int64_t>(random() % 60);
    options.min_frequency = static_cast<int64_t>(random() % 4);
    options.max_token_length = round % 3 == 0 ? static_cast<int64_t>(random() % 9) : 0;
    const PlainBpe expected = plain_byte_bpe(words, options);
    const BpeTraining training = train_byte_bpe(views(words), options);
    INFO(round);
    REQUIRE((training.tokens == expected.tokens));
    REQUIRE((training.merges == expected.merges));
  }
}

TEST_CASE("training over characters is the plain rule, with prefix, suffix, limit and special tokens") {
  std::mt19937_64 random(2);
  const std::vector<std::string> letters = {"a", "b", "c", "\xC3\xA9", "\xE4\xB8\xAD", "\xF0\x9F\x98\x80",
                                            "x"};
  for (int round = 0; round < 150; ++round) {
    const Words words = random_words(random, 1 + random() % 60, 1 + random() % 20, letters);
    CharBpeOptions options;
    if (round % 2 == 0) options.special_tokens = {"[UNK]", "[PAD]"};
    if (round % 3 == 0) options.continuing_subword_prefix = "##";
    if (round % 3 == 1) options.end_of_word_suffix = "</w>";
    if (round % 4 == 0) options.alphabet_limit = 1 + static_cast<int64_t>(random() % 7);
    if (round % 5 == 0) options.initial_alphabet = U"xz\u00E9";
    if (round % 7 == 0) options.max_token_length = 4;
    options.min_frequency = static_cast<int64_t>(random() % 3);
    options.vocab_size = 32 + static_cast<int64_t>(random() % 60);
    const PlainBpe expected = plain_char_bpe(words, options);
    const CharBpeTraining training = train_char_bpe(views(words), options);
    INFO(round);
    REQUIRE((training.tokens == expected.tokens));
    REQUIRE((training.merges == expected.merges));
  }
}

TEST_CASE("tokens are those that the Hugging Face library trains") {
  // Its BPE trainer on these four lines, cut by its ByteLevel: every pair is merged, and most of them tie.
  const std::string lines =
      "In the beginning God created the heaven and the earth.\n"
      "And the earth was without form, and void; and darkness was upon the face of the deep.\n"
      "And God said, Let there be light: and there was light.\n"
      "And God saw the light, that it was good: and God divided the light from the darkness.\n";
  const std::vector<std::string> expected = words_at_spaces(
      ", . : ; A G I L a b c d e f g h i k l m n o p r s t u v w \u010A \u0120 th \u0120th \u0120the nd and "
      "od \u0120w "
      "\u0120and God ar as gh igh ligh \u0120d \u0120God \u0120ligh \u0120was \u0120light And id re \u0120f "
      "at be ed es "
      "ear in kn sa \u0120be \u0120ear \u0120sa \u0120there arkn \u0120darkn ess \u0120earth \u0120darkness "
      "In Le ac av "
      "cre ee en eav go gin heav it iv ith nin of om on or ou oid pon rom upon void \u0120Le \u0120cre "
      "\u0120go "
      "\u0120heav \u0120it \u0120of \u0120upon \u0120void \u0120that \u0120with \u0120dee \u0120div ided "
      "\u0120fac "
      "\u0120for \u0120from ated \u0120begin \u0120saw \u0120said ning out \u0120Let \u0120created "
      "\u0120good "
      "\u0120heaven \u0120without \u0120deep \u0120divided \u0120face \u0120form \u0120beginning");
  Words words;
  for (size_t at = 0; at < lines.size();) {  // a word with the space before it, or one other character
    size_t end = at + 1;
    const auto letter = [&](size_t i) {
      return i < lines.size() && std::isalpha(static_cast<unsigned char>(lines[i]));
    };
    if (letter(at) || (lines[at] == ' ' && letter(end))) {
      while (letter(end)) ++end;
    }
    const std::string word = bytes_to_text(lines.substr(at, end - at));
    const auto is = [&](const auto& counted) { return counted.first == word; };
    const auto found = std::find_if(words.begin(), words.end(), is);
    if (found == words.end()) {
      words.emplace_back(word, 1);
    } else {
      ++found->second;
    }
    at = end;
  }
  CharBpeOptions options;
  options.min_frequency = 0;
  CHECK(train_char_bpe(views(words), options).tokens == expected);
}

TEST_CASE("training gives the same at any thread count") {
  const UseThreads threads_before(thread_count());
  std::mt19937_64 random(3);
  Words words;
  for (int i = 0; i < 60000; ++i) {
    std::string word = " ";
    for (uint64_t length = 1 + random() % 12; length > 0; --length) {
      word += static_cast<char>('a' + std::min(random() % 26, random() % 26));
    }
    words.emplace_back(word, 1 + static_cast<int64_t>(random() % 3));  // equal words may come twice
  }
  BpeTrainingOptions options;
  options.vocab_size = 2000;
  set_thread_count(1);
  const BpeTraining expected = train_byte_bpe(views(words), options);
  CHECK(expected.tokens.size() == 2000);
  for (const int threads : {2, 4}) {
    set_thread_count(threads);
    const BpeTraining training = train_byte_bpe(views(words), options);
    CHECK((training.tokens == expected.tokens));
    CHECK((training.merges == expected.merges));
  }
}

TEST_CASE("pairs are counted with 64 bits") {
  const int64_t many = (int64_t{1} << 32) + 5;
  const Words words = {{"ab", 10}, {"cd", many}, {"ce", many - 2}, {"fe", 3}};
  BpeTrainingOptions options;
  options.vocab_size = 259;
  const BpeTraining training = train_byte_bpe(views(words), options);
  CHECK((std::vector(training.tokens.begin() + 256, training.tokens.end()) ==
         std::vector<std::string>{"cd", "ce", "ab"}));
}

TEST_CASE("no words, and words without pairs, give the first tokens") {
  CHECK(train_byte_bpe({}).tokens.size() == 256);
  CHECK(train_byte_bpe(views({{"a", 5}, {"", 7}, {"b", 9}})).merges.empty());
  CHECK(train_char_bpe({}).tokens.empty());
  CHECK(train_char_bpe(views({{"ba", 0}})).tokens == std::vector<std::string>{"a", "b"});
}

TEST_CASE("one huge word is no harder than many short ones") {
  std::mt19937_64 random(4);
  std::string letters;
  for (int i = 0; i < 20000; ++i) letters += "ACGT"[random() % 4];
  BpeTrainingOptions options;
  options.vocab_size = 256 + 40;
  const Words one = {{letters, 1}};
  CHECK((train_byte_bpe(views(one), options).merges == plain_byte_bpe(one, options).merges));

  // A quadratic trainer would need minutes for these.
  options.vocab_size = 5000;
  for (int i = 0; i < 980000; ++i) letters += "ACGT"[random() % 4];
  CHECK(train_byte_bpe(views({{letters, 1}}), options).tokens.size() == 5000);
  const BpeTraining runs = train_byte_bpe(views({{std::string(1 << 20, 'a'), 1}}), options);
  CHECK(runs.tokens.size() == 256 + 19);
  CHECK(runs.tokens.back().size() == 1 << 19);
}

TEST_CASE("what is dropped from the alphabet is told") {
  const Words words = {{"abcd", 5}, {"ac", 1}, {"\xC3\xA9z", 5}};
  CharBpeOptions options;
  options.alphabet_limit = 3;
  options.vocab_size = 10;
  const CharBpeTraining training = train_char_bpe(views(words), options);
  CHECK((std::vector(training.tokens.begin(), training.tokens.begin() + 3) ==
         std::vector<std::string>{"a", "b", "c"}));
  CHECK((training.dropped == std::vector<DroppedChar>{{U'd', 5}, {U'z', 5}, {U'\u00E9', 5}}));
}

TEST_CASE("a merge that spells a special token gives that token") {
  const Words words = {{"the", 5}, {"then", 4}};
  CharBpeOptions options;
  options.special_tokens = {"the", "t", "the"};
  options.vocab_size = 9;
  const CharBpeTraining training = train_char_bpe(views(words), options);
  CHECK(training.tokens == std::vector<std::string>{"the", "t", "e", "h", "n", "th", "then"});
  CHECK((training.merges == std::vector<BpeTraining::Merge>{{1, 3, 5}, {5, 2, 0}, {0, 4, 6}}));
}

TEST_CASE("training tells how far it is, and can be stopped") {
  std::mt19937_64 random(5);
  const Words words = random_words(random, 300, 12, {"a", "b", "c", "d", "e"});
  BpeTrainingOptions options;
  options.vocab_size = 700;
  int64_t last = 0;
  int calls = 0;
  options.progress = [&](int64_t done, int64_t total) {
    CHECK(total == 700);
    CHECK(done >= last);
    last = done;
    ++calls;
  };
  train_byte_bpe(views(words), options);
  CHECK(last == 700);
  CHECK(calls > 50);
  options.progress = [](int64_t done, int64_t) {
    if (done > 400) throw std::runtime_error("stopped");
  };
  CHECK_THROWS_WITH(train_byte_bpe(views(words), options), "stopped");
}

TEST_CASE("training that would take more memory than given is an error that says how much") {
  std::mt19937_64 random(6);
  const Words words = random_words(random, 3000, 12, {"a", "b", "c", "d", "e"});
  BpeTrainingOptions options;
  options.vocab_size = 1000;
  const int64_t needed = bpe_training_bytes(views(words), options);
  options.memory_bytes = needed;
  CHECK_NOTHROW(train_byte_bpe(views(words), options));
  options.memory_bytes = needed - 1;
  CHECK_THROWS_WITH(train_byte_bpe(views(words), options),
                    Catch::Matchers::ContainsSubstring(std::to_string(needed)));
}

TEST_CASE("options and words that make no sense are errors") {
  BpeTrainingOptions options;
  options.vocab_size = 255;
  CHECK_THROWS_AS(train_byte_bpe({}, options), std::invalid_argument);
  options.vocab_size = 300;
  options.min_frequency = -1;
  CHECK_THROWS_AS(train_byte_bpe({}, options), std::invalid_argument);
  CHECK_THROWS_AS(train_byte_bpe(views({{"ab", -1}})), std::invalid_argument);
  CHECK_THROWS_WITH(train_char_bpe(views({{"ab\xFF", 1}})), Catch::Matchers::ContainsSubstring("byte 2"));
  CharBpeOptions small;
  small.vocab_size = 2;
  CHECK_THROWS_AS(train_char_bpe(views({{"abc", 1}}), small), std::invalid_argument);
}
