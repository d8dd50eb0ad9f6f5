#include "tokenizer/stages/added_tokens.hpp"

#include <algorithm>
#include <random>

#include "tensor/parallel.hpp"
#include "tests/support/catch.hpp"

using namespace gradus;

namespace {

using Segment = AddedTokenMatcher::Segment;

AddedToken token(int32_t id, const std::string& content) {
  AddedToken added;
  added.id = id;
  added.content = content;
  return added;
}

AddedTokenMatcher matcher(const std::vector<AddedToken>& tokens) {
  std::vector<std::pair<std::string, AddedToken>> patterns;
  for (const AddedToken& added : tokens) patterns.emplace_back(added.content, added);
  return AddedTokenMatcher(patterns);
}

std::vector<Segment> split(const AddedTokenMatcher& matcher, const std::string& text,
                           bool skip_special = false) {
  std::vector<Segment> segments = {{7, 8, 9}};
  matcher.split(text, skip_special, segments);
  return segments;
}

// From the left, at each place the longest, by trying all.
std::vector<Segment> split_plainly(const std::vector<std::string>& contents, const std::string& text) {
  std::vector<Segment> segments;
  const auto append = [&](size_t begin, size_t end, int32_t id) {
    if (begin < end) segments.push_back({static_cast<uint32_t>(begin), static_cast<uint32_t>(end), id});
  };
  size_t done = 0;
  for (size_t at = 0; at < text.size();) {
    size_t length = 0;
    int32_t id = -1;
    for (size_t i = 0; i < contents.size(); ++i) {
      if (contents[i].size() <= length || text.compare(at, contents[i].size(), contents[i]) != 0) continue;
      length = contents[i].size();
      id = static_cast<int32_t>(i);
    }
    if (length > 0) {
      append(done, at, -1);
      append(at, at + length, id);
      done = at + length;
    }
    at += std::max<size_t>(length, 1);
  }
  append(done, text.size(), -1);
  return segments;
}

void check_against_plain(uint64_t seed, const std::string& long_content) {
  std::mt19937_64 random(seed);
  const auto draw = [&](size_t below) { return static_cast<size_t>(random() % below); };
  const auto draw_text = [&](size_t longest) {
    std::string text;
    for (size_t length = 1 + draw(longest); length > 0; --length) text.push_back("aab<"[draw(4)]);
    return text;
  };
  for (int round = 0; round < 60; ++round) {
    std::vector<std::string> contents;
    if (!long_content.empty()) contents.push_back(long_content);
    for (size_t i = 1 + draw(12); i > 0; --i) contents.push_back(draw_text(1 + draw(6)));
    std::vector<AddedToken> tokens;
    for (size_t i = 0; i < contents.size(); ++i)
      tokens.push_back(token(static_cast<int32_t>(i), contents[i]));
    const AddedTokenMatcher added = matcher(tokens);
    for (int texts = 0; texts < 10; ++texts) {
      std::string text = draw_text(60);
      if (!long_content.empty()) text += std::string(draw(8000), 'a') + draw_text(20) + long_content;
      CHECK(split(added, text) == split_plainly(contents, text));
    }
  }
}

}  // namespace

TEST_CASE("added tokens: they are found from the left, at each place the longest, of equals the first") {
  check_against_plain(11, "");
}

TEST_CASE("added tokens: so they are among long ones, once too much is read in vain") {
  check_against_plain(12, std::string(500, 'a') + "b");
}

TEST_CASE("added tokens: a text without any is one segment, and an empty text has none") {
  const AddedTokenMatcher added = matcher({token(5, "<s>")});
  CHECK(split(added, "<s") == std::vector<Segment>{{0, 2, -1}});
  CHECK(split(added, "").empty());
  CHECK(split(AddedTokenMatcher(), "<s>") == std::vector<Segment>{{0, 3, -1}});
  CHECK((AddedTokenMatcher().empty() && !added.empty()));
}

TEST_CASE("added tokens: any bytes may be looked for, at the very end too") {
  const AddedTokenMatcher added =
      matcher({token(1, std::string(1, '\0')), token(2, "\u00E9"), token(3, "z")});
  CHECK(split(added, std::string("a\0b", 3) + "\u00E9z") ==
        std::vector<Segment>{{0, 1, -1}, {1, 2, 1}, {2, 3, -1}, {3, 5, 2}, {5, 6, 3}});
}

