#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/io/json.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tokenizer/stages/pre_tokenizers.hpp"
#include "tokenizer/stages/splitters.hpp"

using namespace gradus;

namespace {

std::shared_ptr<const PreTokenizer> read(const std::string& json) {
  return read_pre_tokenizer(Json::parse(json, "t.json"));
}

PreTokenized applied(const PreTokenizer& step, std::string_view text, bool aligned = false) {
  PreTokenized result{AlignedText(text, 0, aligned), {}};
  if (!text.empty()) result.words.push_back({0, static_cast<uint32_t>(text.size())});
  step.apply(result);
  return result;
}

using Words = std::vector<std::string>;

Words words_of(const std::string& json, std::string_view text) {
  const PreTokenized result = applied(*read(json), text);
  Words words;
  for (const ByteSpan word : result.words) {
    REQUIRE(word.begin < word.end);
    words.emplace_back(result.text.text().substr(word.begin, word.end - word.begin));
  }
  return words;
}

std::string split(const std::string& pattern, const std::string& behavior, bool invert = false) {
  return R"({"type":"Split","pattern":)" + pattern + R"(,"behavior":")" + behavior + R"(","invert":)" +
         (invert ? "true}" : "false}");
}

std::string sequence(const std::string& steps) {
  return R"({"type":"Sequence","pretokenizers":[)" + steps + "]}";
}

std::string regex(std::string_view pattern) { return Json::object({{"Regex", pattern}}).dump(); }

constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr auto kByteLevel =
    R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":true})";
constexpr auto kOnlyBytes =
    R"({"type":"ByteLevel","add_prefix_space":false,"trim_offsets":true,"use_regex":false})";
constexpr auto kPrefixed =
    R"({"type":"ByteLevel","add_prefix_space":true,"trim_offsets":false,"use_regex":true})";

std::string metaspace(const std::string& rest) {
  return R"({"type":"Metaspace","replacement":"▁")" + rest + "}";
}

std::string read_error(const std::string& json) {
  return testing::error_of([&] { read(json); });
}

}  // namespace

// The table of the Hugging Face library's own documentation.
TEST_CASE("the behaviors of Split keep, drop or join what matches") {
  const std::string dash = R"({"String":"-"})";
  const std::string text = "the-final--countdown";
  CHECK(words_of(split(dash, "Removed"), text) == Words{"the", "final", "countdown"});
  CHECK(words_of(split(dash, "Isolated"), text) == Words{"the", "-", "final", "-", "-", "countdown"});
  CHECK(words_of(split(dash, "MergedWithPrevious"), text) == Words{"the-", "final-", "-", "countdown"});
  CHECK(words_of(split(dash, "MergedWithNext"), text) == Words{"the", "-final", "-", "-countdown"});
  CHECK(words_of(split(dash, "Contiguous"), text) == Words{"the", "-", "final", "--", "countdown"});
  CHECK(words_of(split(dash, "Removed", true), text) == Words{"-", "-", "-"});
  CHECK(words_of(split(dash, "MergedWithPrevious", true), text) == Words{"the", "-final", "-", "-countdown"});
  CHECK(words_of(split(dash, "Isolated"), "--a-") == Words{"-", "-", "a", "-"});
  CHECK(words_of(split(R"({"String":""})", "Isolated"), "aé") == Words{"a", "é"});
}

TEST_CASE("Split at a known pattern takes the splitter under every behavior") {
  const std::string text = "it's 12\n";
  const Words all = {"it", "'s", " ", "1", "2", "\n"};
  for (const char* behavior : {"Isolated", "MergedWithPrevious", "MergedWithNext"})
    for (const bool invert : {false, true})
      CHECK(words_of(split(regex(kQwen2), behavior, invert), text) == all);
  CHECK(words_of(split(regex(kQwen2), "Removed", true), text) == all);
  CHECK(words_of(split(regex(kQwen2), "Removed"), text).empty());
  CHECK(words_of(split(regex(kQwen2), "Contiguous"), text) == Words{text});
}

