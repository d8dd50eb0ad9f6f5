#include "tokenizer/lookup/token_table.hpp"

#include <bit>

namespace gradus {

void TokenTable::resize(size_t expected) {
  const size_t slots = std::bit_ceil(2 * expected + 16);
  slots_.assign(slots, Slot{});
  mask_ = slots - 1;
  shift_ = 64 - std::countr_zero(slots);
  if (long_slots_.empty()) long_slots_.resize(16);
}

uint64_t TokenTable::hash_long(std::string_view word) {
  uint64_t hash = word.size();
  size_t at = 0;
  for (; at + 8 <= word.size(); at += 8) {
    uint64_t eight = 0;
    std::memcpy(&eight, word.data() + at, 8);
    hash = (hash ^ eight) * 0x9E3779B97F4A7C15u;
    hash ^= hash >> 32;
  }
  uint64_t last = 0;
  std::memcpy(&last, word.data() + at, word.size() - at);
  hash = (hash ^ last) * 0xD6E8FEB86659FD93u;
  return hash ^ hash >> 32;
}

int32_t TokenTable::insert(std::string_view token, int32_t id) {
  if (token.size() <= WordKey::kLongest) {
    if (2 * (count_ + 1) > slots_.size()) {
      const std::vector<Slot> old = std::move(slots_);
      resize(old.size());
      for (const Slot& slot : old) {
        if (slot.id < 0) continue;
        size_t at = slot.key.hash() >> shift_;
        while (slots_[at].id >= 0) at = (at + 1) & mask_;
        slots_[at] = slot;
      }
    }
    const WordKey key = WordKey::of(token, token.data() + token.size());
    size_t at = key.hash() >> shift_;
    for (; slots_[at].id >= 0; at = (at + 1) & mask_) {
      if (slots_[at].key == key) return slots_[at].id;
    }
    slots_[at] = {key, id};
    ++count_;
    return id;
  }
  if (2 * (long_count_ + 1) > long_slots_.size()) {
    const std::vector<LongSlot> old = std::move(long_slots_);
    long_slots_.assign(2 * old.size(), LongSlot{});
    for (const LongSlot& slot : old) {
      if (slot.id < 0) continue;
      size_t at = slot.hash & (long_slots_.size() - 1);
      while (long_slots_[at].id >= 0) at = (at + 1) & (long_slots_.size() - 1);
      long_slots_[at] = slot;
    }
  }
  const uint64_t hash = hash_long(token);
  size_t at = hash & (long_slots_.size() - 1);
  for (; long_slots_[at].id >= 0; at = (at + 1) & (long_slots_.size() - 1)) {
    if (long_slots_[at].hash == hash && long_slots_[at].token == token) return long_slots_[at].id;
  }
  long_slots_[at] = {hash, token, id};
  ++long_count_;
  return id;
}

int32_t TokenTable::find_long(std::string_view word) const {
  const uint64_t hash = hash_long(word);
  for (size_t at = hash & (long_slots_.size() - 1);; at = (at + 1) & (long_slots_.size() - 1)) {
    const LongSlot& slot = long_slots_[at];
    if (slot.id < 0) return -1;
    if (slot.hash == hash && slot.token == word) return slot.id;
  }
}

}  // namespace gradus
