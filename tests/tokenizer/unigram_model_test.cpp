#include "tokenizer/subword/unigram_model.hpp"
#include "tests/support/error_of.hpp"

#include <algorithm>
#include <cstdio>
#include <map>
#include <random>

#include "tensor/parallel.hpp"
#include "tests/support/catch.hpp"
#include "tokenizer/subword/word_cache.hpp"

using namespace gradus;
using Catch::Matchers::ContainsSubstring;

namespace {

using Pieces = std::vector<std::pair<std::string, double>>;
using Arithmetic = UnigramModel::Arithmetic;
using PieceType = UnigramModel::PieceType;

std::vector<Token> encode(const UnigramModel& model, const std::string& text) {
  std::vector<Token> tokens;
  const ByteSpan word = {0, static_cast<uint32_t>(text.size())};
  model.encode(text, {&word, 1}, tokens);
  return tokens;
}

std::vector<std::string> texts(const UnigramModel& model, const std::string& text) {
  std::vector<std::string> found;
  for (const Token& token : encode(model, text))
    found.push_back(model.tokens()[static_cast<size_t>(token.id)]);
  return found;
}

std::string encode_error(const UnigramModel& model, const std::string& text) {
  return testing::error_of([&] { encode(model, text); });
}

// Every way to write a text with some pieces (single characters may be unknown, for `unknown`), the plain way.
struct Way {
  double sum = 0;
  std::vector<size_t> lengths;  // of its pieces, from the last
};

void all_ways(const std::map<std::string, double>& scores, double unknown, const std::string& text, Way way,
              std::vector<Way>& ways) {
  if (text.empty()) ways.push_back(way);
  for (size_t length = 1; length <= text.size(); ++length) {
    const auto piece = scores.find(text.substr(text.size() - length));
    if (piece == scores.end() && length > 1) continue;
    Way longer = way;
    longer.sum += piece == scores.end() ? unknown : piece->second;
    longer.lengths.push_back(length);
    all_ways(scores, unknown, text.substr(0, text.size() - length), longer, ways);
  }
}

std::vector<size_t> best_lengths(const std::map<std::string, double>& scores, const std::string& text) {
  double smallest = 0;
  for (const auto& [piece, score] : scores) smallest = std::min(smallest, score);
  std::vector<Way> ways;
  all_ways(scores, smallest - 10, text, {}, ways);
  const Way best = *std::max_element(ways.begin(), ways.end(), [](const Way& a, const Way& b) {
    return a.sum != b.sum ? a.sum < b.sum : a.lengths < b.lengths;
  });
  return {best.lengths.rbegin(), best.lengths.rend()};
}

std::string hex_piece(int byte) {
  char text[8];
  std::snprintf(text, sizeof text, "<0x%02X>", static_cast<unsigned>(byte));
  return text;
}

Pieces with_bytes(Pieces pieces) {
  for (int byte = 0; byte < 256; ++byte) pieces.emplace_back(hex_piece(byte), 0);
  return pieces;
}

const Pieces kSmall = {{"<unk>", 0}, {"a", -1}, {"b", -1}, {"ab", -1.5}, {"\u00E9", -2}};

}  // namespace

TEST_CASE(
    "unigram: the pieces are those of the best of all ways, the longer last piece where two are as good") {
  std::mt19937_64 random(3);
  const auto draw = [&](size_t below) { return static_cast<size_t>(random() % below); };
  for (int round = 0; round < 60; ++round) {
    std::map<std::string, double> scores;
    Pieces pieces = {{"<unk>", 0}};
    for (size_t i = 0; i < 3 + draw(15); ++i) {
      std::string piece;
      for (size_t length = 1 + draw(4); length > 0; --length) piece.push_back("abc"[draw(3)]);
      if (scores.count(piece) == 0)
        pieces.emplace_back(piece, scores[piece] = -static_cast<double>(1 + draw(6)));
    }
    const UnigramModel model(pieces, 0, false);
    for (int words = 0; words < 20; ++words) {
      std::string text;
      for (size_t length = 1 + draw(9); length > 0; --length) text.push_back("abc"[draw(3)]);
      std::vector<Token> expected;
      uint32_t end = 0;
      for (const size_t length : best_lengths(scores, text)) {
        const uint32_t begin = end;
        end += static_cast<uint32_t>(length);
        const std::string piece = text.substr(begin, length);
        const bool known = scores.count(piece) == 1;
        const int32_t id = known ? *model.find(piece) : 0;
        if (!known && !expected.empty() && expected.back().id == 0) {
          expected.back().end = end;
        } else {
          expected.push_back({id, begin, end});
        }
      }
      INFO(text);
      CHECK(encode(model, text) == expected);
    }
  }
}

