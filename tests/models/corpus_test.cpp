#include "models/training/corpus.hpp"

#include <algorithm>
#include <limits>
#include <numeric>
#include <set>
#include <string>
#include <vector>

#include "models/training/batches.hpp"
#include "models/training/options.hpp"
#include "tensor/io/hash.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/small_model.hpp"
#include "tests/support/temporary_folder.hpp"
#include "tokenizer/training/train.hpp"

/// What training reads: texts and how they are cut, windows of tokens, and the options of a run.

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

std::string joined(const std::vector<std::string_view>& parts) {
  std::string all;
  for (const std::string_view part : parts) all += part;
  return all;
}

/// Writes the texts as files a, b, c … and loads them.
Corpus corpus_of(const TemporaryFolder& folder, const std::vector<std::string>& texts, double held_out) {
  std::vector<std::string> paths;
  for (std::size_t i = 0; i < texts.size(); ++i) {
    paths.push_back(folder / (std::string(1, static_cast<char>('a' + i)) + ".txt"));
    write_quickly(paths.back(), texts[i]);
  }
  return load_corpus(paths, held_out);
}

}  // namespace

TEST_CASE("the held-out part is the last fraction of the bytes") {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 1000; ++i) text += static_cast<char>('a' + i % 26);
  const Corpus corpus = corpus_of(folder, {text}, 0.1);
  REQUIRE(corpus.training.size() == 1);
  REQUIRE(corpus.held_out.size() == 1);
  CHECK(corpus.training[0] == text.substr(0, 900));
  CHECK(corpus.held_out[0] == text.substr(900));
  CHECK(corpus.bytes == 1000);
  CHECK(corpus.name == "a");
  CHECK(corpus_of(folder, {text}, 0.0).held_out.empty());
  CHECK(joined(corpus_of(folder, {text}, 0.5).held_out) == text.substr(500));
}

TEST_CASE("text is cut between characters, at most three bytes before the fraction") {
  const TemporaryFolder folder;
  // Characters of 1 to 4 bytes: wherever the fraction falls, it is tried at each of their bytes.
  std::string text;
  for (int i = 0; i < 12; ++i) text += "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
  for (int percent = 1; percent <= 50; ++percent) {
    const double fraction = percent / 100.0;
    const Corpus corpus = corpus_of(folder, {text}, fraction);
    const std::string training = joined(corpus.training), held_out = joined(corpus.held_out);
    CAPTURE(percent);
    REQUIRE(training + held_out == text);
    const auto wanted = static_cast<int64_t>(static_cast<double>(text.size()) * fraction);
    CHECK(static_cast<int64_t>(held_out.size()) >= wanted);
    CHECK(static_cast<int64_t>(held_out.size()) <= wanted + 3);
    if (!held_out.empty()) CHECK((static_cast<unsigned char>(held_out[0]) & 0xc0) != 0x80);
  }
}

TEST_CASE("bytes that are no UTF-8 are cut exactly at the fraction") {
  const TemporaryFolder folder;
  const std::string text(100, '\x80');
  CHECK(joined(corpus_of(folder, {text}, 0.25).held_out).size() == 25);
}

TEST_CASE("one cut goes through all documents, whichever it falls into") {
  const TemporaryFolder folder;
  const std::vector<std::string> texts = {std::string(40, 'a'), std::string(40, 'b'), std::string(20, 'c')};
  const Corpus inside = corpus_of(folder, texts, 0.4);
  CHECK(inside.training == std::vector<std::string_view>{texts[0], std::string_view(texts[1]).substr(0, 20)});
  CHECK(inside.held_out == std::vector<std::string_view>{std::string_view(texts[1]).substr(20), texts[2]});
  const Corpus between = corpus_of(folder, texts, 0.2);
  CHECK(between.training == std::vector<std::string_view>{texts[0], texts[1]});
  CHECK(between.held_out == std::vector<std::string_view>{texts[2]});
}

TEST_CASE("the corpus hash knows where documents end") {
  const TemporaryFolder folder;
  const std::string one = corpus_of(folder, {"ab", "c"}, 0).sha256;
  CHECK(one.size() == 64);
  CHECK(one == sha256_hex("2:ab1:c"));
  CHECK(corpus_of(folder, {"a", "bc"}, 0).sha256 != one);
  CHECK(corpus_of(folder, {"abc"}, 0).sha256 != one);
  CHECK(corpus_of(folder, {"c", "ab"}, 0).sha256 != one);
}

