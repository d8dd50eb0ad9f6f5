#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <set>

#include "models/embeddings/formats/vector_file.hpp"
#include "models/word_vectors/cooccurrence.hpp"
#include "models/word_vectors/corpus.hpp"
#include "models/word_vectors/draws.hpp"
#include "models/word_vectors/glove_trainer.hpp"
#include "models/word_vectors/run.hpp"
#include "models/word_vectors/window_trainer.hpp"
#include "tensor/io/file.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/draw.hpp"
#include "tests/support/error_of.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tests/support/use_isa.hpp"
#include "tests/support/use_threads.hpp"

/// The trainers of word vectors against step-by-step versions, and what they promise: the same bits whatever the threads and the
/// instruction set, and through being stopped.

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

/// Lines of words w0, w1 … of which early ones are frequent.
std::string draw_text(int64_t words, int64_t vocabulary, uint64_t seed) {
  std::string text;
  for (int64_t i = 0; i < words; ++i) {
    const double u = draw_uniform(seed, static_cast<uint64_t>(i));
    text += "w" + std::to_string(static_cast<int64_t>(u * u * static_cast<double>(vocabulary)));
    text += draw_bits(seed + 1, static_cast<uint64_t>(i)) % 13 == 0 ? '\n' : ' ';
  }
  return text;
}

struct Text {
  TemporaryFolder folder;
  std::string path = folder.path() + "/text.txt";
  explicit Text(const std::string& contents) { write_file_atomic(path, contents); }
  std::string numbers() const { return folder.path() + "/text.ids"; }
  WordCorpus encode(const WordVectorOptions& options) const {
    return encode_words({path}, options, {}, nullptr, numbers());
  }
};

std::vector<int32_t> read_numbers(const std::string& path) {
  const std::string bytes = read_file(path);
  std::vector<int32_t> numbers(bytes.size() / sizeof(int32_t));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

WordVectorOptions small_options(WordVectorMethod method) {
  WordVectorOptions options = WordVectorOptions::defaults(method);
  options.width = 20;
  options.epochs = 2;
  options.min_count = 1;
  options.buckets = 500;
  options.sample = 1e-2;
  return options;
}

std::vector<float> train(const WordVectorOptions& options, const WordCorpus& corpus, const Text& text) {
  std::unique_ptr<WordVectorTrainer> trainer;
  if (options.is_glove()) {
    write_glove_cells(options, corpus.vocabulary, text.numbers(), 1 << 30, text.folder.path() + "/cells", {});
    trainer = std::make_unique<GloveTrainer>(options, corpus.vocabulary, text.folder.path() + "/cells");
  } else {
    trainer = std::make_unique<WindowTrainer>(options, corpus.vocabulary, text.numbers());
  }
  while (!trainer->finished()) trainer->advance();
  return trainer->vectors().to_vector<float>();
}

}  // namespace

TEST_CASE("words are counted, the frequent ones first, and lines end where they end") {
  const Text text("b a\ta b\n\n a c\r\nb  a\f d");
  WordVectorOptions options = small_options(WordVectorMethod::skipgram);
  options.min_count = 2;
  const WordCorpus corpus = text.encode(options);
  REQUIRE(corpus.vocabulary.size() == 2);
  CHECK(corpus.vocabulary.words[0] == "a");
  CHECK(corpus.vocabulary.words[1] == "b");
  CHECK(corpus.vocabulary.counts == std::vector<int64_t>{4, 3});
  CHECK(corpus.words == 7);
  CHECK(corpus.words_read == 9);
  CHECK(corpus.different_words == 4);
  CHECK(corpus.longest_line == 4);
  // Rare words leave no gap.
  CHECK(read_numbers(text.numbers()) == std::vector<int32_t>{1, 0, 0, 1, -1, 0, -1, 1, 0, -1});
}

