#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/draw.hpp"
#include "tests/support/error_of.hpp"
#include "tokenizer/stages/normalizers.hpp"
#include "tokenizer/stages/sentencepiece_normalizer.hpp"
#include "tokenizer/text/base64.hpp"
#include "tokenizer/text/unicode.hpp"

using namespace gradus;

namespace {

// Random numbers below a bound.
struct Draw {
  uint64_t seed;
  uint64_t index = 0;
  size_t below(size_t bound) { return testing::draw_bits(seed, index++) % bound; }
};

std::shared_ptr<const Normalizer> normalizer(const std::string& json) {
  return read_normalizer(Json::parse(json, "t.json"));
}

std::shared_ptr<const Normalizer> plain(const std::string& type) {
  return normalizer("{\"type\":\"" + type + "\"}");
}

std::string normalized(const Normalizer& step, std::string_view text) {
  AlignedText aligned(text, 0, true);
  AlignedText other(text, 0, false);
  step.apply(aligned);
  step.apply(other);
  CHECK(aligned.text() == other.text());
  CHECK(aligned.at_start() == other.at_start());
  return std::string(aligned.text());
}

// Where each character came from, as "begin-end ...".
std::string places(const Normalizer& step, std::string_view original) {
  AlignedText aligned(original, 0, true);
  step.apply(aligned);
  const std::string_view text = aligned.text();
  std::string result;
  for (size_t at = 0; at < text.size();) {
    char32_t c;
    const int length = std::max(1, decode_utf8(text.data() + at, text.data() + text.size(), c));
    const auto begin = static_cast<uint32_t>(at);
    const auto range = aligned.original({begin, begin + static_cast<uint32_t>(length)});
    if (!result.empty()) result += ' ';
    result += std::to_string(range.begin) + "-" + std::to_string(range.end);
    at += static_cast<size_t>(length);
  }
  return result;
}

std::string read_error(const std::string& json) {
  return testing::error_of([&] { normalizer(json); });
}

// A double-array trie built the simple way: every node has a block of 256 units of its own.
std::string charsmap(const std::vector<std::pair<std::string, std::string>>& rules) {
  struct Node {
    std::vector<std::pair<unsigned char, size_t>> children;
    int64_t value = -1;
  };
  std::vector<Node> nodes(1);
  std::string strings;
  for (const auto& [key, with] : rules) {
    size_t at = 0;
    for (const char c : key) {
      const auto byte = static_cast<unsigned char>(c);
      size_t next = 0;
      for (const auto& [label, child] : nodes[at].children) next = label == byte ? child : next;
      if (next == 0) {
        next = nodes.size();
        nodes[at].children.emplace_back(byte, next);
        nodes.emplace_back();
      }
      at = next;
    }
    nodes[at].value = static_cast<int64_t>(strings.size());
    strings += with + '\0';
  }
  // Block 0 holds the root alone; the children of node n are in block n + 1, at their label.
  std::vector<uint32_t> units((nodes.size() + 1) * 256, 0x80000000u);
  std::vector<size_t> place(nodes.size(), 0);
  for (size_t n = 0; n < nodes.size(); ++n) {
    const size_t base = (n + 1) * 256;
    const uint32_t distance = static_cast<uint32_t>(place[n] ^ base);
    // The label was written with the parent; distances in 256s have a form of their own.
    const bool far = distance % 256 == 0;
    const uint32_t shown = far ? distance >> 8 << 10 | 0x200 : distance << 10;
    units[place[n]] = (n == 0 ? 0 : units[place[n]] & 0xFF) | shown | (nodes[n].value >= 0 ? 0x100 : 0);
    if (nodes[n].value >= 0) units[base] = 0x80000000u | static_cast<uint32_t>(nodes[n].value);
    for (const auto& [label, child] : nodes[n].children) {
      place[child] = base ^ label;
      units[place[child]] = label;
    }
  }
  std::string bytes;
  const auto append = [&](uint32_t value) {
    for (int i = 0; i < 4; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  };
  append(static_cast<uint32_t>(units.size() * 4));
  for (const uint32_t unit : units) append(unit);
  return bytes + strings;
}

std::string precompiled(const std::string& bytes) {
  return R"({"type":"Precompiled","precompiled_charsmap":")" + base64_encode(bytes) + "\"}";
}

const std::string kBert =
    R"({"type":"BertNormalizer","clean_text":true,"handle_chinese_chars":true,"strip_accents":null,"lowercase":true})";

std::vector<std::string> all_kinds() {
  return {R"({"type":"NFC"})",
          R"({"type":"NFD"})",
          R"({"type":"NFKC"})",
          R"({"type":"NFKD"})",
          R"({"type":"Lowercase"})",
          R"({"type":"StripAccents"})",
          R"({"type":"Nmt"})",
          R"({"type":"Prepend","prepend":"\u2581"})",
          R"({"type":"Strip","strip_left":true,"strip_right":false})",
          R"({"type":"Strip","strip_left":true,"strip_right":true})",
          R"({"type":"Replace","pattern":{"String":" "},"content":"\u2581"})",
          R"({"type":"Replace","pattern":{"Regex":"\\s+"},"content":" "})",
          R"({"type":"Replace","pattern":{"Regex":" {2,}"},"content":" "})",
          kBert,
          precompiled(charsmap({{"\uFB01", "fi"}, {"e\u0301", "\u00E9"}, {"\t", " "}, {"\x01", ""}})),
          R"({"type":"Sequence","normalizers":[{"type":"NFKD"},{"type":"Lowercase"},{"type":"NFC"}]})"};
}

}  // namespace

