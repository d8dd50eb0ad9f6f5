#include "tokenizer/lookup/trie.hpp"

#include <algorithm>
#include <string>

#include "tensor/error.hpp"

namespace gradus {

namespace {

constexpr size_t kBlock = 256;     // what one base reaches
constexpr size_t kOpenBlocks = 8;  // blocks whose gaps are still filled
constexpr int kTries = 64;         // gaps looked at for one family of children
constexpr size_t kMaxUnits = size_t{1} << 28;
constexpr size_t kMaxKeys = (size_t{1} << 27) - 1;

// A string's first bytes as a number that orders as they do.
struct SortKey {
  uint64_t head;
  uint32_t index;
};

SortKey sort_key(std::string_view key, size_t index) {
  uint64_t head = 0;
  for (size_t i = 0; i < 8; ++i) head = head << 8 | (i < key.size() ? static_cast<unsigned char>(key[i]) : 0);
  return {head, static_cast<uint32_t>(index)};
}

// The places of the strings in ascending order of their bytes, each once (the last of equals), without empty ones.
std::vector<uint32_t> sorted(std::span<const std::string_view> keys) {
  std::vector<SortKey> order;
  order.reserve(keys.size());
  for (size_t i = 0; i < keys.size(); ++i) {
    if (!keys[i].empty()) order.push_back(sort_key(keys[i], i));
  }
  std::sort(order.begin(), order.end(), [&](const SortKey& a, const SortKey& b) {
    if (a.head != b.head) return a.head < b.head;
    const int compared = keys[a.index].compare(keys[b.index]);
    return compared != 0 ? compared < 0 : a.index < b.index;
  });
  std::vector<uint32_t> indices;
  indices.reserve(order.size());
  for (const SortKey& key : order) {
    if (!indices.empty() && keys[indices.back()] == keys[key.index]) {
      indices.back() = key.index;
    } else {
      indices.push_back(key.index);
    }
  }
  return indices;
}

}  // namespace

// Places the nodes level by level, so that the nodes near the root, which every search passes, lie together.
class Trie::Builder {
 public:
  Builder(std::vector<Unit>& units, std::span<const std::string_view> keys) : units_(units) {
    add_block();
    take(kRoot);
    base_used_[0] = true;
    const std::vector<uint32_t> order = sorted(keys);
    size_t bytes = 0;
    for (const uint32_t index : order) bytes += keys[index].size();
    // Side by side, because every level reads the strings in this order.
    text_.reserve(bytes);
    values_.assign(order.begin(), order.end());
    for (const uint32_t index : order) {
      starts_.push_back(text_.size());
      text_ += keys[index];
    }
    starts_.push_back(text_.size());
  }

  void build(std::vector<Edge>* edges) {
    std::vector<Family> level = {{kRoot, 0, values_.size()}};
    std::vector<Family> below;
    for (size_t depth = 0; !level.empty(); ++depth) {
      below.clear();
      for (Family family : level) {
        if (family.begin < family.end && length(family.begin) == depth) {
          units_[family.parent].value = values_[family.begin++] + uint64_t{1};
        }
        if (family.begin == family.end) continue;
        const size_t first_child = below.size();
        collect_children(family, depth, below);
        const std::span<Family> children(below.begin() + static_cast<std::ptrdiff_t>(first_child),
                                         below.end());
        place(family.parent, children);
        if (edges == nullptr) continue;
        for (const Family& child : children) edges->push_back({family.parent, child.parent});
      }
      level.swap(below);
    }
  }

 private:
  // The strings begin to end (in order), which share the bytes that lead to a node.
  struct Family {
    Node parent;
    size_t begin;
    size_t end;
  };

  size_t length(size_t key) const { return starts_[key + 1] - starts_[key]; }

  void collect_children(const Family& family, size_t depth, std::vector<Family>& children) {
    labels_.clear();
    for (size_t key = family.begin; key < family.end; ++key) {
      const auto byte = static_cast<unsigned char>(text_[starts_[key] + depth]);
      if (labels_.empty() || labels_.back() != byte) {
        labels_.push_back(byte);
        children.push_back({0, key, key});
      }
      children.back().end = key + 1;
    }
  }

  void place(Node parent, std::span<Family> children) {
    const Node base = find_base();
    base_used_[base] = true;
    units_[parent].base = base;
    for (size_t i = 0; i < children.size(); ++i) {
      const Node child = base ^ labels_[i];
      take(child);
      units_[child].label = labels_[i];
      children[i].parent = child;
    }
  }

  // A base that is nobody's and whose children's places are free.
  Node find_base() {
    size_t gap = first_gap_;
    for (int i = 0; i < kTries && gap != kNoGap; ++i, gap = next_[gap]) {
      const Node base = static_cast<Node>(gap) ^ labels_[0];
      if (base_used_[base]) continue;
      const bool fits = std::all_of(labels_.begin() + 1, labels_.end(), [&](unsigned char label) {
        return units_[base ^ label].label == kFree && (base ^ label) != kRoot;
      });
      if (fits) return base;
    }
    add_block();
    return static_cast<Node>(units_.size() - kBlock);
  }