TEST_CASE(
    "unigram: a text of many words has the pieces of the best way through all of it, as its sums round") {
  std::mt19937_64 random(8);
  const auto draw = [&](size_t below) { return static_cast<size_t>(random() % below); };
  for (const Arithmetic arithmetic : {Arithmetic::float32, Arithmetic::float64}) {
    const bool single = arithmetic == Arithmetic::float32;
    const auto keep = [&](double sum) { return single ? static_cast<double>(static_cast<float>(sum)) : sum; };
    for (int round = 0; round < 12; ++round) {
      // Coarse scores, so that many ways are equal; fine ones, so that rounding tells; some pieces of spaces alone.
      std::map<std::string, double> scores;
      for (size_t i = 0; i < 60; ++i) {
        std::string piece;
        for (size_t spaces = draw(4); spaces > 1; --spaces) piece += "\u2581";
        for (size_t length = 1 + draw(4); length > 0; --length)
          piece.push_back("abcd"[draw(round % 2 == 0 ? 3 : 4)]);
        const size_t thousandths = round % 3 == 0 ? 1000 * (1 + draw(6)) : draw(9000);
        scores[piece] = keep(-static_cast<double>(thousandths) / 1000);
      }
      if (round != 5) scores["\u2581"] = -3;
      // A piece across words: nothing may be cut.
      if (round == 7) scores["a\u2581b"] = -2;
      Pieces pieces = {{"<unk>", 0}};
      std::vector<PieceType> types = {PieceType::unknown};
      double smallest = 0;
      for (const auto& [piece, score] : scores) {
        smallest = std::min(smallest, score);
        pieces.emplace_back(piece, score);
        types.push_back(PieceType::normal);
      }
      const double unknown = smallest - 10;
      const UnigramModel model(pieces, 0, false, arithmetic, single ? types : std::vector<PieceType>());

      std::vector<std::string> words;
      for (int i = 0; i < 40; ++i) {
        std::string word = draw(5) == 0 ? "\u2581\u2581" : "\u2581";
        for (size_t length = draw(i < 30 ? 9 : 30); length > 0; --length)
          word.push_back("abcde"[draw(draw(20) == 0 ? 5 : 3)]);
        words.push_back(word);
      }
      std::string text;
      for (size_t count = draw(6000) + 1; count > 0; --count) text += words[draw(words.size())];

      const auto expected_of = [&](const std::string& of) {
        std::vector<double> best(of.size() + 1, -1e300);
        std::vector<size_t> length_of(of.size() + 1);
        best[0] = 0;
        for (size_t end = 1; end <= of.size(); ++end) {
          if (end < of.size() && (of[end] & '\xC0') == '\x80') continue;
          size_t character = 1;
          while ((of[end - character] & '\xC0') == '\x80') ++character;
          for (size_t length = std::min<size_t>(end, 14); length > 0; --length) {
            const auto piece = scores.find(of.substr(end - length, length));
            const bool is_unknown = length == character && piece == scores.end();
            if (piece == scores.end() && !is_unknown) continue;
            // The sum with an unknown character is rounded before it is compared, as in SentencePiece.
            const double sum =
                is_unknown ? keep(best[end - length] + unknown) : best[end - length] + piece->second;
            if (sum > best[end]) {
              best[end] = keep(sum);
              length_of[end] = length;
            }
          }
        }
        std::vector<Token> expected;
        for (auto end = static_cast<uint32_t>(of.size()); end > 0;) {
          const auto begin = static_cast<uint32_t>(end - length_of[end]);
          const int32_t id = model.find(of.substr(begin, end - begin)).value_or(0);
          if (id == 0 && !expected.empty() && expected.back().id == 0) {
            expected.back().begin = begin;
          } else {
            expected.push_back({id, begin, end});
          }
          end = begin;
        }
        std::reverse(expected.begin(), expected.end());
        return expected;
      };
      INFO("round " << round);
      const std::vector<Token> expected = expected_of(text);
      CHECK((encode(model, text) == expected));
      // What rounding decided behind a large sum does not hold elsewhere.
      for (const std::string& word : words) CHECK((encode(model, word) == expected_of(word)));
      CHECK((encode(model, text) == expected));
    }
  }
}

