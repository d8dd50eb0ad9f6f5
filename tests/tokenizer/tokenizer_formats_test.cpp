#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "tensor/io/file.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tokenizer/formats/detect.hpp"
#include "tokenizer/formats/gpt2_files.hpp"
#include "tokenizer/formats/load.hpp"
#include "tokenizer/formats/protobuf.hpp"
#include "tokenizer/formats/sentencepiece_file.hpp"
#include "tokenizer/formats/tiktoken_file.hpp"
#include "tokenizer/formats/vocab_txt.hpp"
#include "tokenizer/text/base64.hpp"

using namespace gradus;
using gradus::testing::error_of;

namespace {

using PieceType = SentencePieceFile::PieceType;

bool begins(const std::string& text, const std::string& beginning) {
  INFO(text);
  CHECK(text.substr(0, beginning.size()) == beginning);
  return text.starts_with(beginning);
}

SentencePieceFile small_model() {
  SentencePieceFile file;
  file.pieces = {{"<unk>", 0, PieceType::unknown},
                 {"<s>", 0, PieceType::control},
                 {"</s>", 0, PieceType::control},
                 {"<s>", -1.5F, PieceType::normal},  // what a text can contain is apart from what it cannot
                 {"\u2581the", -2.25F, PieceType::normal},
                 {"<sep>", 0, PieceType::user_defined},
                 {"x", -3, PieceType::unused}};
  file.trainer.model_type = SentencePieceFile::ModelType::bpe;
  file.trainer.vocab_size = 7;
  file.trainer.user_defined_symbols = {"<sep>", ""};
  file.trainer.unk_surface = " ?? ";
  file.trainer.pad_id = -1;
  file.normalizer.name = "nmt_nfkc";
  file.normalizer.precompiled_charsmap = std::string("\0\xFF\x80", 3);
  file.normalizer.add_dummy_prefix = false;
  file.denormalizer.emplace().name = "d";
  file.self_tests = {{"the", "\u2581the"}, {"", ""}};
  return file;
}

std::string ranks(int from = 0) {
  std::string text;
  for (int byte = from; byte < 256; ++byte) {
    text += base64_encode(std::string(1, static_cast<char>(byte))) + ' ' + std::to_string(byte) + '\n';
  }
  return text;
}

}  // namespace

TEST_CASE("base64 of every length goes there and back") {
  CHECK(base64_encode("") == "");
  CHECK(base64_encode("f") == "Zg==");
  CHECK(base64_encode("fo") == "Zm8=");
  CHECK(base64_encode("foobar") == "Zm9vYmFy");
  CHECK(base64_encode("\xFB\xFF\xFE") == "+//+");
  std::mt19937_64 random(3);
  for (size_t length = 0; length < 100; ++length) {
    std::string bytes(length, ' ');
    for (char& byte : bytes) byte = static_cast<char>(random());
    CHECK(base64_decode(base64_encode(bytes)) == bytes);
  }
  for (const char* broken :
       {"Z", "Zg", "Zg=", "Zg==Zg==", "Zh==", "Zm9=", "Z===", "====", "Zm 8", "Zm8-", "=Zm8"}) {
    INFO(broken);
    CHECK(!base64_decode(broken).has_value());
  }
}

TEST_CASE("a SentencePiece model that is written and read is the same") {
  const SentencePieceFile file = small_model();
  const std::string bytes = write_sentencepiece(file);
  CHECK(read_sentencepiece(bytes, "m") == file);
  CHECK(write_sentencepiece(read_sentencepiece(bytes, "m")) == bytes);
  CHECK(file.unknown_id() == 0);
  CHECK(detect_tokenizer_format(bytes, "m") == TokenizerFormat::sentencepiece);
}

TEST_CASE("a SentencePiece model without any settings has those of its schema") {
  const std::string bytes = {0x0A, 0x09, 0x0A, 0x05, '<', 'u', 'n', 'k', '>', 0x18, 0x02};
  const SentencePieceFile file = read_sentencepiece(bytes, "m");
  CHECK(file.pieces == std::vector<SentencePieceFile::Piece>{{"<unk>", 0, PieceType::unknown}});
  CHECK(file.trainer == SentencePieceFile::Trainer());
  CHECK(file.normalizer == SentencePieceNormalizerSpec());
  CHECK(!file.denormalizer.has_value());
}