TEST_CASE("Split at any other pattern takes PCRE2") {
  CHECK(words_of(split(regex("\\s+"), "Removed"), " a  b\u3000c") == Words{"a", "b", "c"});
  CHECK(words_of(split(regex("\\s+"), "MergedWithNext"), "a  b c") == Words{"a", "  b", " c"});
  CHECK(words_of(split(regex("(?=c)"), "Isolated"), "abcc") == Words{"ab", "c", "c"});
}

TEST_CASE("ByteLevel cuts by the GPT-2 rule and may put a space in front") {
  CHECK(words_of(kByteLevel, "a b's") == Words{"a", " b", "'s"});
  CHECK(words_of(kOnlyBytes, "a b's") == Words{"a b's"});
  CHECK(words_of(kPrefixed, "a b") == Words{" a", " b"});
  CHECK(words_of(kPrefixed, " a") == Words{" a"});
  CHECK(words_of(kPrefixed, "") == Words{});
  CHECK(words_of(sequence(R"({"type":"Punctuation"},)" + std::string(kPrefixed)), "a,b c") ==
        Words{" a", " ,", " b", " c"});
  CHECK(read(kByteLevel)->byte_level());
  CHECK(read(sequence(kOnlyBytes))->byte_level());
  CHECK_FALSE(read(sequence(R"({"type":"Whitespace"})"))->byte_level());
}

TEST_CASE("Metaspace makes spaces visible and cuts before them") {
  CHECK(words_of(metaspace(""), "Hey you  x") == Words{"▁Hey", "▁you", "▁", "▁x"});
  CHECK(words_of(metaspace(R"(,"prepend_scheme":"never","split":true)"), "a b") == Words{"a", "▁b"});
  CHECK(words_of(metaspace(R"(,"prepend_scheme":"always","split":false)"), "a b") == Words{"▁a▁b"});
  CHECK(words_of(metaspace(""), " a") == Words{"▁a"});
  CHECK(words_of(metaspace(""), "▁a") == Words{"▁a"});
  CHECK(words_of(metaspace(R"(,"add_prefix_space":true,"str_rep":"▁")"), "a") == Words{"▁a"});
  CHECK(words_of(metaspace(R"(,"add_prefix_space":false)"), "a") == Words{"a"});

  const std::string first = metaspace(R"(,"prepend_scheme":"first")");
  const std::string always = metaspace(R"(,"prepend_scheme":"always")");
  CHECK(words_of(sequence(R"({"type":"WhitespaceSplit"},)" + first), "a b") == Words{"▁a", "b"});
  CHECK(words_of(sequence(R"({"type":"WhitespaceSplit"},)" + first), " a b") == Words{"a", "b"});
  CHECK(words_of(sequence(R"({"type":"WhitespaceSplit"},)" + always), "a b") == Words{"▁a", "▁b"});
  PreTokenized later{AlignedText("a", 5, false), {{0, 1}}};
  read(first)->apply(later);
  CHECK(later.text.text() == "a");
}

TEST_CASE("what is put in front of a word stands for its first character") {
  const PreTokenized result = applied(*read(metaspace("")), "é b", true);
  REQUIRE(result.words.size() == 2);
  CHECK(result.text.original(result.words[0]) == TextRange{0, 2});
  CHECK(result.text.original(result.words[1]) == TextRange{2, 4});
  CHECK(result.text.original({0, 3}) == TextRange{0, 2});
}

