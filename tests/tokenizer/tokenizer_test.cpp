#include "tokenizer/tokenizer.hpp"
#include "tests/support/error_of.hpp"

#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "tensor/io/json.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/use_threads.hpp"
#include "tokenizer/formats/load.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tokenizer/text/words.hpp"

using namespace gradus;
using gradus::testing::error_of;

namespace {

// What breaks tokenizers: cut, overlong and stray bytes, controls, white space of all kinds, marks, long runs.
std::string hostile_text(std::mt19937_64& random) {
  static const std::vector<std::string> parts = {"a",
                                                 "the",
                                                 " ",
                                                 "  ",
                                                 "\n",
                                                 "\r\n",
                                                 "\t",
                                                 "'s",
                                                 "'",
                                                 "\u00A0",
                                                 "\u3000",
                                                 "\u2028",
                                                 "\u200B",
                                                 "\uFEFF",
                                                 "\u00E9",
                                                 "e\u0301",
                                                 "\u65E5",
                                                 "\U0001F44D\U0001F3FD",
                                                 "\U0010FFFF",
                                                 "\u0920\u093F",
                                                 "<|endoftext|>",
                                                 "<|",
                                                 "0",
                                                 "12",
                                                 "\x7F",
                                                 "\xFF",
                                                 "\xC0\x80",
                                                 "\xE2\x82",
                                                 "\xF0\x9F\x98",
                                                 "\xED\xA0\x80",
                                                 "\xF4\x90",
                                                 "\x80",
                                                 "\xC3",
                                                 "!!!"};
  std::string text;
  for (size_t i = random() % 40; i > 0; --i) {
    const uint64_t kind = random() % 8;
    if (kind == 0) {
      text += static_cast<char>(random() % 256);
    } else if (kind == 1) {
      text += '\0';
    } else if (kind == 2 && random() % 8 == 0) {
      text += std::string(random() % 200, static_cast<char>(random() % 256));
    } else {
      text += parts[random() % parts.size()];
    }
  }
  return text;
}

Tokenizer small_bpe() {
  static const std::string text =
      "the king and the son of the king\nthe king's son, the king's men \u00E9t\u00E9 \u00E9t\u00E9 "
      "\U0001F44D \U0001F44D";
  const std::vector<std::string_view> documents = {text};
  return Tokenizer::train_bpe(documents, 270);
}

std::vector<Tokenizer> byte_level_tokenizers() { return {Tokenizer::bytes(), small_bpe()}; }

}  // namespace

TEST_CASE("any bytes come back exactly from bytes and from BPE") {
  std::mt19937_64 random(11);
  for (const Tokenizer& tokenizer : byte_level_tokenizers()) {
    for (int round = 0; round < 2000; ++round) {
      const std::string text = hostile_text(random);
      const EncodeOptions options{round % 2 == 0};
      const std::vector<int32_t> ids = tokenizer.encode(text, options);
      REQUIRE(tokenizer.decode(ids) == text);
      const std::vector<TokenSpan> pieces = tokenizer.encode_spans(text, options);
      REQUIRE(pieces.size() == ids.size());
      int64_t end = 0;
      for (size_t i = 0; i < ids.size(); ++i) {
        REQUIRE(pieces[i].id == ids[i]);
        REQUIRE(pieces[i].begin == end);
        end = pieces[i].end;
        REQUIRE(tokenizer.token_bytes(ids[i]) == text.substr(static_cast<size_t>(pieces[i].begin),
                                                             static_cast<size_t>(end - pieces[i].begin)));
      }
      REQUIRE(end == static_cast<int64_t>(text.size()));
    }
  }
}

