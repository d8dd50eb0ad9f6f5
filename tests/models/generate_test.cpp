#include "models/transformer/generate.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <optional>
#include <set>

#include "tensor/autodiff.hpp"
#include "tensor/math.hpp"
#include "tensor/random.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/small_model.hpp"
#include "tests/support/use_threads.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tokenizer/training/train.hpp"

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

const std::vector<float> kLogits = {1.0f, 3.0f, -1.0f, 2.0f, 3.0f, 0.0f};

SamplerOptions everything() {
  SamplerOptions options;
  options.temperature = 1;
  options.top_k = 0;
  options.top_p = 1;
  options.min_p = 0;
  return options;
}

std::vector<int32_t> ids_of(const std::vector<Candidate>& list) {
  std::vector<int32_t> ids;
  for (const Candidate& c : list) ids.push_back(c.id);
  return ids;
}

double total(const std::vector<Candidate>& list) {
  double sum = 0;
  for (const Candidate& c : list) sum += c.probability;
  return sum;
}

// The model's logits for the last of the ids, by a training forward over all of them.
std::vector<float> twin_logits(const Transformer& model, std::span<const int32_t> ids) {
  const auto rows = static_cast<int64_t>(ids.size());
  const Tensor hidden = model.forward(Tensor::from(ids, {rows}), Context::of_batch(1, rows));
  return slice(model.logits(hidden), 0, rows - 1, rows).to_vector<float>();
}

// A model that counts: after byte b it is sure of byte b + 1.
Transformer counting_model() {
  Config config = small_config("gpt", 256, 16);
  config.position = PositionKind::none;
  config.n_embd = 256;
  config.n_layer = 1;
  config.tie = false;
  Transformer model(config);
  float* in = model.token_embedding.weight.mutable_data<float>();
  float* out = model.output.weight.mutable_data<float>();
  for (int b = 0; b < 256; ++b) {
    in[b * 256 + b] = 1;
    out[(b + 1) % 256 * 256 + b] = 4;
  }
  return model;
}

}  // namespace

TEST_CASE("without limits the candidates are the softmax, best first, of equals the lower id first") {
  const auto list = candidates(kLogits, {}, everything());
  CHECK(ids_of(list) == std::vector<int32_t>{1, 4, 3, 0, 5, 2});
  double sum = 0;
  for (const float x : kLogits) sum += std::exp(static_cast<double>(x));
  CHECK(list[0].probability == Approx(std::exp(3.0) / sum));
  CHECK(list[5].probability == Approx(std::exp(-1.0) / sum));
  CHECK(total(list) == Approx(1.0));
  CHECK(probability_of(kLogits, 3) == Approx(std::exp(2.0) / sum));
  const auto top = top_candidates(kLogits, 3);
  CHECK(ids_of(top) == std::vector<int32_t>{1, 4, 3});
  CHECK(top[2].probability == Approx(std::exp(2.0) / sum));
}

TEST_CASE("temperature sharpens, and 0 takes the best with the lowest id") {
  SamplerOptions options = everything();
  options.temperature = 0.5;
  const auto list = candidates(kLogits, {}, options);
  CHECK(list[2].probability / list[0].probability == Approx(std::exp(-2.0)));
  options.temperature = 0;
  const auto greedy = candidates(kLogits, {}, options);
  CHECK(ids_of(greedy) == std::vector<int32_t>{1});
  CHECK(greedy[0].probability == 1);
}

TEST_CASE("top-k keeps the k best") {
  SamplerOptions options = everything();
  options.top_k = 2;
  CHECK(ids_of(candidates(kLogits, {}, options)) == std::vector<int32_t>{1, 4});
  options.top_k = 1;
  CHECK(ids_of(candidates(kLogits, {}, options)) == std::vector<int32_t>{1});
  options.top_k = 100;
  CHECK(candidates(kLogits, {}, options).size() == 6);
}

