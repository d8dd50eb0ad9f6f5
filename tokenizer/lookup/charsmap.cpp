#include "tokenizer/lookup/charsmap.hpp"

#include <utility>

#include "tensor/error.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {

namespace {

uint32_t little_endian(std::string_view bytes, size_t at) {
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value |= uint32_t{static_cast<unsigned char>(bytes[at + i])} << (8 * i);
  return value;
}

// A unit of the trie: the byte that leads to it (bit 31: it is a leaf, and the bits below are its value), whether a leaf
// follows it (bit 8), and how far away its children are (bits 10 to 30, times 256 where bit 9 is set).
constexpr uint32_t kLabel = 0x800000FF;
constexpr uint32_t kHasLeaf = 0x100;
constexpr uint32_t kLeafValue = 0x7FFFFFFF;

// Rules are of a few characters. A damaged trie may lead back into itself, and then through all the rest of a text.
constexpr size_t kMostBytes = 256;

uint32_t distance(uint32_t unit) { return unit >> 10 << ((unit & 0x200) >> 6); }

}  // namespace

Charsmap::Charsmap(std::string bytes, std::string where)
    : bytes_(std::move(bytes)), where_(std::move(where)) {
  const size_t size = bytes_.size();
  check_world(size > 4, where_, ": a charsmap must begin with the size of its trie; it has ", size,
              " bytes; the file is damaged");
  const size_t trie = little_endian(bytes_, 0);
  check_world(trie >= 4 && trie % 4 == 0 && trie <= size - 4, where_,
              ": a charsmap's trie must lie in it, in units of 4 bytes; it has ", trie, " bytes of ",
              size - 4, "; the file is damaged");
  units_.reserve(trie / 4);
  for (size_t at = 0; at < trie; at += 4) units_.push_back(little_endian(bytes_, 4 + at));
  const size_t utf8 = utf8_prefix(strings());
  check_world(utf8 == strings().size(), where_, ": a charsmap's strings must be UTF-8; byte ",
              4 + trie + utf8, " of it is not; the file is damaged");
  const size_t root = distance(units_[0]);
  for (uint32_t c = 1; c < 0x80; ++c) {
    const size_t at = root ^ c;
    if (at >= units_.size() || (units_[at] & kLabel) != c) {
      plain_[c] = true;
      continue;
    }
    if ((units_[at] & kHasLeaf) != 0) continue;
    const size_t children = at ^ distance(units_[at]);
    bool has_ascii_child = false;
    for (uint32_t next = 1; next < 0x80; ++next) {
      const size_t child = children ^ next;
      has_ascii_child |= child < units_.size() && (units_[child] & kLabel) == next;
    }
    plain_[c] = !has_ascii_child;
  }
  plain_[0] = true;  // no rule holds a zero
}

uint32_t Charsmap::unit(size_t index) const {
  check_world(index < units_.size(), where_, ": a charsmap's trie must not lead out of itself; unit ", index,
              " of ", units_.size(), " is asked for; the file is damaged");
  return units_[index];
}

std::string_view Charsmap::replacement(uint32_t leaf) const {
  const std::string_view all = strings();
  const size_t at = leaf & kLeafValue;
  check_world(at < all.size() && !is_continuation(all[at]), where_,
              ": a charsmap's rule must point to a string of it; it points to byte ", at, " of ", all.size(),
              "; the file is damaged");
  return all.substr(at, all.find('\0', at) - at);
}

// Calls found(length, leaf) for each beginning of the text that has a rule, until it gives false.
template <class Found>
void Charsmap::walk(std::string_view text, Found&& found) const {
  size_t node = distance(units_[0]);
  for (size_t i = 0; i < text.size(); ++i) {
    const auto byte = static_cast<unsigned char>(text[i]);
    node ^= byte;
    // Most characters have no rule: their first byte finds no unit, which in a short trie may be outside.
    if (byte == 0 || node >= units_.size()) return;
    const uint32_t next = units_[node];
    if ((next & kLabel) != byte) return;
    check_world(i < kMostBytes, where_, ": a charsmap's rule must be for at most ", kMostBytes,
                " bytes; one goes on for more; the file is damaged");
    node ^= distance(next);
    if ((next & kHasLeaf) != 0 && !found(i + 1, unit(node))) return;
  }
}

Charsmap::Rule Charsmap::shortest(std::string_view text) const {
  Rule rule;
  walk(text, [&](size_t length, uint32_t leaf) {
    rule = {length, replacement(leaf)};
    return false;
  });
  return rule;
}

Charsmap::Rule Charsmap::longest(std::string_view text) const {
  size_t longest = 0;
  uint32_t leaf_of_longest = 0;
  walk(text, [&](size_t length, uint32_t leaf) {
    longest = length;
    leaf_of_longest = leaf;
    return true;
  });
  return longest == 0 ? Rule{} : Rule{longest, replacement(leaf_of_longest)};
}

}  // namespace gradus