TEST_CASE("bytes: the id is the byte") {
  const Tokenizer tokenizer = Tokenizer::bytes();
  CHECK(tokenizer.kind() == "byte");
  CHECK(tokenizer.vocab_size() == 256);
  CHECK_FALSE(tokenizer.end_of_text().has_value());
  CHECK(tokenizer.encode("A \xFF") == std::vector<int32_t>{65, 32, 255});
  CHECK(tokenizer.token_bytes(32) == " ");
  CHECK(tokenizer.token_text(32) == "\u0120");
  CHECK(tokenizer.id_of("\u0120") == 32);
  CHECK_FALSE(tokenizer.id_of("ab").has_value());
}

TEST_CASE("characters: the alphabet is the text's code points in ascending order") {
  const Tokenizer tokenizer = Tokenizer::train_char("ba\u00E9b\U0001F44D\na");
  CHECK(tokenizer.kind() == "char");
  CHECK(tokenizer.vocab_size() == 5);
  CHECK_FALSE(tokenizer.end_of_text().has_value());
  CHECK(tokenizer.token_text(0) == "\n");
  CHECK(tokenizer.token_text(1) == "a");
  CHECK(tokenizer.token_text(4) == "\U0001F44D");
  CHECK(tokenizer.id_of("\u00E9") == 3);
  CHECK(tokenizer.encode_spans("\u00E9b\U0001F44D") ==
        std::vector<TokenSpan>{{3, 0, 2}, {2, 2, 3}, {4, 3, 7}});
  CHECK(tokenizer.decode(tokenizer.encode("ab\n\u00E9")) == "ab\n\u00E9");
}

TEST_CASE("characters: text that is not UTF-8 and unknown characters are errors that name the byte") {
  CHECK(error_of([] { Tokenizer::train_char("ab\xFFz"); }) ==
        "train_char: a tokenizer of characters needs text in UTF-8; byte 0xFF at offset 2 begins no "
        "character; convert "
        "the text, or use byte or bpe:N");
  CHECK(error_of([] { Tokenizer::train_char("ab\xE2\x82"); }).find("byte 0xE2 at offset 2") !=
        std::string::npos);
  CHECK(error_of<std::invalid_argument>([] { Tokenizer::train_char(""); }) ==
        "train_char: the text must hold at least one character; it is empty; give another text");
  const Tokenizer tokenizer = Tokenizer::train_char("ab");
  CHECK(error_of([&] { tokenizer.encode("aab\u00E9"); }) ==
        "encode: every character must be one of the tokenizer's 2; '\u00E9' (U+00E9) at byte 3 is not; "
        "change the text, "
        "or train a tokenizer of the kind byte or bpe:N, which knows every character");
  CHECK(error_of([&] { tokenizer.encode("a\n"); }).find("; U+000A at byte 1 is not;") != std::string::npos);
  CHECK(error_of([&] { tokenizer.encode("a\x80"); })
            .find("encode: a tokenizer of characters needs text in UTF-8; "
                  "byte 0x80 at offset 1") == 0);
}

TEST_CASE("BPE: the bytes come first, then the merges, and the end of text last") {
  const Tokenizer tokenizer = small_bpe();
  CHECK(tokenizer.kind() == "bpe:270");
  CHECK(tokenizer.vocab_size() == 270);
  CHECK(tokenizer.training_note().empty());
  CHECK(tokenizer.token_text(0) == "!");
  CHECK(tokenizer.token_bytes(220) == " ");
  CHECK(tokenizer.end_of_text() == 269);
  CHECK(tokenizer.token_text(269) == "<|endoftext|>");
  CHECK(tokenizer.token_bytes(269) == "<|endoftext|>");
  CHECK(tokenizer.is_special(269));
  CHECK_FALSE(tokenizer.is_special(268));
  CHECK(tokenizer.id_of("\u0120king").has_value());
  CHECK(tokenizer.encode(" king") == std::vector<int32_t>{*tokenizer.id_of("\u0120king")});
}