TEST_CASE("a text that is not rewritten is not copied and stands for itself") {
  const std::string text = "a\u00E9\u4E2D\xFF";
  AlignedText aligned(text, 10, true);
  AlignedText::Rewriter to(aligned);
  to.keep(text.size());
  to.finish();
  CHECK(aligned.text().data() == text.data());
  CHECK_FALSE(aligned.at_start());
  CHECK(aligned.original({0, 1}) == TextRange{10, 11});
  CHECK(aligned.original({0, 7}) == TextRange{10, 17});
  // A byte stands for the character it is in.
  CHECK(aligned.original({2, 3}) == TextRange{11, 13});
  CHECK(aligned.original({3, 5}) == TextRange{13, 16});
  CHECK(aligned.original({6, 7}) == TextRange{16, 17});
  CHECK(aligned.original({3, 3}) == TextRange{13, 13});
  CHECK(aligned.original({7, 7}) == TextRange{17, 17});
  CHECK_THROWS_AS(aligned.original({0, 8}), std::invalid_argument);
  CHECK_THROWS_AS(AlignedText(text, 0, false).original({0, 1}), std::invalid_argument);
}

TEST_CASE("what a rewriter writes stands for what it was written for") {
  const std::string text = "ab\u00E9cd";
  for (const bool aligned : {true, false}) {
    AlignedText rewritten(text, 100, aligned);
    AlignedText::Rewriter to(rewritten);
    to.insert("<");
    to.keep(1);
    to.insert("!!");
    to.replace(3, "xyz");
    to.insert("?");
    to.replace(1, "");
    to.write("w", {0, 4});
    to.finish();
    CHECK(rewritten.text() == "<a!!xyz?wd");
    if (!aligned) continue;
    const std::vector<TextRange> expected = {{100, 100}, {100, 101}, {100, 101}, {100, 101}, {101, 102},
                                             {101, 102}, {101, 102}, {102, 104}, {100, 104}, {105, 106}};
    for (uint32_t i = 0; i < expected.size(); ++i) CHECK(rewritten.original({i, i + 1}) == expected[i]);
    CHECK(rewritten.original({4, 8}) == TextRange{101, 104});
    // A slice of it can be rewritten again.
    AlignedText part = rewritten.slice({4, 10});
    CHECK(part.original({3, 4}) == TextRange{102, 104});
    AlignedText::Rewriter again(part);
    again.insert("_");
    again.keep(3);
    again.replace(1, "QQ");
    again.finish();
    CHECK(part.text() == "_xyzQQwd");
    CHECK(part.original({0, 1}) == TextRange{101, 101});
    CHECK(part.original({4, 6}) == TextRange{102, 104});
  }
}