TEST_CASE("words as frequent as each other stand as they were read") {
  const Text text("z y x y z x w");
  const WordCorpus corpus = text.encode(small_options(WordVectorMethod::cbow));
  std::string order;
  for (int64_t row = 0; row < corpus.vocabulary.size(); ++row) order += corpus.vocabulary.words[row];
  CHECK(order == "zyxw");
}

TEST_CASE("a word that is cut by the pieces of a file is one word") {
  const std::string word(3'000'000, 'x');
  const Text text("a " + word + " b\n");
  const WordCorpus corpus = text.encode(small_options(WordVectorMethod::skipgram));
  REQUIRE(corpus.vocabulary.size() == 3);
  CHECK(corpus.vocabulary.words[1] == word);
}

TEST_CASE("words by letters are cut from marks, and become small where asked") {
  const Text text("\xC3\x84pfel, Don't!");
  WordVectorOptions options = small_options(WordVectorMethod::skipgram);
  options.letters = options.lower = true;
  const WordCorpus corpus = text.encode(options);
  REQUIRE(corpus.vocabulary.size() == 4);
  CHECK(corpus.vocabulary.words.find("\xC3\xA4pfel"));
  CHECK(corpus.vocabulary.words.find("don't"));
  CHECK(corpus.vocabulary.words.find(","));
}

TEST_CASE("fastText's kinds have a word for the end of a line, others have none") {
  const Text text("a b\nb a\n");
  CHECK(text.encode(small_options(WordVectorMethod::fasttext)).vocabulary.words.find("</s>"));
  CHECK_FALSE(text.encode(small_options(WordVectorMethod::skipgram)).vocabulary.words.find("</s>"));
}

TEST_CASE("a text without a word that is frequent enough is an error that tells what it has") {
  const Text text("a b c\n");
  WordVectorOptions options = small_options(WordVectorMethod::skipgram);
  options.min_count = 5;
  CHECK_THAT(error_of([&] { text.encode(options); }),
             ContainsSubstring("at least 5 times") && ContainsSubstring("3 words, 3 different"));
}

TEST_CASE("noise is drawn in proportion to a power of the counts") {
  const std::vector<int64_t> counts = {1000, 100, 10, 10, 1};
  const NoiseTable table(counts, 0.75);
  const QuickRandom draws(3, "test");
  constexpr int64_t kDraws = 400000;
  std::vector<double> seen(counts.size(), 0);
  for (int64_t i = 0; i < kDraws; ++i)
    ++seen[static_cast<std::size_t>(table.draw(draws.bits(static_cast<uint64_t>(i))))];
  double total = 0;
  for (const int64_t count : counts) total += std::pow(static_cast<double>(count), 0.75);
  for (std::size_t i = 0; i < counts.size(); ++i) {
    const double expected = std::pow(static_cast<double>(counts[i]), 0.75) / total * kDraws;
    CHECK(std::fabs(seen[i] - expected) < 5 * std::sqrt(expected));
  }
}

TEST_CASE("frequent words are kept by the formula of word2vec") {
  Vocabulary vocabulary;
  vocabulary.counts = {900, 90, 10};
  vocabulary.total = 1000;
  const std::vector<uint32_t> kept = kept_shares(vocabulary, 0.01);
  CHECK_THAT(kept[0] / 0x1p32, Catch::Matchers::WithinRel(std::sqrt(0.01 / 0.9) + 0.01 / 0.9, 1e-8));
  CHECK_THAT(kept[1] / 0x1p32, Catch::Matchers::WithinRel(std::sqrt(0.01 / 0.09) + 0.01 / 0.09, 1e-8));
  CHECK(kept[2] == 0xFFFFFFFFu);
  CHECK(kept_shares(vocabulary, 0) == std::vector<uint32_t>(3, 0xFFFFFFFFu));
}

