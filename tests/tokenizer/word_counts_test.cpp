#include <algorithm>
#include <map>
#include <random>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "tensor/parallel.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/use_threads.hpp"
#include "tokenizer/text/split_text.hpp"
#include "tokenizer/training/word_counts.hpp"

using namespace gradus;
using gradus::testing::UseThreads;

namespace {

using Counted = std::vector<std::pair<std::string, int64_t>>;

// Words end where a space begins the next one, so that the words of a text are the text.
void cut_at_spaces(std::string_view text, WordCountTable& words) {
  while (!text.empty()) {
    const size_t end = std::min(text.find(' ', 1), text.size());
    words.add(text.substr(0, end));
    text.remove_prefix(end);
  }
}

// The same without a library: each word once, in the order of first appearance.
Counted plain_counts(const std::vector<std::string>& documents) {
  Counted counts;
  std::map<std::string, size_t> places;
  for (const std::string& document : documents) {
    for (size_t at = 0; at < document.size();) {
      const size_t end = std::min(document.find(' ', at + 1), document.size());
      const std::string word = document.substr(at, end - at);
      const auto [place, added] = places.try_emplace(word, counts.size());
      if (added) counts.emplace_back(word, 0);
      ++counts[place->second].second;
      at = end;
    }
  }
  return counts;
}

Counted listed(const std::vector<CountedWord>& words) {
  Counted counts;
  for (const CountedWord& word : words) counts.emplace_back(word.bytes, word.count);
  return counts;
}

// Words of one to `longest` letters; the short ones come again and again.
std::string random_text(std::mt19937_64& random, size_t size, size_t longest) {
  std::string text;
  while (text.size() < size) {
    const size_t length = 1 + random() % (1 + random() % longest);
    for (size_t i = 0; i < length; ++i) text += static_cast<char>('a' + random() % 7);
    text += ' ';
  }
  return text;
}

std::vector<std::string_view> views(const std::vector<std::string>& documents) {
  return {documents.begin(), documents.end()};
}

WordCounts count(const std::vector<std::string>& documents, WordCounterOptions options = {}) {
  WordCounter counter(cut_at_spaces, std::move(options));
  const std::vector<std::string_view> batch = views(documents);
  counter.add(std::span(batch).first(batch.size() / 2));
  counter.add(std::span(batch).subspan(batch.size() / 2));
  return counter.finish();
}

bool is_space(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

// The GPT-2 rule for ASCII text without apostrophes and digits.
std::vector<std::string> gpt2_words(const std::string& text) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  std::vector<std::string> words;
  for (size_t at = 0; at < text.size();) {
    size_t end = at;
    const size_t first = text[at] == ' ' && at + 1 < text.size() && !is_space(text[at + 1]) ? at + 1 : at;
    if (!is_space(text[first])) {
      end = first;
      while (end < text.size() && !is_space(text[end]) && letter(text[end]) == letter(text[first])) ++end;
    } else {
      while (end < text.size() && is_space(text[end])) ++end;
      if (end < text.size() && end - at > 1) --end;  // the last one is left for the word that follows
    }
    words.push_back(text.substr(at, end - at));
    at = end;
  }
  return words;
}

}  // namespace

TEST_CASE("words are counted in the order of their first appearance, the same at any thread count") {
  const UseThreads threads_before(thread_count());
  std::mt19937_64 random(1);
  std::vector<std::string> documents;
  for (int i = 0; i < 80; ++i) documents.push_back(random_text(random, random() % 40000, 9));
  documents.push_back(random_text(random, 3 << 20, 12));  // several chunks by itself
  const Counted expected = plain_counts(documents);
  REQUIRE(expected.size() > 50000);
  int64_t occurrences = 0;
  for (const auto& [word, times] : expected) occurrences += times;
  for (const int threads : {1, 2, 4}) {
    set_thread_count(threads);
    const WordCounts counts = count(documents, {split_at_space, 0, {}});
    CHECK((listed(counts.words) == expected));
    CHECK(counts.occurrences == occurrences);
    CHECK(counts.dropped_occurrences == 0);
    CHECK((listed(count(documents).words) == expected));  // documents in one part
  }
}

TEST_CASE("nothing to count gives no words") {
  CHECK(count({}).words.empty());
  CHECK(count({"", "", ""}).words.empty());
  WordCountTable table;
  table.add("");
  CHECK(table.size() == 0);
}