TEST_CASE("a text knows whether it begins where the original does, aligned or not") {
  const std::string text = " ab cd";
  for (const bool aligned : {true, false}) {
    AlignedText whole(text, 0, aligned);
    CHECK(whole.at_start());
    CHECK_FALSE(AlignedText(text, 1, aligned).at_start());
    CHECK(whole.slice({0, 3}).at_start());
    CHECK_FALSE(whole.slice({1, 3}).at_start());
    plain("Lowercase")->apply(whole);
    AlignedText marked(text, 0, aligned);
    normalizer(R"({"type":"Prepend","prepend":"__"})")->apply(marked);
    CHECK(marked.text() == "__ ab cd");
    CHECK(marked.at_start());
    CHECK(marked.slice({2, 5}).at_start());  // the space
    CHECK_FALSE(marked.slice({3, 5}).at_start());
    AlignedText stripped(text, 0, aligned);
    normalizer(R"({"type":"Strip","strip_left":true,"strip_right":false})")->apply(stripped);
    CHECK_FALSE(stripped.slice({0, 2}).at_start());
  }
}

TEST_CASE("normal forms: text and places as in the Hugging Face library") {
  CHECK(normalized(*plain("NFC"), "e\u0301a\u1100\u1161\u11A8") == "\u00E9a\uAC01");
  CHECK(places(*plain("NFC"), "e\u0301a\u1100\u1161\u11A8") == "0-1 3-4 4-7");
  CHECK(normalized(*plain("NFD"), "\u00E9a\uAC01") == "e\u0301a\u1100\u1161\u11A8");
  CHECK(places(*plain("NFD"), "\u00E9a\uAC01") == "0-2 0-2 2-3 3-6 3-6 3-6");
  CHECK(normalized(*plain("NFKC"), "\uFB01\u00BD") == "fi1\u20442");
  CHECK(places(*plain("NFKC"), "\uFB01\u00BD") == "0-3 0-3 3-5 3-5 3-5");
  // Marks that change places keep the order of what they came from.
  CHECK(normalized(*plain("NFD"), "a\u0301\u0327") == "a\u0327\u0301");
  CHECK(places(*plain("NFD"), "a\u0301\u0327") == "0-1 1-3 3-5");
  CHECK(normalized(*plain("NFC"), "x\uAC00\u11A7") == "x\uAC00\u11A7");
  // Newer than the library's tables: U+32FF (Unicode 12.1).
  CHECK(normalized(*plain("NFKC"), "\u32FF\u338F") == "\u32FFkg");
  CHECK(normalized(*plain("NFD"), "\U000118A0\u0301\U00011938\u0301\u0327") ==
        "\U000118A0\u0301\U00011938\u0327\u0301");
}

TEST_CASE("lower case is made a character at a time") {
  CHECK(normalized(*plain("Lowercase"), "AbC\u00C9\u03A3\u0391\u03A3") == "abc\u00E9\u03C3\u03B1\u03C3");
  CHECK(normalized(*plain("Lowercase"), "\u0130I\u212A") == "i\u0307ik");
  CHECK(places(*plain("Lowercase"), "\u0130I\u212A") == "0-2 0-2 2-3 3-6");
}

