#include "tokenizer/stages/decoders.hpp"
#include "tests/support/error_of.hpp"

#include <string>
#include <vector>

#include "tests/support/catch.hpp"

using namespace gradus;

namespace {

std::shared_ptr<const Decoder> parse(const std::string& json) {
  return read_decoder(Json::parse(json, "t.json"));
}

// Expected texts come from the Hugging Face library 0.22.2, but for bytes that are not UTF-8.
std::string decoded(const std::string& json, std::vector<std::string> tokens,
                    InvalidUtf8 invalid = InvalidUtf8::keep) {
  return parse(json)->decode(std::move(tokens), invalid);
}

const std::string kByteLevel =
    R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})";
const std::string kLlama =
    R"({"type":"Sequence","decoders":[{"type":"Replace","pattern":{"String":"▁"},"content":" "},)"
    R"({"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1,"stop":0}]})";

std::string wordpiece(bool cleanup) {
  return std::string(R"({"type":"WordPiece","prefix":"##","cleanup":)") + (cleanup ? "true}" : "false}");
}

std::string metaspace(const std::string& scheme) {
  return R"({"type":"Metaspace","replacement":"▁","prepend_scheme":")" + scheme + R"(","split":true})";
}

std::string read_error(const std::string& json) {
  return testing::error_of([&] { parse(json); });
}

}  // namespace

TEST_CASE("byte-level tokens become their bytes, other tokens stay") {
  CHECK(decoded(kByteLevel, {"\u0120king", "\u010A", "\u00C3", "\u00A9"}) == " king\n\u00E9");
  CHECK(decoded(kByteLevel, {"<日本>", "\u0120a"}) == "<日本> a");
  CHECK(decoded(kByteLevel, {}).empty());
}

TEST_CASE("bytes that are not UTF-8 are kept, or replaced where asked") {
  const std::vector<std::string> half = {"\u00E6", "\u0139", "a",
                                         "\u00FF", "\u00F0", "\u0141"};  // E6 97 'a' FF F0 9F
  CHECK(decoded(kByteLevel, half) ==
        "\xE6\x97"
        "a\xFF\xF0\x9F");
  CHECK(decoded(kByteLevel, half, InvalidUtf8::replace) == "\uFFFDa\uFFFD\uFFFD");
  const std::string fallback = R"({"type":"ByteFallback"})";
  CHECK(decoded(fallback, {"<0xE6>", "<0x97>", "<0xA5>", "x"}, InvalidUtf8::replace) == "日x");
  CHECK(decoded(fallback, {"<0xE6>", "<0x97>", "x"}) == "\xE6\x97x");
  CHECK(decoded(fallback, {"<0xE6>", "<0x97>", "x", "<0x41>"}, InvalidUtf8::replace) == "\uFFFD\uFFFDxA");
  CHECK(decoded(fallback, {"<0xe6>", "<0x2g>", "<0x411>"}) == "\xE6<0x2g><0x411>");
}

TEST_CASE("word pieces are joined at their prefix") {
  CHECK(decoded(wordpiece(false), {"##un", "##aff", "able", "."}) == "##unaff able .");
  CHECK(decoded(wordpiece(true), {"do", "n't", "he", "'", "s", ".", "do not"}) == "don't he ' s. don't");
}

TEST_CASE("Metaspace turns its character into spaces, but not in the first token") {
  CHECK(decoded(metaspace("always"), {"▁a▁", "▁b", "c▁▁"}) == "a bc  ");
  CHECK(decoded(metaspace("first"), {"▁a", "▁b"}) == "a b");
  CHECK(decoded(metaspace("never"), {"▁a", "▁b"}) == " a b");
  CHECK(decoded(R"({"type":"Metaspace","replacement":"▁","add_prefix_space":false})", {"▁a"}) == " a");
  CHECK(decoded(R"({"type":"Metaspace","replacement":"▁","add_prefix_space":true})", {"▁a"}) == "a");
}

TEST_CASE("the other decoders do what their names say") {
  CHECK(decoded(R"({"type":"Replace","pattern":{"String":"ab"},"content":"b"})", {"aab", "b", "abab"}) ==
        "abbbb");
  CHECK(decoded(R"({"type":"Strip","content":"x","start":2,"stop":1})", {"xxxax", "xbxx", "x"}) == "xabx");
  CHECK(decoded(R"({"type":"BPEDecoder","suffix":"</w>"})", {"lo", "w</w>", "er</w>"}) == "low er");
  CHECK(decoded(R"({"type":"BPEDecoder","suffix":"</w>"})", {}).empty());
  CHECK(decoded(R"({"type":"CTC","pad_token":"<pad>","word_delimiter_token":"|","cleanup":true})",
                {"<pad>", "h", "h", "<pad>", "h", "|", "|", "<pad>", "|", "i"}) == "hh  i");
  CHECK(decoded(kLlama, {"▁▁a", "▁b", "<0xE6>", "<0x97>", "<0xA5>"}) == " a b日");
  CHECK(decoded(R"({"type":"Sequence","decoders":[]})", {"a", "b"}) == "ab");
  CHECK(read_decoder(Json()) == nullptr);
}