TEST_CASE("words of every length, with any bytes, are kept apart") {
  WordCountTable table;
  Counted expected;
  for (size_t length = 1; length < 70; ++length) {
    for (size_t at = 0; at < length; ++at) {  // differ in one byte
      std::string word(length, '\0');
      word[at] = '\xFF';
      expected.emplace_back(word, static_cast<int64_t>(length + at));
    }
  }
  expected.emplace_back(std::string(1 << 20, 'x'), 3);  // longer than a block
  expected.emplace_back(std::string((1 << 20) + 1, 'x'), 4);
  for (const int round : {0, 1}) {
    for (const auto& [word, times] : expected) table.add(word, round == 0 ? 1 : times - 1);
  }
  CHECK((listed(table.list()) == expected));
}

TEST_CASE("counts have 64 bits") {
  WordCountTable table;
  for (int i = 0; i < 3; ++i) table.add("many", int64_t{1} << 40);
  WordCountTable total;
  total.add("few");
  total.add_all(table);
  total.add_all(table);
  CHECK((listed(total.list()) == Counted{{"few", 1}, {"many", 6 * (int64_t{1} << 40)}}));
  CHECK(total.occurrences() == 6 * (int64_t{1} << 40) + 1);
}

TEST_CASE("under a limit of memory the rarest words are dropped, counted, and the same at any thread count") {
  const UseThreads threads_before(thread_count());
  std::mt19937_64 random(2);
  std::vector<std::string> documents;
  for (int i = 0; i < 60; ++i) {
    std::string text;
    while (text.size() < 100000) {
      text += " the king";
      for (size_t letter = 0; letter < 10; ++letter) text += static_cast<char>('a' + random() % 26);
      text += " and";
    }
    documents.push_back(text);
  }
  int64_t occurrences = 0;
  for (const auto& [word, times] : plain_counts(documents)) occurrences += times;
  const TrainingMemory training{1 << 20, 0, 20};
  Counted first;
  for (const int threads : {1, 2, 4}) {
    set_thread_count(threads);
    const WordCounts counts = count(documents, {split_at_space, 16 << 20, training});
    CHECK(counts.dropped_occurrences > 10000);
    CHECK(counts.occurrences + counts.dropped_occurrences == occurrences);
    int64_t kept = 0;
    int64_t bytes = 0;
    for (const CountedWord& word : counts.words) {
      kept += word.count;
      bytes += static_cast<int64_t>(word.bytes.size());
    }
    CHECK(kept == counts.occurrences);
    CHECK(counts.table.bytes() + training.fixed + training.per_byte * bytes <= 12 << 20);
    if (first.empty()) first = listed(counts.words);
    CHECK((listed(counts.words) == first));
  }
  // Frequent words lose nothing, however often others are dropped.
  const Counted all = plain_counts(documents);
  for (const std::string& word : {std::string(" the"), std::string(" and")}) {
    const auto is = [&](const auto& counted) { return counted.first == word; };
    CHECK(*std::find_if(first.begin(), first.end(), is) == *std::find_if(all.begin(), all.end(), is));
  }
}

TEST_CASE("a full table drops words of count 1 before those of 2, and keeps the order of the others") {
  WordCountTable table(200000);
  Counted added;
  int i = 0;
  while (table.dropped_occurrences() == 0) {
    const std::string word = "word " + std::to_string(i);
    const int64_t times = i % 3 == 0 ? 1 : i % 3 == 1 ? 2 : 3;
    table.add(word, times);
    added.emplace_back(word, times);
    ++i;
  }
  Counted expected;
  for (const auto& word : added) {
    if (word.second > 1 || word == added.back()) expected.push_back(word);
  }
  CHECK((listed(table.list()) == expected));
  CHECK(table.dropped_occurrences() == static_cast<int64_t>(added.size() - expected.size()));
  for (const auto& [word, times] : expected) table.add(word, 5);  // still found
  CHECK(table.size() == static_cast<int64_t>(expected.size()));
}