TEST_CASE("top-p keeps the smallest set of the best that reaches p") {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
  SamplerOptions options = everything();
  const auto kept = [&](double p) {
    options.top_p = p;
    return candidates(logits, {}, options).size();
  };
  CHECK(kept(0.01) == 1);
  CHECK(kept(0.49) == 1);
  CHECK(kept(0.51) == 2);
  CHECK(kept(0.79) == 2);
  CHECK(kept(0.81) == 3);
  CHECK(kept(0.96) == 4);
  options.top_p = 0.7;
  const auto list = candidates(logits, {}, options);
  CHECK(list[0].probability == Approx(0.5 / 0.8));
  // The probabilities that p counts are those at temperature 1, whatever the temperature.
  options.temperature = 100;
  CHECK(candidates(logits, {}, options).size() == 2);
}

TEST_CASE("min-p drops what is improbable beside the best") {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
  SamplerOptions options = everything();
  options.min_p = 0.25;
  CHECK(ids_of(candidates(logits, {}, options)) == std::vector<int32_t>{0, 1, 2});
  options.min_p = 1;
  CHECK(ids_of(candidates(logits, {}, options)) == std::vector<int32_t>{0});
}

TEST_CASE("min-p compares probabilities at temperature 1, whatever the temperature") {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
  SamplerOptions options = everything();
  options.min_p = 0.25;
  for (const double temperature : {0.25, 1.0, 100.0}) {
    options.temperature = temperature;
    CHECK(ids_of(candidates(logits, {}, options)) == std::vector<int32_t>{0, 1, 2});
  }
}

TEST_CASE(
    "at an exact tie top-p ends where p is reached, and min-p keeps what is just as probable as it asks") {
  SamplerOptions options = everything();
  const std::vector<float> halves = {2, 2};
  const std::vector<float> quarters = {1, 1, 1, 1};
  options.top_p = 0.5;
  CHECK(ids_of(candidates(halves, {}, options)) == std::vector<int32_t>{0});
  CHECK(ids_of(candidates(quarters, {}, options)) == std::vector<int32_t>{0, 1});
  options.top_p = std::nextafter(0.5, 1.0);
  CHECK(ids_of(candidates(halves, {}, options)) == std::vector<int32_t>{0, 1});
  CHECK(ids_of(candidates(quarters, {}, options)) == std::vector<int32_t>{0, 1, 2});

  options.top_p = 1;
  options.min_p = 1;
  CHECK(ids_of(candidates(halves, {}, options)) == std::vector<int32_t>{0, 1});
  options.min_p = math::exp(-1.0);  // what a logit of 2 is beside one of 3
  CHECK(ids_of(candidates(kLogits, {}, options)) == std::vector<int32_t>{1, 4, 3});
  options.min_p = std::nextafter(options.min_p, 1.0);
  CHECK(ids_of(candidates(kLogits, {}, options)) == std::vector<int32_t>{1, 4});
}

TEST_CASE("the options come one after the other: repeat penalty, top-k, top-p, min-p") {
  const std::vector<float> logits = {std::log(0.5f), std::log(0.3f), std::log(0.15f), std::log(0.05f)};
  SamplerOptions options = everything();
  options.top_k = 2;
  options.top_p = 0.6;  // of what top-k left, the best has 0.5 / 0.8
  CHECK(ids_of(candidates(logits, {}, options)) == std::vector<int32_t>{0});
  options.top_k = 0;
  options.top_p = 0.51;
  options.min_p = 0.25;  // what it drops has counted for top-p: else the best would have 0.5 / 0.95
  CHECK(ids_of(candidates(logits, {}, options)) == std::vector<int32_t>{0, 1});
  options = everything();
  options.repeat_penalty = 2;
  options.top_k = 1;
  CHECK(ids_of(candidates(kLogits, std::vector<int32_t>{1, 4}, options)) == std::vector<int32_t>{3});
}

TEST_CASE("a repeated token becomes less likely, once for all its repeats, and only recent ones count") {
  SamplerOptions options = everything();
  options.repeat_penalty = 2;
  const std::vector<int32_t> recent = {2, 1, 1, 1};
  auto list = candidates(kLogits, recent, options);
  CHECK(ids_of(list) == std::vector<int32_t>{4, 3, 1, 0, 5, 2});
  CHECK(list[2].logit == 1.5);   // 3 / 2
  CHECK(list[5].logit == -2.0);  // -1 · 2
  options.repeat_last = 3;
  CHECK(candidates(kLogits, recent, options)[5].logit == -1.0);
  options.temperature = 0;
  CHECK(candidates(kLogits, recent, options)[0].id == 4);
}

