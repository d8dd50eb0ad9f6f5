#include "tokenizer/subword/word_level_model.hpp"
#include "tests/support/error_of.hpp"

#include <algorithm>

#include "tensor/parallel.hpp"
#include "tests/support/catch.hpp"

using namespace gradus;
using Catch::Matchers::ContainsSubstring;

namespace {

std::vector<Token> encode(const WordLevelModel& model, const std::string& text) {
  std::vector<Token> tokens;
  std::vector<ByteSpan> words;
  for (size_t begin = 0; begin < text.size();) {
    const size_t end = std::min(text.find(' ', begin), text.size());
    if (end > begin) words.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end)});
    begin = end + 1;
  }
  model.encode(text, words, tokens);
  return tokens;
}

std::string read_error(const std::string& file) {
  return testing::error_of([&] { WordLevelModel::read(Json::parse(file, "t.json")); });
}

}  // namespace

TEST_CASE("word level: a word is a token or unknown") {
  const WordLevelModel model(WordVocabulary({"[UNK]", "king", "k\u00EFng", "kin"}), "[UNK]");
  CHECK(encode(model, "king k\u00EFng kings ki") ==
        std::vector<Token>{{1, 0, 4}, {2, 5, 10}, {0, 11, 16}, {0, 17, 19}});
  CHECK((model.type() == "WordLevel" && model.find("kin") == 3 && !model.find("ki")));
}

TEST_CASE("word level: without an unknown token an unknown word is an error with the word and the byte") {
  const WordLevelModel model(WordVocabulary({"a", "b"}), "[UNK]");
  CHECK(encode(model, "b a") == std::vector<Token>{{1, 0, 1}, {0, 2, 3}});
  CHECK_THROWS_WITH(encode(model, "a \u00E9"), ContainsSubstring("\"\u00E9\" at byte 2"));
  CHECK_THROWS_WITH(encode(model, "a " + std::string(80, 'x')),
                    ContainsSubstring('"' + std::string(60, 'x') + "\"... at byte 2"));
}

TEST_CASE("word level: a word that is not UTF-8 is an error with the byte") {
  const WordLevelModel model(WordVocabulary({"[UNK]"}), "[UNK]");
  CHECK_THROWS_AS(encode(model, "a \xC3(a"), std::runtime_error);
  CHECK_THROWS_WITH(encode(model, "a b\xC3(a"), ContainsSubstring("byte 3 begins no character"));
}

TEST_CASE("word level: a model read back from what it writes is the same, with the ids that are left out") {
  const std::string file = R"({"type":"WordLevel","vocab":{"b":0,"":2,"a":7},"unk_token":"b"})";
  const auto model = WordLevelModel::read(Json::parse(file, "t.json"));
  CHECK(model->to_json().dump() == Json::parse(file, "t.json").dump());
  CHECK(model->tokens() == std::vector<std::string>{"b", "", "", "", "", "", "", "a"});
  CHECK((model->find("") == 2 && model->find("a") == 7));
  CHECK_FALSE(WordLevelModel(WordVocabulary({"a", ""}), "a").find("").has_value());
}

TEST_CASE("word level: a file that is wrong is an error that begins with the place") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"vocab":{"a":0},"unk_token":"a","x":1})", "t.json: $.x: must be a key with a known meaning"},
      {R"({"vocab":{"a":0,"b":0},"unk_token":"a"})",
       "t.json: $.vocab.b: each token must have an id of its own"},
      {R"({"vocab":{"a":-1},"unk_token":"a"})", "t.json: $.vocab.a: an id must be from 0 to 1000003"},
      {R"({"vocab":{"a":1000004},"unk_token":"a"})", "t.json: $.vocab.a: an id must be from 0 to 1000003"},
      {R"({"vocab":{"a":0.5},"unk_token":"a"})", "t.json: $.vocab.a"},
      {R"({"vocab":{"a":0}})", "t.json: $"},
      {R"({"unk_token":"a"})", "t.json: $"},
  };
  for (const auto& [file, expected] : cases) CHECK(read_error(file).substr(0, expected.size()) == expected);
  CHECK(read_error(R"({"vocab":{"a":1000003},"unk_token":"a"})") == "no error");
}

TEST_CASE("word level: tokens must be UTF-8 and different") {
  CHECK_THROWS_WITH(WordVocabulary({"a", "\xFF"}), ContainsSubstring("token 1 is not"));
  CHECK_THROWS_WITH(WordVocabulary({"a", "b", "a"}), ContainsSubstring("\"a\" has the ids 0 and 2"));
}

TEST_CASE("trie: finds what it holds and nothing else, whatever the bytes") {
  std::vector<std::string> keys;
  uint32_t state = 1;
  const auto draw = [&](uint32_t below) { return ((state = state * 1664525 + 1013904223) >> 8) % below; };
  for (int i = 0; i < 20000; ++i) {
    std::string key;
    for (uint32_t length = draw(8); length > 0; --length)
      key.push_back(static_cast<char>(draw(2) ? draw(256) : 'a'));
    keys.push_back(key);
  }
  const Trie trie(std::vector<std::string_view>(keys.begin(), keys.end()));
  std::vector<std::string> sorted = keys;
  std::sort(sorted.begin(), sorted.end());
  const auto holds = [&](const std::string& key) {
    return !key.empty() && std::binary_search(sorted.begin(), sorted.end(), key);
  };
  bool equal = true;
  for (const std::string& key : keys) {
    for (const std::string& near : {key, key + 'a', key.substr(0, key.size() / 2), 'b' + key}) {
      const int32_t value = trie.find(near);
      equal &= (value != Trie::kNone) == holds(near);
      equal &= value == Trie::kNone || keys[static_cast<size_t>(value)] == near;
    }
  }
  CHECK(equal);
  CHECK(Trie().find("a") == Trie::kNone);
}

TEST_CASE("word level: several threads get the same tokens") {
  const WordLevelModel model(WordVocabulary({"[UNK]", "a", "bc"}), "[UNK]");
  std::string text;
  for (int i = 0; i < 5000; ++i) text += i % 3 == 0 ? "a " : i % 7 == 0 ? "bc " : "x ";
  const std::vector<Token> expected = encode(model, text);
  std::vector<std::vector<Token>> found(16);
  parallel_for(16, [&](int64_t i) { found[static_cast<size_t>(i)] = encode(model, text); });
  for (const std::vector<Token>& tokens : found) CHECK(tokens == expected);
}
