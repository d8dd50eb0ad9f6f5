#include "tokenizer/training/spm_bpe_trainer.hpp"

#include <algorithm>
#include <map>
#include <random>
#include <set>
#include <span>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/catch.hpp"
#include "tokenizer/training/unicode_script.hpp"

using namespace gradus;
using Catch::Matchers::ContainsSubstring;

namespace {

const std::string kMark = "\xE2\x96\x81";

using Words = std::vector<std::pair<std::string, int64_t>>;

PieceTraining train(const Words& words, const SpmBpeTrainingOptions& options,
                    const ProgressFn& progress = {}) {
  std::vector<CountedWord> counted;
  for (const auto& [bytes, count] : words) counted.push_back({bytes, count});
  return train_spm_bpe(counted, options, progress);
}

SpmBpeTrainingOptions options_for(int64_t places) {
  SpmBpeTrainingOptions options;
  options.places = places;
  options.character_coverage = 1;
  return options;
}

// Words of few letters, so that ties and overlapping pairs are common.
Words random_words(uint32_t seed, int letters, size_t count) {
  std::mt19937 random(seed);
  std::map<std::string, int64_t> words;
  while (words.size() < count) {
    std::string word = kMark;
    const uint32_t length = 1 + random() % 12;
    for (uint32_t at = 0; at < length; ++at) {
      word += static_cast<char>('a' + static_cast<char>(random() % static_cast<uint32_t>(letters)));
    }
    words[word] = 1 + static_cast<int64_t>(random() % 3);
  }
  return {words.begin(), words.end()};
}

// The definition, word for word: recounts everything before each merge. Only for words of U+2581 and letters.
std::vector<std::string> naive_bpe(const Words& words, int64_t places, size_t max_length) {
  std::vector<std::pair<std::vector<std::string>, int64_t>> split;
  std::map<std::string, int64_t> chars;
  for (const auto& [bytes, count] : words) {
    std::vector<std::string> symbols = {bytes.substr(0, 3)};
    for (size_t at = 3; at < bytes.size(); ++at) symbols.push_back(bytes.substr(at, 1));
    for (const std::string& symbol : symbols) chars[symbol] += count;
    split.push_back({symbols, count});
  }
  const auto length = [](const std::string& s) { return s.starts_with(kMark) ? s.size() - 2 : s.size(); };
  std::vector<std::string> pieces;
  std::set<std::string> known;
  while (static_cast<int64_t>(pieces.size() + chars.size()) < places) {
    std::map<std::pair<std::string, std::string>, int64_t> counts;
    for (const auto& [symbols, count] : split) {
      for (size_t at = 0; at + 1 < symbols.size(); ++at) counts[{symbols[at], symbols[at + 1]}] += count;
    }
    const std::pair<const std::pair<std::string, std::string>, int64_t>* best = nullptr;
    for (const auto& entry : counts) {
      const std::string whole = entry.first.first + entry.first.second;
      if (known.contains(whole) || length(whole) > max_length) continue;
      if (best != nullptr) {
        const std::string other = best->first.first + best->first.second;
        if (entry.second < best->second) continue;
        if (entry.second == best->second && length(whole) > length(other)) continue;
        if (entry.second == best->second && length(whole) == length(other) && whole >= other) continue;
      }
      best = &entry;
    }
    if (best == nullptr) break;
    const auto [left, right] = best->first;
    for (auto& [symbols, count] : split) {
      std::vector<std::string> merged;
      for (size_t at = 0; at < symbols.size(); ++at) {
        if (at + 1 < symbols.size() && symbols[at] == left && symbols[at + 1] == right) {
          merged.push_back(left + right);
          ++at;
        } else {
          merged.push_back(symbols[at]);
        }
      }
      symbols = merged;
    }
    pieces.push_back(left + right);
    known.insert(left + right);
  }
  std::vector<std::pair<std::string, int64_t>> by_count(chars.begin(), chars.end());
  std::stable_sort(by_count.begin(), by_count.end(),
                   [](const auto& a, const auto& b) { return a.second > b.second; });
  for (const auto& [symbol, count] : by_count) pieces.push_back(symbol);
  return pieces;
}

std::vector<std::string> texts(const PieceTraining& training) {
  std::vector<std::string> out;
  for (const ScoredPiece& piece : training.pieces) out.push_back(piece.text);
  return out;
}

}  // namespace

