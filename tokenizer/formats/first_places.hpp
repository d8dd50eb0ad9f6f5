#pragma once

#include <bit>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

namespace gradus {

/// Finds texts that come a second time among many.
class FirstPlaces {
 public:
  /// For at most `count` different texts.
  explicit FirstPlaces(size_t count) : slots_(std::bit_ceil(2 * count + 1)), mask_(slots_.size() - 1) {}

  /// The place under which this text came before, or -1 where it comes first: then `place` (>= 0) is kept for it.
  /// note: the text's bytes must stay where they are.
  int64_t add(std::string_view text, int64_t place) {
    Slot& slot = find(text);
    if (slot.place >= 0) return slot.place;
    slot = {text, place};
    return -1;
  }
  bool contains(std::string_view text) { return find(text).place >= 0; }

 private:
  struct Slot {
    std::string_view text;
    int64_t place = -1;
  };

  // The text's slot, or the empty one where it belongs; there is one, as at most half are in use.
  Slot& find(std::string_view text) {
    for (size_t at = std::hash<std::string_view>()(text);; ++at) {
      Slot& slot = slots_[at & mask_];
      if (slot.place < 0 || slot.text == text) return slot;
    }
  }

  std::vector<Slot> slots_;
  size_t mask_;
};

}  // namespace gradus