TEST_CASE("a draw follows the cumulated probabilities") {
  const std::vector<Candidate> list = {{7, 0, 0.5}, {3, 0, 0.25}, {9, 0, 0.25}};
  CHECK(draw(list, 0.0) == 7);
  CHECK(draw(list, 0.49) == 7);
  CHECK(draw(list, 0.5) == 3);
  CHECK(draw(list, 0.75) == 9);
  CHECK(draw(list, 0.999999) == 9);
  // Probabilities whose sum misses 1 by a rounding: what cannot be drawn is not what is left over.
  CHECK(draw(std::vector<Candidate>{{7, 0, 0.5}, {3, 0, 0.25}, {9, 0, 0}}, 0.99) == 7);
  const Random random(1, 2);
  std::vector<int> counts(10);
  for (uint64_t i = 0; i < 4000; ++i) ++counts[static_cast<size_t>(draw(list, random.uniform(i)))];
  CHECK(counts[7] == Approx(2000).margin(150));
  CHECK(counts[3] == Approx(1000).margin(150));
}

TEST_CASE("options and logits that cannot be used are errors that name them") {
  const auto refused = [](auto change, const std::string& text) {
    SamplerOptions options;
    change(options);
    CHECK_THROWS_WITH(candidates(kLogits, {}, options), text);
  };
  refused([](SamplerOptions& o) { o.temperature = -1; }, "sampler: temp must be in [0, 1e6]; it is -1");
  refused([](SamplerOptions& o) { o.top_k = -1; }, "sampler: top-k must be at least 0 (0: all); it is -1");
  refused([](SamplerOptions& o) { o.top_p = 0; }, "sampler: top-p must be in (0, 1]; it is 0");
  refused([](SamplerOptions& o) { o.min_p = 2; }, "sampler: min-p must be in [0, 1]; it is 2");
  refused([](SamplerOptions& o) { o.repeat_penalty = 0; },
          "sampler: repeat-penalty must be in (0, 1e6] (1: none); it is 0");
  refused([](SamplerOptions& o) { o.temperature = std::nan(""); },
          "sampler: temp must be in [0, 1e6]; it is nan");
  const std::vector<float> broken = {1, std::nanf(""), 2};
  CHECK_THROWS_WITH(candidates(broken, {}, SamplerOptions()), ContainsSubstring("that of token 1 is nan"));
  const float least = -std::numeric_limits<float>::infinity();
  CHECK_THROWS_AS(candidates(std::vector<float>{least, least}, {}, SamplerOptions()), std::runtime_error);
  CHECK(candidates(std::vector<float>{least, 0}, {}, SamplerOptions())[0].id == 1);
}

TEST_CASE("cached generation has the bits of one training forward, past several blocks of keys") {
  for (const std::string_view arch : {"gpt", "llama"}) {
    const Transformer model = byte_model(arch, 400);
    const std::vector<int32_t> ids = some_ids(330, 256);
    const NoGrad quiet;
    const Tensor hidden = model.forward(ids_tensor(ids), Context::of_batch(1, 330));
    const std::vector<float> all = model.logits(hidden).to_vector<float>();
    DecodingSession session(model, std::span(ids).first(5));  // the cache has to grow several times
    for (size_t t = 4;; ++t) {
      REQUIRE(same_bits(session.logits(), std::span(all).subspan(t * 256, 256)) == "");
      if (t + 1 == ids.size()) break;
      session.push(ids[t + 1]);
    }
    CHECK(session.refills() == 0);
  }
}