TEST_CASE("added tokens: a single word has no word character next to it") {
  AddedToken added = token(1, "ab");
  added.single_word = true;
  const AddedTokenMatcher single = matcher({added});
  const auto found = [&](const std::string& text) {
    const std::vector<Segment> segments = split(single, text);
    return std::any_of(segments.begin(), segments.end(),
                       [](const Segment& segment) { return segment.id == 1; });
  };
  for (const char* apart : {"ab", " ab ", "-ab.", "\u00B2ab", "ab\u2003", "ab\u20AC", "\u24EAab"}) {
    INFO(apart);
    CHECK(found(apart));
  }
  // A letter, a digit, a combining mark, a connector, a joiner, a Roman numeral, a circled letter.
  for (const char* joined :
       {"abc", "1ab", "ab\u0301", "ab_", "\u200Dab", "ab\u2167", "\u24B6ab", "ab\u0663"}) {
    INFO(joined);
    CHECK_FALSE(found(joined));
  }
}

TEST_CASE("added tokens: one that is refused still covers those inside it") {
  AddedToken outer = token(1, "abc");
  outer.single_word = true;
  AddedToken special = token(3, "<s>");
  special.special = true;
  const AddedTokenMatcher added = matcher({outer, token(2, "b"), special, token(4, "s")});
  CHECK(split(added, "xabc b") == std::vector<Segment>{{0, 5, -1}, {5, 6, 2}});
  CHECK(split(added, "<s>s") == std::vector<Segment>{{0, 3, 3}, {3, 4, 4}});
  CHECK(split(added, "<s>s", true) == std::vector<Segment>{{0, 3, -1}, {3, 4, 4}});
}

TEST_CASE("added tokens: white space next to them is taken in where they strip it") {
  AddedToken left = token(1, "<l>");
  left.lstrip = true;
  AddedToken right = token(2, "<r>");
  right.rstrip = true;
  const AddedTokenMatcher added = matcher({left, right});
  CHECK(split(added, "a \u2003\n<l> b") == std::vector<Segment>{{0, 1, -1}, {1, 9, 1}, {9, 11, -1}});
  CHECK(split(added, "a <r>\t\u00A0b") == std::vector<Segment>{{0, 2, -1}, {2, 8, 2}, {8, 9, -1}});
  CHECK(split(added, "<r>  <l>") == std::vector<Segment>{{0, 5, 2}, {5, 8, 1}});
}

TEST_CASE("added tokens: one in the white space that another took in is there all the same") {
  AddedToken right = token(1, "A");
  right.rstrip = true;
  AddedToken line = token(2, "\n");
  const std::string text = "A \n B";
  CHECK(split(matcher({right, line}), text) == std::vector<Segment>{{0, 4, 1}, {2, 3, 2}, {3, 5, -1}});
  line.rstrip = true;
  CHECK(split(matcher({right, line}), text) == std::vector<Segment>{{0, 4, 1}, {2, 4, 2}, {4, 5, -1}});
  line.lstrip = true;
  CHECK(split(matcher({right, line}), text) == std::vector<Segment>{{0, 4, 1}, {4, 5, -1}});
  line.rstrip = false;
  CHECK(split(matcher({right, line}), text) == std::vector<Segment>{{0, 4, 1}, {4, 5, -1}});
}

TEST_CASE("added tokens: an empty text to look for is an error") {
  CHECK_THROWS_AS(matcher({token(1, "")}), std::invalid_argument);
}

TEST_CASE("added tokens: a megabyte takes no long time, whatever is looked for") {
  const size_t size = 1 << 20;
  AddedToken space = token(1, " ");
  space.rstrip = true;
  const AddedTokenMatcher added =
      matcher({space, token(2, std::string(size / 2, 'a') + "b"), token(3, "aaa")});
  CHECK(split(added, std::string(size, ' ')).size() == size);
  CHECK(split(added, std::string(size, 'a')).size() == size / 3 + 1);
}

TEST_CASE("added tokens: several threads get the same segments") {
  const AddedTokenMatcher added = matcher({token(1, "<s>"), token(2, std::string(100, 'a'))});
  std::string text;
  for (int i = 0; i < 3000; ++i) text += i % 5 == 0 ? "<s>" : i % 7 == 0 ? std::string(99, 'a') : " b";
  const std::vector<Segment> expected = split(added, text);
  std::vector<std::vector<Segment>> found(16);
  parallel_for(16, [&](int64_t i) { found[static_cast<size_t>(i)] = split(added, text); });
  for (const std::vector<Segment>& segments : found) CHECK(segments == expected);
}
