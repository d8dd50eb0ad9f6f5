#include <array>
#include <cstdint>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/catch.hpp"
#include "tokenizer/lookup/char_table.hpp"
#include "tokenizer/stages/splitters.hpp"
#include "tokenizer/text/pattern.hpp"
#include "tokenizer/text/split_text.hpp"
#include "tokenizer/text/unicode.hpp"

using namespace gradus;
using namespace gradus::detail;

namespace {

constexpr std::string_view kGpt2 =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr std::string_view kR50k =
    R"('(?:[sdmt]|ll|ve|re)| ?\p{L}++| ?\p{N}++| ?[^\s\p{L}\p{N}]++|\s++$|\s+(?!\S)|\s)";
constexpr std::string_view kCl100k =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTiktokenCl100k =
    R"('(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+)"
    R"(|\s++$|\s*[\r\n]|\s+(?!\S)|\s)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*)"
    R"(|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kO200k =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?)"
    R"(|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
    R"(|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
    R"(|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr std::array kPublished = {kGpt2, kR50k, kCl100k, kTiktokenCl100k, kQwen2, kQwen35, kO200k, kTekken};

using Words = std::vector<std::string>;

Words words_of(WordEnd word_end, std::string_view text) {
  Words words;
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    const char* const next = word_end(at, end);
    if (next <= at || next > end) FAIL("a word must end behind its beginning, within the text");
    words.emplace_back(at, next);
    at = next;
  }
  return words;
}

// A private character for each byte that is not UTF-8, so that a regular expression sees what a splitter sees.
std::string with_stand_ins(std::string_view text) {
  std::string valid;
  for (size_t at = 0; at < text.size();) {
    char32_t c = 0;
    const int length = decode_utf8(text.data() + at, text.data() + text.size(), c);
    append_utf8(length == 0 ? U'\uE000' : c, valid);
    at += static_cast<size_t>(length == 0 ? 1 : length);
  }
  return valid;
}

Words matches_of(const Pattern& pattern, std::string_view text) {
  Words words;
  PatternMatches matches(pattern, text);
  for (size_t begin = 0, end = 0; matches.next(begin, end);)
    words.emplace_back(text.substr(begin, end - begin));
  return words;
}

// Code points of each kind, without those that PCRE2's version of Unicode puts into another.
struct Alphabet {
  std::vector<std::vector<char32_t>> by_kind;
  size_t differing = 0;
};

Alphabet common_alphabet() {
  const std::array<std::pair<const char*, KindSet>, 6> classes = {{
      {R"([\p{Lu}\p{Lt}])", kUppers},
      {R"(\p{Ll})", kLowers},
      {R"([\p{Lm}\p{Lo}])", kinds(CharKind::caseless)},
      {R"(\p{M})", kMarks},
      {R"(\p{N})", kNumbers},
      {R"(\s)", kSpaces},
  }};
  constexpr char32_t last = 0x30000;  // beyond are ideographs and private use
  std::vector<KindSet> found(last, 0);
  std::string all;
  std::vector<char32_t> at_byte;
  for (char32_t c = 0; c < last; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    append_utf8(c, all);
    at_byte.resize(all.size(), c);
  }
  for (const auto& [regex, set] : classes) {
    const Pattern pattern(std::string(regex) + "+", "test");
    PatternMatches matches(pattern, all);
    for (size_t begin = 0, end = 0; matches.next(begin, end);) {
      for (; begin < end; ++begin) found[at_byte[begin]] |= set;
    }
  }
  Alphabet alphabet;
  alphabet.by_kind.resize(static_cast<size_t>(CharKind::other) + 1);
  constexpr KindSet named = kLetters | kMarks | kNumbers | kSpaces;
  for (char32_t c = 0; c < last; ++c) {
    if (c >= 0xD800 && c < 0xE000) continue;
    const CharKind kind = char_table().kind(c);
    const bool same = in(kind, named) ? in(kind, found[c]) : found[c] == 0;
    alphabet.differing += !same;
    if (same) alphabet.by_kind[static_cast<size_t>(kind)].push_back(c);
  }
  return alphabet;
}

// Text that goes through all turns of the rules: what they tell apart, in all orders.
class HostileText {
 public:
  explicit HostileText(const Alphabet& alphabet) {
    for (const std::vector<char32_t>& kind : alphabet.by_kind) {
      if (!kind.empty()) kinds_.push_back(kind);
    }
  }

  std::string next() {
    std::string text;
    for (size_t parts = 1 + draw(12); parts > 0; --parts) {
      switch (draw(8)) {
        case 0: text += one_of(kContractions); break;
        case 1:
        case 2: text += one_of(kSpacing); break;
        case 3: text += one_of(kWords); break;
        case 4: text += one_of(kSigns); break;
        case 5: text += one_of(kBadBytes); break;
        default: {
          const auto& kind = kinds_[draw(kinds_.size())];
          for (size_t repeats = 1 + draw(3); repeats > 0; --repeats)
            append_utf8(kind[draw(kind.size())], text);
        }
      }
    }
    return text;
  }

