#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

namespace gradus {

/// A hash map from a pair of ids to a number >= 0, for the inner loops of BPE: open addressing, no removal.
class PairMap {
 public:
  explicit PairMap(int64_t expected = 0) {
    size_t slots = 16;
    while (slots < 2 * static_cast<size_t>(expected)) slots *= 2;
    resize(slots);
  }

  /// The pair's number, or -1.
  int32_t find(int32_t left, int32_t right) const {
    const uint64_t key = key_of(left, right);
    for (size_t at = home(key);; at = (at + 1) & mask_) {
      if (slots_[at].key == key) return slots_[at].value;
      if (slots_[at].value < 0) return -1;
    }
  }

  /// The pair's number; a pair not seen before gets `value`.
  int32_t find_or_insert(int32_t left, int32_t right, int32_t value) {
    if (2 * (size_ + 1) > slots_.size()) grow();
    const uint64_t key = key_of(left, right);
    for (size_t at = home(key);; at = (at + 1) & mask_) {
      if (slots_[at].value < 0) {
        slots_[at] = {key, value};
        ++size_;
        return value;
      }
      if (slots_[at].key == key) return slots_[at].value;
    }
  }

 private:
  struct Slot {
    uint64_t key = ~uint64_t{0};  // no pair of ids >= 0
    int32_t value = -1;           // -1: free
  };

  static uint64_t key_of(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t home(uint64_t key) const { return static_cast<size_t>(key * 0x9E3779B97F4A7C15u >> shift_); }

  void resize(size_t slots) {
    slots_.assign(slots, Slot{});
    mask_ = slots - 1;
    shift_ = 64;
    for (size_t n = slots; n > 1; n /= 2) --shift_;
  }

  void grow() {
    std::vector<Slot> old = std::move(slots_);
    resize(2 * old.size());
    for (const Slot& slot : old) {
      if (slot.value < 0) continue;
      size_t at = home(slot.key);
      while (slots_[at].value >= 0) at = (at + 1) & mask_;
      slots_[at] = slot;
    }
  }

  std::vector<Slot> slots_;
  size_t size_ = 0;
  size_t mask_ = 0;
  int shift_ = 0;
};

}  // namespace gradus