TEST_CASE("generated tokens equal those of an uncached twin") {
  const Transformer model = byte_model("llama", 400);
  const Tokenizer tokenizer = Tokenizer::bytes();
  GenerateOptions options;
  options.max_tokens = 200;
  options.seed = 11;
  options.sampler.repeat_penalty = 1.1;
  const Generated generated = generate(model, tokenizer, "In the beginning", options);
  REQUIRE(generated.ids.size() == 200);
  CHECK(generated.prompt_tokens == 16);
  CHECK(generated.reason == StopReason::max_tokens);

  std::vector<int32_t> ids = tokenizer.encode("In the beginning");
  const Random random(11, stream_of("generate.sample"));
  for (const int32_t id : generated.ids) {
    const double u = random.uniform(ids.size());
    REQUIRE(draw(candidates(twin_logits(model, ids), ids, options.sampler), u) == id);
    ids.push_back(id);
  }
  // A longer text begins with the shorter one, and another seed gives another text.
  options.max_tokens = 50;
  CHECK(
      generated.text.starts_with(generate(model, tokenizer, "In the beginning", options).text.substr(0, 40)));
  options.seed = 12;
  CHECK(generate(model, tokenizer, "In the beginning", options).ids !=
        std::vector<int32_t>(generated.ids.begin(), generated.ids.begin() + 50));
}

TEST_CASE("past block_size the oldest quarter is forgotten and the rest is read again") {
  const Transformer model = byte_model("gpt", 32);
  const std::vector<int32_t> ids = some_ids(90, 256);
  DecodingSession session(model, std::span(ids).first(3));
  size_t begin = 0;
  for (size_t n = 4; n <= ids.size(); ++n) {
    session.push(ids[n - 1]);
    if (n - begin > 32) begin = n - 24;
    REQUIRE(same_bits(session.logits(), twin_logits(model, std::span(ids).subspan(begin, n - begin))) == "");
  }
  CHECK(session.refills() == 7);
  CHECK(session.ids() == ids);

  const Transformer narrow = byte_model("gpt", 1);
  DecodingSession single(narrow, std::span(ids).first(1));
  single.push(ids[1]);
  CHECK(same_bits(single.logits(), twin_logits(narrow, std::span(ids).subspan(1, 1))) == "");
}

TEST_CASE(
    "texts that are read together get the bits that each gets alone: prompts, next tokens and refills") {
  struct Setting {
    std::string_view arch;
    DType cache;
    std::optional<WeightFormat> weights;
  };
  // 140 tokens reach a second block of keys, and past block_size the oldest tokens go.
  const int64_t block_size = 140;
  const Setting settings[] = {{"gpt", DType::f32, {}},
                              {"llama", DType::f32, {}},
                              {"llama", DType::bf16, {}},
                              {"gpt", DType::bf16, WeightFormat::f32},
                              {"llama", DType::f32, WeightFormat::bf16},
                              {"llama", DType::bf16, WeightFormat::q8},
                              {"gpt", DType::f32, WeightFormat::q8}};
  for (const Setting& setting : settings) {
    Transformer model = byte_model(setting.arch, block_size);
    if (setting.weights) model.pack(*setting.weights);
    const auto shared = std::make_shared<const Transformer>(model);
    // Each text's prompt, the step at which it joins the others, and the tokens that it appends at each step after.
    struct Text {
      int64_t prompt;
      int joins;
      int64_t appends;
    };
    const Text texts[] = {{5, 0, 1}, {133, 0, 1}, {62, 2, 1}, {1, 1, 9}, {126, 3, 2}, {20, 4, 1}};
    std::vector<std::vector<int32_t>> ids;
    std::vector<std::vector<std::vector<float>>> expected;  // of each text after each step
    for (size_t i = 0; i < std::size(texts); ++i) {
      ids.push_back(some_ids(400, 256, i));
      expected.emplace_back();
      DecodingSession alone(model, std::span(ids[i]).first(static_cast<size_t>(texts[i].prompt)),
                            setting.cache);
      for (int step = texts[i].joins; step < 12; ++step) {
        for (int64_t n = 0; step > texts[i].joins && n < texts[i].appends; ++n)
          alone.push(ids[i][alone.ids().size()]);
        expected[i].emplace_back(alone.logits().begin(), alone.logits().end());
      }
      if (i == 1) CHECK(alone.refills() == 1);
    }
    for (const int threads : {1, 2, 4}) {
      const UseThreads use(threads);
      std::vector<DecodingSession> states;
      std::vector<size_t> which;
      for (int step = 0; step < 12; ++step) {
        for (size_t s = 0; s < states.size(); ++s) {
          for (int64_t n = 0; n < texts[which[s]].appends; ++n)
            states[s].append(ids[which[s]][states[s].ids().size()]);
        }
        for (size_t i = 0; i < std::size(texts); ++i) {
          if (texts[i].joins != step) continue;
          which.push_back(i);
          states.push_back(DecodingSession::unread(
              shared, std::span(ids[i]).first(static_cast<size_t>(texts[i].prompt)), setting.cache));
        }
        std::vector<DecodingSession*> all;
        for (DecodingSession& state : states) all.push_back(&state);
        DecodingSession::read(all);
        for (size_t s = 0; s < states.size(); ++s) {
          INFO("text " << which[s] << ", step " << step << ", " << threads << " threads");
          REQUIRE(same_bits(states[s].logits(),
                            expected[which[s]][static_cast<size_t>(step - texts[which[s]].joins)]) == "");
        }
      }
    }
  }
}