TEST_CASE("accents, controls and ends are removed") {
  CHECK(normalized(*plain("StripAccents"), "e\u0301\u0903x\u00E9") == "ex\u00E9");
  CHECK(places(*plain("StripAccents"), "e\u0301x") == "0-1 3-4");
  CHECK(normalized(*plain("StripAccents"), "\u09FE") == "\u09FE");  // a mark since Unicode 11
  CHECK(normalized(*plain("Nmt"), "\x01\ta\u200B\x7F\u0085\uFEFF") == " a \u0085 ");
  const auto strip = [](bool left, bool right) {
    return normalizer(std::string(R"({"type":"Strip","strip_left":)") + (left ? "true" : "false") +
                      R"(,"strip_right":)" + (right ? "true" : "false") + "}");
  };
  CHECK(normalized(*strip(true, true), "\u3000\t a b\u0085 ") == "a b");
  CHECK(places(*strip(true, true), "\u3000a b ") == "3-4 4-5 5-6");
  CHECK(normalized(*strip(true, false), " a ") == "a ");
  CHECK(normalized(*strip(false, true), " a ") == " a");
  CHECK(normalized(*strip(true, true), " \n ") == "");
  CHECK(normalized(*normalizer(R"({"type":"Prepend","prepend":"ab"})"), "") == "");
  CHECK(places(*normalizer(R"({"type":"Prepend","prepend":"ab"})"), "\u00E9x") == "0-2 0-2 0-2 2-3");
}

TEST_CASE("patterns are replaced, and the new text stands for the last character of the old") {
  const auto replace = [](const std::string& pattern, const std::string& content) {
    return normalizer(R"({"type":"Replace","pattern":)" + pattern + R"(,"content":")" + content + "\"}");
  };
  CHECK(normalized(*replace(R"({"String":"ab"})", "x"), "abab aab") == "xx ax");
  CHECK(places(*replace(R"({"String":"ab"})", "xy"), "cab") == "0-1 2-3 2-3");
  CHECK(normalized(*replace(R"({"String":""})", "-"), "a\u00E9") == "-a-\u00E9-");
  CHECK(places(*replace(R"({"String":""})", "-"), "a") == "0-0 0-1 0-1");
  CHECK(normalized(*replace(R"({"String":" "})", ""), "a b ") == "ab");
  CHECK(normalized(*replace(R"({"Regex":" {2,}"})", " "), " a  b   ") == " a b ");
  CHECK(places(*replace(R"({"Regex":" {2,}"})", " "), "a   b") == "0-1 3-4 4-5");
  CHECK(normalized(*replace(R"({"Regex":"\\s+"})", " "), "\u3000\na\t\u00A0b\x1C") == " a b\x1C");
  CHECK(normalized(*replace(R"({"Regex":"\\s"})", "_"), " \n") == "__");
  CHECK(normalized(*replace(R"({"Regex":"\u00E9+"})", "e"), "\u00E9\u00E9t\u00E9") == "ete");
}

TEST_CASE("BertNormalizer cleans, parts Chinese characters, strips accents and lowers") {
  CHECK(normalized(*normalizer(kBert), "H\u00E9llo\tW\x01\uFFFDo\u200Drld\u4E2D\u6587") ==
        "hello world \u4E2D  \u6587 ");
  CHECK(places(*normalizer(kBert), "\u00C9\u4E2D\x01x") == "0-2 2-5 2-5 2-5 6-7");
  CHECK(normalized(*normalizer(kBert), "\uE000\u0378\U000E0041\u08E2") == "\u0378\u08E2");
  // Marks meet where the cleaning takes out what stood between them.
  CHECK(normalized(*normalizer(kBert), "a\u0301\x01\u302E\u200D\u0327b") ==
        "a\u302E"
        "b");
  CHECK(normalized(*normalizer(kBert), "\uF900\U0002B820") == " \u8C48 \U0002B820");
  CHECK(normalized(*normalizer(kBert), "\u0130\u1734\u0904\U0001E944") == "i\u0904\U0001E944");
  const auto with = [](const std::string& settings) {
    return normalizer(R"({"type":"BertNormalizer",)" + settings + "}");
  };
  const std::string text = "\u00C9\n\u4E2D";
  CHECK(normalized(*with(R"("clean_text":false,"handle_chinese_chars":false,"lowercase":false)"), text) ==
        text);
  CHECK(
      normalized(
          *with(R"("clean_text":false,"handle_chinese_chars":false,"strip_accents":true,"lowercase":false)"),
          text) == "E\n\u4E2D");
  CHECK(normalized(
            *with(R"("clean_text":true,"handle_chinese_chars":true,"strip_accents":false,"lowercase":true)"),
            text) == "\u00E9  \u4E2D ");
}