TEST_CASE("unigram: what rounding decides behind a large sum does not hold where the word stands alone") {
  const Pieces pieces = {{"<unk>", 0},    {"\u2581", -3},   {"a", -2.1}, {"b", -2.3},
                         {"\u2581a", -4}, {"ab", -3.29996}, {"x", -4}};
  bool rounded = false;
  for (size_t words = 300; words < 400; ++words) {
    const UnigramModel model(pieces, 0, false, Arithmetic::float32);
    std::string text;
    for (size_t i = 0; i < words; ++i) text += "\u2581x";
    rounded |= encode(model, text + "\u2581ab").back().id == 3;
    REQUIRE(texts(model, "\u2581ab") == std::vector<std::string>{"\u2581", "ab"});
  }
  CHECK(rounded);
}

TEST_CASE("the cache of words keeps an entry as it is where a word has too many tokens") {
  WordCache::Entry entry;
  const WordKey few{1, 2};
  const WordKey many{3, 4};
  entry.keep(few, 5, {{9, 0, 0}, {7, 20, 22}, {8, 22, 25}}, 1, 20, 0.5F);
  entry.keep(many, 5, std::vector<Token>(WordCache::kMostTokens + 1, Token{6, 0, 1}), 0, 0, 99.0F);
  CHECK(entry.is(few, 5));
  CHECK_FALSE(entry.is(few, 6));
  CHECK(entry.note == 0.5F);
  std::vector<Token> tokens;
  entry.append_to(tokens, 40, 45);
  CHECK(tokens == std::vector<Token>{{7, 40, 42}, {8, 42, 45}});
}

TEST_CASE("unigram: words are encoded one by one, with their places in the text") {
  const UnigramModel model(kSmall, 0, false);
  const std::vector<ByteSpan> words = {{1, 4}, {4, 4}, {5, 7}};
  std::vector<Token> tokens = {{9, 0, 0}};
  model.encode("-aba-\u00E9", words, tokens);
  CHECK(tokens == std::vector<Token>{{9, 0, 0}, {3, 1, 3}, {1, 3, 4}, {4, 5, 7}});
}

TEST_CASE("unigram: unknown characters in a row are one token, as is the unknown piece itself among them") {
  const UnigramModel model(kSmall, 0, false);
  CHECK(encode(model, "xyab\u4E2D") == std::vector<Token>{{0, 0, 2}, {3, 2, 4}, {0, 4, 7}});
  CHECK(encode(model, "x<unk>y") == std::vector<Token>{{0, 0, 7}});
}

TEST_CASE("unigram: a run of unknown characters that is a piece has its id") {
  // With such scores two unknown characters are better than the piece of both.
  const UnigramModel model({{"<unk>", 30}, {"xy", 25}, {"a", 30}}, 0, false);
  CHECK(encode(model, "xya") == std::vector<Token>{{1, 0, 2}, {2, 2, 3}});
}

TEST_CASE("unigram: with byte fallback unknown characters become their bytes, if there is a piece for each") {
  const UnigramModel model(with_bytes(kSmall), 0, true);
  CHECK(texts(model, "a\u00FFxb") == std::vector<std::string>{"a", "<0xC3>", "<0xBF>", "<0x78>", "b"});
  const Token byte = encode(model, "a\u00FFxb")[2];
  CHECK((byte.begin == 1 && byte.end == 4));
  Pieces few = kSmall;
  few.emplace_back("<0xC3>", -5);
  CHECK(texts(UnigramModel(few, 0, true), "a\u00FF") == std::vector<std::string>{"a", "<unk>"});
  CHECK(texts(UnigramModel(with_bytes(kSmall), 0, false), "\u00FF") == std::vector<std::string>{"<unk>"});
}

TEST_CASE("unigram: of equal pieces the last one counts") {
  const UnigramModel model({{"<unk>", 0}, {"ab", -1}, {"a", -2}, {"b", -2}, {"ab", -9}}, 0, false);
  CHECK(texts(model, "ab") == std::vector<std::string>{"a", "b"});
  CHECK(model.find("ab") == 4);
  CHECK_FALSE(model.find("c").has_value());
}

