#include <algorithm>
#include <array>
#include <map>
#include <random>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/catch.hpp"
#include "tokenizer/stages/splitters.hpp"
#include "tokenizer/subword/bpe_model.hpp"
#include "tokenizer/text/byte_alphabet.hpp"
#include "tokenizer/tokenizer.hpp"
#include "tokenizer/training/bpe_trainer.hpp"

using namespace gradus;

namespace {

using Strings = std::vector<std::string>;

std::vector<std::string_view> gpt2_words(std::string_view text) {
  std::vector<std::string_view> words;
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    const char* next = gpt2_word_end(at, end);
    words.emplace_back(at, static_cast<size_t>(next - at));
    at = next;
  }
  return words;
}

Strings words_of(std::string_view text) {
  Strings words;
  for (const std::string_view word : gpt2_words(text)) words.emplace_back(word);
  return words;
}

// A random text over a few characters, so that pairs repeat.
std::string random_text(std::mt19937_64& random, std::string_view alphabet, size_t length) {
  std::string text;
  for (size_t i = 0; i < length; ++i) text += alphabet[random() % alphabet.size()];
  return text;
}

std::string random_bytes(std::mt19937_64& random, size_t length) {
  std::string text;
  for (size_t i = 0; i < length; ++i) text += static_cast<char>(random() % 256);
  return text;
}

// BPE as its definition says: look for the merge that stands first in the list, leftmost first, do it, start again.
std::vector<int32_t> merge_slowly(std::vector<int32_t> ids, const std::vector<BpeMerge>& merges) {
  for (;;) {
    const BpeMerge* best = nullptr;
    size_t best_at = 0;
    for (size_t at = 0; at + 1 < ids.size(); ++at) {
      for (const BpeMerge& merge : merges) {
        const bool lower = best == nullptr || merge.rank < best->rank;
        if (lower && merge.left == ids[at] && merge.right == ids[at + 1]) {
          best = &merge;
          best_at = at;
        }
      }
    }
    if (best == nullptr) return ids;
    ids[best_at] = best->result;
    ids.erase(ids.begin() + static_cast<std::ptrdiff_t>(best_at) + 1);
  }
}

// Training as its definition says: count every pair again for every merge.
BpeTraining train_slowly(const Strings& documents, int64_t size) {
  BpeTraining training;
  std::map<std::string, int32_t> known;
  for (const uint8_t byte : byte_order()) {
    known[std::string(1, static_cast<char>(byte))] = static_cast<int32_t>(training.tokens.size());
    training.tokens.emplace_back(1, static_cast<char>(byte));
  }
  std::vector<std::vector<int32_t>> words;
  for (const std::string& document : documents) {
    for (const std::string& word : words_of(document)) {
      words.emplace_back();
      for (const char byte : word) words.back().push_back(known[std::string(1, byte)]);
    }
  }
  while (static_cast<int64_t>(training.tokens.size()) < size) {
    std::map<std::pair<int32_t, int32_t>, int64_t> counts;
    for (const auto& word : words) {
      for (size_t i = 0; i + 1 < word.size(); ++i) ++counts[{word[i], word[i + 1]}];
    }
    std::pair<int32_t, int32_t> best;
    int64_t most = 1;
    for (const auto& [pair, count] : counts) {
      if (count > most) {  // the map is ascending, so of equals the lowest pair stays
        best = pair;
        most = count;
      }
    }
    if (most < 2) break;
    const auto [left, right] = best;
    const auto result = static_cast<int32_t>(training.tokens.size());
    training.tokens.push_back(training.tokens[static_cast<size_t>(left)] +
                              training.tokens[static_cast<size_t>(right)]);
    training.merges.push_back({left, right, result});
    for (auto& word : words) {
      for (size_t i = 0; i + 1 < word.size(); ++i) {
        if (word[i] != left || word[i + 1] != right) continue;
        word[i] = result;
        word.erase(word.begin() + static_cast<std::ptrdiff_t>(i) + 1);
      }
    }
  }
  return training;
}

BpeTraining train(const Strings& documents, int64_t size) {
  WordCountTable words;
  for (const std::string& document : documents) {
    for (const std::string_view word : gpt2_words(document)) words.add(word);
  }
  BpeTrainingOptions options;
  options.vocab_size = size;
  return train_byte_bpe(words.list(), options);
}

std::vector<BpeMerge> ranked(const std::vector<BpeTraining::Merge>& list) {
  std::vector<BpeMerge> merges;
  for (const auto& merge : list) {
    merges.push_back({merge.left, merge.right, merge.result, static_cast<uint32_t>(merges.size())});
  }
  return merges;
}