TEST_CASE("co-occurrences are what a count by hand gives, in one part and in several") {
  const Text text(draw_text(150'000, 60, 5));
  WordVectorOptions options = small_options(WordVectorMethod::glove);
  options.window = 4;
  const WordCorpus corpus = text.encode(options);
  const std::vector<int32_t> ids = read_numbers(text.numbers());
  std::map<std::pair<int32_t, int32_t>, double> expected;
  for (std::size_t i = 0; i < ids.size(); ++i) {
    for (std::size_t d = 1; d <= 4 && ids[i] >= 0 && i + d < ids.size() && ids[i + d] >= 0; ++d) {
      expected[{ids[i], ids[i + d]}] += 1.0 / static_cast<double>(d);
      expected[{ids[i + d], ids[i]}] += 1.0 / static_cast<double>(d);
    }
  }
  const auto one = static_cast<double>(DistanceWeights(4).one());
  for (const uint64_t memory : {uint64_t{1} << 30, uint64_t{1}}) {
    CooccurrenceOptions counting;
    counting.window = 4;
    counting.memory = memory;
    std::map<std::pair<int32_t, int32_t>, double> found;
    count_cooccurrences(text.numbers(), corpus.vocabulary.size(), counting,
                        [&](int32_t word, const std::vector<Cooccurrence>& row) {
                          for (const Cooccurrence& cell : row)
                            found[{word, cell.context}] = static_cast<double>(cell.sum) / one;
                        });
    REQUIRE(found.size() == expected.size());
    for (const auto& [cell, count] : expected)
      CHECK_THAT(found[cell], Catch::Matchers::WithinRel(count, 1e-8));
  }
}

TEST_CASE("word vectors are the same bits on 1, 2 and 4 threads and on all sets with fused multiply-add") {
  const Text text(draw_text(30'000, 400, 9));
  for (const WordVectorMethod method : word_vector_methods()) {
    INFO(name_of(method));
    const WordVectorOptions options = small_options(method);
    const WordCorpus corpus = text.encode(options);
    std::vector<float> alone;
    for (const std::string& isa : available_isas()) {
      if (!has_fma(isa)) continue;
      const UseIsa use(isa);
      for (const int threads : {1, 2, 4}) {
        const UseThreads limit(threads);
        const std::vector<float> vectors = train(options, corpus, text);
        if (alone.empty()) alone = vectors;
        REQUIRE(std::memcmp(alone.data(), vectors.data(), alone.size() * sizeof(float)) == 0);
      }
    }
  }
}

TEST_CASE("another seed gives other word vectors") {
  const Text text(draw_text(3'000, 50, 9));
  for (const WordVectorMethod method : word_vector_methods()) {
    INFO(name_of(method));
    WordVectorOptions options = small_options(method);
    const WordCorpus corpus = text.encode(options);
    const std::vector<float> first = train(options, corpus, text);
    options.seed = 2;
    CHECK(train(options, corpus, text) != first);
  }
}

TEST_CASE("one word repeated, and a word seldom seen among others, give finite vectors") {
  std::string lines, burst = "a b c d e f g\n";
  for (int i = 0; i < 20'000; ++i) lines += "again ";
  for (int i = 0; i < 3'000; ++i) burst += i % 1000 == 0 ? "x y\n" : "x ";
  for (const std::string& contents : {lines, burst, std::string("one two\n")}) {
    const Text text(contents);
    for (const WordVectorMethod method : word_vector_methods()) {
      INFO(name_of(method) << " of " << contents.substr(0, 20));
      WordVectorOptions options = small_options(method);
      options.sample = 0;
      options.learning_rate = 0.5;
      const WordCorpus corpus = text.encode(options);
      for (const float value : train(options, corpus, text)) REQUIRE(std::isfinite(value));
    }
  }
}

TEST_CASE("words that stand in the same places come to have like vectors") {
  // p and q stand beside a to d, r and s beside e to h.
  std::string contents;
  for (uint64_t i = 0; i < 20'000; ++i) {
    const uint64_t bits = draw_bits(4, i);
    const bool left = (bits & 1) != 0;
    contents += (left ? (bits & 2 ? "p " : "q ") : (bits & 2 ? "r " : "s "));
    contents += static_cast<char>((left ? 'a' : 'e') + (bits >> 8) % 4);
    contents += ' ';
    contents += static_cast<char>((left ? 'a' : 'e') + (bits >> 16) % 4);
    contents += '\n';
  }
  const Text text(contents);
  for (const WordVectorMethod method : word_vector_methods()) {
    INFO(name_of(method));
    WordVectorOptions options = small_options(method);
    options.sample = 0;
    options.epochs = options.is_glove() ? 25 : 5;
    options.x_max = 10;
    options.max_piece = 0;
    const WordCorpus corpus = text.encode(options);
    const std::vector<float> vectors = train(options, corpus, text);
    const auto cosine = [&](const char* a, const char* b) {
      const auto i = static_cast<std::size_t>(*corpus.vocabulary.words.find(a) * options.width);
      const auto j = static_cast<std::size_t>(*corpus.vocabulary.words.find(b) * options.width);
      double dot = 0, x = 0, y = 0;
      for (std::size_t c = 0; c < static_cast<std::size_t>(options.width); ++c) {
        dot += static_cast<double>(vectors[i + c]) * static_cast<double>(vectors[j + c]);
        x += static_cast<double>(vectors[i + c]) * static_cast<double>(vectors[i + c]);
        y += static_cast<double>(vectors[j + c]) * static_cast<double>(vectors[j + c]);
      }
      return dot / std::sqrt(x * y);
    };
    CHECK(cosine("p", "q") > cosine("p", "r") + 0.3);
    CHECK(cosine("r", "s") > cosine("q", "s") + 0.3);
  }
}

TEST_CASE("a training that was stopped goes on to the same bits") {
  const Text text(draw_text(60'000, 300, 12));
  for (const WordVectorMethod method : word_vector_methods()) {
    INFO(name_of(method));
    WordVectorStart start;
    start.options = small_options(method);
    start.options.epochs = 6;
    start.texts = {text.path};
    start.out = text.folder.path() + "/whole.vec";
    const std::atomic<bool> never = false;
    CHECK(WordVectorRun::create(start, {}).train({}, never));
    CHECK_FALSE(file_exists(text.folder.path() + "/whole.run"));

    start.out = text.folder.path() + "/parts.vec";
    const std::atomic<bool> at_once = true;
    {
      WordVectorRun run = WordVectorRun::create(start, {});
      run.trainer().advance();
      CHECK_FALSE(run.train({}, at_once));
      CHECK_FALSE(file_exists(start.out));
    }
    CHECK_THAT(error_of<std::invalid_argument>([&] { WordVectorRun::create(start, {}); }),
               ContainsSubstring("gradus resume"));
    CHECK(WordVectorRun::open(text.folder.path() + "/parts.run").train({}, never));
    CHECK(read_file(start.out) == read_file(text.folder.path() + "/whole.vec"));
    for (const char* name : {"/whole.vec", "/parts.vec"}) remove_file(text.folder.path() + name);
  }
}

TEST_CASE("a folder that was asked for keeps the training beside its vectors") {
  const Text text(draw_text(5'000, 50, 2));
  WordVectorStart start;
  start.options = small_options(WordVectorMethod::glove);
  start.texts = {text.path};
  start.out = text.folder.path() + "/kept";
  const std::atomic<bool> never = false;
  CHECK(WordVectorRun::create(start, {}).train({}, never));
  CHECK(WordVectorRun::is_run(start.out));
  CHECK(load_vectors(start.out + "/vectors.safetensors").rows() == 50);
  WordVectorRun again = WordVectorRun::open(start.out);
  CHECK(again.trainer().finished());
}

TEST_CASE(
    "a model of fastText that was written gives the vectors that were trained, and those of unseen words") {
  const Text text(draw_text(20'000, 120, 3));
  WordVectorStart start;
  start.options = small_options(WordVectorMethod::fasttext);
  start.texts = {text.path};
  const std::atomic<bool> never = false;
  for (const char* name : {"/model.bin", "/model.safetensors"}) {
    start.out = text.folder.path() + name;
    CHECK(WordVectorRun::create(start, {}).train({}, never));
  }
  const Vectors model = load_vectors(text.folder.path() + "/model.bin");
  const Vectors table = load_vectors(text.folder.path() + "/model.safetensors");
  REQUIRE(model.names == table.names);
  for (const float value : table.layers[0].to_vector<float>()) REQUIRE(std::isfinite(value));
  CHECK(model.layers[0].to_vector<float>() == table.layers[0].to_vector<float>());
  CHECK_FALSE(table.unseen);
  REQUIRE(model.unseen);
  CHECK(model.unseen("w99999").size() == 20);
}

TEST_CASE("a vector to begin with is what a word has before the first step") {
  const Text text(draw_text(2'000, 30, 6));
  const std::string init = text.folder.path() + "/init.vec";
  write_file_atomic(init, "2 3\nw0 1 2 3\nother 4 5 6\n");
  WordVectorStart start;
  start.options = small_options(WordVectorMethod::skipgram);
  start.options.width = 3;
  start.texts = {text.path};
  start.out = text.folder.path() + "/out.vec";
  start.init = init;
  std::string notes;
  WordVectorEvents events;
  events.on_note = [&](const std::string& note) { notes += note + "\n"; };
  WordVectorRun run = WordVectorRun::create(start, events);
  CHECK_THAT(notes, ContainsSubstring("1 of 30 words"));
  const std::vector<float> vectors = run.trainer().vectors().to_vector<float>();
  const auto row = static_cast<std::size_t>(3 * *run.vocabulary().words.find("w0"));
  CHECK(std::vector<float>(vectors.begin() + static_cast<std::ptrdiff_t>(row),
                           vectors.begin() + static_cast<std::ptrdiff_t>(row + 3)) ==
        std::vector<float>{1, 2, 3});
}

TEST_CASE("what a training cannot be made of is an error that leaves nothing behind") {
  const Text text("a b c d\n");
  WordVectorStart start;
  start.options = WordVectorOptions::defaults(WordVectorMethod::skipgram);
  start.texts = {text.path};
  start.out = text.folder.path() + "/out.vec";
  CHECK_THAT(error_of([&] { WordVectorRun::create(start, {}); }), ContainsSubstring("--min-count"));
  CHECK_FALSE(file_exists(text.folder.path() + "/out.run"));
  start.options.min_count = 1;
  start.memory = 1;
  CHECK_THAT(error_of([&] { WordVectorRun::create(start, {}); }), ContainsSubstring("must fit into"));
  CHECK_FALSE(file_exists(text.folder.path() + "/out.run"));
}

TEST_CASE("a vocabulary that is given decides which words get a vector, and in which order") {
  const Text text("a b c d a\n");
  const std::string list = text.folder.path() + "/words";
  write_file_atomic(list, "d\na\nnever\n");
  const Vocabulary fixed = read_vocabulary(list);
  const WordCorpus corpus =
      encode_words({text.path}, small_options(WordVectorMethod::skipgram), {}, &fixed, text.numbers());
  REQUIRE(corpus.vocabulary.size() == 3);
  CHECK(corpus.vocabulary.words[0] == "d");
  CHECK(corpus.vocabulary.counts == std::vector<int64_t>{1, 2, 0});
  CHECK(read_numbers(text.numbers()) == std::vector<int32_t>{1, 0, 1, -1});
  save_vocabulary(list, corpus.vocabulary);
  CHECK(read_file(list) == "d 1\na 2\nnever 0\n");
  CHECK(read_vocabulary(list).counts == corpus.vocabulary.counts);
  write_file_atomic(list, "a 1\na 2\n");
  CHECK_THAT(error_of([&] { read_vocabulary(list); }),
             ContainsSubstring("words:2") && ContainsSubstring("stood before"));
}