TEST_CASE("BPE: the example of the Wikipedia article on byte-pair encoding, which minbpe tests too") {
  const std::vector<std::string_view> documents = {"aaabdaaabac"};
  const Tokenizer tokenizer = Tokenizer::train_bpe(documents, 256 + 3 + 1);  // and the end of text
  std::vector<std::string> pieces;
  for (const int32_t id : tokenizer.encode("aaabdaaabac")) pieces.push_back(tokenizer.token_bytes(id));
  CHECK(pieces == std::vector<std::string>{"aaab", "d", "aaab", "a", "c"});
}

TEST_CASE("BPE: a vocabulary that comes out smaller than asked for says so") {
  const std::vector<std::string_view> documents = {"abab"};
  const Tokenizer tokenizer = Tokenizer::train_bpe(documents, 1000);
  CHECK(tokenizer.kind() == "bpe:258");
  CHECK(tokenizer.training_note() ==
        "train_bpe: the vocabulary has 258 entries, not the 1000 asked for: no pair of neighbouring tokens "
        "occurs twice "
        "any more; give more text or ask for less");
  CHECK(Tokenizer::train_bpe(documents, 258).training_note().empty());
  CHECK(error_of<std::invalid_argument>([&] { Tokenizer::train_bpe(documents, 256); }) ==
        "train_bpe: the vocabulary must have at least 257 entries, the 256 bytes and <|endoftext|>, and at "
        "most "
        "2147483647; 256 was asked for; give a number between, such as 2048");
}