// The symbols of a text in which byte b is token b.
std::vector<BpeSymbol> symbols_of(std::string_view text) {
  std::vector<BpeSymbol> symbols;
  for (const char byte : text) {
    symbols.push_back({static_cast<unsigned char>(byte), static_cast<uint32_t>(symbols.size())});
  }
  return symbols;
}

Strings new_tokens(const BpeTraining& training) {
  return {training.tokens.begin() + 256, training.tokens.end()};
}

}  // namespace

TEST_CASE("the GPT-2 rule splits words, contractions, numbers and punctuation") {
  CHECK(words_of("").empty());
  CHECK(words_of("Hello world") == Strings{"Hello", " world"});
  CHECK(words_of("x 42.5") == Strings{"x", " 42", ".", "5"});
  CHECK(words_of("abc123def") == Strings{"abc", "123", "def"});
  CHECK(words_of("wait... what?!") == Strings{"wait", "...", " what", "?!"});
  CHECK(words_of("a(b) _c") == Strings{"a", "(", "b", ")", " _", "c"});
}

TEST_CASE("the GPT-2 rule knows the contractions in lower case only and only where they begin a word") {
  CHECK(words_of("I'm you're he's we've they'll I'd can't") == Strings{"I", "'m", " you", "'re", " he", "'s",
                                                                       " we", "'ve", " they", "'ll", " I",
                                                                       "'d", " can", "'t"});
  CHECK(words_of("'s'sx") == Strings{"'s", "'s", "x"});
  CHECK(words_of("'sister") == Strings{"'s", "ister"});
  CHECK(words_of("'llama 'lx 'r") == Strings{"'ll", "ama", " '", "lx", " '", "r"});
  CHECK(words_of("IT'S") == Strings{"IT", "'", "S"});
  CHECK(words_of("it''s") == Strings{"it", "''", "s"});
  CHECK(words_of(" 's") == Strings{" '", "s"});
  CHECK(words_of("!'s") == Strings{"!'", "s"});
  CHECK(words_of("don't_stop") == Strings{"don", "'t", "_", "stop"});
  CHECK(words_of("'") == Strings{"'"});
  CHECK(words_of("'v") == Strings{"'", "v"});
  CHECK(words_of("it\xE2\x80\x99s") == Strings{"it", "\xE2\x80\x99", "s"});  // U+2019 is no apostrophe here
}

TEST_CASE(
    "the GPT-2 rule leaves the last space of a run to the word behind it, and takes the run at the end "
    "whole") {
  CHECK(words_of("a  b") == Strings{"a", " ", " b"});
  CHECK(words_of("a    b") == Strings{"a", "   ", " b"});
  CHECK(words_of("a ") == Strings{"a", " "});
  CHECK(words_of("a \t") == Strings{"a", " \t"});
  CHECK(words_of("   ") == Strings{"   "});
  CHECK(words_of(" ") == Strings{" "});
  CHECK(words_of("a\nb") == Strings{"a", "\n", "b"});
  CHECK(words_of("a\n\nb") == Strings{"a", "\n", "\n", "b"});
  CHECK(words_of("a\n\n\nb") == Strings{"a", "\n\n", "\n", "b"});
  CHECK(words_of("a \n b") == Strings{"a", " \n", " b"});
  CHECK(words_of("\t a") == Strings{"\t", " a"});
  CHECK(words_of(" \ta") == Strings{" ", "\t", "a"});
  CHECK(words_of("a\r\n") == Strings{"a", "\r\n"});
  CHECK(words_of("a  1  !") == Strings{"a", " ", " 1", " ", " !"});
  CHECK(words_of("\n's") == Strings{"\n", "'s"});
}