TEST_CASE("a text that is missing, empty or cut too far is an error that names it") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(load_corpus({folder / "none.txt"}, 0.1), ContainsSubstring("none.txt: cannot be opened"));
  write_quickly(folder / "empty.txt", "");
  CHECK_THROWS_WITH(load_corpus({folder / "empty.txt"}, 0.1),
                    ContainsSubstring("empty.txt: the file must hold text; it is empty"));
  CHECK_THROWS_AS(load_corpus({folder / "empty.txt"}, 0.1), std::runtime_error);
  CHECK_THROWS_AS(load_corpus({}, 0.1), std::invalid_argument);
  write_quickly(folder / "text.txt", "text");
  for (const double fraction : {-0.1, 0.51, std::numeric_limits<double>::quiet_NaN()}) {
    CHECK_THROWS_WITH(load_corpus({folder / "text.txt"}, fraction),
                      ContainsSubstring("TrainingOptions::val_fraction must be in [0, 0.5]"));
  }
}

TEST_CASE("documents are joined by <|endoftext|>, which text itself can never give") {
  const std::vector<std::string_view> documents = {"one", "two <|endoftext|> three", "four"};
  const Tokenizer bpe = Tokenizer::train_bpe(documents, 257);
  const int32_t end = bpe.end_of_text().value();
  const TokenText text = tokenize_documents(bpe, documents);
  std::vector<std::size_t> ends;
  for (std::size_t i = 0; i < text.ids.size(); ++i) {
    if (text.ids[i] == end) ends.push_back(i);
  }
  // 257 tokens are single bytes and the separator.
  CHECK(ends == std::vector<std::size_t>{3, 3 + 1 + documents[1].size()});
  CHECK(text.bytes == static_cast<int64_t>(3 + documents[1].size() + 4));
  CHECK(text.ids.size() == static_cast<std::size_t>(text.bytes) + 2);

  const TokenText bytes = tokenize_documents(Tokenizer::bytes(), {"ab", "c"});
  CHECK(bytes.ids == std::vector<int32_t>{'a', 'b', 'c'});
  CHECK(bytes.bytes == 3);
}

TEST_CASE(
    "the bytes of all tokens are those of the text, also where a tokenizer drops or changes some of it") {
  const std::vector<std::string_view> known = {"The king went up the hill. The king came down."};
  // Capitals, doubled spaces, an accent, a character of three bytes that is unknown, spaces at both ends.
  const std::vector<std::string_view> documents = {"  The  K\xc3\xaeng ", "", "   ", "\xe7\x8e\x8b hill",
                                                   "up\n\n"};
  int64_t bytes = 0;
  for (const std::string_view document : documents) bytes += static_cast<int64_t>(document.size());
  for (const char* kind : {"words", "wordpiece", "unigram", "spm-bpe", "bpe", "byte"}) {
    TokenizerTraining options;
    options.kind = kind;
    options.vocab_size = 300;
    const Tokenizer tokenizer = options.kind == "byte" ? Tokenizer::bytes() : train_tokenizer(known, options);
    const TokenText text = tokenize_documents(tokenizer, documents);
    CAPTURE(kind, text.ids, text.bytes_of);
    CHECK(text.bytes == bytes);
    REQUIRE(text.bytes_of.size() == text.ids.size());
    CHECK(std::accumulate(text.bytes_of.begin(), text.bytes_of.end(), int64_t{0}) == bytes);
    CHECK(std::all_of(text.bytes_of.begin(), text.bytes_of.end(), [](int32_t n) { return n >= 0; }));
    for (std::size_t i = 0; i < text.ids.size(); ++i) {
      if (tokenizer.is_special(text.ids[i]) && text.ids[i] == tokenizer.end_of_text())
        CHECK(text.bytes_of[i] == 0);
      if (tokenizer.lossless() && !tokenizer.is_special(text.ids[i])) {
        CHECK(text.bytes_of[i] == static_cast<int32_t>(tokenizer.token_bytes(text.ids[i]).size()));
      }
    }
  }
}