TEST_CASE("the steps that cut at kinds of characters") {
  const std::string text = "Hé, you_2\u00B2 \u2014ok\u3000\u24B6\u200D!";
  CHECK(words_of(R"({"type":"Whitespace"})", text) ==
        Words{"Hé", ",", "you_2", "\u00B2", "\u2014", "ok", "\u24B6\u200D", "!"});
  CHECK(words_of(R"({"type":"WhitespaceSplit"})", text) ==
        Words{"Hé,", "you_2\u00B2", "\u2014ok", "\u24B6\u200D!"});
  CHECK(words_of(R"({"type":"BertPreTokenizer"})", text) ==
        Words{"Hé", ",", "you", "_", "2\u00B2", "\u2014", "ok", "\u24B6\u200D", "!"});
  CHECK(words_of(R"({"type":"Digits","individual_digits":true})", "a12\u00BDb") ==
        Words{"a", "1", "2", "\u00BD", "b"});
  CHECK(words_of(R"({"type":"Digits","individual_digits":false})", "a12\u00BDb") ==
        Words{"a", "12\u00BD", "b"});
  CHECK(words_of(R"({"type":"Punctuation"})", "a$!b") == Words{"a", "$", "!", "b"});
  CHECK(words_of(R"({"type":"Punctuation","behavior":"Contiguous"})", "a$!b") == Words{"a", "$!", "b"});
  CHECK(words_of(R"({"type":"CharDelimiterSplit","delimiter":"é"})", "aébéé") == Words{"a", "b"});
  CHECK(words_of(R"({"type":"FixedLength","length":2})", "aébcd") == Words{"aé", "bc", "d"});
}

// Its table of punctuation is of Unicode 8.
TEST_CASE("punctuation is what the Hugging Face library takes for it") {
  const std::string punctuation = R"({"type":"Punctuation","behavior":"Removed"})";
  CHECK(words_of(punctuation, "a\u166Db\U000111C9c\u2E42d") == Words{"a", "b", "c", "d"});
  CHECK(words_of(punctuation, "a\u2E43b") == Words{"a\u2E43b"});
}

TEST_CASE("a sequence goes on with the words of the step before") {
  const std::string starcoder =
      sequence(R"({"type":"Digits","individual_digits":true},)" + std::string(kByteLevel));
  CHECK(words_of(starcoder, "x 12 y") == Words{"x", " ", "1", "2", " y"});
  CHECK(words_of(sequence(""), "a b") == Words{"a b"});
}

TEST_CASE("a step that one pass does can be asked for its function") {
  CHECK(read(kByteLevel)->word_end() == gpt2_word_end);
  CHECK(read(kPrefixed)->word_end() == nullptr);
  CHECK(read(kOnlyBytes)->word_end() == nullptr);
  const std::string known = split(regex(kQwen2), "Isolated");
  CHECK(read(known)->word_end() == qwen2_word_end);
  CHECK(read(split(regex(kQwen2), "Removed", true))->word_end() == qwen2_word_end);
  CHECK(read(split(regex(kQwen2), "Removed"))->word_end() == nullptr);
  CHECK(read(split(regex(kQwen2), "Contiguous"))->word_end() == nullptr);
  CHECK(read(sequence(known + "," + kOnlyBytes))->word_end() == qwen2_word_end);
  CHECK(read(sequence(sequence(known) + "," + kOnlyBytes))->word_end() == qwen2_word_end);
  CHECK(read(sequence(known + "," + kByteLevel))->word_end() == nullptr);
  CHECK(read(R"({"type":"Digits","individual_digits":true})")->word_end() == nullptr);
}

TEST_CASE("a pre-tokenizer is written as it was read") {
  for (const std::string& json : {
           std::string(kByteLevel),
           std::string(kPrefixed),
           split(regex(kQwen2), "MergedWithNext", true),
           split(R"({"String":" "})", "Removed"),
           metaspace(R"(,"prepend_scheme":"first","split":false)"),
           std::string(R"({"type":"BertPreTokenizer"})"),
           std::string(R"({"type":"Whitespace"})"),
           std::string(R"({"type":"WhitespaceSplit"})"),
           std::string(R"({"type":"Digits","individual_digits":true})"),
           std::string(R"({"type":"Punctuation","behavior":"Contiguous"})"),
           std::string(R"({"type":"CharDelimiterSplit","delimiter":"x"})"),
           std::string(R"({"type":"FixedLength","length":5})"),
           sequence(std::string(R"({"type":"Whitespace"},)") + kOnlyBytes),
       })
    CHECK(read(json)->to_json().dump() == json);
  CHECK(read("null") == nullptr);
  CHECK(read(metaspace(""))->to_json().dump() == metaspace(R"(,"prepend_scheme":"always","split":true)"));
}