TEST_CASE("the GPT-2 rule goes by Unicode classes") {
  SECTION("letters of any script") {
    CHECK(words_of("caf\u00E9 \u65E5\u672C\u8A9E") == Strings{"caf\u00E9", " \u65E5\u672C\u8A9E"});
    CHECK(words_of("\u00AAb\u02BC") == Strings{"\u00AAb\u02BC"});  // Lo and Lm
  }
  SECTION("numbers of every kind: Nd, Nl and No") {
    CHECK(words_of("\u0663\u096A 5\u00BD\u00B2\u2167x") ==
          Strings{"\u0663\u096A", " 5\u00BD\u00B2\u2167", "x"});
  }
  SECTION("combining marks are neither letters nor numbers") {
    CHECK(words_of("e\u0301a") == Strings{"e", "\u0301", "a"});
    CHECK(words_of("\u0928\u093F \u0301") == Strings{"\u0928", "\u093F", " \u0301"});
  }
  SECTION("only U+0020 leads a word, but every white space splits") {
    CHECK(words_of("a\u00A0b") == Strings{"a", "\u00A0", "b"});
    CHECK(words_of("a \u00A0b") == Strings{"a", " ", "\u00A0", "b"});
    CHECK(words_of("a\u00A0 b") == Strings{"a", "\u00A0", " b"});
    CHECK(words_of("\u65E5\u3000\u672C") == Strings{"\u65E5", "\u3000", "\u672C"});
    CHECK(words_of("a\u3000\u3000b\u2009") == Strings{"a", "\u3000", "\u3000", "b", "\u2009"});
    CHECK(words_of("a\u0085\u2028\u2029") == Strings{"a", "\u0085\u2028\u2029"});
  }
  SECTION("what looks like white space but is not: U+200B, U+180E, U+001C, U+FEFF") {
    CHECK(words_of("a\u200Bb") == Strings{"a", "\u200B", "b"});
    CHECK(words_of(" \u180E \x1C \uFEFF") == Strings{" \u180E", " \x1C", " \uFEFF"});
  }
  SECTION("emoji with modifiers and joiners stay together") {
    CHECK(words_of("hi \U0001F44D\U0001F3FD! \U0001F468\u200D\U0001F469") ==
          Strings{"hi", " \U0001F44D\U0001F3FD!", " \U0001F468\u200D\U0001F469"});
  }
}

TEST_CASE("the GPT-2 rule takes bytes that are not UTF-8 for symbols") {
  CHECK(words_of("a\xFF"
                 "b") == Strings{"a", "\xFF", "b"});
  CHECK(words_of(" \xFF\xFE!") == Strings{" \xFF\xFE!"});
  CHECK(words_of("a\xE2\x82") == Strings{"a", "\xE2\x82"});          // cut character
  CHECK(words_of("\xED\xA0\x80x") == Strings{"\xED\xA0\x80", "x"});  // surrogate
  CHECK(words_of("\xC0\xA0"
                 "1") == Strings{"\xC0\xA0", "1"});                            // overlong space
  CHECK(words_of("\xF4\x90\x80\x80 x") == Strings{"\xF4\x90\x80\x80", " x"});  // above U+10FFFF
  CHECK(words_of("\xC3 \xA9") == Strings{"\xC3", " \xA9"});
}

TEST_CASE("the words of any bytes join to these bytes") {
  std::mt19937_64 random(1);
  for (int round = 0; round < 500; ++round) {
    const std::string text = round % 2 == 0
                                 ? random_bytes(random, random() % 60)
                                 : random_text(random, "a1 \n'!\xC3\xA9\xE3\x80\x80", random() % 60);
    std::string joined;
    for (const std::string_view word : gpt2_words(text)) {
      CHECK_FALSE(word.empty());
      joined += word;
    }
    CHECK(joined == text);
  }
}

TEST_CASE("the byte alphabet is GPT-2's") {
  CHECK(bytes_to_text(" king\n") == "\u0120king\u010A");
  CHECK(bytes_to_text(std::string("\0\x7F\xA0\xAD\xFF", 5)) == "\u0100\u0121\u0142\u0143\u00FF");
  CHECK(byte_order()[0] == '!');
  CHECK(byte_order()[93] == '~');
  CHECK(byte_order()[94] == 0xA1);
  CHECK(byte_order()[188] == 0);
  CHECK(byte_order()[220] == ' ');
  CHECK(byte_order()[255] == 0xAD);
  std::string all;
  for (int byte = 0; byte < 256; ++byte) all += static_cast<char>(byte);
  CHECK(text_to_bytes(bytes_to_text(all)) == all);
  CHECK(std::set<uint8_t>(byte_order().begin(), byte_order().end()).size() == 256);
  CHECK_FALSE(text_to_bytes("a b").has_value());
  CHECK_FALSE(text_to_bytes("\u0144").has_value());
  CHECK_FALSE(text_to_bytes("\xC4").has_value());
}