 private:
  static constexpr std::array<std::string_view, 14> kContractions = {
      "'s", "'S", "'t", "'Re", "'re", "'VE", "'ll", "'lL", "'l", "'m", "'d", "'D", "'\u017F", "''"};
  static constexpr std::array<std::string_view, 14> kSpacing = {
      " ",      "  ",     "   ",    "\n",     "\r\n",   "\t",     " \n ",
      "\u00A0", "\u3000", "\u180E", "\u0085", "\u2028", "\u000B", "\u200B"};
  static constexpr std::array<std::string_view, 12> kWords = {
      "the",          "The",     "ABC", "aBc",     "longestword",  "\u00E9t\u00E9",
      "\u6F22\u5B57", "\u01C5x", "12",  "1234567", "\u0661\u0662", "\u2168"};
  static constexpr std::array<std::string_view, 9> kSigns = {"!",  "/",      "//\n/",      "...",    "_",
                                                             "$+", "\u2019", "\U0001F600", "a\u0301"};
  static constexpr std::array<std::string_view, 6> kBadBytes = {"\xFF", "\x80",         "\xE2\x82",
                                                                "\xC3", "\xED\xA0\x80", "\xF4\x90\x80\x80"};

  size_t draw(size_t count) { return static_cast<size_t>(random_() % count); }
  template <size_t N>
  std::string_view one_of(const std::array<std::string_view, N>& choices) {
    return choices[draw(N)];
  }

  std::vector<std::vector<char32_t>> kinds_;
  std::mt19937_64 random_{5};
};

}  // namespace

TEST_CASE("the table of kinds agrees with the general categories, character by character and byte by byte") {
  const CharTable& table = char_table();
  size_t wrong = 0;
  for (char32_t c = 0; c < 0x110000; ++c) {
    const CharKind kind = table.kind(c);
    const CharClass expected = char_class(c);
    const bool same = in(kind, kLetters) == (expected == CharClass::letter) &&
                      in(kind, kMarks) == (expected == CharClass::mark) &&
                      (kind == CharKind::digit) == (expected == CharClass::digit) &&
                      in(kind, kNumbers) == (expected == CharClass::digit || expected == CharClass::number) &&
                      in(kind, kSpaces) == (expected == CharClass::space);
    wrong += !same;
    if (c >= 0xD800 && c < 0xE000) continue;
    std::string text;
    append_utf8(c, text);
    const Symbol symbol = table.symbol(text.data(), text.data() + text.size());
    wrong += symbol.kind != kind || symbol.length != text.size();
  }
  CHECK(wrong == 0);
}

TEST_CASE("a byte that is not UTF-8 is one character of no particular kind") {
  for (const std::string text :
       {"\x80", "\xBF", "\xC1\x81", "\xC3", "\xC3z", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xE2\x82",
        "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF"}) {
    const Symbol symbol = char_table().symbol(text.data(), text.data() + text.size());
    CHECK(symbol.kind == CharKind::other);
    CHECK(symbol.length == 1);
  }
}

TEST_CASE("the GPT-2 rule cuts as its pattern says") {
  CHECK(words_of(gpt2_word_end, "The king's son, it's 1066!!  Ok\n\n x ") ==
        Words{"The", " king", "'s", " son", ",", " it", "'s", " 1066", "!!", " ", " Ok", "\n\n", " x", " "});
  CHECK(words_of(gpt2_word_end, "IT'S \t\tno") == Words{"IT", "'", "S", " \t", "\t", "no"});
  CHECK(words_of(gpt2_word_end, "a\xFF\xFEz\u0301") == Words{"a", "\xFF\xFE", "z", "\u0301"});
}

TEST_CASE("the cl100k rule cuts as its pattern says") {
  CHECK(words_of(cl100k_word_end, "IT'S 12345 (ok)\n\n  x\ty'll!\r\n") ==
        Words{"IT", "'S", " ", "123", "45", " (", "ok", ")\n\n", " ", " x", "\ty", "'ll", "!\r\n"});
  CHECK(words_of(cl100k_word_end, "'\u017Fx") == Words{"'\u017F", "x"});
  CHECK(words_of(cl100k_word_end, "a \n ") == Words{"a", " \n", " "});
}

TEST_CASE("the rules of Qwen take each digit by itself, and that of Qwen 3.5 keeps marks in words") {
  CHECK(words_of(qwen2_word_end, "in 2024") == Words{"in", " ", "2", "0", "2", "4"});
  CHECK(words_of(qwen2_word_end, "\u0915\u093F\u0924") == Words{"\u0915", "\u093F\u0924"});
  CHECK(words_of(qwen35_word_end, "\u0915\u093F\u0924 \u093F!\u093F") ==
        Words{"\u0915\u093F\u0924", " \u093F", "!\u093F"});
}

