#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace gradus {

/// A hash map from a pair of ids to a number >= 0, for the inner loops of BPE: open addressing, no removal.
class PairMap {
 public:
  explicit PairMap(int64_t expected = 0) {
    while (2 * slots_.size() < 3 * static_cast<size_t>(expected)) grow();
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
    if (full()) grow();
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

  /// Whether the next pair makes it grow.
  bool full() const { return 3 * (size_ + 1) > 2 * slots_.size(); }
  int64_t bytes() const { return static_cast<int64_t>(slots_.size() * sizeof(Slot)); }

 private:
  struct Slot {
    uint64_t key = ~uint64_t{0};  // no pair of ids >= 0
    int32_t value = -1;           // -1: free
  };

  static uint64_t key_of(int32_t left, int32_t right) {
    return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
  }
  size_t home(uint64_t key) const { return static_cast<size_t>(key * 0x9E3779B97F4A7C15u >> shift_); }

  void grow() {
    std::vector<Slot> old(2 * slots_.size());
    old.swap(slots_);
    mask_ = slots_.size() - 1;
    --shift_;
    for (const Slot& slot : old) {
      if (slot.value < 0) continue;
      size_t at = home(slot.key);
      while (slots_[at].value >= 0) at = (at + 1) & mask_;
      slots_[at] = slot;
    }
  }

  static constexpr int kFirstBits = 12;
  std::vector<Slot> slots_ = std::vector<Slot>(size_t{1} << kFirstBits);
  size_t size_ = 0;
  size_t mask_ = slots_.size() - 1;
  int shift_ = 64 - kFirstBits;
};

}  // namespace gradus