TEST_CASE("training takes the most frequent pair, of equals the one with lower ids") {
  // Pieces: ab twice, cd twice (line feeds are words of their own).
  CHECK(new_tokens(train({"cd\ncd\nab\nab"}, 300)) == Strings{"ab", "cd"});
  CHECK(new_tokens(train({"ac\nab\nac\nab"}, 300)) == Strings{"ab", "ac"});
  CHECK(new_tokens(train({"cd\ncd\ncd\nab\nab"}, 300)) == Strings{"cd", "ab"});
  // A byte's id is its place in byte_order, where the space comes after the letters: (b, a) goes before (Ġ, b).
  CHECK(new_tokens(train({" ba ba"}, 300)) == Strings{"ba", " ba"});
}

TEST_CASE("training merges runs of one character from the left") {
  // aaaa aaaa: (a, a) six times, then (aa, aa) twice. The second word has the space in front.
  CHECK(new_tokens(train({"aaaa\naaaa"}, 300)) == Strings{"aa", "aaaa"});
  CHECK(new_tokens(train({"aaa\naaa"}, 300)) == Strings{"aa", "aaa"});
  const BpeTraining training = train({"aaa\naaa"}, 300);
  CHECK(training.merges.back().left == 256);  // aa + a, not a + aa
}

TEST_CASE(
    "training stops at the size asked for, or where no pair occurs twice, and never merges across words") {
  CHECK(train({"abcd abcd abcd"}, 256).merges.empty());
  CHECK(train({"abcd abcd abcd"}, 258).tokens.size() == 258);
  CHECK(train({"a b c d e f"}, 300).tokens.size() == 256);
  CHECK(train({}, 300).tokens.size() == 256);
  CHECK(new_tokens(train({"ab", "ab"}, 300)) == Strings{"ab"});  // documents count together
  CHECK(train({"ab", "ba"}, 300).tokens.size() == 256);          // but do not join
}

TEST_CASE("training equals a trainer that counts everything again for each merge") {
  std::mt19937_64 random(2);
  const std::vector<std::string_view> alphabets = {"ab",      "a",          "abc ", "ab \n",
                                                   "xyz'st ", "\xC3\xA9 a", "aab"};
  for (int round = 0; round < 160; ++round) {
    Strings documents;
    for (size_t i = 0; i < 1 + random() % 3; ++i) {
      documents.push_back(random_text(random, alphabets[random() % alphabets.size()], random() % 300));
    }
    const int64_t size = 256 + static_cast<int64_t>(random() % 60);
    const BpeTraining fast = train(documents, size);
    const BpeTraining slow = train_slowly(documents, size);
    CHECK(fast.tokens == slow.tokens);
    CHECK(fast.merges == slow.merges);
    CHECK(std::set<std::string>(fast.tokens.begin(), fast.tokens.end()).size() == fast.tokens.size());
  }
}

TEST_CASE("training tells how far it is and can be stopped from there") {
  std::mt19937_64 random(3);
  const std::string text = random_text(random, "abcdefgh \n", 3 << 20);
  const std::vector<std::string_view> documents = {text};
  std::vector<int64_t> done;
  Tokenizer::train_bpe(documents, 300, [&](int64_t now, int64_t total) {
    CHECK(total == 2 * static_cast<int64_t>(text.size()));
    done.push_back(now);
  });
  CHECK(done.size() >= 3);
  CHECK(std::is_sorted(done.begin(), done.end()));
  CHECK(done.front() == 0);
  CHECK(done.back() == 2 * static_cast<int64_t>(text.size()));
  CHECK_THROWS_AS(
      Tokenizer::train_bpe(documents, 300, [](int64_t, int64_t) { throw std::runtime_error("stop"); }),
      std::runtime_error);
}