  // The gaps form a list in both directions, the oldest first.
  void add_block() {
    check(units_.size() + kBlock <= kMaxUnits, "Trie: the strings must have at most ", kMaxUnits,
          " different beginnings; these have more; use a smaller vocabulary");
    const size_t begin = units_.size();
    units_.resize(begin + kBlock, Unit{kFree, 0, 0});
    base_used_.resize(begin + kBlock, false);
    next_.resize(begin + kBlock, kNoGap);
    previous_.resize(begin + kBlock, kNoGap);
    for (size_t gap = begin; gap < begin + kBlock; ++gap) {
      previous_[gap] = last_gap_;
      (last_gap_ == kNoGap ? first_gap_ : next_[last_gap_]) = static_cast<uint32_t>(gap);
      last_gap_ = static_cast<uint32_t>(gap);
    }
    // Old gaps rarely fit; looking at them again and again would make the time quadratic.
    if (begin < kOpenBlocks * kBlock) return;
    const size_t old = begin - kOpenBlocks * kBlock;
    while (first_gap_ < old + kBlock) take(first_gap_);
  }

  // A gap is one no more, or is not to be filled any more.
  void take(size_t gap) {
    const uint32_t before = previous_[gap];
    const uint32_t after = next_[gap];
    (before == kNoGap ? first_gap_ : next_[before]) = after;
    (after == kNoGap ? last_gap_ : previous_[after]) = before;
    next_[gap] = previous_[gap] = kNoGap;
  }

  static constexpr uint32_t kNoGap = UINT32_MAX;

  std::vector<Unit>& units_;
  std::string text_;
  std::vector<size_t> starts_;
  std::vector<uint32_t> values_;
  std::vector<unsigned char> labels_;  // of the family at hand
  std::vector<bool> base_used_;
  std::vector<uint32_t> next_;
  std::vector<uint32_t> previous_;
  uint32_t first_gap_ = kNoGap;
  uint32_t last_gap_ = kNoGap;
};

Trie::Trie(std::span<const std::string_view> keys, std::vector<Edge>* edges) {
  check(keys.size() <= kMaxKeys, "Trie: there must be at most ", kMaxKeys, " strings; there are ",
        keys.size(), "; use a smaller vocabulary");
  Builder(units_, keys).build(edges);
  units_.shrink_to_fit();
}

int32_t Trie::find(std::string_view key) const {
  Node node = kRoot;
  for (const char byte : key) {
    if (!step(node, static_cast<unsigned char>(byte))) return kNone;
  }
  return value(node);
}

Automaton::Automaton(std::span<const std::string_view> keys) : suffixes_(keys.size(), Trie::kNone) {
  std::vector<Trie::Edge> edges;
  const Trie trie(keys, &edges);
  states_.reserve(trie.units_.size());
  for (const Trie::Unit unit : trie.units_) states_.push_back({unit, kStart, Trie::kNone});
  // Level by level: what a state falls back to is shorter, so it is complete.
  for (const auto& [parent, child] : edges) {
    Place& place = states_[child];
    const auto byte = static_cast<unsigned char>(place.unit.label);
    place.shorter = parent == kStart ? kStart : next(states_[parent].shorter, byte);
    place.longest = states_[place.shorter].longest;
    const int32_t value = trie.value(child);
    if (value == Trie::kNone) continue;
    suffixes_[static_cast<size_t>(value)] = place.longest;
    place.longest = value;
  }
}

int32_t Automaton::find(std::string_view key) const {
  State state = kStart;
  for (const char at : key) {
    const auto byte = static_cast<unsigned char>(at);
    const State child = states_[state].unit.base ^ byte;
    if (states_[child].unit.label != byte) return Trie::kNone;
    state = child;
  }
  return static_cast<int32_t>(states_[state].unit.value) - 1;
}

namespace {

Automaton reversed_automaton(std::span<const std::string_view> keys) {
  std::vector<std::string> reversed;
  reversed.reserve(keys.size());
  for (const std::string_view key : keys) reversed.emplace_back(key.rbegin(), key.rend());
  return Automaton(std::vector<std::string_view>(reversed.begin(), reversed.end()));
}

}  // namespace

LongestMatches::LongestMatches(std::span<const std::string_view> keys)
    : reversed_(reversed_automaton(keys)) {}

void LongestMatches::find(std::string_view text, std::vector<int32_t>& longest) const {
  longest.resize(text.size());
  Automaton::State state = Automaton::kStart;
  for (size_t i = text.size(); i-- > 0;) {
    state = reversed_.next(state, static_cast<unsigned char>(text[i]));
    longest[i] = reversed_.longest(state);
  }
}

}  // namespace gradus
