#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "tensor/io/json.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/text.hpp"
#include "tokenizer/text/byte_alphabet.hpp"
#include "tokenizer/tokenizer.hpp"

using namespace gradus;
using gradus::testing::replaced;

namespace {

Tokenizer small_bpe() {
  const std::string text =
      "the king and the son of the king\nthe king's son \"\\ \u00E9t\u00E9 \u00E9t\u00E9 \x01\x01 \x01\x01";
  const std::vector<std::string_view> documents = {text};
  return Tokenizer::train_bpe(documents, 270);
}

std::string json_string(std::string_view text) { return Json(text).dump(); }

// A small byte-level file: the 256 bytes as 0 to 255, "ab" 256, "abc" 257, the end of text 258.
std::string bpe_file() {
  std::string vocabulary;
  for (size_t id = 0; id < 256; ++id) {
    const std::string byte(1, static_cast<char>(byte_order()[id]));
    vocabulary += json_string(bytes_to_text(byte)) + ":" + std::to_string(id) + ",";
  }
  return R"({"version":"1.0","truncation":null,"padding":null,)"
         R"("added_tokens":[{"id":258,"content":"<|endoftext|>","single_word":false,"lstrip":false,"rstrip":false,)"
         R"("normalized":true,"special":true}],)"
         R"("normalizer":null,"pre_tokenizer":{"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true},)"
         R"("post_processor":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false},)"
         R"("decoder":{"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true},)"
         R"("model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":"",)"
         R"("end_of_word_suffix":"","fuse_unk":false,"vocab":{)" +
         vocabulary + R"("ab":256,"abc":257,"<|endoftext|>":258},"merges":["a b","ab c"]}})";
}

std::string char_file() { return Tokenizer::train_char("ab\n\u00E9").to_json(); }

std::string read_error(const std::string& json) {
  return testing::error_of([&] { Tokenizer::parse(json, "t.json"); });
}

struct BrokenFile {
  std::string what;
  std::string with;
  std::string error;  // the beginning of it
};

void check_errors(const std::string& file, const std::vector<BrokenFile>& cases) {
  REQUIRE_NOTHROW(Tokenizer::parse(file, "t.json"));
  for (const BrokenFile& broken : cases) {
    const std::string error = read_error(replaced(file, broken.what, broken.with));
    INFO(broken.with);
    CHECK(error.substr(0, broken.error.size()) == broken.error);
  }
}

}  // namespace

TEST_CASE("a tokenizer read back from its file gives the same ids and the same file") {
  std::mt19937_64 random(21);
  const std::string alphabet = "the king's son\n\"\\\u00E9";
  for (const Tokenizer& tokenizer : {Tokenizer::bytes(), Tokenizer::train_char(alphabet), small_bpe()}) {
    const std::string json = tokenizer.to_json();
    const Tokenizer back = Tokenizer::parse(json, "t.json");
    CHECK(back.to_json() == json);
    CHECK(back.kind() == tokenizer.kind());
    CHECK(back.vocab_size() == tokenizer.vocab_size());
    CHECK(back.end_of_text() == tokenizer.end_of_text());
    for (int32_t id = 0; id < tokenizer.vocab_size(); ++id) {
      REQUIRE(back.token_bytes(id) == tokenizer.token_bytes(id));
      REQUIRE(back.token_text(id) == tokenizer.token_text(id));
      REQUIRE(back.id_of(tokenizer.token_text(id)) == id);
    }
    for (int round = 0; round < 200; ++round) {
      std::string text;
      for (size_t i = random() % 80; i > 0; --i) text += alphabet[random() % (alphabet.size() - 2)];
      REQUIRE(back.encode(text) == tokenizer.encode(text));
    }
  }
}