TEST_CASE("texts that cannot be read together are errors that say which") {
  const auto model = std::make_shared<const Transformer>(byte_model("llama", 32));
  const std::vector<int32_t> prompt = {1, 2, 3};
  DecodingSession a = DecodingSession::unread(model, prompt), b = DecodingSession::unread(model, prompt);
  const auto read = [](std::vector<DecodingSession*> texts) { DecodingSession::read(texts); };
  CHECK_THROWS_WITH(
      a.logits(),
      "generate: a text must be read before its logits are known; tokens of it are not; call read()");
  DecodingSession stranger(*model, prompt);
  stranger.append(4);
  CHECK_THROWS_WITH(read({&a, &stranger}), ContainsSubstring("text 1 has another than text 0"));
  CHECK_THROWS_WITH(read({&a, &b, &a}), ContainsSubstring("sequences 0 and 2 share one"));
  DecodingSession narrow = DecodingSession::unread(model, prompt, DType::bf16);
  CHECK_THROWS_WITH(read({&a, &narrow}), ContainsSubstring("all caches must be of one type"));
  read({&a, &b});  // what failed has left no trace
  CHECK(same_bits(a.logits(), DecodingSession(*model, prompt).logits()) == "");
  b.append(7);
  CHECK_THROWS_WITH(b.logits(), ContainsSubstring("tokens of it are not"));
  CHECK_THROWS_WITH(read({&b, &a}), ContainsSubstring("text 1 has none; append one, or leave it out"));
  CHECK_THROWS_WITH(DecodingSession::unread(nullptr, prompt), ContainsSubstring("a text must have a model"));
  read({});
}