TEST_CASE("fields that a SentencePiece reader need not know are kept") {
  SentencePieceFile file = small_model();
  ProtoWriter trained_on;
  trained_on.put_bytes(1, "corpus.txt");
  trained_on.put_int32(199, -5);
  file.trainer.rest = trained_on.bytes();
  file.normalizer.rest = std::string("\x3A\x01x", 3);  // field 7
  // A group of field 9 with one of field 10 inside, and a 64-bit value of field 9.
  const std::string group = {0x4B, 0x08, 0x01, 0x53, 0x54, 0x4C};
  const std::string fixed = {0x49, 1, 2, 3, 4, 5, 6, 7, 8};
  file.rest = group + fixed;
  CHECK(read_sentencepiece(write_sentencepiece(file), "m") == file);
}

TEST_CASE("byte pieces of a SentencePiece model must be all there, and wanted") {
  SentencePieceFile file = small_model();
  const char* const digits = "0123456789ABCDEF";
  for (int byte = 0; byte < 256; ++byte) {
    file.pieces.push_back(
        {std::string("<0x") + digits[byte / 16] + digits[byte % 16] + ">", 0, PieceType::byte});
  }
  CHECK(begins(error_of([&] { write_sentencepiece(file); }),
               "write_sentencepiece: pieces of type byte need trainer_spec.byte_fallback"));
  file.trainer.byte_fallback = true;
  CHECK(read_sentencepiece(write_sentencepiece(file), "m") == file);
  file.pieces.pop_back();
  CHECK(begins(error_of([&] { write_sentencepiece(file); }),
               "write_sentencepiece: trainer_spec.byte_fallback needs all 256"));
  file.pieces.push_back({"<0xff>", 0, PieceType::byte});
  CHECK(error_of([&] { write_sentencepiece(file); }).find("must be written as <0x00> to <0xFF>") !=
        std::string::npos);
}

TEST_CASE("SentencePiece models that cannot be used are refused") {
  const auto error_with = [](auto change) {
    SentencePieceFile file = small_model();
    change(file);
    return error_of([&] { write_sentencepiece(file); });
  };
  const std::string source = "write_sentencepiece: ";
  CHECK(begins(error_with([](auto& f) { f.pieces.clear(); }),
               source + "a SentencePiece model must have pieces"));
  CHECK(begins(error_with([](auto& f) { f.pieces[0].type = PieceType::normal; }),
               source + "there must be one piece of type unknown"));
  CHECK(begins(error_with([](auto& f) { f.pieces[1].type = PieceType::unknown; }),
               source + "byte 16, pieces: there must be one piece of type unknown; pieces 0 and 1 are"));
  CHECK(begins(error_with([](auto& f) { f.pieces[6].text = "<sep>"; }),
               source + "byte 88, pieces: each piece may stand once; piece 6, \"<sep>\", is also piece 5"));
  CHECK(begins(error_with([](auto& f) { f.pieces[1].text = ""; }),
               source + "byte 16, pieces: a piece must not be empty"));
  CHECK(begins(error_with([](auto& f) { f.pieces[1].text = "a\xFF"; }),
               source + "byte 18, pieces.piece: must be UTF-8; byte 1 of it begins no character"));
  CHECK(begins(error_with([](auto& f) { f.pieces[1].score = std::nanf(""); }),
               source + "byte 23, pieces.score: must be a finite number"));
  CHECK(begins(error_with([](auto& f) { f.pieces[1].score = -std::numeric_limits<float>::infinity(); }),
               source + "byte 23, pieces.score: must be a finite number"));
  CHECK(error_with([](auto& f) {
          f.trainer.model_type = static_cast<SentencePieceFile::ModelType>(5);
        }).find("trainer_spec.model_type: must be 1 (unigram), 2 (bpe), 3 (word) or 4 (char); it is 5") !=
        std::string::npos);
  CHECK(error_with([](auto& f) {
          f.pieces[1].type = static_cast<PieceType>(7);
        }).find("pieces.type: must be from 1 to 6; it is 7") != std::string::npos);
  ProtoWriter extension;
  extension.put_bytes(200, "x");
  CHECK(error_with([&](auto& f) {
          f.trainer.rest = extension.bytes();
        }).find("trainer_spec: extensions (fields from 200 on)") != std::string::npos);
}