TEST_CASE(
    "a byte without a token in a byte-level vocabulary is the unknown token, or an error that names it") {
  using Ids = std::vector<int32_t>;
  // "A" has no token; "AB" is one that no merge makes.
  const std::string file = replaced(bpe_file(), R"("A":)", R"("AB":)");
  const Tokenizer none = Tokenizer::parse(file, "t.json");
  const int32_t whole = none.id_of("AB").value(), b = none.id_of("B").value(), x = none.id_of("x").value();
  CHECK(none.lossless());
  CHECK(none.encode("abcx") == Ids{257, x});
  CHECK(none.decode(Ids{whole, 257}) == "ABabc");
  for (const std::string text : {"xA", "xAB", "xAAb"}) {
    CHECK(
        testing::error_of([&] { none.encode(text); }) ==
        "encode: every character must be in the vocabulary; 'A' (U+0041) at byte 1 is not, and the tokenizer "
        "has no unknown token; change the text, or use another tokenizer");
  }
  CHECK(Tokenizer::parse(none.to_json(), "t.json").encode("abcx") == Ids{257, x});

  const std::string with_unknown = replaced(file, R"("unk_token":null)", R"("unk_token":"<|endoftext|>")");
  const Tokenizer unknown = Tokenizer::parse(with_unknown, "t.json");
  CHECK_FALSE(unknown.lossless());
  CHECK(unknown.encode("xAAab") == Ids{x, 258, 258, 256});
  CHECK(unknown.encode("AB") == Ids{258, b});
  const std::string longer = std::string(200, 'x') + "A";  // beyond the words that are merged by scanning
  CHECK(unknown.encode(longer).back() == 258);
  CHECK(Tokenizer::parse(replaced(with_unknown, R"("fuse_unk":false)", R"("fuse_unk":true)"), "t.json")
            .encode("xAAabA") == Ids{x, 258, 256, 258});

  check_errors(file,
               {{R"("unk_token":null)", R"("unk_token":"<unk>")",
                 "t.json: $.model.unk_token: must be in the vocabulary; \"<unk>\" is not"},
                {R"("fuse_unk":false)", R"("fuse_unk":false,"byte_fallback":true)",
                 "t.json: $.model.vocab: must hold all 256 bytes, so that any text can be encoded; 0x41, "
                 "written \"A\", is missing; add it"}});
}

TEST_CASE("the file of a tokenizer of characters is a WordLevel model that splits after each character") {
  CHECK(Tokenizer::train_char("b\na").to_json() == R"({
  "version": "1.0",
  "truncation": null,
  "padding": null,
  "added_tokens": [],
  "normalizer": null,
  "pre_tokenizer": {
    "type": "Split",
    "pattern": {
      "Regex": "[\\s\\S]"
    },
    "behavior": "Isolated",
    "invert": false
  },
  "post_processor": null,
  "decoder": {
    "type": "Fuse"
  },
  "model": {
    "type": "WordLevel",
    "vocab": {
      "\n": 0,
      "a": 1,
      "b": 2
    },
    "unk_token": "<unk>"
  }
}
)");
}

TEST_CASE("the file of a BPE says all that the Hugging Face library wants to know") {
  const std::vector<std::string_view> documents = {"ab ab"};
  const Json file = Json::parse(Tokenizer::train_bpe(documents, 258).to_json(), "t.json");
  CHECK(file.at("version").as_string() == "1.0");
  CHECK(file.at("added_tokens").dump() ==
        R"([{"id":257,"content":"<|endoftext|>","single_word":false,"lstrip":false,"rstrip":false,)"
        R"("normalized":false,"special":true}])");
  CHECK(file.at("normalizer").is_null());
  CHECK(file.at("pre_tokenizer").dump() ==
        R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})");
  CHECK(file.at("post_processor").dump() ==
        R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,"use_regex":true})");
  CHECK(file.at("decoder").dump() ==
        R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":true,"use_regex":true})");
  const Json& model = file.at("model");
  CHECK(model.at("type").as_string() == "BPE");
  CHECK(model.at("vocab").as_object().size() == 258);
  CHECK(model.at("vocab").at("\u0120").as_integer() == 220);
  CHECK(model.at("vocab").at("ab").as_integer() == 256);
  CHECK(model.at("vocab").at("<|endoftext|>").as_integer() == 257);
  CHECK(model.at("merges").dump() == R"(["a b"])");
}