TEST_CASE("Precompiled rewrites short graphemes by their shortest rule, others by character") {
  const auto step = normalizer(precompiled(charsmap({{"\uFB01", "fi"},
                                                     {"e", "E"},
                                                     {"e\u0301", "\u00E9"},
                                                     {"\t", " "},
                                                     {"\x01", ""},
                                                     {"\u0301\u0301", "2"},
                                                     {"\r\n", "\n"}})));
  CHECK(normalized(*step, "a\uFB01\tb") == "afi b");
  CHECK(places(*step, "a\uFB01b") == "0-1 1-4 1-4 4-5");
  CHECK(normalized(*step, "e\u0301x") == "Ex");  // the rule for "e" comes first, and the accent goes with it
  CHECK(places(*step, "e\u0301x") == "0-1 3-4");
  CHECK(normalized(*step, "e\u0301\u0301\u0301") == "E\u0301\u0301\u0301");  // seven bytes: by character
  CHECK(normalized(*step, "a\r\nb\rc") == "a\nb\rc");
  CHECK(places(*step, "a\r\nb") == "0-1 1-2 3-4");
  // The library's odd ends: nothing is dropped before something is written, and an insertion gives way to a drop.
  CHECK(normalized(*step, "\x01xy") == "xy");
  CHECK(places(*step, "\x01xy") == "0-1 1-2");
  CHECK(places(*step, "x\x01y") == "0-1 2-3");
  CHECK(places(*step, "\uFB01\x01y") == "0-3 3-4 4-5");
}

TEST_CASE("SentencePiece rewrites by the longest rule and writes spaces visibly") {
  const std::string rules =
      charsmap({{"\uFB01", "fi"}, {"e", "E"}, {"e\u0301", "\u00E9"}, {"\u3000", " "}, {"\x01", ""}});
  const auto step = [&](SentencePieceNormalizer::Settings settings) {
    return SentencePieceNormalizer(std::move(settings), "model");
  };
  const SentencePieceNormalizer full = step({.precompiled_charsmap = rules});
  CHECK(normalized(full, "  e\u0301e \u3000 \uFB01  ") == "\u2581\u00E9E\u2581fi");
  CHECK(places(full, "  e\u0301e \u3000 \uFB01  ") == "2-2 2-5 5-6 6-11 11-11 11-14");
  CHECK(places(full,
               "a\x01"
               "b") == "0-0 0-2 2-3");
  CHECK(normalized(full, "") == "");
  CHECK(normalized(full, " \u3000") == "");
  CHECK(normalized(full, "\u2581") == "");
  const SentencePieceNormalizer llama = step({.remove_extra_whitespaces = false});
  CHECK(normalized(llama, " a  b ") == "\u2581\u2581a\u2581\u2581b\u2581");
  CHECK(places(llama, " a ") == "0-0 0-1 1-2 2-3");
  CHECK(normalized(step({.add_dummy_prefix = false, .escape_whitespaces = false}), " a  b ") == "a b");
  CHECK(normalized(step({.precompiled_charsmap = rules, .user_defined_symbols = {"e", "ee", "  "}}),
                   "eee e\u0301 a  b") == "\u2581eee\u2581e\u0301\u2581a\u2581\u2581b");
  const std::string bad = "ab\xFF";
  AlignedText text(bad, 5, false);
  CHECK_THROWS_WITH(full.apply(text),
                    "SentencePiece: the text must be UTF-8; byte 7 is not (it is 255); convert the text");
  const Json json = full.to_json();
  CHECK(normalized(*read_normalizer(json), "  ee  \uFB01 ") == "\u2581EE\u2581fi");
  CHECK(llama.to_json().dump() == R"({"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},)"
                                  R"({"type":"Replace","pattern":{"String":" "},"content":"▁"}]})");
}

TEST_CASE("normalizers are written as they were read") {
  for (const std::string& json : all_kinds()) {
    const Json value = Json::parse(json, "t.json");
    CHECK(read_normalizer(value)->to_json().dump() == value.dump());
  }
  CHECK(normalizer("null") == nullptr);
}