TEST_CASE("a long text has the same tokens and places at any thread count, and the same error") {
  std::mt19937_64 random(6);
  std::string text;
  while (text.size() < 700'000) {
    text += hostile_text(random);
    if (random() % 3 == 0) text += " and so on\n";
  }
  const std::vector<std::string_view> documents = {std::string_view(text).substr(0, 100'000)};
  std::string english;
  while (english.size() < 500'000) {
    english += "the kings of the earth stood up, ";
    if (random() % 10 == 0) english += " \u0301 \u00C5nd A\u0301 \uFB01 \u4E2D\u6587\n";
  }
  std::string mixed;
  while (mixed.size() < 500'000) {
    mixed += random() % 2 == 0 ? "\u4E2D\u6587 \u4E2D ab " : "x \u0301 \uFF9E y\u0301 b a\u00E9 ";
  }
  const Tokenizer pieces = Tokenizer::train_bpe(documents, 600);
  // Words by white space, one of them unknown.
  const Tokenizer words = Tokenizer::parse(
      R"({"version": "1.0", "pre_tokenizer": {"type": "WhitespaceSplit"}, "model": {"type": "WordLevel",
          "vocab": {"?": 0, "the": 1, "of": 2, "up,": 3}, "unk_token": "?"}})",
      "words");
  // Lower-cased, without accents, and by characters.
  const Tokenizer cased = Tokenizer::parse(
      R"({"version": "1.0", "normalizer": {"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true,
          "strip_accents": null, "lowercase": true}, "pre_tokenizer": {"type": "BertPreTokenizer"},
          "model": {"type": "WordPiece", "unk_token": "?", "continuing_subword_prefix": "##",
          "max_input_chars_per_word": 100, "vocab": {"?": 0, "the": 1, "a": 2, "##nd": 3, "\u4e2d": 4}}})",
      "cased");
  // With spaces written as marks, and merges that never cross them.
  const Tokenizer marked = Tokenizer::parse(
      R"({"version": "1.0", "normalizer": {"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "\u2581"},
          {"type": "Replace", "pattern": {"String": " "}, "content": "\u2581"}]},
          "model": {"type": "BPE", "unk_token": "?", "vocab": {"?": 0, "\u2581": 1, "t": 2, "h": 3, "e": 4, "th": 5,
          "the": 6, "\u2581the": 7, "\u2581\u2581": 8}, "merges": ["t h", "th e", "\u2581 the", "\u2581 \u2581"]}})",
      "marked");
  // Of bytes, behind normalizers that leave white space where there was none, and one that does not.
  std::string spaced;
  while (spaced.size() < 20'000) spaced += "a  b   c\n\n d ";
  const std::vector<std::string_view> spaces = {spaced};
  const std::string bytes = Tokenizer::train_bpe(spaces, 300).to_json();
  const auto with = [&](const std::string& key, const std::string& value) {
    Json json = Json::parse(bytes, "bytes");
    return json.set(key, Json::parse(value, "value")).dump();
  };
  std::vector<Tokenizer> tokenizers = {words, cased, marked};
  for (
      const char* normalizer :
      {R"({"type": "BertNormalizer", "clean_text": true, "handle_chinese_chars": true, "strip_accents": null, "lowercase": true})",
       R"({"type": "Sequence", "normalizers": [{"type": "NFKD"}, {"type": "StripAccents"}]})",
       R"({"type": "NFKC"})"}) {
    tokenizers.push_back(Tokenizer::parse(with("normalizer", normalizer), "normalized"));
  }
  // Words by white space, in which the first of a text has a mark less, and characters that are bytes.
  std::string vocab =
      R"({"version": "1.0", "pre_tokenizer": {"type": "Sequence", "pretokenizers": [{"type": "WhitespaceSplit"},
      {"type": "Metaspace", "replacement": "\u2581", "prepend_scheme": "first"}]}, "model": {"type": "BPE", "unk_token": "?",
      "byte_fallback": true, "merges": [], "vocab": {"?": 0, "a": 1, "\u2581": 2)";
  for (int byte = 0; byte < 256; ++byte) {
    char name[32];
    std::snprintf(name, sizeof name, ", \"<0x%02X>\": %d", static_cast<unsigned>(byte), 3 + byte);
    vocab += name;
  }
  tokenizers.push_back(Tokenizer::parse(vocab + "}}}", "first"));
  // Without a token for what is unknown, words that it lacks are errors.
  const Tokenizer strict = Tokenizer::parse(
      R"({"version": "1.0", "pre_tokenizer": {"type": "WhitespaceSplit"}, "model": {"type": "BPE",
          "vocab": {"t": 0, "h": 1, "e": 2}, "merges": []}})",
      "strict");
  std::string letters;
  while (letters.size() < 200'000) letters += "the th he ";
  letters += "thx";
  for (int i = 0; i < 100'000; ++i) letters += " they";
  Encoding expected_pieces;
  std::vector<Encoding> expected;
  size_t index = 0;
  for (const int threads : {1, 2, 4}) {
    const testing::UseThreads use(threads);
    const Encoding of_pieces = pieces.encode_full(text);
    if (threads == 1) expected_pieces = of_pieces;
    CHECK((of_pieces == expected_pieces));
    CHECK(pieces.encode(text) == expected_pieces.ids);
    CHECK(pieces.decode(of_pieces.ids) == text);
    for (const std::string& readable : {english, mixed}) {
      for (const Tokenizer& tokenizer : tokenizers) {
        const Encoding encoding = tokenizer.encode_full(readable);
        CHECK(encoding.ids.size() > 80'000);
        CHECK(tokenizer.encode(readable) == encoding.ids);
        if (threads == 1) expected.push_back(encoding);
        CHECK((encoding == expected[index++ % (2 * tokenizers.size())]));
      }
    }
    CHECK_THROWS_WITH(strict.encode(letters), Catch::Matchers::ContainsSubstring("U+0078") &&
                                                  Catch::Matchers::ContainsSubstring("byte 200002"));
  }
}

TEST_CASE("the text of a special token is ordinary text unless asked for") {
  const Tokenizer tokenizer = small_bpe();
  const int32_t end = *tokenizer.end_of_text();
  const std::string text = "a<|endoftext|><|endoftext|>b<|endoftext";
  for (const int32_t id : tokenizer.encode(text)) CHECK(id != end);
  const std::vector<TokenSpan> pieces = tokenizer.encode_spans(text, {true});
  REQUIRE(pieces.size() > 4);
  CHECK(pieces[1] == TokenSpan{end, 1, 14});
  CHECK(pieces[2] == TokenSpan{end, 14, 27});
  CHECK(pieces[3] == TokenSpan{*tokenizer.id_of("b"), 27, 28});
  CHECK(pieces.back().end == static_cast<int64_t>(text.size()));
  CHECK(tokenizer.encode("<|endoftext|>", {true}) == std::vector<int32_t>{end});
  CHECK(tokenizer.encode("", {true}).empty());
  // A space before the special token is a piece at the end of its part.
  CHECK(tokenizer.encode(" <|endoftext|>", {true}) == std::vector<int32_t>{*tokenizer.id_of("\u0120"), end});
  CHECK(Tokenizer::bytes().encode("<|endoftext|>", {true}).size() == 13);
}

TEST_CASE("ids that the tokenizer does not have are errors") {
  const Tokenizer tokenizer = Tokenizer::bytes();
  const std::vector<int32_t> ids = {1, 2, 256};
  CHECK(error_of<std::invalid_argument>([&] { tokenizer.decode(ids); }) ==
        "decode: ids must be from 0 to 255; id 256 is at place 2; use the tokenizer that made the ids");
  CHECK(error_of<std::invalid_argument>([&] { tokenizer.token_bytes(-1); }) ==
        "tokenizer: ids must be from 0 to 255; -1 was given; use the tokenizer that made the id");
  CHECK(error_of<std::invalid_argument>([&] { StreamDecoder(tokenizer).push(256); }) ==
        error_of<std::invalid_argument>([&] { tokenizer.token_text(256); }));
  CHECK(error_of<std::invalid_argument>([] { Tokenizer().encode("a"); }) ==
        "tokenizer: must be loaded or trained before use; this one is empty; assign what load, parse, bytes "
        "or a train_ "
        "function gives");
}

TEST_CASE("streaming gives each character as soon as it is whole, and never half of one") {
  StreamDecoder decoder(Tokenizer::bytes());
  const std::string text = "a\u00E9\u65E5\U0001F44Db";
  const std::vector<std::string> expected = {"a", "", "\u00E9", "",           "", "\u65E5",
                                             "",  "", "",       "\U0001F44D", "b"};
  for (size_t i = 0; i < text.size(); ++i)
    CHECK(decoder.push(static_cast<unsigned char>(text[i])) == expected[i]);
  CHECK(decoder.flush().empty());
}

TEST_CASE("streaming passes on bytes that can no longer become a character, once that is certain") {
  const auto stream = [](std::string_view bytes) {
    StreamDecoder decoder(Tokenizer::bytes());
    std::vector<std::string> out;
    for (const char byte : bytes) out.push_back(decoder.push(static_cast<unsigned char>(byte)));
    out.push_back(decoder.flush());
    return out;
  };
  using Strings = std::vector<std::string>;
  CHECK(stream("\xFF") == Strings{"\xFF", ""});
  CHECK(stream("\x80"
               "a") == Strings{"\x80", "a", ""});
  CHECK(stream("\xC3"
               "a") == Strings{"",
                               "\xC3"
                               "a",
                               ""});
  CHECK(stream("\xF0\x9F\xC3\xA9") == Strings{"", "", "\xF0\x9F", "\u00E9", ""});
  CHECK(stream("\xE0\x80\xA0") == Strings{"", "\xE0\x80", "\xA0", ""});  // overlong
  CHECK(stream("\xED\xA0\x80") == Strings{"", "\xED\xA0", "\x80", ""});  // surrogate
  CHECK(stream("\xF4\x90") == Strings{"", "\xF4\x90", ""});              // above U+10FFFF
  CHECK(stream("\xC0\xAF") == Strings{"\xC0", "\xAF", ""});
  CHECK(stream("\xF0\x9F\x98") == Strings{"", "", "", "\xF0\x9F\x98"});  // the end comes first
}

TEST_CASE("streaming joins to what decode gives, whatever the tokens cut") {
  std::mt19937_64 random(12);
  const Tokenizer tokenizer = small_bpe();
  for (int round = 0; round < 500; ++round) {
    std::vector<int32_t> ids;
    if (round % 2 == 0) {
      ids = tokenizer.encode(hostile_text(random));
    } else {
      for (size_t i = random() % 30; i > 0; --i) ids.push_back(static_cast<int32_t>(random() % 270));
    }
    StreamDecoder decoder(tokenizer);
    std::string joined;
    std::string all;
    for (const int32_t id : ids) {
      joined += decoder.push(id);
      all += tokenizer.token_bytes(id);
      // Nothing is held back but what may still become a character.
      REQUIRE(joined == all.substr(0, all.size() - static_cast<size_t>(incomplete_utf8_tail(all))));
    }
    joined += decoder.flush();
    REQUIRE(joined == tokenizer.decode(ids));
    REQUIRE(decoder.flush().empty());
  }
}

// A SentencePiece model with control pieces, and with or without a piece for each byte.
Tokenizer sentencepiece_model(bool bytes) {
  SentencePieceFile file;
  file.trainer.model_type = SentencePieceFile::ModelType::bpe;
  file.trainer.byte_fallback = bytes;
  using Type = SentencePieceFile::PieceType;
  file.pieces = {{"<unk>", 0, Type::unknown}, {"<s>", 0, Type::control}, {"</s>", 0, Type::control}};
  for (int byte = 0; bytes && byte < 256; ++byte) {
    constexpr const char* kDigits = "0123456789ABCDEF";
    const std::string name = std::string("<0x") + kDigits[byte / 16] + kDigits[byte % 16] + ">";
    file.pieces.push_back({name, 0, Type::byte});
  }
  float score = -1;
  for (const char* text : {"\u2581t", "he", "\u2581the", "\u2581", "t", "h", "e"}) {
    file.pieces.push_back({text, score, Type::normal});
    score -= 0.5F;
  }
  return Tokenizer(parts_of(file, "made here"));
}

std::string streamed(const Tokenizer& tokenizer, const std::vector<int32_t>& ids, size_t known = 0) {
  const std::span<const int32_t> all = ids;
  StreamDecoder decoder(tokenizer, all.first(known));
  std::string text = tokenizer.decode(all.first(known));
  for (const int32_t id : all.subspan(known)) text += decoder.push(id);
  return text + decoder.flush();
}

TEST_CASE("streaming joins to what decode gives behind many tokens without text, and many of bytes") {
  const Tokenizer plain = sentencepiece_model(false);
  const int32_t word = *plain.id_of("\u2581the"), space = *plain.id_of("\u2581"), begin = *plain.id_of("<s>");
  for (const int32_t silent : {begin, space}) {
    std::vector<int32_t> ids = {word};
    ids.insert(ids.end(), 40, silent);
    ids.insert(ids.end(), {word, silent, word});
    CHECK(streamed(plain, ids) == plain.decode(ids));
    for (const size_t known : {1, 17, 40, 41}) CHECK(streamed(plain, ids, known) == plain.decode(ids));
  }
  const Tokenizer bytes = sentencepiece_model(true);
  const std::string text =
      "the \u65E5\u672C\u8A9E\u306E\u65E5\u672C\u8A9E\u65E5\u672C\u8A9E\u306E\U0001F44D the";
  const std::vector<int32_t> ids = bytes.encode(text);
  REQUIRE(ids.size() > 35);
  CHECK(streamed(bytes, ids) == text);
  CHECK(bytes.decode(ids) == text);
}

TEST_CASE("UTF-8 is read strictly") {
  const auto read = [](std::string_view bytes) {
    char32_t c = 0;
    const int length = decode_utf8(bytes.data(), bytes.data() + bytes.size(), c);
    return std::pair<int, uint32_t>(length, length == 0 ? 0 : static_cast<uint32_t>(c));
  };
  using Read = std::pair<int, uint32_t>;
  CHECK(read("a") == Read{1, 0x61});
  CHECK(read("\xC2\x80") == Read{2, 0x80});
  CHECK(read("\xE0\xA0\x80") == Read{3, 0x800});
  CHECK(read("\xEF\xBF\xBF") == Read{3, 0xFFFF});
  CHECK(read("\xF0\x90\x80\x80") == Read{4, 0x10000});
  CHECK(read("\xF4\x8F\xBF\xBF") == Read{4, 0x10FFFF});
  for (const char* bytes :
       {"", "\x80", "\xC0\x80", "\xC1\xBF", "\xC3", "\xC3\x28", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82",
        "\xE2\x28\xA1", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xF0\x9F\x98", "\xFF"}) {
    CHECK(read(bytes) == Read{0, 0});
  }
  // Every code point comes back from what append_utf8 writes.
  for (char32_t c = 0; c < 0x110000; c += c < 0x3000 ? 1 : 97) {
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string bytes;
    append_utf8(c, bytes);
    REQUIRE(read(bytes) == Read{static_cast<int>(bytes.size()), c});
  }
}

TEST_CASE("characters have the classes of Unicode") {
  CHECK(char_class(U'a') == CharClass::letter);
  CHECK(char_class(0x65E5) == CharClass::letter);
  CHECK(char_class(0x02BC) == CharClass::letter);
  CHECK(char_class(0x0301) == CharClass::mark);
  CHECK(char_class(0x20DD) == CharClass::mark);
  CHECK(char_class(U'7') == CharClass::digit);
  CHECK(char_class(0x0663) == CharClass::digit);
  CHECK(char_class(0x00BD) == CharClass::number);
  CHECK(char_class(0x2167) == CharClass::number);
  for (const char32_t c :
       {0x09, 0x0D, 0x20, 0x85, 0xA0, 0x1680, 0x2003, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000}) {
    CHECK(char_class(c) == CharClass::space);
  }
  for (const char32_t c : {0x00, 0x1C, 0x7F, 0x180E, 0x200B, 0xFEFF, 0x1F44D, 0x10FFFF, 0x0378, 0xE000}) {
    CHECK(char_class(c) == CharClass::other);
  }
  CHECK(unicode_version().find('.') != std::string::npos);
}

TEST_CASE(
    "a word is a run of letters, marks, digits and apostrophes; other characters are words by themselves") {
  const auto words_of = [](std::string_view text) {
    std::vector<std::string> words;
    for (const WordSpan& span : find_words(text)) {
      words.emplace_back(
          text.substr(static_cast<size_t>(span.begin), static_cast<size_t>(span.end - span.begin)));
    }
    return words;
  };
  using Strings = std::vector<std::string>;
  CHECK(words_of("").empty());
  CHECK(words_of(" \n\u3000").empty());
  CHECK(find_words(" the  king") == std::vector<WordSpan>{{1, 4}, {6, 10}});
  CHECK(words_of("the king's 2nd son, e\u0301t\u00E9.") ==
        Strings{"the", "king's", "2nd", "son", ",", "e\u0301t\u00E9", "."});
  CHECK(words_of("don\u2019t?!") == Strings{"don\u2019t", "?", "!"});
  CHECK(words_of("a-b_c") == Strings{"a", "-", "b", "_", "c"});
  CHECK(words_of("x\u00B2 \u00BD") == Strings{"x", "\u00B2", "\u00BD"});
  CHECK(words_of("a\u00A0b") == Strings{"a", "b"});
  CHECK(words_of("\u65E5\u672C\U0001F44D\U0001F44D") == Strings{"\u65E5\u672C", "\U0001F44D", "\U0001F44D"});
  CHECK(words_of("a\xFF\xFE"
                 "b\xE2\x82 c") == Strings{"a", "\xFF", "\xFE", "b", "\xE2", "\x82", "c"});
}
