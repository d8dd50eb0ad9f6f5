#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <vector>

#include "tokenizer/lookup/token_table.hpp"
#include "tokenizer/subword/subword_model.hpp"

namespace gradus {

/// Words of at most WordKey::kLongest bytes with their tokens: one a cache line, the newest of its place. Most words of a
/// text are few words again and again, whose entries stay near the processor, where no vocabulary would.
class WordCache {
 public:
  static constexpr size_t kMostTokens = 7;

  struct alignas(64) Entry {
    WordKey key;
    uint64_t owner = 0;  // a model's serial, see new_serial()
    float note = 0;      // whatever the owner must know to use the entry
    int32_t ids[kMostTokens];
    uint8_t ends[kMostTokens];  // in the word; the last is its length

    bool is(const WordKey& word, uint64_t serial) const { return key == word && owner == serial; }

    /// Appends the tokens of the word, which stands at `begin` to `end` now.
    void append_to(std::vector<Token>& tokens, uint32_t begin, uint32_t end) const {
      const uint32_t first = begin;
      for (size_t i = 0; begin < end; ++i) {
        const uint32_t token_end = first + ends[i];
        tokens.push_back({ids[i], begin, token_end});
        begin = token_end;
      }
    }

    /// Keeps the tokens from `from` on, which must be those of the word at `begin`, side by side; where they are too many
    /// everything stays as it is.
    void keep(const WordKey& word, uint64_t serial, const std::vector<Token>& tokens, size_t from,
              uint32_t begin, float what_to_know = 0) {
      if (tokens.size() - from > kMostTokens) return;
      note = what_to_know;
      key = word;
      owner = serial;
      for (size_t i = from; i < tokens.size(); ++i) {
        ids[i - from] = tokens[i].id;
        ends[i - from] = static_cast<uint8_t>(tokens[i].end - begin);
      }
    }
  };

  /// This thread's.
  static WordCache& local() {
    thread_local WordCache cache;
    return cache;
  }

  /// A number that tells a model's entries from another's.
  static uint64_t new_serial() {
    static std::atomic<uint64_t> last{0};
    return ++last;
  }

  Entry& at(const WordKey& key) { return entries_[key.hash() >> (64 - kBits)]; }
  void prefetch(const WordKey& key) { __builtin_prefetch(&at(key)); }

 private:
  static constexpr int kBits = 15;
  std::vector<Entry> entries_ = std::vector<Entry>(size_t{1} << kBits);
};

}  // namespace gradus