TEST_CASE("files as other writers write them are read") {
  const std::vector<int32_t> abc_ab = {257, 220, 256};
  const Tokenizer plain = Tokenizer::parse(bpe_file(), "t.json");
  CHECK(plain.kind() == "bpe:259");
  CHECK(plain.end_of_text() == 258);
  CHECK(plain.encode("abc ab") == abc_ab);
  SECTION("merges as pairs") {
    const std::string file = replaced(bpe_file(), R"(["a b","ab c"])", R"([["a","b"],["ab","c"]])");
    CHECK(Tokenizer::parse(file, "t.json").to_json() == plain.to_json());
  }
  SECTION("a model without its type") {
    CHECK(Tokenizer::parse(replaced(bpe_file(), R"("type":"BPE",)", ""), "t.json").to_json() ==
          plain.to_json());
  }
  SECTION("a special token that only added_tokens lists") {
    const std::string file = replaced(bpe_file(), R"(,"<|endoftext|>":258)", "");
    const Tokenizer other = Tokenizer::parse(file, "t.json");
    CHECK(other.end_of_text() == 258);
    CHECK(other.vocab_size() == 259);
    CHECK(other.encode("abc<|endoftext|> ab", {true}) == std::vector<int32_t>{257, 258, 220, 256});
    CHECK(Tokenizer::parse(other.to_json(), "t.json").to_json() == other.to_json());
  }
  SECTION("no post-processor, settings that say the default") {
    std::string file =
        replaced(bpe_file(), R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false})", "null");
    file = replaced(file, R"("fuse_unk":false)",
                    R"("fuse_unk":false,"byte_fallback":false,"ignore_merges":false)");
    file = replaced(file, R"("trim_offsets":true})", R"("trim_offsets":false,"use_regex":true})");
    const Tokenizer other = Tokenizer::parse(file, "t.json");
    CHECK(other.encode("abc ab") == abc_ab);
    CHECK(other.encode_spans("abc ab") == plain.encode_spans("abc ab"));
    CHECK(Tokenizer::parse(other.to_json(), "t.json").to_json() == other.to_json());
  }
  SECTION("several special tokens, of which the leftmost is found, and of several at one place the longest") {
    const std::string more =
        R"("added_tokens":[{"id":260,"content":"<|endoftext|>!","special":true,"normalized":true},)"
        R"({"id":259,"content":"<|end","special":true,"normalized":true},)";
    const Tokenizer three = Tokenizer::parse(replaced(bpe_file(), R"("added_tokens":[)", more), "t.json");
    CHECK(three.vocab_size() == 261);
    CHECK(three.encode("<|end<|endoftext|><|endoftext|>!", {true}) == std::vector<int32_t>{259, 258, 260});
    for (const int32_t id : {257, 258, 259, 260}) CHECK(three.is_special(id) == (id > 257));
    CHECK(Tokenizer::parse(three.to_json(), "t.json").to_json() == three.to_json());
  }
  SECTION("a token that only looks special is ordinary where added_tokens does not list it") {
    std::string file = bpe_file();
    const size_t from = file.find(R"({"id":258)");
    file.erase(from, file.find("]", from) - from);
    const Tokenizer ordinary = Tokenizer::parse(file, "t.json");
    CHECK_FALSE(ordinary.end_of_text().has_value());
    CHECK_FALSE(ordinary.is_special(258));
    CHECK(ordinary.encode("<|endoftext|>", {true}).size() == 13);
  }
  SECTION("ids in any order") {
    std::string file = replaced(bpe_file(), R"("ab":256)", R"("ab":257)");
    file = replaced(file, R"("abc":257)", R"("abc":256)");
    CHECK(Tokenizer::parse(file, "t.json").encode("abc ab") == std::vector<int32_t>{256, 220, 257});
  }
  SECTION("a vocabulary that never learned anything but bytes is of the kind byte") {
    std::string file = replaced(bpe_file(), R"(,"ab":256,"abc":257,"<|endoftext|>":258)", "");
    file = replaced(file, R"("merges":["a b","ab c"])", R"("merges":[])");
    const size_t from = file.find(R"({"id":258)");
    file.erase(from, file.find("]", from) - from);
    CHECK(Tokenizer::parse(file, "t.json").kind() == "byte");
    CHECK(Tokenizer::parse(file, "t.json").encode("!") == std::vector<int32_t>{0});
  }
}