TEST_CASE("scripts of pieces are Unicode's, with the Japanese ones as one") {
  const uint8_t han = piece_script(U'\u6F22');
  for (const char32_t c : {U'\u3042', U'\u30A2', U'\u30FC'}) CHECK(piece_script(c) == han);
  const std::set<uint8_t> different = {
      han,           piece_script(U'a'), piece_script(U'\u0431'), piece_script(U'\u05D0'),
      kScriptCommon, kScriptInherited};
  CHECK(different.size() == 6);
  CHECK(piece_script(U'\u00E9') == piece_script(U'Z'));
  for (const char32_t c : {U'1', U',', U'\u00D7', U'\u0378', char32_t{0x10FFFF}})
    CHECK(piece_script(c) == kScriptCommon);
  CHECK(piece_script(U'\u0301') == kScriptInherited);
}

TEST_CASE("valid pieces are SentencePiece's") {
  // By code: 1 digit, 2 and 3 Latin, 4 an accent, 5 Cyrillic, 6 the space mark, 7 to 9 Japanese.
  const std::vector<char32_t> alphabet = {U'1',       U'a',      U'b',      U'\u0301', U'\u0431',
                                          kSpaceMark, U'\u3042', U'\u30FC', U'\u6F22'};
  using Codes = std::vector<int32_t>;
  const auto valid = [&](const Codes& codes, const PieceRules& rules = {}) {
    return PieceChecker(alphabet, rules).valid(codes);
  };
  CHECK(valid({6, 2, 3}));
  CHECK(valid({2, 4, 3}));
  CHECK(valid({4, 5}));
  CHECK(valid({7, 8, 9}));
  CHECK(valid({6, 1}));
  CHECK_FALSE(valid({2, 4, 5}));
  CHECK_FALSE(valid({2, 1}));
  CHECK_FALSE(valid({2, 6}));
  CHECK_FALSE(valid({6, 6}));
  CHECK_FALSE(valid({}));
  CHECK(valid(Codes(16, 2)));
  CHECK_FALSE(valid(Codes(17, 2)));
  PieceRules rules;
  rules.whitespace_only_pieces = true;
  CHECK(valid({6, 6}, rules));
  CHECK_FALSE(valid({6, 6, 2}, rules));
  rules = {};
  rules.split_by_number = false;
  CHECK(valid({2, 1, 5}, rules));
  rules = {};
  rules.split_digits = true;
  CHECK(valid({1}, rules));
  CHECK_FALSE(valid({6, 1}, rules));
}

TEST_CASE("no valid piece reaches over a cut, and every place inside an invalid pair of characters is one") {
  const std::vector<char32_t> alphabet = {U'1', U'a', U'\u0301', U'\u0431', kSpaceMark};
  const auto size = static_cast<int32_t>(alphabet.size());
  for (int bits = 0; bits < 64; ++bits) {
    PieceRules rules;
    rules.split_by_unicode_script = bits & 1;
    rules.split_by_number = bits & 2;
    rules.split_by_whitespace = bits & 4;
    rules.split_digits = bits & 8;
    rules.whitespace_only_pieces = bits & 16;
    const PieceChecker checker(alphabet, rules);
    for (int32_t a = 1; a <= size; ++a) {
      for (int32_t b = 1; b <= size; ++b) {
        bool reached = false;
        for (int32_t c = 1; c <= size; ++c) {
          for (int32_t d = 1; d <= size; ++d) {
            const std::vector<int32_t> codes = {c, a, b, d};
            for (const size_t begin : {0U, 1U}) {
              for (const size_t end : {3U, 4U}) {
                reached |= checker.valid(std::span(codes).subspan(begin, end - begin));
              }
            }
          }
        }
        CAPTURE(bits, a, b);
        REQUIRE(checker.cuts(a, b) == !reached);
      }
    }
  }
}

TEST_CASE("SentencePiece-style BPE merges what the definition merges, ties and overlaps included") {
  for (uint32_t seed = 0; seed < 12; ++seed) {
    const auto words = random_words(seed, 1 + static_cast<int>(seed % 4), seed % 4 == 0 ? 12 : 60);
    SpmBpeTrainingOptions options = options_for(80);
    options.rules.max_length = seed % 3 == 0 ? 4 : 16;
    const PieceTraining training = train(words, options);
    CAPTURE(seed);
    REQUIRE(texts(training) == naive_bpe(words, 80, static_cast<size_t>(options.rules.max_length)));
  }
}

TEST_CASE("SentencePiece-style BPE scores its pieces in order, and the characters after the merges") {
  const Words words = {{kMark + "aab", 3}, {kMark + "ab", 2}};
  const PieceTraining training = train(words, options_for(5));
  const std::vector<ScoredPiece> expected = {{"ab", 0}, {kMark + "a", -1}, {"a", -2}, {"b", -3}, {kMark, -4}};
  REQUIRE(training.pieces == expected);
  CHECK(training.note.empty());
}