TEST_CASE("what a token adds to a text is the same as decoding it there") {
  const std::vector<std::string> tokens = {"▁a", "##b", "▁", "<0xE6>", "<0x97>", " .", "\u0120x", "▁▁c"};
  const std::vector<std::string> with_pieces = {
      kByteLevel,
      wordpiece(true),
      metaspace("always"),
      kLlama,
      R"({"type":"ByteFallback"})",
      R"({"type":"Strip","content":" ","start":3,"stop":0})",
      R"({"type":"Sequence","decoders":[{"type":"ByteFallback"},)" + metaspace("never") + "]}"};
  for (const std::string& json : with_pieces) {
    const auto decoder = parse(json);
    INFO(json);
    if (!decoder->text_inside("x")) {
      CHECK(json == with_pieces.back());
      continue;
    }
    std::string text = decoder->decode({tokens[0]});
    for (size_t i = 1; i < tokens.size(); ++i) text += *decoder->text_inside(tokens[i]);
    CHECK(text == decoder->decode(tokens));
  }
  CHECK(parse(kLlama)->text_inside("▁king") == " king");
}

TEST_CASE("what a token adds is not told where its neighbours change it") {
  const std::string strip_two = R"({"type":"Strip","content":" ","start":2,"stop":0})";
  const std::string strip_one = R"({"type":"Strip","content":" ","start":1,"stop":0})";
  const std::string fuse = R"({"type":"Fuse"})";
  const auto sequence = [](const std::string& a, const std::string& b, const std::string& c) {
    return R"({"type":"Sequence","decoders":[)" + a + "," + b + "," + c + "]}";
  };
  for (const std::string& json : {
           std::string(R"({"type":"BPEDecoder","suffix":"</w>"})"),
           std::string(R"({"type":"CTC","pad_token":"p","word_delimiter_token":"|","cleanup":true})"),
           sequence(metaspace("never"), fuse, strip_two),
           sequence(metaspace("always"), fuse, strip_one),
           sequence(fuse, strip_one, strip_one),
           sequence(fuse, fuse, metaspace("never")),
       }) {
    INFO(json);
    CHECK(!parse(json)->text_inside("x").has_value());
  }
  CHECK(parse(sequence(metaspace("never"), fuse, strip_one))->text_inside("x").has_value());
}

TEST_CASE("decoders are written as they were read") {
  for (const std::string& json : {kByteLevel, kLlama, wordpiece(true), metaspace("first")}) {
    CHECK(parse(json)->to_json().dump() == json);
  }
}

TEST_CASE("decoders that cannot be followed exactly are refused") {
  CHECK(read_error(R"({"type":"Other"})").starts_with("t.json: $.type: must be a known decoder"));
  CHECK(
      read_error(R"({"type":"Fuse","x":1})").starts_with("t.json: $.x: must be a key with a known meaning"));
  CHECK(read_error(R"({"type":"Replace","pattern":{"Regex":"a+"},"content":""})")
            .starts_with("t.json: $.pattern.Regex: must be a pattern of the kind String"));
  CHECK(read_error(R"({"type":"Replace","pattern":{"String":""},"content":""})").find("not empty") !=
        std::string::npos);
  CHECK(read_error(R"({"type":"BPEDecoder","suffix":""})").find("not empty") != std::string::npos);
  CHECK(read_error(R"({"type":"Strip","content":"ab","start":1,"stop":0})").find("one character") !=
        std::string::npos);
  CHECK(read_error(R"({"type":"Strip","content":"a","start":-1,"stop":0})").find("must be from 0") !=
        std::string::npos);
  CHECK(read_error(
            R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"first","add_prefix_space":false})")
            .find("prepend_scheme: must be \"never\" where") != std::string::npos);
  CHECK(read_error(R"({"type":"Metaspace","replacement":"▁","prepend_scheme":"last"})")
            .find("must be \"first\"") != std::string::npos);
  CHECK(read_error(R"({"type":"Sequence","decoders":[{"type":"X"}]})")
            .starts_with("t.json: $.decoders[0].type"));
}