TEST_CASE("what would change a result and is not known is refused by its place in the file") {
  check_errors(
      bpe_file(),
      {{R"("version":"1.0")", R"("version":"2.0")",
        R"(t.json: $.version: must be "1.0"; it is "2.0"; no other is supported)"},
       {R"("truncation":null)", R"("truncation":{"max_length":4})",
        "t.json: $.truncation: must have the key"},
       {R"("padding":null)", R"("padding":{})", "t.json: $.padding: must have the key"},
       {R"("normalizer":null)", R"("normalizer":{"type":"ByteLevel"})", "t.json: $.normalizer"},
       {R"("normalizer":null)", R"("normalizer":{"type":"NFQ"})", "t.json: $.normalizer"},
       {R"("padding":null)", R"("padding":null,"extra":1)",
        "t.json: $.extra: must be a key with a known meaning; this one is not and could change the result; "
        "remove it if it says nothing"},
       {R"("type":"BPE")", R"("type":"Unigram")",
        "t.json: $.model: the model must be a BPE after the pre-tokenizer ByteLevel; it is \"Unigram\""},
       {R"("dropout":null)", R"("dropout":0.1)", "t.json: $.model.dropout: must be null or 0"},
       {R"("continuing_subword_prefix":"")", R"("continuing_subword_prefix":"##")",
        "t.json: $.model.merges[0]: the second token of a merge must begin with \"##\""},
       {R"("fuse_unk":false)", R"("cache":1)", "t.json: $.model.cache: must be a key with a known meaning"},
       {R"("pre_tokenizer":{"type":"ByteLevel")", R"("pre_tokenizer":{"type":"UnicodeScripts")",
        "t.json: $.pre_tokenizer"},
       {R"("trim_offsets":true})", R"("trim_offsets":true,"use_grep":false})", "t.json: $.pre_tokenizer"},
       {R"("post_processor":{"type":"ByteLevel")", R"("post_processor":{"type":"TemplateProcessing")",
        "t.json: $.post_processor"},
       {R"("decoder":{"type":"ByteLevel")", R"("decoder":{"type":"Nothing")", "t.json: $.decoder"},
       {R"("rstrip":false)", R"("rank":0)",
        "t.json: $.added_tokens[0].rank: must be a key with a known meaning"},
       {R"("added_tokens":[)", R"("added_tokens":[{"id":258,"content":"<|x|>","special":true},)",
        "t.json: $.added_tokens[0].id: each token must have an id of its own; 258 is also that of"},
       {R"("added_tokens":[)", R"("added_tokens":[{"id":99000000,"content":"<|x|>","special":true},)",
        "t.json: $.added_tokens[0].id: an id must be from 0 to "}});
  // A vocabulary of characters that is used otherwise is one of words.
  for (const auto& [what, with] : std::vector<std::pair<std::string, std::string>>{
           {R"("Isolated")", R"("Removed")"}, {R"("unk_token": "<unk>")", R"("unk_token": "a")"}}) {
    CHECK(Tokenizer::parse(char_file(), "t.json").kind() == "char");
    CHECK(Tokenizer::parse(replaced(char_file(), what, with), "t.json").kind() == "words:4");
  }
}