TEST_CASE("unigram: scores count as the Hugging Face library reads them from a file") {
  // The sums of both orders are equal with the nearest doubles, and with those that the library reads they are not.
  const UnigramModel model({{"<unk>", -8},
                            {"bbabba", -3.0232340409065914},
                            {"baba", -0.015864014143305294},
                            {"ba", -0.21295102319521475}},
                           0, false);
  CHECK(texts(model, "bbabbabababa") == std::vector<std::string>{"bbabba", "ba", "baba"});
  CHECK(model.scores()[1] == -3.0232340409065914);
}

TEST_CASE("unigram: with SentencePiece's arithmetic the sums are floats") {
  const Pieces pieces = {{"<unk>", 0}, {"x", -16777216}, {"a", -1}, {"b", -0.5}, {"ab", -1.25}};
  CHECK(texts(UnigramModel(pieces, 0, false), "xab") == std::vector<std::string>{"x", "ab"});
  const UnigramModel single(pieces, 0, false, Arithmetic::float32);
  CHECK(texts(single, "xab") == std::vector<std::string>{"x", "a", "b"});
  CHECK(texts(single, "ab") == std::vector<std::string>{"ab"});
}

TEST_CASE(
    "unigram: of SentencePiece's pieces only normal and user-defined ones are found, the latter always") {
  const Pieces pieces = {{"<unk>", 0}, {"<s>", 0}, {"a", -1}, {"b", -1}, {"ab", -0.5}, {"ba", 0}, {"s", -1}};
  using enum UnigramModel::PieceType;
  const UnigramModel model(pieces, 0, false, Arithmetic::float32,
                           {unknown, control, normal, normal, unused, user_defined, normal});
  CHECK(texts(model, "ab") == std::vector<std::string>{"a", "b"});
  CHECK(texts(model, "aba") == std::vector<std::string>{"a", "ba"});
  CHECK(texts(model, "<s>") == std::vector<std::string>{"<unk>", "s", "<unk>"});
  CHECK(model.find("<s>") == 1);
  CHECK(model.find("ab") == 4);
  CHECK_THROWS_WITH(model.to_json(), ContainsSubstring("SentencePiece"));
}

TEST_CASE("unigram: SentencePiece's byte fallback gives a character's place to its last byte") {
  Pieces pieces = with_bytes({{"<unk>", 0}, {"a", -1}});
  std::vector<PieceType> types(pieces.size(), PieceType::byte);
  types[0] = PieceType::unknown;
  types[1] = PieceType::normal;
  const UnigramModel model(pieces, 0, true, Arithmetic::float32, types);
  const int32_t first = *model.find("<0x00>");
  CHECK(encode(model, "a\u00E9x") ==
        std::vector<Token>{{1, 0, 1}, {first + 0xC3, 1, 1}, {first + 0xA9, 1, 3}, {first + 'x', 3, 4}});
  CHECK(texts(model, "<0x41>").front() == "<0x3C>");
  // The same for the unknown piece, if it is found, alone or not.
  const UnigramModel untyped(pieces, 0, true, Arithmetic::float32);
  CHECK(texts(untyped, "<unk>").front() == "<0x3C>");
  CHECK(texts(untyped, "a<unk>")[1] == "<0x3C>");
  pieces.pop_back();
  types.pop_back();
  CHECK_THROWS_WITH(UnigramModel(pieces, 0, true, Arithmetic::float32, types), ContainsSubstring("<0xFF>"));
}

TEST_CASE(
    "unigram: text that is not UTF-8, and unknown characters without an unknown piece, are errors with the "
    "byte") {
  const UnigramModel model(kSmall, 0, false);
  for (const char* text : {"ab\xC3", "ab\xFFx", "ab\xC3(", "ab\xE4\xB8", "ab\xED\xA0\x80"}) {
    INFO(text);
    CHECK_THAT(encode_error(model, text), ContainsSubstring("byte 2 begins no character"));
  }
  CHECK_THAT(encode_error(model, "a\xA9"), ContainsSubstring("byte 1 begins no character"));
  const UnigramModel without({{"a", -1}, {"bc", -1}}, std::nullopt, false);
  CHECK(texts(without, "aa") == std::vector<std::string>{"a", "a"});
  CHECK_THAT(encode_error(without, "a\u00E9"), ContainsSubstring("'\u00E9' (U+00E9) at byte 1"));
  CHECK_THAT(encode_error(without, "bc"), ContainsSubstring("'b' (U+0062) at byte 0"));
}