TEST_CASE("a text that is learned is not cut or padded as its tokenizer.json would have single texts") {
  TokenizerTraining options;
  options.kind = "words";
  const std::vector<std::string_view> documents = {"one two three four five six"};
  std::string json = train_tokenizer(documents, options).to_json();
  const auto set = [&](const std::string& key, const std::string& value) {
    const std::size_t at = json.find("\"" + key + "\": null");
    REQUIRE(at != std::string::npos);
    json.replace(at, key.size() + 8, "\"" + key + "\": " + value);
  };
  set("truncation", R"({"direction": "Right", "max_length": 2, "strategy": "LongestFirst", "stride": 0})");
  const TokenText text = tokenize_documents(Tokenizer::parse(json, "cut"), documents);
  CHECK(text.ids.size() == 6);
  CHECK(std::accumulate(text.bytes_of.begin(), text.bytes_of.end(), 0) == 27);
}

TEST_CASE("a character that a tokenizer does not know is an error naming its document") {
  const Tokenizer letters = Tokenizer::train_char("abc");
  CHECK_THROWS_WITH(tokenize_documents(letters, {"ab", "abx"}, {"first.txt", "second.txt"}),
                    ContainsSubstring("second.txt: ") && ContainsSubstring("at byte 2"));
  CHECK_THROWS_WITH(tokenize_documents(letters, {"ab", "abx"}), ContainsSubstring("document 1: "));
}

TEST_CASE("a sequence of a run depends on its number and the seed alone") {
  const std::vector<int32_t> ids = some_ids(500, 50);
  const Batches batches(ids, 16, 1);
  const Batches again(ids, 16, 1);
  const Batches::Batch three = batches.sequences(5, 3);
  REQUIRE(three.inputs.shape() == Shape{48});
  REQUIRE(three.targets.shape() == Shape{48});
  int same_as_other_seed = 0;
  for (int64_t i = 0; i < 3; ++i) {
    const Batches::Batch alone = again.sequences(5 + i, 1);
    const int64_t start = batches.start_of(5 + i);
    same_as_other_seed += Batches(ids, 16, 2).start_of(5 + i) == start ? 1 : 0;
    for (int64_t t = 0; t < 16; ++t) {
      const auto at = static_cast<std::size_t>(start + t);
      CHECK(three.inputs.data<int32_t>()[i * 16 + t] == ids[at]);
      CHECK(three.targets.data<int32_t>()[i * 16 + t] == ids[at + 1]);
      CHECK(alone.inputs.data<int32_t>()[t] == ids[at]);
      CHECK(alone.targets.data<int32_t>()[t] == ids[at + 1]);
    }
  }
  CHECK(same_as_other_seed < 3);
}

TEST_CASE("sequences start everywhere that leaves room for a target of every input") {
  const std::vector<int32_t> ids = some_ids(24, 50);
  const Batches batches(ids, 16, 3);
  std::set<int64_t> starts;
  for (int64_t n = 0; n < 400; ++n) starts.insert(batches.start_of(n));
  CHECK(starts == std::set<int64_t>{0, 1, 2, 3, 4, 5, 6, 7});
  const std::vector<int32_t> exactly = some_ids(17, 50);
  CHECK(Batches(exactly, 16, 3).start_of(12345) == 0);
}

TEST_CASE(
    "an epoch reads each window once, from another first place and in another order than the one before") {
  for (const int64_t tokens : {33, 49, 65, 100, 700, 4321}) {
    const int64_t block = 16;
    const std::vector<int32_t> ids = some_ids(tokens, 50);
    const Batches batches(ids, block, 9);
    // All whole windows but one, whose room the first place moves in.
    const int64_t windows = std::max<int64_t>(1, (tokens - 1) / block - 1);
    std::set<int64_t> first_places;
    std::set<std::vector<int64_t>> orders;
    for (int64_t epoch = 0; epoch < 6; ++epoch) {
      std::set<int64_t> starts;
      std::vector<int64_t> order;
      for (int64_t n = 0; n < windows; ++n) {
        const int64_t start = batches.start_of(epoch * windows + n);
        starts.insert(start);
        order.push_back(start);
      }
      CAPTURE(tokens, epoch);
      REQUIRE(static_cast<int64_t>(starts.size()) == windows);
      const int64_t first = *starts.begin();
      CHECK(first >= 0);
      CHECK(first < block);
      int64_t expected = first;
      bool apart = true;
      for (const int64_t start : starts) {
        apart = apart && start == expected;
        expected += block;
      }
      CHECK(apart);
      CHECK(*starts.rbegin() + block + 1 <= tokens);
      for (int64_t& start : order) start -= first;
      if (windows > 20) CHECK_FALSE(std::is_sorted(order.begin(), order.end()));
      first_places.insert(first);
      orders.insert(order);
    }
    CHECK(first_places.size() > 1);
    if (windows > 20) CHECK(orders.size() == 6);
  }
}

