#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

namespace gradus {

/// A set of byte strings in which every string is found by reading it once: a double array.
/// note: each string's value is its place in the list given; empty strings are left out; of equal strings the last
///       one counts. Building sorts the strings and takes time linear in their bytes; any bytes are allowed.
/// ref: Aoe 1989, "An efficient digital search algorithm by using a double-array structure"; here the children of a
///      node stand at `base xor byte`, and no two nodes share a base, so that a child is known by its byte alone.
class Trie {
 public:
  static constexpr int32_t kNone = -1;

  /// A node: the strings that begin with what has been read to get there. The root is node 0.
  using Node = uint32_t;
  static constexpr Node kRoot = 0;

  Trie() : Trie(std::span<const std::string_view>()) {}
  explicit Trie(std::span<const std::string_view> keys) : Trie(keys, nullptr) {}

  /// Goes on by one byte; false, and the node stays, where no string does.
  bool step(Node& node, unsigned char byte) const {
    const Node child = units_[node].base ^ byte;
    if (units_[child].label != byte) return false;
    node = child;
    return true;
  }

  /// The value of the string that ends at a node, or kNone.
  int32_t value(Node node) const { return static_cast<int32_t>(units_[node].value) - 1; }

  /// The value of a string, or kNone.
  int32_t find(std::string_view key) const;

  struct Match {
    int32_t value = kNone;
    size_t length = 0;
  };
  /// The longest string, read on from `node`, that `text` begins with.
  Match longest(Node node, std::string_view text) const {
    Match match;
    Unit unit = units_[node];
    for (size_t i = 0; i < text.size(); ++i) {
      const auto byte = static_cast<unsigned char>(text[i]);
      unit = units_[unit.base ^ byte];
      if (unit.label != byte) break;
      if (unit.value != 0) match = {static_cast<int32_t>(unit.value) - 1, i + 1};
    }
    return match;
  }

 private:
  friend class Automaton;

  struct Unit {
    uint64_t label : 9;   // the byte that leads here; kFree where no node stands
    uint64_t value : 27;  // of the string that ends here, plus 1; 0 where none does
    uint64_t base : 28;   // where the children stand; 0, which no node has, for a leaf
  };
  struct Edge {
    Node parent;
    Node child;
  };
  static constexpr uint64_t kFree = 256;
  class Builder;

  Trie(std::span<const std::string_view> keys, std::vector<Edge>* edges);

  std::vector<Unit> units_;
};

/// Finds every one of a set of strings in a text in one pass, whatever the strings: an Aho-Corasick automaton.
/// note: values are those of the Trie of the same strings.
/// ref: Aho and Corasick 1975, "Efficient string matching: an aid to bibliographic search".
class Automaton {
 public:
  using State = uint32_t;
  static constexpr State kStart = Trie::kRoot;

  Automaton() : Automaton(std::span<const std::string_view>()) {}
  explicit Automaton(std::span<const std::string_view> keys);

  /// Reads one byte.
  State next(State state, unsigned char byte) const {
    for (;;) {
      const State child = states_[state].unit.base ^ byte;
      if (states_[child].unit.label == byte) return child;
      if (state == kStart) return kStart;
      state = states_[state].shorter;
    }
  }

  /// The longest string that ends where the text has been read to, or Trie::kNone.
  int32_t longest(State state) const { return states_[state].longest; }

  /// The longest string, of those given, that another one ends with (itself left out), or Trie::kNone.
  int32_t next_longest(int32_t value) const { return suffixes_[static_cast<size_t>(value)]; }

  /// The value of a string, or Trie::kNone.
  int32_t find(std::string_view key) const;

 private:
  struct Place {
    Trie::Unit unit;
    State shorter;    // the longest ending of what led here that also begins a string
    int32_t longest;  // see longest()
  };
  std::vector<Place> states_;
  std::vector<int32_t> suffixes_;  // see next_longest()
};

/// Finds, for every byte of a text, the longest of some strings that begins there, in time linear in the text however
/// the strings overlap.
class LongestMatches {
 public:
  explicit LongestMatches(std::span<const std::string_view> keys);

  /// longest[i] becomes the value of the string that begins at text[i], or Trie::kNone.
  void find(std::string_view text, std::vector<int32_t>& longest) const;

 private:
  Automaton reversed_;  // read from the text's end, the strings end where they begin
};

}  // namespace gradus
