#include "tokenizer/subword/wordpiece_model.hpp"
#include "tests/support/error_of.hpp"

#include <algorithm>
#include <map>
#include <random>

#include "tensor/parallel.hpp"
#include "tests/support/catch.hpp"

using namespace gradus;
using Catch::Matchers::ContainsSubstring;

namespace {

using Options = WordPieceModel::Options;

std::vector<Token> encode(const WordPieceModel& model, const std::string& word) {
  std::vector<Token> tokens;
  const ByteSpan span = {0, static_cast<uint32_t>(word.size())};
  model.encode(word, {&span, 1}, tokens);
  return tokens;
}

// The rule as it is stated: every beginning is tried, from the longest on.
std::vector<Token> encode_plainly(const std::vector<std::string>& tokens, const Options& options,
                                  const std::string& word) {
  const auto size = static_cast<uint32_t>(word.size());
  const std::vector<Token> unknown = {{0, 0, size}};
  const auto chars = std::count_if(
      word.begin(), word.end(), [](char byte) { return (static_cast<unsigned char>(byte) & 0xC0) != 0x80; });
  if (chars > options.max_input_chars_per_word) return unknown;
  std::vector<Token> pieces;
  for (uint32_t begin = 0; begin < size;) {
    uint32_t end = size;
    auto found = tokens.end();
    for (; end > begin; --end) {
      const std::string piece =
          (begin > 0 ? options.continuing_subword_prefix : "") + word.substr(begin, end - begin);
      found = std::find(tokens.begin(), tokens.end(), piece);
      if (found != tokens.end()) break;
    }
    if (found == tokens.end()) return unknown;
    pieces.push_back({static_cast<int32_t>(found - tokens.begin()), begin, end});
    begin = end;
  }
  return pieces;
}

std::string read_error(const std::string& file) {
  return testing::error_of([&] { WordPieceModel::read(Json::parse(file, "t.json")); });
}

void check_against_plain(uint64_t seed, size_t long_token) {
  std::mt19937_64 random(seed);
  const auto draw = [&](size_t below) { return static_cast<size_t>(random() % below); };
  const std::vector<std::string> letters = {"a", "b", "#", "\u00E9"};
  const auto draw_text = [&](size_t longest) {
    std::string text;
    for (size_t length = 1 + draw(longest); length > 0; --length) text += letters[draw(letters.size())];
    return text;
  };
  for (int round = 0; round < 40; ++round) {
    Options options;
    options.continuing_subword_prefix = std::vector<std::string>{"##", "", "#", "\u00E9"}[draw(4)];
    options.max_input_chars_per_word = draw(2) == 0 ? 9 : 100000;
    std::vector<std::string> tokens = {"[UNK]"};
    if (long_token > 0)
      tokens.push_back(options.continuing_subword_prefix + std::string(long_token, 'a') + "b");
    for (size_t i = 0; i < 3 + draw(40); ++i) {
      const std::string token = (draw(2) == 0 ? options.continuing_subword_prefix : "") + draw_text(4);
      if (std::find(tokens.begin(), tokens.end(), token) == tokens.end()) tokens.push_back(token);
    }
    const WordPieceModel model(WordVocabulary(tokens), options);
    for (int words = 0; words < 25; ++words) {
      std::string word = draw_text(12);
      if (long_token > 0) word += std::string(draw(2 * long_token), 'a') + draw_text(3);
      INFO(word);
      CHECK(encode(model, word) == encode_plainly(tokens, options, word));
    }
  }
}

const std::vector<std::string> kSmall = {"[UNK]", "un", "##aff", "##able", "unaff", "##a", "##\u00E9"};

}  // namespace

TEST_CASE("wordpiece: words become what trying every beginning from the longest on gives") {
  check_against_plain(5, 0);
}

TEST_CASE("wordpiece: so they do with very long tokens, which are found in one pass") {
  check_against_plain(6, 300);
}

TEST_CASE("wordpiece: words are encoded one by one, with their places in the text") {
  const WordPieceModel model(WordVocabulary(kSmall), {});
  const std::vector<ByteSpan> words = {{1, 10}, {11, 11}, {11, 15}, {16, 19}};
  std::vector<Token> tokens = {{9, 0, 0}};
  model.encode("-unaffable-un\u00E9-una", words, tokens);
  CHECK(tokens == std::vector<Token>{
                      {9, 0, 0}, {4, 1, 6}, {3, 6, 10}, {1, 11, 13}, {6, 13, 15}, {1, 16, 18}, {5, 18, 19}});
}

TEST_CASE(
    "wordpiece: a word that does not come out even, or has too many characters, is unknown as a whole") {
  Options options;
  options.max_input_chars_per_word = 5;
  const WordPieceModel model(WordVocabulary(kSmall), options);
  CHECK(encode(model, "unab") == std::vector<Token>{{0, 0, 4}});
  CHECK(encode(model, "un\u00E9\u00E9\u00E9").size() == 4);
  CHECK(encode(model, "un\u00E9\u00E9\u00E9\u00E9") == std::vector<Token>{{0, 0, 10}});
}