TEST_CASE(
    "several continuations are each what it is alone, with draws of its own, the first those of a single "
    "one") {
  const Transformer model = byte_model("llama", 40);
  const Tokenizer tokenizer = Tokenizer::bytes();
  GenerateOptions options;
  options.max_tokens = 50;  // past block_size
  options.seed = 5;
  options.stop = {"e", "Q", "\xc3"};
  options.show_probs = 2;
  const std::vector<int32_t> prompt = prompt_ids(model, tokenizer, "and the", {});
  std::vector<Generated> alone;
  std::set<std::vector<int32_t>> texts;
  std::set<size_t> lengths;
  for (options.sample = 0; options.sample < 6; ++options.sample) {
    alone.push_back(generate(model, tokenizer, "and the", options));
    texts.insert(alone.back().ids);
    lengths.insert(alone.back().ids.size());
  }
  CHECK(texts.size() == 6);
  CHECK(lengths.size() > 1);  // some end before the others
  CHECK(std::any_of(alone.begin(), alone.end(), [](const Generated& text) { return text.refills > 0; }));
  GenerateOptions single = options;
  single.sample = 0;
  single.stop.clear();
  const Random random(5, stream_of("generate.sample"));  // that of the uncached twin
  std::vector<int32_t> ids = prompt;
  for (const int32_t id : generate(model, tokenizer, "and the", single).ids) {
    if (ids.size() == 40) break;
    REQUIRE(draw(candidates(twin_logits(model, ids), ids, options.sampler), random.uniform(ids.size())) ==
            id);
    ids.push_back(id);
  }

  for (const int threads : {1, 2, 4}) {
    const UseThreads use(threads);
    for (const int64_t first : {0, 2}) {
      options.sample = first;
      const int64_t count = 6 - first;
      std::vector<std::string> shown(static_cast<size_t>(count));
      const std::vector<Generated> together = generate_samples(model, tokenizer, prompt, options, count,
                                                               [&](int64_t i, const GeneratedToken& token) {
                                                                 shown[static_cast<size_t>(i)] += token.text;
                                                                 return true;
                                                               });
      REQUIRE(std::ssize(together) == count);
      for (size_t i = 0; i < together.size(); ++i) {
        const Generated& expected = alone[static_cast<size_t>(first) + i];
        CHECK(together[i].ids == expected.ids);
        CHECK(together[i].text == expected.text);
        CHECK(shown[i] == expected.text);
        CHECK(together[i].reason == expected.reason);
        CHECK(together[i].refills == expected.refills);
        CHECK(together[i].prompt_tokens == 7);
      }
    }
  }
  options.sample = 0;
  options.stop.clear();
  const std::vector<Generated> cancelled =
      generate_samples(model, tokenizer, prompt, options, 3,
                       [](int64_t i, const GeneratedToken& token) { return i != 1 || token.position < 10; });
  CHECK(cancelled[1].reason == StopReason::cancelled);
  CHECK(cancelled[1].ids.size() == 4);
  CHECK(cancelled[2].ids.size() == 50);
  CHECK_THROWS_WITH(generate_samples(model, tokenizer, prompt, options, 0),
                    ContainsSubstring("there must be at least 1 continuation"));
}

TEST_CASE("a text that was forked goes on as if it had not been") {
  const Transformer model = byte_model("gpt", 200);
  const std::vector<int32_t> ids = some_ids(150, 256);
  DecodingSession session(model, std::span(ids).first(130));  // a second block of keys
  DecodingSession other = session.fork();
  CHECK(same_bits(other.logits(), session.logits()) == "");
  for (int32_t id = 0; id < 2; ++id) other.push(id);
  for (size_t t = 130; t < 150; ++t) session.push(ids[t]);
  CHECK(same_bits(session.logits(), DecodingSession(model, ids).logits()) == "");
  for (int32_t id = 2; id < 5; ++id) other.push(id);
  std::vector<int32_t> second(ids.begin(), ids.begin() + 130);
  for (int32_t id = 0; id < 5; ++id) second.push_back(id);
  CHECK(other.ids() == second);
  CHECK(same_bits(other.logits(), DecodingSession(model, second).logits()) == "");
}

TEST_CASE("generation ends before a stop text, and none of it is ever shown") {
  const Transformer model = counting_model();
  const Tokenizer tokenizer = Tokenizer::bytes();
  GenerateOptions options;
  options.sampler.temperature = 0;
  options.max_tokens = 12;
  CHECK(generate(model, tokenizer, "a", options).text == "bcdefghijklm");

  options.stop = {"zzz", "fgh", "ghi"};
  std::string shown;
  std::vector<std::string> pieces;
  const Generated stopped = generate(model, tokenizer, "a", options, [&](const GeneratedToken& token) {
    shown += token.text;
    pieces.push_back(token.text);
    return true;
  });
  CHECK(stopped.text == "bcde");
  CHECK(shown == "bcde");
  CHECK(pieces == std::vector<std::string>{"b", "c", "d", "e", "", "", ""});  // f and g were held back
  CHECK(stopped.reason == StopReason::stop_text);
  CHECK(stopped.ids.size() == 7);

  options.stop = {"klmX"};  // begins like the end of the text, which must then come after all
  shown.clear();
  const Generated whole = generate(model, tokenizer, "a", options, [&](const GeneratedToken& token) {
    shown += token.text;
    return true;
  });
  CHECK(whole.text == "bcdefghijklm");
  CHECK(shown == whole.text);
  CHECK(whole.reason == StopReason::max_tokens);
}