TEST_CASE("a text that is not longer than a block is an error with both numbers") {
  const std::vector<int32_t> ids = some_ids(16, 50);
  CHECK_THROWS_WITH(Batches(ids, 16, 1), ContainsSubstring("the text must be longer than a block") &&
                                             ContainsSubstring("16 tokens and Config::block_size is 16"));
  CHECK_THROWS_AS(Batches(ids, 17, 1), std::invalid_argument);
}

TEST_CASE("training options come back from JSON as they were") {
  TrainingOptions options;
  options.batch_size = 3;
  options.grad_accum = 5;
  options.max_iters = int64_t{1} << 39;
  options.learning_rate = 0.1 + 0.2;  // needs all its digits
  options.min_lr = 1e-300;
  options.warmup = 7;
  options.schedule = "wsd";
  options.weight_decay = 1.0 / 3;
  options.beta1 = 0.8;
  options.beta2 = 0.999;
  options.grad_clip = 0;
  options.seed = ~uint64_t{0};
  options.val_fraction = 0.25;
  options.eval_interval = 11;
  options.sample_every = 13;
  options.checkpoint_every = 17;
  options.keep = 19;
  options.objective = "another";
  options.grad_shards = 4;
  const Json json = options_to_json(options);
  CHECK(options_from_json(Json::parse(json.dump(), "state")) == options);
  CHECK(options_from_json(options_to_json({})) == TrainingOptions{});
  CHECK(json.as_object().size() == 20);  // a field that is added has to be set above
}

TEST_CASE("training options with an unknown, missing or unusable key are an error naming it") {
  Json unknown = options_to_json({});
  unknown.set("momentum", 0.9);
  CHECK_THROWS_WITH(options_from_json(Json::parse(unknown.dump(), "state")),
                    ContainsSubstring("state") && ContainsSubstring("momentum"));
  const Json whole = options_to_json({});
  for (const auto& [key, value] : whole.as_object()) {
    CAPTURE(key);
    Json missing = Json::object();
    Json wrong = Json::object();
    for (const auto& [other, kept] : whole.as_object()) {
      if (other != key) missing.set(other, kept);
      wrong.set(other, other == key ? Json::array() : kept);
    }
    // Without a version it is the first, which did not have the options of later ones.
    CHECK_THROWS_WITH(options_from_json(Json::parse(missing.dump(), "state")),
                      ContainsSubstring(key == "version" ? "is not an option of version 1" : key));
    CHECK_THROWS_WITH(options_from_json(Json::parse(wrong.dump(), "state")), ContainsSubstring(key));
  }
  for (const char* seed : {"", "x", "12x", "99999999999999999999999", "-1"}) {
    Json json = options_to_json({});
    json.set("seed", seed);
    CAPTURE(seed);
    CHECK_THROWS_WITH(options_from_json(Json::parse(json.dump(), "state")), ContainsSubstring("seed"));
  }
}

TEST_CASE(
    "options of a run of an older version are what they were then, and those of a later one are refused") {
  TrainingOptions options;
  options.batch_size = 3;
  options.seed = 9;
  const Json now = options_to_json(options);
  Json old = Json::object();
  for (const auto& [key, value] : now.as_object()) {
    if (key != "version" && key != "objective" && key != "grad_shards") old.set(key, value);
  }
  CHECK(options_from_json(Json::parse(old.dump(), "state")) == options);
  Json later = now;
  later.set("version", later.at("version").as_integer() + 1);
  CHECK_THROWS_WITH(options_from_json(Json::parse(later.dump(), "state")),
                    ContainsSubstring("$.version") && ContainsSubstring("use the program that wrote it"));
}