TEST_CASE("wordpiece: the prefix is text like any other where a word begins") {
  const WordPieceModel model(WordVocabulary(kSmall), {});
  CHECK(encode(model, "##aff") == std::vector<Token>{{2, 0, 5}});
  CHECK(encode(model, "##affable") == std::vector<Token>{{2, 0, 5}, {3, 5, 9}});
}

TEST_CASE(
    "wordpiece: an unknown word without an unknown token, and text that is not UTF-8, are errors with the "
    "byte") {
  const WordPieceModel without(WordVocabulary({"a"}), {});
  CHECK(encode(without, "a").size() == 1);
  CHECK_THROWS_WITH(encode(without, "ab"), ContainsSubstring("\"ab\" at byte 0"));
  const WordPieceModel model(WordVocabulary(kSmall), {});
  CHECK_THROWS_AS(encode(model, "un\xFF"), std::runtime_error);
  CHECK_THROWS_WITH(encode(model, "un\xFF"), ContainsSubstring("byte 2 begins no character"));
  CHECK_THROWS_WITH(encode(model, std::string(200, 'x') + "\xC3"),
                    ContainsSubstring("byte 200 begins no character"));
}

TEST_CASE("wordpiece: a model read back from what it writes is the same") {
  const std::string file =
      R"({"type":"WordPiece","unk_token":"[UNK]","continuing_subword_prefix":"@@","max_input_chars_per_word":7,)"
      R"("vocab":{"a":0,"[UNK]":3,"@@b":4}})";
  const auto model = WordPieceModel::read(Json::parse(file, "t.json"));
  CHECK(model->to_json().dump() == Json::parse(file, "t.json").dump());
  CHECK(encode(*model, "ab") == std::vector<Token>{{0, 0, 1}, {4, 1, 2}});
  CHECK((model->type() == "WordPiece" && model->find("@@b") == 4 && model->tokens()[1].empty()));
}

TEST_CASE("wordpiece: a file that is wrong is an error that begins with the place") {
  const std::string rest =
      R"("unk_token":"u","continuing_subword_prefix":"##","max_input_chars_per_word":9,"vocab":{"u":0)";
  const std::vector<std::pair<std::string, std::string>> cases = {
      {"{" + rest + R"(},"x":1})", "t.json: $.x: must be a key with a known meaning"},
      {"{" + rest + R"(,"v":0}})", "t.json: $.vocab.v: each token must have an id of its own"},
      {R"({"unk_token":"u","continuing_subword_prefix":"##","max_input_chars_per_word":-1,"vocab":{}})",
       "t.json: $.max_input_chars_per_word: must be from 0"},
      {R"({"continuing_subword_prefix":"##","max_input_chars_per_word":9,"vocab":{}})", "t.json: $"},
  };
  for (const auto& [file, expected] : cases) CHECK(read_error(file).substr(0, expected.size()) == expected);
  CHECK(read_error("{" + rest + "}}") == "no error");
  CHECK_THROWS_WITH(WordPieceModel(WordVocabulary({"u"}), {"u", "##", -1}),
                    ContainsSubstring("must not be negative"));
}

TEST_CASE("wordpiece: a word of a megabyte takes no long time, whatever the tokens") {
  const size_t size = 1 << 20;
  Options options;
  options.max_input_chars_per_word = 1 << 30;
  // Reading on along the long token from every byte would take some hours.
  const std::string longest = "##" + std::string(size / 2, 'a') + "b";
  const WordPieceModel model(WordVocabulary({"[UNK]", "a", "##a", longest}), options);
  CHECK(encode(model, std::string(size, 'a')).size() == size);
  CHECK(encode(model, std::string(size, 'x')).size() == 1);
}

TEST_CASE("wordpiece: several threads get the same tokens") {
  const WordPieceModel model(WordVocabulary({"[UNK]", "a", "##a", "##b", "##ab", std::string(300, 'a')}), {});
  std::string text;
  std::vector<ByteSpan> words;
  for (uint32_t i = 0; i < 2000; ++i) {
    const auto begin = static_cast<uint32_t>(text.size());
    text += i % 3 == 0 ? "aab" : i % 7 == 0 ? "abx" : std::string(i % 90, 'a');
    words.push_back({begin, static_cast<uint32_t>(text.size())});
  }
  std::vector<Token> expected;
  model.encode(text, words, expected);
  std::vector<std::vector<Token>> found(16);
  parallel_for(16, [&](int64_t i) { model.encode(text, words, found[static_cast<size_t>(i)]); });
  for (const std::vector<Token>& tokens : found) CHECK(tokens == expected);
}