TEST_CASE("normalizers that are not known are refused by their place in the file") {
  const std::vector<std::pair<std::string, std::string>> cases = {
      {R"({"type":"ByteLevel"})", "t.json: $.type: must be Sequence, NFC"},
      {R"({"type":"NFX"})", "t.json: $.type: must be Sequence, NFC"},
      {R"({"type":"NFC","more":1})", "t.json: $.more: must be a key with a known meaning"},
      {R"({"type":"Strip","strip_left":true})", "t.json: $"},
      {R"({"type":"Sequence","normalizers":[null]})", "t.json: $.normalizers[0]: must be a normalizer"},
      {R"({"type":"Replace","pattern":{},"content":""})", "t.json: $.pattern: must hold either"},
      {R"({"type":"Replace","pattern":{"Glob":"*"},"content":""})", "t.json: $.pattern.Glob: must be a key"},
      {R"({"type":"Precompiled","precompiled_charsmap":"AA="})",
       "t.json: $.precompiled_charsmap: must be base64"},
      {R"({"type":"Precompiled","precompiled_charsmap":""})", "t.json: $.precompiled_charsmap: a charsmap"},
      {precompiled(std::string("\xFF\xFF\xFF\x7F....", 8)), "t.json: $.precompiled_charsmap: a charsmap"},
      {precompiled(std::string("\x04\0\0\0....\xFF", 9)),
       "t.json: $.precompiled_charsmap: a charsmap's strings"}};
  for (const auto& [json, error] : cases) CHECK(read_error(json).substr(0, error.size()) == error);
  CHECK(read_error(R"({"type":"ByteLevel"})").find("as a pre-tokenizer it is") != std::string::npos);
}

TEST_CASE("any bytes go through every normalizer, and aligned or not the text is the same") {
  Draw draw{11};
  const std::vector<std::string> pieces = {
      "a",      "Z",      " ",      "\n",     "\xFF",   "\xE4\xB8", "\xCC", "\u0301", "\u0327", "\u00E9",
      "\u4E2D", "\uAC00", "\u11A8", "\u200D", "\uFB01", "\u0130",   "\x01", "\u3000", "\uFFFD", "\U0001F600"};
  std::vector<std::shared_ptr<const Normalizer>> steps;
  for (const std::string& json : all_kinds()) steps.push_back(normalizer(json));
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (size_t i = draw.below(12); i > 0; --i) text += pieces[draw.below(pieces.size())];
    for (const auto& step : steps) {
      AlignedText aligned(text, 0, true);
      AlignedText other(text, 0, false);
      step->apply(aligned);
      step->apply(other);
      REQUIRE(aligned.text() == other.text());
      int64_t last = 0;
      for (uint32_t i = 0; i < aligned.text().size(); ++i) {
        const auto range = aligned.original({i, i + 1});
        REQUIRE((range.begin >= last && range.begin <= range.end &&
                 range.end <= static_cast<int64_t>(text.size())));
        REQUIRE(aligned.slice({i, i + 1}).at_start() == other.slice({i, i + 1}).at_start());
        last = range.begin;
      }
    }
  }
}

TEST_CASE("damaged charsmaps are errors or rewrite something, but never read outside themselves") {
  const std::string good = charsmap({{"\uFB01", "fi"}, {"e\u0301", "\u00E9"}, {"\t", " "}});
  Draw draw{5};
  const std::string text = "a\uFB01e\u0301\tz\u0301\U0001F600";
  int64_t errors = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string bytes = good;
    for (int i = 0; i < 40; ++i) {
      bytes[draw.below(bytes.size())] = static_cast<char>(draw.below(256));
    }
    try {
      const Charsmap map(bytes, "m");
      for (size_t at = 0; at < text.size(); ++at) {
        map.longest(std::string_view(text).substr(at));
        map.shortest(std::string_view(text).substr(at));
      }
    } catch (const std::runtime_error&) {
      ++errors;
    }
  }
  CHECK(errors > 0);
  CHECK(base64_decode(base64_encode(good)) == good);
}