TEST_CASE("damage to a SentencePiece model is found where it is") {
  const auto error = [](std::string bytes) { return error_of([&] { read_sentencepiece(bytes, "m"); }); };
  CHECK(begins(error({0x0A}), "m: byte 1: the message must not end inside a number"));
  CHECK(begins(error({0x0A, 0x05, 'a'}),
               "m: byte 1: a value must end inside its message; it should have 5 bytes, and 1"));
  CHECK(begins(error("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),
               "m: byte 1: a value must end inside its message"));
  CHECK(begins(error("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01"),
               "m: byte 1: a number must have at most 10"));
  CHECK(begins(error({0x02, 0x00}), "m: byte 0: a field must have a number from 1"));
  CHECK(begins(error({0x0F}), "m: byte 0: a field must have one of the known wire types"));
  CHECK(begins(error({0x0C}), "m: byte 0: a field must have one of the known wire types"));
  CHECK(begins(error({0x4B, 0x08}), "m: byte 2: the message must not end inside a number"));
  CHECK(begins(error({0x4B}), "m: byte 1: a group must end inside its message"));
  CHECK(begins(error(std::string(200, 0x4B)), "m: byte 101: groups must not be nested deeper than 100"));
  CHECK(begins(error({0x08, 0x01}), "m: byte 0, pieces: must be a string of bytes; it is a varint"));
  CHECK(begins(error({0x0A, 0x02, 0x08, 0x01}), "m: byte 2, pieces.piece: must be a string of bytes"));
  CHECK(begins(error("\x12\x06\x20\xFF\xFF\xFF\xFF\x7F"),
               "m: byte 2, trainer_spec.vocab_size: must be an integer of 32"));

  // However a model is cut or changed, the result is a model or an error.
  const std::string bytes = write_sentencepiece(small_model());
  for (size_t length = 0; length < bytes.size(); ++length) {
    error_of([&] { read_sentencepiece(std::string_view(bytes).substr(0, length), "m"); });
  }
  std::mt19937_64 random(5);
  for (int i = 0; i < 20000; ++i) {
    std::string changed = bytes;
    for (int k = 0; k < 3; ++k) changed[random() % changed.size()] = static_cast<char>(random());
    error_of([&] { read_sentencepiece(changed, "m"); });
  }
}

TEST_CASE("tiktoken ranks that are written and read are the same") {
  const std::string text = ranks() + base64_encode("ab") + " 256\n" + base64_encode(" the") + " 300\n";
  const TiktokenFile file = read_tiktoken(text, "t");
  CHECK(file.tokens.size() == 301);
  CHECK(file.count() == 258);
  CHECK(file.tokens[300] == " the");
  CHECK(file.tokens[299].empty());
  CHECK(file.tokens[0] == std::string(1, '\0'));
  CHECK(write_tiktoken(file) == text);
  CHECK(detect_tokenizer_format(text, "t") == TokenizerFormat::tiktoken);
  // In any order, with other line ends and empty lines.
  CHECK(read_tiktoken("IHRoZQ== 300\r\n\r\nYWI= 256\n" + ranks(), "t").tokens == file.tokens);
}

TEST_CASE("tiktoken files that cannot be used are refused with their line") {
  const auto error = [](const std::string& text) { return error_of([&] { read_tiktoken(text, "t"); }); };
  CHECK(begins(error(ranks() + "YWI="), "t: line 257: must be a token in base64, a space and its rank"));
  CHECK(begins(error(ranks() + "YWI 256"), "t: line 257: the token must be written in base64"));
  CHECK(begins(error(ranks() + " 256"), "t: line 257: the token must be written in base64"));
  for (const char* rank : {"-1", "x", "", "256 ", "2147483648", "1.0"}) {
    CHECK(begins(error(ranks() + "YWI= " + rank), "t: line 257: the rank must be an integer from 0"));
  }
  CHECK(begins(error(ranks() + "YWI= 256\nYWI= 257\n"),
               "t: line 258: each token may stand once; this one is also in line 257"));
  CHECK(begins(error(ranks() + "YWI= 7\n"), "t: line 257: each rank may stand once; 7 is also in line 8"));
  CHECK(begins(error(ranks() + "YWI= 2000000000\n"),
               "t: line 257: at least every second rank must have a token"));
  CHECK(begins(error(ranks(1)),
               "t: each of the 256 bytes must be a token, so that any text can be encoded; 0x00"));
  CHECK(begins(error(""), "t: each of the 256 bytes must be a token"));
}

TEST_CASE("published tiktoken encodings are known by name and by their ranks") {
  const std::vector<std::pair<std::string, int32_t>> expected = {
      {"gpt2", 50257},         {"r50k_base", 50257},   {"p50k_base", 50257},     {"p50k_edit", 50284},
      {"cl100k_base", 100277}, {"o200k_base", 200019}, {"o200k_harmony", 201088}};
  REQUIRE(tiktoken_encodings().size() == expected.size());
  for (const auto& [name, ids] : expected) {
    const TiktokenEncoding* encoding = find_tiktoken_encoding(name);
    REQUIRE(encoding != nullptr);
    int32_t last = 0;
    for (const auto& [text, id] : encoding->special_tokens) {
      CHECK((id >= encoding->count - 24 && !text.empty()));
      last = std::max(last, id);
    }
    CHECK(last + 1 == ids);
  }
  CHECK(find_tiktoken_encoding("o200k_harmony")->special_tokens.size() == 1091);
  CHECK(find_tiktoken_encoding("other") == nullptr);

  TiktokenFile file;
  for (int i = 0; i < 100256; ++i) file.tokens.push_back("?" + std::to_string(i));
  CHECK(recognise_tiktoken(file).empty());
  file.tokens[10000] = ".grid";
  file.tokens[50280] = " Kashmir";
  CHECK(recognise_tiktoken(file).empty());
  file.tokens[100255] = " Conveyor";
  REQUIRE(recognise_tiktoken(file).size() == 1);
  CHECK(recognise_tiktoken(file)[0]->name == "cl100k_base");
  file.tokens.emplace_back("x");
  CHECK(recognise_tiktoken(file).empty());
}

TEST_CASE("a vocab.txt has a token a line") {
  const std::vector<std::string> tokens = {"[PAD]", "[UNK]", "the", "##s", "\u00E9", " x "};
  const std::string text = "[PAD]\n[UNK]\nthe\n##s\n\u00E9\n x \n";
  CHECK(write_vocab_txt(tokens) == text);
  CHECK(read_vocab_txt(text, "v") == tokens);
  CHECK(read_vocab_txt("[PAD]\r\n[UNK]\r\nthe\r\n##s\r\n\u00E9\r\n x ", "v") == tokens);
  CHECK(read_vocab_txt(text + "\n", "v") == tokens);
  CHECK(detect_tokenizer_format(text, "v") == TokenizerFormat::vocab_txt);
  const auto error = [](const std::string& bad) { return error_of([&] { read_vocab_txt(bad, "v"); }); };
  CHECK(begins(error("a\nb\na\n"), "v: line 3: each token may stand once; \"a\" is also in line 1"));
  CHECK(begins(error("a\n\nb\n"), "v: line 2: a token must not be empty"));
  CHECK(begins(error("a\n\xC3\n"), "v: line 2: a token must be UTF-8"));
  CHECK(begins(error(""), "v: a vocabulary must have tokens"));
  for (const char* token : {"", "a\nb", "a\r"})
    CHECK_THROWS_AS(write_vocab_txt({token}), std::invalid_argument);
}

TEST_CASE("a byte-order mark before a text file is passed over") {
  const std::string mark = "\xEF\xBB\xBF";
  const std::string words = "[PAD]\n[UNK]\nthe\n##s\n";
  CHECK(read_vocab_txt(mark + words, "v") == read_vocab_txt(words, "v"));
  CHECK(detect_tokenizer_format(mark + words, "v") == TokenizerFormat::vocab_txt);
  CHECK_THROWS_WITH(write_vocab_txt({mark + "a", "[UNK]"}),
                    Catch::Matchers::ContainsSubstring("byte-order mark"));
  const std::string bytes = ranks() + "YWI= 256\n";
  CHECK(read_tiktoken(mark + bytes, "t").tokens == read_tiktoken(bytes, "t").tokens);
  CHECK(detect_tokenizer_format(mark + bytes, "t") == TokenizerFormat::tiktoken);
  const std::string vocab = R"({"a":0,"b":1,"ab":2})";
  for (const char* merges : {"#version: 0.2\na b\n", "a b\n"}) {
    CHECK(read_gpt2_files(mark + vocab, "v", mark + merges, "m").merges ==
          read_gpt2_files(vocab, "v", merges, "m").merges);
  }
  CHECK(read_gpt2_files(mark + vocab, "v", "", "m").tokens == read_gpt2_files(vocab, "v", "", "m").tokens);
  CHECK(detect_tokenizer_format(mark + vocab, "v") == TokenizerFormat::vocab_json);

  const testing::TemporaryFolder folder;
  const auto file = [&](const std::string& name, const std::string& contents) {
    write_file_atomic(folder.path() + "/" + name, contents);
    return load_tokenizer(folder.path() + "/" + name);
  };
  CHECK(file("vocab.txt", mark + words).to_json() == file("plain.txt", words).to_json());
  const std::string json = Tokenizer::bytes().to_json();
  CHECK(file("tokenizer.json", mark + json).to_json() == json);
}

TEST_CASE("vocab.json and merges.txt belong together") {
  const std::string vocab = R"({"a":0,"b":1,"\u0120":3,"ab":2,"\u0120ab":5})";
  const std::string merges = "#version: 0.2\na b\n\u0120 ab\n";
  const Gpt2Files files = read_gpt2_files(vocab, "vocab.json", merges, "merges.txt");
  CHECK(files.tokens == std::vector<std::string>{"a", "b", "ab", "\u0120", "", "\u0120ab"});
  CHECK(files.merges == std::vector<std::pair<std::string, std::string>>{{"a", "b"}, {"\u0120", "ab"}});
  CHECK(write_merges_txt(files.merges) == merges);
  CHECK(write_vocab_json(files.tokens) == "{\"a\":0,\"b\":1,\"ab\":2,\"\u0120\":3,\"\u0120ab\":5}");
  CHECK(read_gpt2_files(vocab, "v", "a b\r\n\u0120 ab", "m").merges == files.merges);

  const auto error = [&](const std::string& v, const std::string& m) {
    return error_of([&] { read_gpt2_files(v, "v", m, "m"); });
  };
  CHECK(begins(error(vocab, "a b\na  b\n"), "m: line 2: a merge must be two tokens with one space between"));
  for (const char* line : {"ab", "a ", " b", "a b c", ""}) {
    CHECK(begins(error(vocab, std::string(line) + "\na b\n"), "m: line 1: a merge must be two tokens"));
  }
  CHECK(begins(error(vocab, "a b\nb a\n"),
               "m: line 2: a merge must join two tokens into a token; \"ba\" is none"));
  CHECK(begins(error(vocab, "x b\n"), "m: line 1: a merge must join two tokens into a token; \"x\""));
  CHECK(begins(error(R"({"a":0,"b":0})", ""),
               "v: $.b: each token must have an id of its own; 0 is also that of \"a\""));
  CHECK(begins(error(R"({"a":0,"b":1000008})", ""), "v: $.b: an id must be from 0 to 1000007"));
  CHECK(begins(error(R"({"a":-1})", ""), "v: $.a: an id must be from 0 to 1000003"));
  CHECK(begins(error(R"({"":0})", ""), "v: $[\"\"]: a token must not be empty"));
  CHECK(begins(error("{}", ""), "v: a vocabulary must have tokens"));
  CHECK_THROWS_AS(write_merges_txt({{"a", "b c"}}), std::invalid_argument);
  CHECK_THROWS_AS(write_merges_txt({{"#version", "b"}}), std::invalid_argument);
}

TEST_CASE("what a file holds is told by its contents") {
  const auto detect = [](const std::string& text) { return detect_tokenizer_format(text, "f"); };
  CHECK(detect(R"( {"version":"1.0","added_tokens":[{"content":"\"model\":{"}],"model":{"type":"BPE"}})") ==
        TokenizerFormat::tokenizer_json);
  CHECK(detect(R"({"!":0,"model":1})") == TokenizerFormat::vocab_json);
  CHECK(detect("{\n  \"a\" : 17}") == TokenizerFormat::vocab_json);
  for (const std::string& text :
       {std::string(""), std::string("hello world\n"), std::string("hello\nworld\n"),
        std::string(R"({"model":"gpt2"})"), std::string(R"({"a":{"model":{}}})"), std::string("{"),
        std::string(R"({"model)"), std::string("#version: 0.2\na b\n"), std::string("\n\n[UNK]\n"),
        std::string(3, '\0'), std::string("\x0A\x02\x0A\x00", 4)}) {
    INFO(text);
    CHECK(begins(error_of([&] { detect(text); }),
                 "f: must be one of a tokenizer.json, a SentencePiece .model"));
  }
}

TEST_CASE("a tokenizer is found at a file or in a folder") {
  const testing::TemporaryFolder folder;
  CHECK(error_of([&] { detect_tokenizer(folder.path()); }).find("a folder must hold a tokenizer.json") !=
        std::string::npos);
  write_file_atomic(folder / "vocab.json", R"({"a":0})");
  CHECK(detect_tokenizer(folder / "vocab.json").merges_path.empty());
  write_file_atomic(folder / "merges.txt", "#version: 0.2\n");
  const TokenizerFiles files = detect_tokenizer(folder.path());
  CHECK(files.format == TokenizerFormat::vocab_json);
  CHECK(files.path == folder / "vocab.json");
  CHECK(files.merges_path == folder / "merges.txt");
  write_file_atomic(folder / "tokenizer.model", write_sentencepiece(small_model()));
  CHECK(detect_tokenizer(folder.path()).path == folder / "tokenizer.model");
  CHECK(detect_tokenizer(folder / "tokenizer.model").format == TokenizerFormat::sentencepiece);
}