TEST_CASE("SentencePiece-style BPE keeps scripts, digits and inner spaces apart as its rules say") {
  const Words text = {{kMark + "ab12", 9}, {kMark + "a\xD0\xB1", 9}, {kMark + "x" + kMark + "x", 9}};
  const auto has = [&](const SpmBpeTrainingOptions& options, const std::string& piece) {
    const auto pieces = texts(train(text, options));
    return std::find(pieces.begin(), pieces.end(), piece) != pieces.end();
  };
  SpmBpeTrainingOptions options = options_for(100);
  CHECK(has(options, kMark + "ab"));
  CHECK(has(options, "12"));
  CHECK_FALSE(has(options, kMark + "ab12"));
  CHECK_FALSE(has(options, kMark + "a\xD0\xB1"));
  CHECK_FALSE(has(options, kMark + "x" + kMark + "x"));
  options.rules.split_by_number = false;
  CHECK(has(options, kMark + "ab12"));
  options.rules.split_by_number = true;
  options.rules.split_by_unicode_script = false;
  CHECK(has(options, kMark + "ab12"));
  CHECK(has(options, kMark + "a\xD0\xB1"));
  options.rules.split_digits = true;
  CHECK_FALSE(has(options, "12"));
  options.rules.split_by_whitespace = false;
  CHECK(has(options, kMark + "x" + kMark + "x"));
  CHECK_FALSE(has(options, kMark + "x" + kMark));
}

TEST_CASE("SentencePiece-style BPE drops rare and reserved characters and says which") {
  const Words words = {{kMark + std::string(500, 'a'), 10},
                       {kMark + "a\xC3\xA9"
                                "a",
                        1},
                       {kMark + "a\tb", 1}};
  SpmBpeTrainingOptions options = options_for(20);
  options.character_coverage = 0.999;
  const PieceTraining training = train(words, options);
  const std::vector<DroppedChar> dropped = {{U'\t', 1}, {U'b', 1}, {U'\u00E9', 1}};
  REQUIRE(training.dropped == dropped);
  for (const std::string& piece : texts(training))
    CHECK(piece.find_first_not_of("a" + kMark) == std::string::npos);
}

TEST_CASE("SentencePiece-style BPE gives fewer pieces and a note where the text is too small") {
  const PieceTraining training = train({{kMark + "ab", 1}}, options_for(100));
  CHECK(texts(training) == std::vector<std::string>{"ab", kMark + "ab", "a", "b", kMark});
  CHECK_THAT(training.note, ContainsSubstring("100") && ContainsSubstring("5"));
}

TEST_CASE("SentencePiece-style BPE refuses what it cannot use, and says why") {
  const auto options = options_for(4);
  CHECK_THROWS_WITH(train({}, options), ContainsSubstring("at least one usable character"));
  CHECK_THROWS_AS(train({}, options), std::runtime_error);
  CHECK_THROWS_WITH(train({{kMark + "abcd", 1}}, options), ContainsSubstring("5 characters for 4 places"));
  CHECK_THROWS_WITH(train({{kMark + "\xFF", 1}}, options), ContainsSubstring("byte 3 of word 0"));
  CHECK_THROWS_AS(train({{kMark, 0}}, options), std::invalid_argument);
  CHECK_THROWS_AS(train({{kMark, int64_t{1} << 60}}, options), std::runtime_error);
  SpmBpeTrainingOptions wrong = options;
  wrong.places = 0;
  CHECK_THROWS_AS(train({{kMark, 1}}, wrong), std::invalid_argument);
  wrong = options;
  wrong.rules.max_length = 0;
  CHECK_THROWS_AS(train({{kMark, 1}}, wrong), std::invalid_argument);
  wrong = options;
  wrong.character_coverage = 0;
  CHECK_THROWS_AS(train({{kMark, 1}}, wrong), std::invalid_argument);
}

TEST_CASE("SentencePiece-style BPE trains on a word of a megabyte") {
  for (const uint32_t letters : {1U, 3U}) {
    std::mt19937 random(letters);
    std::string word = kMark;
    while (word.size() < 1000000) word += static_cast<char>('a' + static_cast<char>(random() % letters));
    const PieceTraining training = train({{word, 2}}, options_for(300));
    CHECK(training.pieces.size() == (letters == 1 ? 8U : 300U));
  }
}

TEST_CASE("SentencePiece-style BPE reports progress up to the end and stops when told to") {
  const auto words = random_words(1, 4, 100);
  int64_t last = 0;
  const PieceTraining training = train(words, options_for(60), [&](int64_t done, int64_t total) {
    CHECK(total == 60);
    CHECK(done >= last);
    last = done;
  });
  CHECK(last == 60);
  const auto stop = [](int64_t, int64_t) { throw std::domain_error("stop"); };
  CHECK_THROWS_AS(train(words, options_for(60), stop), std::domain_error);
}