TEST_CASE("each training option has a range, and its error names option and value") {
  CHECK_NOTHROW(TrainingOptions{}.validate());
  const auto refused = [](const char* name, auto change) {
    TrainingOptions options;
    change(options);
    CAPTURE(name);
    CHECK_THROWS_WITH(options.validate(), ContainsSubstring(name));
    CHECK_THROWS_AS(options.validate(), std::invalid_argument);
  };
  refused(
      "TrainingOptions::grad_shards must be a power of two that divides the 12 sequences of a step; it is 8",
      [](auto& o) { o.grad_shards = 8; });
  refused("TrainingOptions::grad_shards", [](auto& o) { o.grad_shards = 3; });
  refused("TrainingOptions::grad_shards", [](auto& o) { o.grad_shards = 0; });
  const double nan = std::numeric_limits<double>::quiet_NaN();
  refused("TrainingOptions::batch_size must be in [1, 1048576]; it is 0", [](auto& o) { o.batch_size = 0; });
  refused("TrainingOptions::grad_accum", [](auto& o) { o.grad_accum = 0; });
  refused("TrainingOptions::max_iters", [](auto& o) { o.max_iters = -1; });
  refused("TrainingOptions::learning_rate", [&](auto& o) { o.learning_rate = nan; });
  refused("TrainingOptions::learning_rate", [](auto& o) { o.learning_rate = -1e-3; });
  refused("TrainingOptions::min_lr", [&](auto& o) { o.min_lr = nan; });
  refused("TrainingOptions::warmup", [](auto& o) { o.warmup = -1; });
  refused("TrainingOptions::weight_decay", [](auto& o) { o.weight_decay = -0.1; });
  refused("TrainingOptions::beta1 must be in [0, 1); it is 1", [](auto& o) { o.beta1 = 1; });
  refused("TrainingOptions::beta2", [](auto& o) { o.beta2 = 1; });
  refused("TrainingOptions::grad_clip", [](auto& o) { o.grad_clip = -1; });
  refused("TrainingOptions::val_fraction", [](auto& o) { o.val_fraction = 0.6; });
  refused("TrainingOptions::eval_interval", [](auto& o) { o.eval_interval = -1; });
  refused("TrainingOptions::sample_every", [](auto& o) { o.sample_every = -1; });
  refused("TrainingOptions::checkpoint_every", [](auto& o) { o.checkpoint_every = 0; });
  refused("TrainingOptions::keep", [](auto& o) { o.keep = -1; });
  refused("TrainingOptions::schedule", [](auto& o) { o.schedule = "cosin"; });
  refused(
      "TrainingOptions::min_lr must not be above TrainingOptions::learning_rate; they are 0.0001 and 5e-05",
      [](auto& o) { o.learning_rate = 5e-5; });
  refused("TrainingOptions::warmup and the fall of wsd must fit into the steps; they are 100 and 60 of 150",
          [](auto& o) {
            o.schedule = "wsd";
            o.max_iters = 150;
          });
}

TEST_CASE("the lowest learning rate is a ten-thousandth, or a tenth of the highest where that is less") {
  const TrainingOptions options;
  CHECK(default_min_lr(options.learning_rate) == options.min_lr);  // to the bit
  CHECK(default_min_lr(0.1) == 1e-4);
  CHECK(default_min_lr(5e-5) == 5e-5 / 10);
  CHECK(default_min_lr(0) == 0);
}

TEST_CASE("a run checkpoints its start, every so many steps, and its end") {
  TrainingOptions options;
  options.checkpoint_every = 40;
  const auto count = [&](int64_t steps, int64_t begin) {
    options.max_iters = steps;
    return checkpoints_after(options, begin);
  };
  CHECK(count(0, -1) == 1);
  CHECK(count(39, -1) == 2);
  CHECK(count(40, -1) == 2);
  CHECK(count(41, -1) == 3);
  CHECK(count(100, 0) == 3);
  CHECK(count(100, 39) == 3);
  CHECK(count(100, 40) == 2);
  CHECK(count(100, 99) == 1);
  CHECK(count(100, 100) == 0);
}