TEST_CASE("merging by scan and by heap equals the definition") {
  std::mt19937_64 random(4);
  for (int round = 0; round < 300; ++round) {
    // Merges in any order, also before those that make their parts: files may hold that.
    std::vector<BpeMerge> merges;
    std::vector<int32_t> ids = {'a', 'b', 'c'};
    std::set<std::pair<int32_t, int32_t>> seen;
    for (int32_t next = 256; next < 256 + static_cast<int32_t>(random() % 30); ++next) {
      const int32_t left = ids[random() % ids.size()];
      const int32_t right = ids[random() % ids.size()];
      if (!seen.insert({left, right}).second) continue;
      merges.push_back({left, right, next, 0});
      ids.push_back(next);
    }
    for (size_t i = merges.size(); i > 1; --i) std::swap(merges[i - 1], merges[random() % i]);
    for (size_t i = 0; i < merges.size(); ++i) merges[i].rank = static_cast<uint32_t>(i);
    if (round % 3 == 0 && merges.size() > 4) merges[3].rank = merges[1].rank;  // two pairs may share a rank
    const BpeMerges bpe(merges);
    for (int text = 0; text < 6; ++text) {
      const size_t length = random() % (text < 3 ? BpeMerges::kLinearLimit + 1 : 300);
      const std::string word = random_text(random, text % 2 == 0 ? "abc" : "aaab", length);
      const std::vector<int32_t> expected = merge_slowly({word.begin(), word.end()}, merges);
      const auto check = [&](auto apply) {
        std::vector<BpeSymbol> symbols = symbols_of(word);
        symbols.resize(apply(symbols));
        std::vector<int32_t> found;
        for (size_t i = 0; i < symbols.size(); ++i) {
          found.push_back(symbols[i].id);
          REQUIRE((i == 0 ? symbols[i].begin == 0 : symbols[i].begin > symbols[i - 1].begin));
        }
        CHECK(found == expected);
      };
      check([&](auto& symbols) { return bpe.apply_heap(symbols.data(), symbols.size()); });
      check([&](auto& symbols) { return bpe.apply(symbols.data(), symbols.size()); });
      if (length > 0) check([&](auto& symbols) { return bpe.apply_windows(symbols.data(), symbols.size()); });
      if (length > BpeMerges::kLinearLimit) continue;
      check([&](auto& symbols) { return bpe.apply_linear(symbols.data(), symbols.size()); });
    }
  }
}

TEST_CASE("merging long words window by window equals merging them whole") {
  std::mt19937_64 random(9);
  for (int round = 0; round < 60; ++round) {
    // Merges as training makes them, in which every rank is higher than those of its parts, and for every third list not.
    const std::string_view alphabet = round % 2 == 0 ? "abc" : "aab";
    const std::string learned = random_text(random, alphabet, 4000);
    std::vector<BpeMerge> merges =
        ranked(train({learned}, 256 + 20 + static_cast<int64_t>(random() % 200)).merges);
    std::map<int32_t, int32_t> byte_of;
    for (size_t id = 0; id < 256; ++id) byte_of[static_cast<int32_t>(id)] = byte_order()[id];
    for (BpeMerge& merge : merges) {
      if (merge.left < 256) merge.left = byte_of[merge.left];
      if (merge.right < 256) merge.right = byte_of[merge.right];
      if (round % 3 == 0) merge.rank = static_cast<uint32_t>(random() % merges.size());
    }
    const BpeMerges bpe(merges);
    std::string word = random_text(random, alphabet, 1 + random() % 3000);
    if (round % 5 == 0) word += std::string(2000, 'a') + word;
    std::vector<BpeSymbol> whole = symbols_of(word);
    whole.resize(bpe.apply_heap(whole.data(), whole.size()));
    std::vector<BpeSymbol> windows = symbols_of(word);
    windows.resize(bpe.apply_windows(windows.data(), windows.size()));
    REQUIRE(windows == whole);
  }
}

TEST_CASE("a long run's first token may be one with what is before it, though shorter ones are not") {
  // Runs of 2, 4 ... 64 stars are tokens, and so is a space with 64 of them, as in vocabularies learned from code.
  std::vector<BpeMerge> merges;
  int32_t run = '*';
  for (int32_t id = 256; id < 262; run = id++) merges.push_back({run, run, id, static_cast<uint32_t>(id)});
  merges.push_back({' ', run, 262, 262});
  const BpeMerges bpe(merges);
  for (size_t stars = 300; stars < 1400; stars += 7) {
    std::string word(stars, '*');
    for (size_t at = 0; at < stars; at += 300) word[at] = ' ';
    std::vector<BpeSymbol> whole = symbols_of(word);
    whole.resize(bpe.apply_heap(whole.data(), whole.size()));
    std::vector<BpeSymbol> windows = symbols_of(word);
    windows.resize(bpe.apply_windows(windows.data(), windows.size()));
    REQUIRE(windows == whole);
    REQUIRE(whole[0].id == 262);
  }
}