TEST_CASE("a broken file is an error that says where") {
  check_errors(
      bpe_file(),
      {{R"("ab":256)", R"("ab":3000000)",
        "t.json: $.model.vocab.ab: an id must be from 0 to 1001035 in a vocabulary of 259 tokens; it is "
        "3000000; "
        "number the tokens again"},
       {R"("ab":256)", R"("ab":-1)", "t.json: $.model.vocab.ab: an id must be from 0 to "},
       {R"("ab":256)", R"("ab":255)",
        "t.json: $.model.vocab.ab: each token must have an id of its own; 255 is also that of \"\u0143\"; "
        "number the tokens "
        "again"},
       {R"("ab":256)", R"("ab":"x")", "t.json: $.model.vocab.ab: must be an integer"},
       {R"("ab":256)", R"("":256)",
        R"(t.json: $.model.vocab[""]: a token must not be empty; this one is; remove it)"},
       {R"("id":258)", R"("id":257)",
        "t.json: $.added_tokens[0].id: an added token must have the id that the vocabulary gives it, 258; it "
        "is 257; correct "
        "one of them"},
       {R"("added_tokens":[)",
        R"("added_tokens":[{"id":259,"content":"<|endoftext|>","special":true,"normalized":true},)",
        "t.json: $.added_tokens[0].id: an added token must have the id that the vocabulary gives it, 258"},
       {R"("added_tokens":[)",
        R"("added_tokens":[{"id":258,"content":"<|endoftext|>","special":true,"normalized":true},)",
        "t.json: $.added_tokens[1].content: a token may be added once; \"<|endoftext|>\" stands here again; "
        "remove one"},
       {R"("ab c"])", R"("ab x"])",
        "t.json: $.model.merges[1]: a merge must name tokens of the vocabulary and make one; \"abx\" is not "
        "in it; add the "
        "token or remove the merge"},
       {R"("ab c"])", R"("abb c"])",
        "t.json: $.model.merges[1]: a merge must name tokens of the vocabulary and make one; "
        "\"abb\" is not in it;"},
       {R"("ab c"])", R"("a b"])",
        "t.json: $.model.merges[1]: a merge may stand in the list once; this one stands at 0 too; remove "
        "one"},
       {R"("ab c"])", R"("abc"])",
        "t.json: $.model.merges[1]: must be two tokens with one space between; it is \"abc\"; no other is "
        "supported"},
       {R"("ab c"])", R"(["ab"]])", "t.json: $.model.merges[1]: must be a pair of tokens; it is [\"ab\"];"},
       {R"("merges":)", R"("merged":)", "t.json: $.model.merged: must be a key with a known meaning"},
       {R"(,"merges":["a b","ab c"])", "", "t.json: $.model: must have the key \"merges\"; there is none"},
       {R"("ab":256)", R"("a":256)", "t.json: $.model.vocab.a (line 1, column "}});
  check_errors(char_file(),
               {{R"("a": 1)", R"("a": 0)",
                 "t.json: $.model.vocab.a: each token must have an id of its own; 0 is also that of"}});
  CHECK(read_error("").find("t.json: ") == 0);
  CHECK(read_error("[]").find("t.json: $: must be an object") == 0);
  CHECK(read_error("{}").find("t.json: $: must have the key \"version\"") == 0);
  CHECK(read_error(bpe_file().substr(0, 1000)).find("t.json: $") == 0);
}

TEST_CASE("a tokenizer saves to a file and loads from it") {
  const auto path = std::filesystem::temp_directory_path() / "gradus_tokenizer_json_test.json";
  std::filesystem::remove(path);
  small_bpe().save(path.string());
  CHECK(Tokenizer::load(path.string()).to_json() == small_bpe().to_json());
  Tokenizer::bytes().save(path.string());  // takes the place of the other
  CHECK(Tokenizer::load(path.string()).kind() == "byte");
  std::ofstream(path) << R"({"model":{}})";
  CHECK(testing::error_of([&] { Tokenizer::load(path.string()); }) ==
        path.string() + ": $: must have the key \"version\"; there is none");
  std::filesystem::remove(path);
  CHECK_THROWS_AS(Tokenizer::load(path.string()), std::runtime_error);
}