TEST_CASE("what the model thought is reported with each token when asked for") {
  const Transformer model = counting_model();
  GenerateOptions options;
  options.max_tokens = 2;
  options.show_probs = 3;
  options.sampler.temperature = 0;
  std::vector<GeneratedToken> tokens;
  generate(model, Tokenizer::bytes(), "ab", options, [&](const GeneratedToken& token) {
    tokens.push_back(token);
    return true;
  });
  REQUIRE(tokens.size() == 2);
  CHECK(tokens[0].id == 'c');
  CHECK(tokens[0].position == 2);
  REQUIRE(tokens[0].top.size() == 3);
  CHECK(tokens[0].top[0].id == 'c');
  CHECK(tokens[0].top[0].probability == tokens[0].probability);
  CHECK(tokens[0].probability > 0.5);
  CHECK(tokens[0].top[1].id == 0);
}

TEST_CASE("generation can be cancelled, and ends at the end of a text") {
  const Transformer model = counting_model();
  const Tokenizer tokenizer = Tokenizer::bytes();
  GenerateOptions options;
  options.sampler.temperature = 0;
  const Generated cancelled =
      generate(model, tokenizer, "a", options, [](const GeneratedToken& t) { return t.id != 'd'; });
  CHECK(cancelled.reason == StopReason::cancelled);
  CHECK(cancelled.text == "bcd");

  Config config = model.config();
  config.end_tokens = {0, 'e'};
  Transformer ending(config);
  ending.token_embedding = model.token_embedding;
  ending.output = model.output;
  const Generated ended = generate(ending, tokenizer, "a", options);
  CHECK(ended.reason == StopReason::end_of_text);
  CHECK(ended.text == "bcd");
  CHECK(ended.ids.size() == 4);
}

TEST_CASE("ids that no token belongs to are never drawn, nor shown, and count in the others' probabilities") {
  SamplerOptions options = everything();
  Possible possible(kLogits.size(), true);
  possible[1] = false;  // the best
  CHECK(ids_of(candidates(kLogits, {}, options, possible)) == std::vector<int32_t>{4, 3, 0, 5, 2});
  options.temperature = 0;
  CHECK(ids_of(candidates(kLogits, {}, options, possible)) == std::vector<int32_t>{4});
  const auto all = top_candidates(kLogits, 2);
  const auto shown = top_candidates(kLogits, 2, possible);
  CHECK(ids_of(shown) == std::vector<int32_t>{4, 3});
  CHECK(shown[0].probability == all[1].probability);

  // A model of 256 ids that counts upwards, and a tokenizer of 250 bytes: what would be 250 is never drawn.
  const Transformer model = counting_model();
  std::string alphabet;
  for (int c = 0; c < 250; ++c) append_utf8(static_cast<char32_t>(c), alphabet);
  const Tokenizer tokenizer = Tokenizer::train_char(alphabet);
  REQUIRE(tokenizer.vocab_size() == 250);
  GenerateOptions generation;
  generation.sampler.temperature = 0;
  generation.max_tokens = 3;
  generation.show_probs = 250;
  std::string prompt;
  append_utf8(char32_t{247}, prompt);
  std::vector<GeneratedToken> tokens;
  const Generated result = generate(model, tokenizer, prompt, generation, [&](const GeneratedToken& token) {
    tokens.push_back(token);
    return true;
  });
  REQUIRE(result.ids.size() == 3);
  CHECK(result.ids[0] == 248);
  CHECK(result.ids[1] == 249);
  CHECK(result.ids[2] < 250);
  REQUIRE(tokens[2].top.size() == 250);
  for (const Candidate& candidate : tokens[2].top) CHECK(candidate.id < 250);
}

