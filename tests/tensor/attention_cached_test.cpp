#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "tensor/ops.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/same_bits.hpp"
#include "tests/support/tensors.hpp"
#include "tests/support/use_isa.hpp"
#include "tests/support/use_threads.hpp"

/// Attention of generation beside that of training, and of sequences read together beside each alone.

namespace gradus::testing {
namespace {

/// attention_cached for a single sequence.
Tensor cached_alone(const Tensor& q, const Tensor& k, const Tensor& v, KeyValueCache& cache, int64_t heads,
                    int64_t kv_heads, const Visibility& visibility = Visibility::causal(), double scale = 0) {
  KeyValueCache* const caches[] = {&cache};
  return attention_cached(q, k, v, uniform_sequences(1, q.size(0)), caches, heads, kv_heads, visibility,
                          scale);
}

TEST_CASE("attention_cached gives the bits of attention, for a prompt and then token by token") {
  struct Setting {
    int64_t heads, kv_heads, width, prompt, time, window = 0;
  };
  const Setting settings[] = {{4, 2, 32, 1, 400},       {2, 1, 8, 5, 400},      {3, 1, 24, 128, 400},
                              {2, 2, 64, 129, 400},     {4, 1, 80, 300, 400},   {1, 1, 32, 300, 300},
                              {6, 3, 8, 1, 140},        {2, 2, 24, 5, 140},     {2, 1, 24, 7, 300, 1},
                              {4, 2, 32, 60, 400, 130}, {1, 1, 8, 290, 300, 20}};
  for (const std::string& isa : available_isas()) {
    const UseIsa use(isa);
    for (const Setting& s : settings) {
      const Tensor q = random_tensor({s.time, s.heads * s.width}, 1),
                   k = random_tensor({s.time, s.kv_heads * s.width}, 2),
                   v = random_tensor({s.time, s.kv_heads * s.width}, 3);
      const Visibility visibility = Visibility::causal(s.window);
      const Tensor whole = attention(q, k, v, uniform_sequences(1, s.time), s.heads, s.kv_heads, visibility);
      KeyValueCache cache(s.time, s.kv_heads, s.width);
      std::vector<Tensor> parts;
      for (int64_t begin = 0; begin < s.time;) {
        const int64_t end = begin == 0 ? s.prompt : begin + 1;
        const auto rows = [&](const Tensor& x) { return slice(x, 0, begin, end); };
        parts.push_back(cached_alone(rows(q), rows(k), rows(v), cache, s.heads, s.kv_heads, visibility));
        begin = end;
      }
      INFO(isa << ", " << s.heads << "/" << s.kv_heads << " heads of " << s.width << ", prompt " << s.prompt
               << ", window " << s.window);
      CHECK(cache.rows == s.time);
      CHECK(same_bits(concat(parts, 0), whole) == "");
    }
  }
}

TEST_CASE("attention_cached gives each of several sequences the bits that it has alone") {
  const int64_t heads = 4, kv_heads = 2, width = 24;
  // Rows that each sequence brings in each call: prompts beside single tokens, pieces, and nothing.
  const std::vector<std::vector<int64_t>> calls = {
      {5, 130, 0, 1}, {1, 1, 60, 0}, {1, 1, 1, 127}, {0, 49, 1, 1}};
  const std::vector<int64_t> capacities = {7, 200, 64, 131};
  for (const DType dtype : {DType::f32, DType::bf16}) {
    for (const int threads : {1, 2, 4}) {
      INFO(dtype_name(dtype) << " caches, " << threads << " threads");
      const UseThreads use(threads);
      std::vector<KeyValueCache> together, alone;
      std::vector<KeyValueCache*> pointers;
      for (const int64_t capacity : capacities) {
        together.emplace_back(capacity, kv_heads, width, dtype);
        alone.emplace_back(capacity, kv_heads, width, dtype);
      }
      for (KeyValueCache& cache : together) pointers.push_back(&cache);
      for (std::size_t call = 0; call < calls.size(); ++call) {
        const Ragged sequences = ragged_sequences(calls[call]);
        const int64_t n = sequences.offsets.back();
        const Tensor q = random_tensor({n, heads * width}, 10 * call),
                     k = random_tensor({n, kv_heads * width}, 10 * call + 1),
                     v = random_tensor({n, kv_heads * width}, 10 * call + 2);
        const Tensor y = attention_cached(q, k, v, sequences, pointers, heads, kv_heads);
        for (std::size_t b = 0; b < alone.size(); ++b) {
          const auto rows = [&](const Tensor& x) {
            return slice(x, 0, sequences.offsets[b], sequences.offsets[b + 1]);
          };
          CHECK(same_bits(rows(y), cached_alone(rows(q), rows(k), rows(v), alone[b], heads, kv_heads)) == "");
          CHECK(together[b].rows == alone[b].rows);
        }
      }
      for (std::size_t b = 0; b < alone.size(); ++b) {
        CHECK(same_bits(together[b].keys, alone[b].keys) == "");
        CHECK(same_bits(together[b].values, alone[b].values) == "");
      }
    }
  }
}

TEST_CASE("caches that do not fit the sequences are errors that say which, and stay as they were") {
  using Catch::Matchers::ContainsSubstring;
  KeyValueCache a(8, 1, 4), full(2, 1, 4), narrow(8, 1, 4, DType::bf16), wide(8, 1, 5);
  const Tensor x = random_tensor({5, 4}, 1);
  const std::vector<int64_t> lengths = {2, 3};
  const auto run = [&](std::vector<KeyValueCache*> caches) {
    attention_cached(x, x, x, ragged_sequences(lengths), caches, 1, 1);
  };
  CHECK_THROWS_WITH(
      run({&a, &full}),
      "attention_cached: a cache must have room; that of sequence 1 holds 0 of 2 rows and 3 are new");
  CHECK_THROWS_WITH(
      run({&a, &a}),
      "attention_cached: each sequence must have a cache of its own; sequences 0 and 1 share one");
  KeyValueCache copy = a;  // its tensors are the same memory
  CHECK_THROWS_WITH(run({&copy, &a}), ContainsSubstring("sequences 0 and 1 share one"));
  CHECK_THROWS_WITH(run({&a, &narrow}),
                    ContainsSubstring("all caches must be of one type; sequence 0 has f32, "
                                      "sequence 1 has bf16"));
  CHECK_THROWS_WITH(run({&wide, &a}), ContainsSubstring("that of sequence 0 is not"));
  CHECK_THROWS_WITH(run({&a, nullptr}), ContainsSubstring("that of sequence 1 is not"));
  CHECK_THROWS_WITH(run({&a}), ContainsSubstring("each of 2 sequences must have a cache; there are 1"));
  KeyValueCache* const one[] = {&a};
  CHECK_THROWS_WITH(attention_cached(x, x, x, uniform_sequences(1, 4), one, 1, 1),
                    ContainsSubstring("attention_cached: the sequences must cover the rows"));
  CHECK_THROWS_WITH(attention_cached(x, x, x, uniform_sequences(1, 5), one, 1, 1, Visibility::both_ways()),
                    ContainsSubstring("attention_cached: a row must not see those after it"));
  CHECK_THROWS_WITH(attention(x, x, x, uniform_sequences(1, 5), 1, 1, {-1, 0}),
                    ContainsSubstring("attention: a row must see at least itself"));
  CHECK(a.rows == 0);
  CHECK(same_bits(a.keys, KeyValueCache(8, 1, 4).keys) == "");
}

TEST_CASE("attention_cached honours a scale of its own") {
  const Tensor q = random_tensor({20, 16}, 1), k = random_tensor({20, 16}, 2), v = random_tensor({20, 16}, 3);
  KeyValueCache cache(20, 2, 8);
  CHECK(same_bits(cached_alone(q, k, v, cache, 2, 2, Visibility::causal(), 0.3),
                  attention(q, k, v, uniform_sequences(1, 20), 2, 2, Visibility::causal(), 0.3)) == "");
}

}  // namespace
}  // namespace gradus::testing
