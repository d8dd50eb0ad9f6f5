#include "tokenizer/training/pair_merger.hpp"

#include <iterator>
#include <utility>

#include "tensor/parallel.hpp"

namespace gradus::bpe {
namespace {

// Reads weights of ascending places.
class WeightReader {
 public:
  explicit WeightReader(const Layout& layout) : layout_(layout) {}
  int64_t at(uint32_t place) {
    if (place >= layout_.ends[step_]) {
      const auto next = layout_.ends.begin() + static_cast<std::ptrdiff_t>(step_);
      step_ = static_cast<size_t>(std::upper_bound(next, layout_.ends.end(), place) - layout_.ends.begin());
    }
    return layout_.weights[step_];
  }

 private:
  const Layout& layout_;
  size_t step_ = 0;
};

// With what the system's allocator takes for itself.
int64_t list_bytes(uint32_t places) {
  return places > 1 ? 16 + std::max(int64_t{16}, int64_t{4} * places) : 0;
}

template <class Vector>
int64_t bytes_of(const Vector& vector) {
  return static_cast<int64_t>(vector.capacity() * sizeof(vector[0]));
}

}  // namespace

PairMerger::PairMerger(Layout layout, int32_t symbols, const BpeTrainingOptions& options)
    : layout_(std::move(layout)),
      least_(std::max(options.min_frequency, int64_t{1})),
      max_length_(options.max_token_length > 0 ? options.max_token_length : kMostPlaces),
      memory_bytes_(options.memory_bytes),
      name_(options.name),
      tokens_(static_cast<size_t>(symbols)),
      lengths_(static_cast<size_t>(symbols), 1),
      before_(static_cast<size_t>(symbols)),
      after_(static_cast<size_t>(symbols)) {
  std::iota(tokens_.begin(), tokens_.end(), 0);
  find_pairs();
}

// A pair with room for so many places.
PairMerger::Pair PairMerger::new_pair(int32_t left, int32_t right, int64_t count, uint32_t places) {
  Pair pair{left, right, count, 0, 0, nullptr};
  if (places > 1) pair.many_places = std::make_unique_for_overwrite<uint32_t[]>(places);
  return pair;
}

bool PairMerger::comes_later(const Candidate& a, const Candidate& b) const {
  if (a.count != b.count) return a.count < b.count;
  const int32_t left_a = token_of(a.left);
  const int32_t left_b = token_of(b.left);
  if (left_a != left_b) return left_a > left_b;
  return token_of(a.right) > token_of(b.right);
}

bool PairMerger::wanted(int64_t count, int32_t left, int32_t right) const {
  if (count < least_) return false;  // it can only fall
  const int64_t length = int64_t{length_of(left)} + length_of(right);
  return length < max_length_ || length == 2;
}

// Takes in a pair that has, or is yet to get, so many places.
int32_t PairMerger::add(Pair pair, uint32_t places) {
  // While an array grows, the old and the new one, twice as long, live together.
  int64_t growth = 0;
  if (pairs_.size() == pairs_.capacity()) growth += 2 * bytes_of(pairs_);
  if (queue_.size() == queue_.capacity()) growth += 2 * bytes_of(queue_);
  if (index_.full()) growth += 2 * index_.bytes();
  if (growth > 0) check_memory(growth);
  const auto index = static_cast<int32_t>(pairs_.size());
  index_.find_or_insert(pair.left, pair.right, index);
  listed_bytes_ += list_bytes(places);
  queue_.push_back({pair.count, pair.left, pair.right});
  pairs_.push_back(std::move(pair));
  return index;
}

// All pairs at the start: places are grouped by their left symbol, then each group by its right symbols.
void PairMerger::find_pairs() {
  const std::vector<int32_t>& places = layout_.places;
  std::vector<size_t> ends(tokens_.size() + 1);
  for (size_t at = 1; at + 1 < places.size(); ++at) {
    if (places[at] != kEdge && places[at + 1] != kEdge) ++ends[static_cast<size_t>(places[at]) + 1];
  }
  std::partial_sum(ends.begin(), ends.end(), ends.begin());
  std::vector<Grouped> grouped(ends.back());
  // Filling moves each group's beginning to its end.
  for (size_t at = 1; at + 1 < places.size(); ++at) {
    if (places[at] == kEdge || places[at + 1] == kEdge) continue;
    grouped[ends[static_cast<size_t>(places[at])]++] = {static_cast<uint32_t>(at), places[at + 1]};
  }

  constexpr size_t kLeastPlaces = 1 << 16;  // in a chunk
  std::vector<int32_t> chunks{0};           // the first symbol of each, then the number of symbols
  size_t begin = 0;
  for (size_t symbol = 0; symbol < tokens_.size(); ++symbol) {
    if (ends[symbol] - begin < kLeastPlaces && symbol + 1 < tokens_.size()) continue;
    chunks.push_back(static_cast<int32_t>(symbol) + 1);
    begin = ends[symbol];
  }
  std::vector<std::vector<Pair>> found(chunks.size() - 1);
  parallel_for(static_cast<int64_t>(found.size()), [&](int64_t chunk) {
    const auto i = static_cast<size_t>(chunk);
    Neighbours right(tokens_.size());
    for (int32_t left = chunks[i]; left < chunks[i + 1]; ++left) {
      const size_t first = left == 0 ? 0 : ends[static_cast<size_t>(left) - 1];
      pairs_of(left, std::span(grouped).subspan(first, ends[static_cast<size_t>(left)] - first), right,
               found[i]);
    }
  });
  grouped = std::vector<Grouped>();
  for (std::vector<Pair>& pairs : found) {
    for (Pair& pair : pairs) add(std::move(pair), pair.listed);
    pairs = std::vector<Pair>();
  }
  check_memory(0);
  std::make_heap(queue_.begin(), queue_.end(),
                 [this](const Candidate& a, const Candidate& b) { return comes_later(a, b); });
}

// Appends the pairs of one left symbol.
void PairMerger::pairs_of(int32_t left, std::span<const Grouped> group, Neighbours& right,
                          std::vector<Pair>& pairs) const {
  WeightReader weights(layout_);
  for (const Grouped& at : group) right.add(at.right, weights.at(at.place));
  for (const int32_t symbol : right.touched) {
    Neighbour& neighbour = right.of[static_cast<size_t>(symbol)];
    if (!wanted(neighbour.weight, left, symbol)) continue;
    neighbour.pair = static_cast<int32_t>(pairs.size());
    pairs.push_back(new_pair(left, symbol, neighbour.weight, neighbour.places));
  }
  for (const Grouped& at : group) {
    const int32_t pair = right.of[static_cast<size_t>(at.right)].pair;
    if (pair >= 0) pairs[static_cast<size_t>(pair)].list(at.place);
  }
  right.clear();
}

std::optional<PairMerger::Symbols> PairMerger::take_best() {
  const auto later = [this](const Candidate& a, const Candidate& b) { return comes_later(a, b); };
  while (!queue_.empty()) {
    std::pop_heap(queue_.begin(), queue_.end(), later);
    Candidate& top = queue_.back();
    const int64_t count = pairs_[static_cast<size_t>(index_.find(top.left, top.right))].count;
    if (count == top.count) {
      const Symbols best{top.left, top.right};
      queue_.pop_back();
      return best;
    }
    if (count >= least_) {
      top.count = count;
      std::push_heap(queue_.begin(), queue_.end(), later);
    } else {
      queue_.pop_back();
    }
  }
  return std::nullopt;
}

void PairMerger::merge(Symbols which, int32_t token) {
  const auto made = static_cast<int32_t>(tokens_.size());
  tokens_.push_back(token);
  lengths_.push_back(length_of(which.left) + length_of(which.right));
  before_.of.emplace_back();
  after_.of.emplace_back();

  Pair& found = pairs_[static_cast<size_t>(index_.find(which.left, which.right))];
  listed_bytes_ -= list_bytes(found.listed);
  Pair merged = std::move(found);
  found.listed = 0;
  const std::span<const uint32_t> places(merged.places(), replace(merged, made));

  WeightReader weights(layout_);
  visit_neighbours(
      places, made, [&](int32_t symbol, uint32_t, uint32_t place) { before_.add(symbol, weights.at(place)); },
      [&](int32_t symbol, uint32_t place) { after_.add(symbol, weights.at(place)); });
  if (make_pairs(which, made)) {
    const auto list = [&](const Neighbours& neighbours, int32_t symbol, uint32_t place) {
      const int32_t pair = neighbours.of[static_cast<size_t>(symbol)].pair;
      if (pair >= 0) pairs_[static_cast<size_t>(pair)].list(place);
    };
    visit_neighbours(
        places, made, [&](int32_t symbol, uint32_t left, uint32_t) { list(before_, symbol, left); },
        [&](int32_t symbol, uint32_t place) { list(after_, symbol, place); });
  }
  before_.clear();
  after_.clear();
  check_memory(0);
}

// Writes the new symbol wherever the pair still stands, and keeps only these places, whose number it gives.
uint32_t PairMerger::replace(Pair& pair, int32_t made) {
  uint32_t* const listed = pair.places();
  const uint32_t left_length = length_of(pair.left);
  const uint32_t length = length_of(made);
  int32_t* const symbols = layout_.places.data();
  uint32_t kept = 0;
  for (uint32_t i = 0; i < pair.listed; ++i) {
    const uint32_t place = listed[i];
    // From the left, so that in "aaa" the first two merge.
    if (symbols[place] != pair.left || symbols[place + left_length] != pair.right) continue;
    symbols[place] = made;
    symbols[place + left_length] = kInside;
    symbols[place + length - 1] = -static_cast<int32_t>(length);
    listed[kept++] = place;
  }
  return kept;
}

// Calls before(symbol, its place, place) and after(symbol, place) with the neighbours of the new symbols at these
// places. Two new symbols side by side are one pair, seen from the right one.
template <class Before, class After>
void PairMerger::visit_neighbours(std::span<const uint32_t> places, int32_t made, Before&& before,
                                  After&& after) const {
  const uint32_t length = length_of(made);
  const int32_t* const symbols = layout_.places.data();
  for (const uint32_t place : places) {
    const uint32_t left = place_before(place);
    if (left != place) before(symbols[left], left, place);
    const int32_t right = symbols[place + length];
    if (right != kEdge && right != made) after(right, place);
  }
}

// Takes what the neighbours lost from their pairs, and makes their pairs with the new symbol; whether there are any.
bool PairMerger::make_pairs(Symbols merged, int32_t made) {
  const size_t pairs = pairs_.size();
  const auto make = [&](Neighbour& neighbour, int32_t left, int32_t right) {
    if (!wanted(neighbour.weight, left, right)) return;
    neighbour.pair = add(new_pair(left, right, neighbour.weight, neighbour.places), neighbour.places);
    std::push_heap(queue_.begin(), queue_.end(),
                   [this](const Candidate& a, const Candidate& b) { return comes_later(a, b); });
  };
  for (const int32_t symbol : before_.touched) {
    Neighbour& neighbour = before_.of[static_cast<size_t>(symbol)];
    lose(symbol == made ? merged.right : symbol, merged.left, neighbour.weight);
    make(neighbour, symbol, made);
  }
  for (const int32_t symbol : after_.touched) {
    Neighbour& neighbour = after_.of[static_cast<size_t>(symbol)];
    lose(merged.right, symbol, neighbour.weight);
    make(neighbour, made, symbol);
  }
  return pairs_.size() > pairs;
}

void PairMerger::lose(int32_t left, int32_t right, int64_t weight) {
  const int32_t index = index_.find(left, right);
  if (index < 0) return;  // never wanted
  Pair& pair = pairs_[static_cast<size_t>(index)];
  pair.count -= weight;
  if (pair.count >= least_) return;
  listed_bytes_ -= list_bytes(pair.listed);
  pair.listed = 0;
  pair.many_places.reset();
}

// Whether so many bytes more may be taken.
void PairMerger::check_memory(int64_t more) const {
  if (memory_bytes_ == 0) return;
  const int64_t taken =
      bytes_of(layout_.places) + bytes_of(pairs_) + bytes_of(queue_) + index_.bytes() + listed_bytes_ + more;
  check_world(taken <= memory_bytes_, name_, ": the pairs of this text need more than the ", memory_bytes_,
              " bytes of memory given (", taken, " after ", tokens_.size(),
              " tokens); give more, train on less text or ask for a higher min_frequency");
}

}  // namespace gradus::bpe