TEST_CASE("short words take the room of a long one that was dropped") {
  WordCountTable table(2 << 20);
  table.add(std::string(500000, 'x'));
  for (int round = 0; round < 2; ++round) {
    int64_t before = table.dropped_occurrences();
    for (int i = 0; table.dropped_occurrences() == before; ++i) {
      table.add("word " + std::to_string(round) + " " + std::to_string(i), round + 2);
    }
  }
  std::map<std::string, int64_t> counts;
  for (const auto& [word, times] : listed(table.list())) {
    CHECK(times == 3);
    CHECK(counts.try_emplace(word, times).second);
  }
  const int64_t size = table.size();
  for (const auto& [word, times] : counts) table.add(word);
  CHECK(table.size() == size);
  for (const CountedWord& word : table.list()) CHECK(word.count == 4);
}

TEST_CASE("what a chunk dropped is counted in the whole") {
  WordCountTable chunk(200000);
  for (int i = 0; chunk.dropped_occurrences() == 0; ++i) chunk.add("word " + std::to_string(i));
  WordCountTable total;
  total.add_all(chunk);
  total.add_all(chunk);
  CHECK(total.dropped_occurrences() == 2 * chunk.dropped_occurrences());
  CHECK(total.occurrences() == 2 * chunk.occurrences());
}

TEST_CASE("a word that takes more than half of the limit is dropped, not all others for it") {
  WordCountTable table(200000);
  table.add("small");
  table.add(std::string(150000, 'x'), 7);
  CHECK((listed(table.list()) == Counted{{"small", 1}}));
  CHECK(table.dropped_occurrences() == 7);
}

TEST_CASE("documents are split only where that cannot change the words") {
  CHECK(split_at_space("ab cd", 0) == 2);
  CHECK(split_at_space("ab cd", 3) == 5);
  CHECK(split_at_space("ab  cd", 0) == 6);             // a run of spaces
  CHECK(split_at_space("ab\n cd", 0) == 6);            // white space before it
  CHECK(split_at_space("ab 1 \xC3\xA9", 0) == 4);      // before a digit; before é
  CHECK(split_at_space("ab\xE3\x80\x80 cd", 0) == 8);  // after an ideographic space
  CHECK(split_at_space("\xC3\xA9 cd", 0) == 2);
  CHECK(split_at_space("\xFF cd", 0) == 4);  // not UTF-8
  CHECK(split_at_space(" cd", 0) == 3);
  CHECK(split_at_space("", 0) == 0);
  CHECK(split_at_line("ab\ncd", 0) == 3);
  CHECK(split_at_line("ab\n\ncd", 0) == 6);
  CHECK(split_at_line("ab\r\ncd", 0) == 6);
  CHECK(split_at_line("a-b\n1 c", 0) == 5);
  const std::string far = std::string(200000, 'x') + "\ny";
  CHECK(split_at_line(far, 10) == 200001);

  std::mt19937_64 random(3);
  const std::string alphabet = "ab.-  \n\t";
  for (int round = 0; round < 1000; ++round) {
    std::string text;
    const size_t size = 1 + random() % 30;
    for (size_t i = 0; i < size; ++i) text += alphabet[random() % alphabet.size()];
    for (const auto& part : {split_at_space, split_at_line}) {
      std::vector<std::string> split;
      std::string_view rest = text;
      while (!rest.empty()) {
        const size_t end = part(rest, 1);
        REQUIRE(end >= 1);
        REQUIRE(end <= rest.size());
        for (const std::string& word : gpt2_words(std::string(rest.substr(0, end)))) split.push_back(word);
        rest.remove_prefix(end);
      }
      INFO(text);
      CHECK((split == gpt2_words(text)));
    }
  }
}

TEST_CASE("what cannot be counted is an error") {
  const std::vector<std::string> documents = {std::string(3 << 20, 'x'), "bad", "worse"};
  WordCounter counter([](std::string_view text, WordCountTable&) {
    if (text.size() < 10) throw std::runtime_error("cannot cut " + std::string(text));
  });
  CHECK_THROWS_WITH(counter.add(views(documents)), "cannot cut bad");
  CHECK_THROWS_AS(WordCounter({}), std::invalid_argument);
  CHECK_THROWS_AS(WordCounter(cut_at_spaces, {{}, 1 << 20, {}}), std::invalid_argument);
  CHECK_THROWS_AS(WordCounter(cut_at_spaces, {{}, 16 << 20, {16 << 20, 0, 0}}), std::invalid_argument);
  const SplitFn nowhere = [](std::string_view, size_t) { return size_t{0}; };
  CHECK_THROWS_AS(count(documents, {nowhere, 0, {}}), std::invalid_argument);
}