TEST_CASE("mistakes in a pre-tokenizer are errors with their place") {
  CHECK(read_error(R"({"type":"UnicodeScripts"})").substr(0, 50) ==
        "t.json: $.type: the pre-tokenizer must be Sequence");
  CHECK(read_error(R"({"type":"Whitespace","x":1})") ==
        "t.json: $.x: must be a key with a known meaning; this one is not and could change the result; "
        "remove it if it says nothing");
  CHECK(read_error(R"({"type":"FixedLength","length":0})") ==
        "t.json: $: the length must be at least 1; found 0");
  CHECK(read_error(split(R"({"String":"a"})", "Merged")).substr(0, 35) ==
        "t.json: $.behavior: the behavior mu");
  CHECK(read_error(split(R"({"Glob":"a"})", "Removed")).substr(0, 33) == "t.json: $.pattern.Glob: must be a");
  CHECK(read_error(R"({"type":"CharDelimiterSplit","delimiter":"ab"})") ==
        "t.json: $.delimiter: must be one character; it is \"ab\"; no other is supported");
  CHECK(read_error(metaspace(R"(,"prepend_scheme":"last")")) ==
        "t.json: $.prepend_scheme: must be \"first\", \"never\" or \"always\"; it is \"last\"; no other is "
        "supported");
  CHECK(read_error(metaspace(R"(,"prepend_scheme":"first","add_prefix_space":false)")).substr(0, 40) ==
        "t.json: $.prepend_scheme: must be \"never");
  CHECK(read_error(sequence(std::string(kByteLevel) + R"(,{"type":"Whitespace"})")) ==
        "t.json: $.pretokenizers[1]: a ByteLevel must be the last step; found another behind it");
  CHECK(read_error(sequence("null")) == "t.json: $.pretokenizers[0]: a step must not be null");
  CHECK(read_error(R"({"add_prefix_space":true})").substr(0, 6) == "t.json");
}

TEST_CASE("any bytes go through every step: words are in order and lie in the text") {
  const std::vector<std::string> steps = {kByteLevel,
                                          kPrefixed,
                                          metaspace(""),
                                          split(R"({"String":" "})", "MergedWithNext"),
                                          R"({"type":"BertPreTokenizer"})",
                                          R"({"type":"Whitespace"})",
                                          R"({"type":"Punctuation","behavior":"MergedWithPrevious"})",
                                          R"({"type":"FixedLength","length":3})",
                                          sequence(R"({"type":"WhitespaceSplit"},)" + metaspace("")),
                                          split(regex("a|[^b]+"), "Contiguous")};
  std::mt19937_64 random(3);
  const std::string_view alphabet = "ab 1_!\n\xC3\xA9\xE2\x96\x81\xFF";
  for (const std::string& json : steps) {
    const auto step = read(json);
    for (int i = 0; i < 2000; ++i) {
      std::string text;
      for (size_t length = random() % 20; length > 0; --length) text += alphabet[random() % alphabet.size()];
      const PreTokenized result = applied(*step, text, i % 2 == 0);
      uint32_t last = 0;
      bool good = true;
      for (const ByteSpan word : result.words) {
        good = good && word.begin >= last && word.begin < word.end && word.end <= result.text.text().size();
        last = word.end;
      }
      if (!good) FAIL(json << " cuts " << Json(static_cast<int>(text.size())).dump() << " bytes badly");
    }
  }
}
