#include "tokenizer/training/piece_trie.hpp"

#include <algorithm>
#include <bit>

namespace gradus {

PieceTrie::PieceTrie(const TrainingText& text, std::span<const PieceRef> pieces)
    : labels_(static_cast<size_t>(text.alphabet_size()) + 1) {
  struct Range {  // the pieces that begin with what leads to a node
    int32_t node;
    int32_t depth;
    size_t begin;
    size_t end;
  };
  units_.reserve(2 * pieces.size() + labels_);
  units_.resize(labels_);
  take(kRoot);
  std::vector<Range> open = {{kRoot, 0, 0, pieces.size()}};
  std::vector<int32_t> labels;
  std::vector<size_t> starts;
  while (!open.empty()) {
    Range range = open.back();
    open.pop_back();
    if (range.begin < range.end && pieces[range.begin].length == range.depth) {
      units_[static_cast<size_t>(range.node)].piece = static_cast<int32_t>(range.begin++);
    }
    if (range.begin == range.end) continue;
    labels.clear();
    starts.clear();
    for (size_t at = range.begin; at < range.end; ++at) {
      const int32_t label = text.codes[static_cast<size_t>(pieces[at].begin + range.depth)];
      if (labels.empty() || labels.back() != label) {
        labels.push_back(label);
        starts.push_back(at);
      }
    }
    starts.push_back(range.end);
    const int32_t base = find_base(labels);
    units_[static_cast<size_t>(range.node)].base = base;
    // The last label goes on the stack first, so that nodes are laid out in the pieces' order.
    for (size_t at = labels.size(); at-- > 0;) {
      const int32_t child = base + labels[at];
      take(static_cast<size_t>(child));
      units_[static_cast<size_t>(child)].parent = range.node;
      open.push_back({child, range.depth + 1, starts[at], starts[at + 1]});
    }
  }
  taken_ = {};
}

void PieceTrie::renumber(std::span<const int32_t> numbers) {
  for (Unit& unit : units_) {
    if (unit.piece != kNone) unit.piece = numbers[static_cast<size_t>(unit.piece)];
  }
}

// A base whose units for all the labels are free. Places are tried in order, but not many: a few holes are
// cheaper than a long search.
int32_t PieceTrie::find_base(std::span<const int32_t> labels) {
  constexpr int kTries = 32;
  const auto first = static_cast<size_t>(labels.front());
  const auto fits = [&](size_t base) {
    return std::all_of(labels.begin() + 1, labels.end(),
                       [&](int32_t label) { return is_free(base + static_cast<size_t>(label)); });
  };
  first_free_ = next_free(first_free_);
  size_t slot = next_free(std::max(first_free_, first));
  for (int tries = 0; tries < kTries && slot < units_.size(); ++tries) {
    if (fits(slot - first)) break;
    slot = next_free(slot + 1);
  }
  size_t base = slot - first;
  if (!fits(base)) base = units_.size() - first;
  // step() adds any label to a base without asking how many units there are.
  if (units_.size() < base + labels_) units_.resize(base + labels_);
  return static_cast<int32_t>(base);
}

size_t PieceTrie::next_free(size_t slot) const {
  size_t word = slot / 64;
  if (word >= taken_.size()) return slot;
  const uint64_t open = ~taken_[word] >> slot % 64;
  if (open != 0) return slot + static_cast<size_t>(std::countr_zero(open));
  do {
    ++word;
  } while (word < taken_.size() && taken_[word] == ~uint64_t{0});
  return word * 64 + (word < taken_.size() ? static_cast<size_t>(std::countr_one(taken_[word])) : 0);
}

void PieceTrie::take(size_t slot) {
  if (slot / 64 >= taken_.size()) taken_.resize(slot / 64 + 1 + taken_.size() / 2, 0);
  taken_[slot / 64] |= uint64_t{1} << slot % 64;
}

}  // namespace gradus