TEST_CASE("a generated text continues its prompt: decode(prompt + output) after decode(prompt)") {
  const std::string text =
      "the king and the queen, and all the king's men: the sea. the kings went to sea and sang";
  for (const char* kind : {"bpe", "spm-bpe", "unigram", "wordpiece", "words", "char", "byte"}) {
    CAPTURE(kind);
    TokenizerTraining training;
    training.kind = kind;
    const std::string_view name = kind;
    training.vocab_size = name == "spm-bpe" || name == "unigram" ? 290 : name == "bpe" ? 280 : 40;
    const std::vector<std::string_view> documents = {text};
    const Tokenizer tokenizer = train_tokenizer(documents, training);
    const std::vector<int32_t> ids = tokenizer.encode(text);
    for (size_t cut = 1; cut < ids.size(); ++cut) {
      const std::span<const int32_t> before = std::span(ids).first(cut);
      StreamDecoder decoder(tokenizer, before);
      std::string out;
      for (size_t i = cut; i < ids.size(); ++i) out += decoder.push(ids[i]);
      out += decoder.flush();
      const std::string whole = tokenizer.decode(ids);
      CHECK(tokenizer.decode(before) + out == whole);
    }
  }
}

TEST_CASE(
    "a prompt stands behind the tokens that the tokenizer adds before a text, where they are asked for") {
  TokenizerTraining training;
  training.kind = "wordpiece";
  training.vocab_size = 20;
  const std::vector<std::string_view> documents = {"ab ab ba"};
  const Tokenizer tokenizer = train_tokenizer(documents, training);
  const Transformer model = small_model(small_config("gpt", tokenizer.vocab_size()));
  GenerateOptions options;
  options.max_tokens = 1;
  options.show_probs = 1;
  const auto first = [&](std::string_view prompt) {
    GeneratedToken found;
    const Generated result = generate(model, tokenizer, prompt, options, [&](const GeneratedToken& token) {
      if (token.id >= 0) found = token;
      return true;
    });
    CHECK(found.position == result.prompt_tokens);
    return std::pair(result.prompt_tokens, found.top.at(0).probability);
  };
  const auto plain = first("ab");
  options.add_special = true;
  const auto framed = first("ab");
  CHECK(framed.first == plain.first + 1);  // [CLS], and no [SEP]
  // By hand.
  std::vector<int32_t> ids = {*tokenizer.id_of("[CLS]")};
  for (const int32_t id : tokenizer.encode("ab")) ids.push_back(id);
  const DecodingSession session(model, ids);
  CHECK(framed.second == top_candidates(session.logits(), 1)[0].probability);
  CHECK(first("").first == 1);  // a text may begin with nothing else
}

TEST_CASE("prompts and options that cannot be used are errors that say why") {
  const Transformer model = counting_model();
  const Tokenizer tokenizer = Tokenizer::bytes();
  GenerateOptions options;
  CHECK_THROWS_WITH(
      generate(model, tokenizer, "", options),
      "generate: the prompt must have at least one token; it has none, and the tokenizer has no "
      "<|endoftext|> to start from; give another prompt");
  CHECK_THROWS_WITH(
      generate(model, tokenizer, "more than sixteen", options),
      "generate: the prompt must have 1 to block_size tokens; it has 17, block_size is 16; shorten it");
  CHECK_NOTHROW(generate(model, tokenizer, "exactly sixteen!", options));
  CHECK_THROWS_WITH(
      generate(model, Tokenizer::train_char("abc"), "a", options),
      "generate: the tokenizer must have the model's vocabulary; it has 3 tokens, the model 256");
  options.stop = {""};
  CHECK_THROWS_WITH(generate(model, tokenizer, "a", options),
                    ContainsSubstring("a stop text must not be empty"));
  options.stop.clear();
  options.show_probs = 257;
  CHECK_THROWS_WITH(generate(model, tokenizer, "a", options),
                    ContainsSubstring("show-probs must be in [0, 256]"));
  options.show_probs = 0;
  options.max_tokens = -1;
  CHECK_THROWS_AS(generate(model, tokenizer, "a", options), std::invalid_argument);
  Config wide = small_config("gpt");
  wide.dtype = DType::f64;
  CHECK_THROWS_WITH(DecodingSession(Transformer(wide), std::vector<int32_t>{1}),
                    "generate: the model must compute in f32; it computes in f64");
  DecodingSession session(model, std::vector<int32_t>{1});
  CHECK_THROWS_WITH(session.push(256), "generate: an id must be in [0, 255]; it is 256");
}