TEST_CASE("unigram: pieces, scores and types that cannot be used are errors") {
  CHECK_THROWS_WITH(UnigramModel({{"\xFF", 0}}, 0, false), ContainsSubstring("piece 0 is not"));
  CHECK_THROWS_WITH(UnigramModel({{"a", 1e30}}, 0, false), ContainsSubstring("piece 0 has 1e+30"));
  CHECK_THROWS_WITH(UnigramModel({{"a", 0.0 / 0.0}}, 0, false), ContainsSubstring("scores must be numbers"));
  CHECK_THROWS_WITH(UnigramModel({{"a", 0}}, 1, false), ContainsSubstring("unk_id"));
  CHECK_THROWS_WITH(UnigramModel({}, 0, false), ContainsSubstring("unk_id"));
  CHECK_THROWS_WITH(UnigramModel(kSmall, 0, false, Arithmetic::float64, {PieceType::normal}),
                    ContainsSubstring("only for the arithmetic of SentencePiece"));
  CHECK_THROWS_WITH(UnigramModel(kSmall, 0, false, Arithmetic::float32, {PieceType::normal}),
                    ContainsSubstring("each of the 5 pieces"));
  CHECK_THROWS_WITH(UnigramModel({{"a", 0}, {"a", 0}}, 0, false, Arithmetic::float32),
                    ContainsSubstring("\"a\", is there twice"));
  CHECK_THROWS_WITH(UnigramModel({{"a", 0}, {"", 0}}, 0, false, Arithmetic::float32),
                    ContainsSubstring("is empty"));
}

TEST_CASE("unigram: a model read back from what it writes is the same") {
  const std::string file =
      R"({"type":"Unigram","unk_id":0,"vocab":[["<unk>",0.0],["a",-3.0232340409065914],["",-1.5]],"byte_fallback":true})";
  const auto model = UnigramModel::read(Json::parse(file, "t.json"));
  CHECK(model->to_json().dump() == Json::parse(file, "t.json").dump());
  CHECK((model->unk_id() == 0 && model->byte_fallback() && model->type() == "Unigram"));
  const auto bare = UnigramModel::read(Json::parse(R"({"unk_id":null,"vocab":[["a",-1]]})", "t.json"));
  CHECK((!bare->unk_id() && !bare->byte_fallback() && bare->scores() == std::vector<double>{-1}));
}

TEST_CASE("unigram: a file that is wrong is an error that begins with the place") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"vocab":[["a",-1]],"nbest":1})", "t.json: $.nbest: must be a key with a known meaning"},
      {R"({"vocab":[["a",-1],["b"]]})", "t.json: $.vocab[1]: must be a piece and its score"},
      {R"({"vocab":[["a",-1],["b","c"]]})", "t.json: $.vocab[1][1]"},
      {R"({"vocab":[["a",-1e99]]})", "t.json: $.vocab[0][1]: must be from"},
      {R"({"unk_id":1,"vocab":[["a",-1]]})", "t.json: $.unk_id: must be the id"},
      {R"({"unk_id":-1,"vocab":[["a",-1]]})", "t.json: $.unk_id: must be the id"},
      {R"({"unk_id":0})", "t.json: $"},
  };
  for (const auto& [file, expected] : cases) {
    const std::string error =
        testing::error_of([&file = file] { UnigramModel::read(Json::parse(file, "t.json")); });
    CHECK(error.substr(0, expected.size()) == expected);
  }
}

TEST_CASE("unigram: a word of a megabyte takes no long time, whatever the pieces") {
  const size_t size = 1 << 20;
  // Reading on along the long piece from every byte would take some hours.
  const UnigramModel model({{"<unk>", 0}, {"a", -1}, {"aa", -1.5}, {std::string(size / 2, 'a') + "b", -1}}, 0,
                           false);
  CHECK(encode(model, std::string(size, 'a')).size() == size / 2);
  CHECK(encode(model, std::string(size, 'x')) == std::vector<Token>{{0, 0, size}});
}

TEST_CASE("unigram: several threads get the same tokens") {
  const UnigramModel model(with_bytes(kSmall), 0, true);
  std::string text;
  std::mt19937_64 random(8);
  for (int i = 0; i < 20000; ++i) text += std::vector<std::string>{"a", "b", "\u00E9", "x"}[random() % 4];
  const std::vector<Token> expected = encode(model, text);
  std::vector<std::vector<Token>> found(16);
  parallel_for(16, [&](int64_t i) { found[static_cast<size_t>(i)] = encode(model, text); });
  for (const std::vector<Token>& tokens : found) CHECK(tokens == expected);
}
