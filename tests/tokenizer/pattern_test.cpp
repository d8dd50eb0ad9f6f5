#include <string>
#include <string_view>
#include <vector>

#include "tests/support/catch.hpp"
#include "tests/support/error_of.hpp"
#include "tokenizer/text/pattern.hpp"
#include "tokenizer/text/pattern_syntax.hpp"

using namespace gradus;
using gradus::testing::error_of;

namespace {

using Matches = std::vector<std::string>;

// The matches, an empty one as its place: "@2".
Matches matches_of(std::string_view regex, std::string_view text) {
  const Pattern pattern(regex, "test");
  Matches found;
  PatternMatches matches(pattern, text);
  for (size_t begin = 0, end = 0; matches.next(begin, end);)
    found.push_back(begin == end ? "@" + std::to_string(begin)
                                 : std::string(text.substr(begin, end - begin)));
  return found;
}

}  // namespace

// What Hugging Face's tokenizers 0.22.2 finds.
TEST_CASE("patterns mean what they mean to the Hugging Face library") {
  CHECK(matches_of("\\p{N}{1,3}", "1234 \u0661") == Matches{"123", "4", "\u0661"});
  CHECK(matches_of("\\p{N}{1,3}+", "1234567 12") == Matches{"1234567", "12"});
  CHECK(matches_of("\\p{N}{3}?", "12345") == Matches{"123", "@4", "@5"});
  CHECK(matches_of("a{,2}b", "aaab b") == Matches{"aab", "b"});
  CHECK(matches_of("^a|b$", "a\nab\nb") == Matches{"a", "a", "b", "b"});
  CHECK(matches_of("(?m:a.)|c.", "a\nc\nca") == Matches{"a\n", "ca"});
  CHECK(matches_of("\\h+|\\v", "12ag\v") == Matches{"12a", "\v"});
  CHECK(matches_of("\\s", "\u0085\u00A0\u180E\u200B\u3000") == Matches{"\u0085", "\u00A0", "\u3000"});
  CHECK(matches_of("[^\\S\\n]+", "a \t\n\u3000b") == Matches{" \t", "\u3000"});
  CHECK(matches_of("\\w+", "a\u0301\u24B6_\u00B2!") == Matches{"a\u0301\u24B6_\u00B2"});
  CHECK(matches_of("[\\w-]+", "a\u0301-\u00B2") == Matches{"a\u0301-"});
  CHECK(matches_of("[\\W_]+", "a_\u00B2!b") == Matches{"_\u00B2!"});
  CHECK(matches_of("a\\b", "a\u0301 a.") == Matches{"a"});
  CHECK(matches_of("\\p{Han}+", "\u6F22\u3005\u3006") == Matches{"\u6F22\u3005"});
  CHECK(matches_of("[a-w&&[^c-g]]+", "abcdhz") == Matches{"ab", "h"});
  CHECK(matches_of("[^\\s[.,]x]+", "ab.c xd") == Matches{"ab", "c", "d"});
  CHECK(matches_of("[[:alpha:][:digit:]]+", "a1\u00E9!") == Matches{"a1\u00E9"});
  CHECK(matches_of("\\u0041|\\x{1F600}", "A\U0001F600") == Matches{"A", "\U0001F600"});
  CHECK(matches_of("(?i:'s|k)", "'S'\u017F\u212A") == Matches{"'S", "'\u017F", "\u212A"});
  CHECK(matches_of("(?i)ab", "aB") == Matches{"aB"});
  CHECK(matches_of("(.)\\1", "abbcc") == Matches{"bb", "cc"});
  CHECK(matches_of("\\G\\d", "12a3") == Matches{"1", "2"});
  CHECK(matches_of("(?<=a)b|{|}", "ab{b}") == Matches{"b", "{", "}"});
}

TEST_CASE("empty matches are taken once, and not right behind another match") {
  CHECK(matches_of("x*", "axxb") == Matches{"@0", "xx", "@4"});
  CHECK(matches_of("", "\u00E9a") == Matches{"@0", "@2", "@3"});
  CHECK(matches_of("(?=a)", "bab") == Matches{"@1"});
}

TEST_CASE("bytes that are not UTF-8 match nothing") {
  CHECK(matches_of("[^b]+", "a\xFF\xE2\x82z") == Matches{"a", "z"});
  CHECK(matches_of(".", "\xC3") == Matches{});
}

TEST_CASE("what cannot be said in PCRE2 is refused by name") {
  const auto refused = [](std::string_view regex) { return error_of([&] { to_pcre2(regex, "here"); }); };
  CHECK(refused("a\\X") ==
        "here: the regular expression has \\X at byte 3, which is not supported; it is `a\\X`");
  for (const std::string_view regex : {"(?i:ss)",      "(?i:\u00DF)", "(?i:[\u00E0-\u00FF])",
                                       "(?i:\\p{Lu})", "(?x)a b",     "a(?i)b|c",
                                       "(?<n>a)",      "\\k<n>",      "a{2,1}",
                                       "[]a]",         "[a",          "(a",
                                       "a)",           "\\pL",        "\\p{L&}",
                                       "\\xE9",        "\\uD800",     "\\x{110000}",
                                       "*a",           "[[:punct:]]", "[\\w-z]",
                                       "[z-a]",        "[&&a]",       "\\10",
                                       "a\\",          "[a\\",        "\\p{",
                                       "[[:alpha:]",   "\\x{}",       "(?",
                                       "\xFF"}) {
    INFO(regex);
    CHECK(refused(regex).substr(0, 33) == "here: the regular expression has ");
  }
  CHECK(refused(std::string(70000, 'a')).substr(0, 45) == "here: a regular expression must not be longer");
  CHECK(refused(std::string(1000, '[')).find("too many classes") != std::string::npos);
}

TEST_CASE("a pattern that PCRE2 cannot compile is an error with its place") {
  const std::string error = error_of([] { Pattern("a\\p{Klingon}", "t.json: $.x"); });
  CHECK(error.substr(0, 72) == "t.json: $.x: the regular expression `a\\p{Klingon}` must be one that PCRE");
}

TEST_CASE("a pattern that would take forever is stopped") {
  const Pattern pattern("(?:a+)+b", "t.json: $.x");
  const std::string text(40, 'a');
  size_t begin = 0;
  size_t end = 0;
  const std::string error = error_of([&] { pattern.find(text + "cb", 0, begin, end); });
  CHECK(error.substr(0, 85) ==
        "t.json: $.x: the regular expression must find its matches with less work than PCRE2's");
}

TEST_CASE("a long run does not exhaust what a pattern may use") {
  std::string text;
  for (int i = 0; i < 200000; ++i) text += "a\u0301";
  CHECK(matches_of("(?:\\p{L}\\p{M}*)+", text) == Matches{text});
}