TEST_CASE("encoding equals merging each word by the definition, in short texts and in long ones") {
  std::mt19937_64 random(5);
  const std::string learned = random_text(random, "abcab c'st \n", 3000);
  const std::vector<std::string_view> documents = {learned};
  const BpeTraining training = train({learned}, 400);
  const Tokenizer tokenizer = Tokenizer::train_bpe(documents, 401);
  std::array<int32_t, 256> byte_ids{};
  for (size_t id = 0; id < 256; ++id) byte_ids[byte_order()[id]] = static_cast<int32_t>(id);

  for (const size_t length : {0, 1, 7, 100, 2000, 20000}) {  // the last two have a cache of words
    const std::string text = random_text(random, "abcab c'st \n\xFF", length);
    std::vector<int32_t> expected;
    for (const std::string_view word : gpt2_words(text)) {
      std::vector<int32_t> ids;
      for (const char byte : word) ids.push_back(byte_ids[static_cast<unsigned char>(byte)]);
      ids = merge_slowly(std::move(ids), ranked(training.merges));
      expected.insert(expected.end(), ids.begin(), ids.end());
    }
    CHECK(tokenizer.encode(text) == expected);
  }
}

TEST_CASE("a token that the merges do not make of its own bytes is not taken for a word") {
  // abc can only come from a + bc, but ab goes first: the word "abc" is ab, c.
  BpeParts parts;
  for (int byte = 0; byte < 256; ++byte) {
    parts.tokens.push_back(bytes_to_text(std::string(1, static_cast<char>(byte))));
  }
  parts.tokens.insert(parts.tokens.end(), {"ab", "bc", "abc"});
  parts.merges = {{'a', 'b', 256, 0}, {'b', 'c', 257, 1}, {'a', 257, 258, 2}};
  const std::vector<ByteSpan> words = {{0, 3}, {3, 4}, {4, 6}};
  std::vector<Token> tokens;
  BpeModel(parts).encode("abc bc", words, tokens);
  CHECK(tokens == std::vector<Token>{{256, 0, 2}, {'c', 2, 3}, {' ', 3, 4}, {257, 4, 6}});
  // Unless merges are to be left aside where a word is a token.
  parts.ignore_merges = true;
  tokens.clear();
  BpeModel(parts).encode("abc bc", words, tokens);
  CHECK(tokens == std::vector<Token>{{258, 0, 3}, {' ', 3, 4}, {257, 4, 6}});
}

TEST_CASE("in the order of ranks any two tokens merge that join to a token, the lowest first") {
  BpeParts parts;
  parts.order = BpeParts::Order::ranks;
  for (const uint8_t byte : byte_order())
    parts.tokens.push_back(bytes_to_text(std::string(1, static_cast<char>(byte))));
  parts.tokens.insert(parts.tokens.end(), {"bc", "ab", "abc", "cd"});
  const BpeModel model(parts);
  const auto ids = [&](std::string_view text) {
    std::vector<Token> tokens;
    const std::vector<ByteSpan> words = {{0, static_cast<uint32_t>(text.size())}};
    model.encode(text, words, tokens);
    std::vector<int32_t> found;
    for (const Token& token : tokens) found.push_back(token.id);
    return found;
  };
  CHECK(ids("abc") == std::vector<int32_t>{258});  // a + bc, though ab + c would do too
  CHECK(ids("abd") == std::vector<int32_t>{257, 'd' - '!'});
  CHECK(ids("bcd") == std::vector<int32_t>{256, 'd' - '!'});  // bc before cd
  CHECK(ids("aab") == std::vector<int32_t>{'a' - '!', 257});
  CHECK(model.merge_list().size() == 4);
  CHECK(model.merge_list()[2] == std::pair<int32_t, int32_t>{'a' - '!', 256});
}

TEST_CASE("a megabyte without a space encodes and comes back") {
  std::mt19937_64 random(6);
  const std::string learned = random_text(random, "acgt", 5000);
  const std::vector<std::string_view> documents = {learned};
  const Tokenizer tokenizer = Tokenizer::train_bpe(documents, 300);
  const std::string text = random_text(random, "acgt", 1 << 20) + std::string(1 << 20, 'a');
  const std::vector<int32_t> ids = tokenizer.encode(text);
  CHECK(ids.size() < text.size() / 2);
  CHECK(tokenizer.decode(ids) == text);
}

TEST_CASE("several threads may encode with one tokenizer") {
  std::mt19937_64 random(7);
  const std::string text = random_text(random, "the king and his son 's \n", 50000);
  const std::vector<std::string_view> documents = {text};
  const Tokenizer tokenizer = Tokenizer::train_bpe(documents, 500);
  const std::vector<int32_t> expected = tokenizer.encode(text);
  std::array<std::vector<int32_t>, 4> found;
  std::vector<std::thread> threads;
  for (auto& ids : found) threads.emplace_back([&] { ids = tokenizer.encode(text); });
  for (std::thread& thread : threads) thread.join();
  for (const auto& ids : found) CHECK(ids == expected);
}