TEST_CASE("the o200k rule cuts before capitals and keeps contractions with their words") {
  CHECK(words_of(o200k_word_end, "HelloWorld's HTTPServer don't") ==
        Words{"Hello", "World's", " HTTPServer", " don't"});
  CHECK(words_of(o200k_word_end, "a/b//\n/c 1234") == Words{"a", "/b", "//\n/", "c", " ", "123", "4"});
  CHECK(words_of(o200k_word_end, "\u0301AB \u6F22A\u6F22B") == Words{"\u0301", "AB", " \u6F22A\u6F22", "B"});
  CHECK(words_of(o200k_word_end, "\u0301's") == Words{"\u0301's"});
  CHECK(words_of(tekken_word_end, "don't 12") == Words{"don", "'t", " ", "1", "2"});
}

TEST_CASE("splitters are found by the exact text of their pattern") {
  CHECK(find_splitter(kGpt2) == gpt2_word_end);
  CHECK(find_splitter(kR50k) == gpt2_word_end);
  CHECK(find_splitter(kCl100k) == cl100k_word_end);
  CHECK(find_splitter(kQwen2) == qwen2_word_end);
  CHECK(find_splitter(kQwen35) == qwen35_word_end);
  CHECK(find_splitter(kO200k) == o200k_word_end);
  CHECK(find_splitter(kTekken) == tekken_word_end);
  CHECK(find_splitter("\\s+") == nullptr);
  CHECK(find_splitter(std::string(kGpt2) + "|x") == nullptr);

  std::string raw_line_ends(kQwen2);  // as in Qwen 2's own file
  for (size_t at = 0; (at = raw_line_ends.find("\\r\\n")) != std::string::npos;)
    raw_line_ends.replace(at, 4, "\r\n");
  CHECK(find_splitter(raw_line_ends) == qwen2_word_end);
}

TEST_CASE("an interval followed by a plus means a run of any length, as to the Hugging Face library") {
  const WordEnd theirs = find_splitter(kTiktokenCl100k);
  REQUIRE(theirs != nullptr);
  CHECK(words_of(theirs, "x12345 \n ") == Words{"x", "12345", " \n "});
  CHECK(words_of(theirs, "a \n b1234") == Words{"a", " \n", " b", "1234"});
}

TEST_CASE("splitters cut hostile text as PCRE2 does with the original pattern") {
  const Alphabet alphabet = common_alphabet();
  WARN("left out: " << alphabet.differing << " characters that are of another kind to PCRE2 than to Unicode "
                    << unicode_version());
  CHECK(alphabet.differing < 1000);
  HostileText hostile(alphabet);
  for (const std::string_view regex : kPublished) {
    const WordEnd word_end = find_splitter(regex);
    const Pattern pattern(regex, "test");
    size_t wrong = 0;
    for (int i = 0; i < 25000; ++i) {
      const std::string text = hostile.next();
      const std::vector<char> exact(text.begin(),
                                    text.end());  // so that a sanitizer sees reads beyond the end
      Words words = words_of(word_end, {exact.data(), exact.size()});
      for (std::string& word : words) word = with_stand_ins(word);
      if (words == matches_of(pattern, with_stand_ins(text))) continue;
      if (++wrong == 1) {
        INFO(regex << "\n" << text);
        CHECK(words == matches_of(pattern, with_stand_ins(text)));
      }
    }
    CHECK(wrong == 0);
  }
}

TEST_CASE("every splitter cuts the parts of a text as it does the whole") {
  HostileText hostile(Alphabet{{{U'A', U'\u00C9'}, {U'b'}, {U'\u6F22'}, {U'\u0301'}, {U'1'}, {U'\u3000'}}});
  size_t places = 0;
  for (const std::string_view regex : kPublished) {
    const WordEnd word_end = find_splitter(regex);
    for (int i = 0; i < 10000; ++i) {
      std::string text;
      for (const std::string_view between : {" a", "\nb", " \u00E9", "\n\u6F22", " B"})
        text += hostile.next().append(between);
      const Words whole = words_of(word_end, text);
      Words split;
      for (std::string_view rest = text; !rest.empty(); ++places) {
        const size_t end = split_at_line(rest, 1);
        for (const std::string& word : words_of(word_end, rest.substr(0, end))) split.push_back(word);
        rest.remove_prefix(end);
      }
      INFO(regex << "\n" << text);
      if (split != whole) REQUIRE(split == whole);
    }
  }
  CHECK(places > 300000);
}

TEST_CASE("no text takes a splitter more than linear time") {
  for (const std::string_view unit : {" ", "\n", " \n", "a", "A", "aA", "1", "!", "/", "\u0301", "\u6F22",
                                      "A\u0301", "\u3000", "'", "'l", "\xFF", "\xE2\x82"}) {
    std::string text;
    while (text.size() < 200000) text += unit;
    for (const std::string_view tail : {"", "x"}) {
      for (const std::string_view regex : kPublished) {
        const WordEnd word_end = find_splitter(regex);
        const std::string whole = text + std::string(tail);
        const char* const end = whole.data() + whole.size();
        for (const char* at = whole.data(); at < end;) at = word_end(at, end);
      }
    }
  }
}
