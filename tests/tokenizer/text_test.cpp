#include <random>
#include <string>
#include <vector>

#include "tests/support/catch.hpp"
#include "tokenizer/text/lines.hpp"
#include "tokenizer/text/strings.hpp"
#include "tokenizer/text/unicode.hpp"

using namespace gradus;

namespace {

// Bytes of which many begin, continue or break off a character.
std::string hostile_bytes(std::mt19937_64& random) {
  constexpr unsigned char kBytes[] = {'a', 0x80, 0x9F, 0xA0, 0xBF, 0xC3, 0xE0, 0xE2, 0xED, 0xF0, 0xF4, 0xFF};
  std::string bytes;
  for (size_t length = random() % 12; length > 0; --length) {
    if (random() % 3 == 0) {
      append_utf8(static_cast<char32_t>(random() % 0xD800), bytes);
    } else {
      bytes.push_back(static_cast<char>(kBytes[random() % std::size(kBytes)]));
    }
  }
  return bytes;
}

}  // namespace

TEST_CASE("a text's characters are the same from its end as from its beginning, whatever its bytes") {
  std::mt19937_64 random(1);
  for (int round = 0; round < 100000; ++round) {
    const std::string bytes = hostile_bytes(random);
    const char* const end = bytes.data() + bytes.size();
    int expected = 0;
    char32_t expected_c = 7;
    for (int length = 1; length <= 4 && static_cast<size_t>(length) <= bytes.size(); ++length) {
      char32_t c = 0;
      if (decode_utf8(end - length, end, c) == length) {
        expected = length;
        expected_c = c;
      }
    }
    char32_t last = 7;
    size_t utf8 = 0;
    for (char32_t c = 0; utf8 < bytes.size();) {
      const int length = decode_utf8(bytes.data() + utf8, end, c);
      if (length == 0) break;
      utf8 += static_cast<size_t>(length);
    }
    const bool same = decode_last_utf8(bytes, last) == expected && last == expected_c;
    if (!same || utf8_prefix(bytes) != utf8) {
      CAPTURE(bytes);
      CHECK(same);
      REQUIRE(utf8_prefix(bytes) == utf8);
    }
    if (expected > 0)
      REQUIRE(single_char(bytes.substr(bytes.size() - static_cast<size_t>(expected))) == last);
  }
  CHECK_FALSE(single_char("").has_value());
  CHECK_FALSE(single_char("ab").has_value());
  CHECK(count_chars("a\u00E9\u6F22\U0001F44D") == 4);
}

TEST_CASE("a text from a file is shown in an error whole or cut, without bytes that a terminal would obey") {
  CHECK(shown_text("a\u00E9\n\xFF") == "\"a\u00E9\\x0A\\xFF\"");
  CHECK(shown_text(std::string(1000, 'x')) == '"' + std::string(60, 'x') + "\"...");
}

TEST_CASE("the distance between two texts is the least number of edits") {
  CHECK(edit_distance("kitten", "sitting") == 3);
  CHECK(edit_distance("sitting", "kitten") == 3);
  CHECK(edit_distance("", "abc") == 3);
  CHECK(edit_distance("abc", "") == 3);
  CHECK(edit_distance("encode", "encode") == 0);
  CHECK(edit_distance("encdoe", "encode") == 2);
}

TEST_CASE("lines end in a line feed, with or without a carriage return, and a byte-order mark begins none") {
  LineReader lines(
      "\xEF\xBB\xBF"
      "a\r\n\nb");
  std::vector<std::string> seen;
  while (lines.next()) seen.push_back(std::to_string(lines.number()) + std::string(lines.line()));
  CHECK(seen == std::vector<std::string>{"1a", "2", "3b"});
  CHECK(lines.is_last());
}
