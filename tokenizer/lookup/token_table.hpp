#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace gradus {

/// A word of at most 15 bytes as two machine words: its bytes, zeros, and its length in the last one. Equal words, and
/// only these, have equal keys.
struct WordKey {
  static constexpr size_t kLongest = 15;

  uint64_t low = 0;
  uint64_t high = 0;
  bool operator==(const WordKey&) const = default;

  /// `text_end`: where the text that holds the word ends; reading eight bytes at a time up to there is faster than copying.
  static WordKey of(std::string_view word, const char* text_end) {
    WordKey key;
    const size_t size = word.size();
    if (text_end - word.data() >= 16) {
      std::memcpy(&key.low, word.data(), 8);
      std::memcpy(&key.high, word.data() + 8, 8);
      if (size < 8) {
        key.low &= (uint64_t{1} << (8 * size)) - 1;
        key.high = 0;
      } else {
        key.high &= (uint64_t{1} << (8 * (size - 8))) - 1;
      }
    } else {
      char bytes[16] = {};
      std::memcpy(bytes, word.data(), size);
      std::memcpy(&key.low, bytes, 8);
      std::memcpy(&key.high, bytes + 8, 8);
    }
    key.high |= static_cast<uint64_t>(size) << 56;
    return key;
  }

  uint64_t hash() const {
    uint64_t mixed = (low ^ (high * 0x9E3779B97F4A7C15u)) * 0xD6E8FEB86659FD93u;
    mixed ^= mixed >> 32;
    return mixed * 0xD6E8FEB86659FD93u;
  }
};

/// From the bytes of a token to its id: open addressing; short tokens lie in the table itself, so that looking one up
/// touches one cache line.
/// note: little-endian machines only, as everything here that reads bytes as words.
class TokenTable {
 public:
  explicit TokenTable(size_t expected = 0) { resize(expected); }

  /// The id that the token has now: of equal ones the first stays. note: its bytes must outlive the table; id >= 0.
  int32_t insert(std::string_view token, int32_t id);

  /// Those of the tokens, by id, that are not empty and for which `wanted(id)` holds.
  template <class Wanted>
  void insert_all(const std::vector<std::string>& tokens, Wanted wanted) {
    constexpr size_t kAhead = 12;  // places in memory asked for before they are needed
    for (size_t id = 0; id < tokens.size(); ++id) {
      if (id + kAhead < tokens.size()) prefetch(tokens[id + kAhead]);
      if (!tokens[id].empty() && wanted(id)) insert(tokens[id], static_cast<int32_t>(id));
    }
  }

  /// The id, or -1.
  int32_t find(std::string_view word, const char* text_end) const {
    if (word.size() > WordKey::kLongest) return find_long(word);
    return find(WordKey::of(word, text_end));
  }
  int32_t find(std::string_view word) const { return find(word, word.data() + word.size()); }

  /// Asks for what find() will look at first.
  void prefetch(const WordKey& key) const { __builtin_prefetch(&slots_[key.hash() >> shift_]); }
  void prefetch(std::string_view word) const {
    if (word.size() <= WordKey::kLongest) prefetch(WordKey::of(word, word.data() + word.size()));
  }

  int32_t find(const WordKey& key) const {
    for (size_t at = key.hash() >> shift_;; at = (at + 1) & mask_) {
      const Slot& slot = slots_[at];
      if (slot.key == key) return slot.id;
      if (slot.id < 0) return -1;
    }
  }

 private:
  struct Slot {
    WordKey key;
    int32_t id = -1;
  };
  struct LongSlot {
    uint64_t hash = 0;
    std::string_view token;
    int32_t id = -1;
  };

  void resize(size_t expected);
  static uint64_t hash_long(std::string_view word);
  int32_t find_long(std::string_view word) const;

  std::vector<Slot> slots_;
  std::vector<LongSlot> long_slots_;
  size_t count_ = 0;
  size_t long_count_ = 0;
  size_t mask_ = 0;
  int shift_ = 0;
};

}  // namespace gradus
