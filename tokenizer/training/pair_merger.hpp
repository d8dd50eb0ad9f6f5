#pragma once

#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <optional>
#include <span>
#include <vector>

#include "tensor/error.hpp"
#include "tokenizer/lookup/pair_map.hpp"
#include "tokenizer/training/bpe_trainer.hpp"

// The core of the BPE trainers: merges of symbols, whatever their text. Nobody else needs it.
namespace gradus::bpe {

/// Words have fewer places in all.
inline constexpr int64_t kMostPlaces = std::numeric_limits<int32_t>::max();
/// What a place holds that is not the beginning of a symbol: before and after each word; inside of a symbol.
inline constexpr int32_t kEdge = std::numeric_limits<int32_t>::min();
inline constexpr int32_t kInside = -1;

/// All words side by side, one place a first symbol, an edge before, between and after them.
/// note: a merged symbol lives at the place of its first part, its last place holds minus its length, and those between
///       hold kInside: so both neighbours are one step away, however long the symbol or its word is.
struct Layout {
  std::vector<int32_t> places;
  // Words stand in the order of their counts, so a place's weight needs no room of its own: ends[i] is the first place
  // after those of weights[i].
  std::vector<uint32_t> ends;
  std::vector<int64_t> weights;
};

/// Lays out words; append(word, places) adds a word's symbols, `symbols` in all.
template <class Append>
Layout lay_out(std::span<const CountedWord> words, int64_t symbols, const BpeTrainingOptions& options,
               Append&& append) {
  check_world(symbols + static_cast<int64_t>(words.size()) < kMostPlaces, options.name,
              ": the different words must have fewer than ", kMostPlaces, " characters in all; they have ",
              symbols, "; train on less text or drop rare words");
  std::vector<uint32_t> order(words.size());
  std::iota(order.begin(), order.end(), 0);
  std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
    return words[a].count != words[b].count ? words[a].count > words[b].count : a < b;
  });
  check(order.empty() || words[order.back()].count >= 0, options.name,
        ": counts must not be negative; one is ", order.empty() ? 0 : words[order.back()].count);
  Layout layout;
  layout.places.reserve(static_cast<size_t>(symbols) + words.size() + 1);
  layout.places.push_back(kEdge);
  for (const uint32_t index : order) {
    const size_t begin = layout.places.size();
    append(words[index], layout.places);
    if (layout.places.size() < begin + 2) {  // no pair
      layout.places.resize(begin);
      continue;
    }
    layout.places.push_back(kEdge);
    if (layout.weights.empty() || layout.weights.back() != words[index].count) {
      layout.weights.push_back(words[index].count);
      layout.ends.push_back(0);
    }
    layout.ends.back() = static_cast<uint32_t>(layout.places.size());
  }
  return layout;
}

/// Merges pairs of symbols in all words, and knows which pair is the most frequent one.
class PairMerger {
 public:
  /// Symbols 0 … symbols-1 are the tokens of these ids.
  PairMerger(Layout layout, int32_t symbols, const BpeTrainingOptions& options);

  struct Symbols {
    int32_t left;
    int32_t right;
  };
  /// The pair to merge next, if any occurs often enough. It leaves the queue.
  std::optional<Symbols> take_best();
  /// Makes these two, wherever they are side by side, a new symbol, which is the token of this id.
  void merge(Symbols pair, int32_t token);

  /// The id of the token that a symbol is.
  int32_t token_of(int32_t symbol) const { return tokens_[static_cast<size_t>(symbol)]; }

 private:
  // Two symbols side by side, and where.
  struct Pair {
    int32_t left;
    int32_t right;
    int64_t count;  // exact, weighted with how often each word occurs
    // Where the left one stands, ascending; merges may have taken some of them since. A single place, which is the most
    // common, needs no memory of its own.
    uint32_t listed;
    uint32_t only_place;
    std::unique_ptr<uint32_t[]> many_places;
    uint32_t* places() { return many_places ? many_places.get() : &only_place; }
    void list(uint32_t place) { places()[listed++] = place; }
  };
  // A place in the group of its left symbol.
  struct Grouped {
    uint32_t place;
    int32_t right;
  };
  struct Candidate {
    int64_t count;  // when it was offered; it may have fallen since
    int32_t left;
    int32_t right;
  };
  // Counts of the pairs of one symbol with each other symbol, gathered before pairs are made of them.
  struct Neighbour {
    int64_t weight = 0;
    uint32_t places = 0;
    int32_t pair = -1;
  };
  struct Neighbours {
    explicit Neighbours(size_t symbols) : of(symbols) {}
    std::vector<Neighbour> of;     // by symbol
    std::vector<int32_t> touched;  // in the order of first sight
    void add(int32_t symbol, int64_t weight) {
      Neighbour& neighbour = of[static_cast<size_t>(symbol)];
      if (neighbour.places++ == 0) touched.push_back(symbol);
      neighbour.weight += weight;
    }
    void clear() {
      for (const int32_t symbol : touched) of[static_cast<size_t>(symbol)] = {};
      touched.clear();
    }
  };

  void find_pairs();
  void pairs_of(int32_t left, std::span<const Grouped> group, Neighbours& right,
                std::vector<Pair>& pairs) const;
  uint32_t replace(Pair& pair, int32_t made);
  template <class Before, class After>
  void visit_neighbours(std::span<const uint32_t> places, int32_t made, Before&& before, After&& after) const;
  bool make_pairs(Symbols merged, int32_t made);
  bool wanted(int64_t count, int32_t left, int32_t right) const;
  static Pair new_pair(int32_t left, int32_t right, int64_t count, uint32_t places);
  int32_t add(Pair pair, uint32_t places);
  void lose(int32_t left, int32_t right, int64_t weight);
  void check_memory(int64_t more) const;

  // Where the symbol that ends before `place` begins; `place` where there is none.
  uint32_t place_before(uint32_t place) const {
    const int32_t value = layout_.places[place - 1];
    if (value >= 0) return place - 1;
    return value == kEdge ? place : place - static_cast<uint32_t>(-value);
  }
  uint32_t length_of(int32_t symbol) const { return lengths_[static_cast<size_t>(symbol)]; }
  bool comes_later(const Candidate& a, const Candidate& b) const;

  Layout layout_;
  int64_t least_;
  int64_t max_length_;
  int64_t memory_bytes_;
  std::string name_;
  std::vector<int32_t> tokens_;    // by symbol: the token's id
  std::vector<uint32_t> lengths_;  // by symbol: in places
  Neighbours before_;
  Neighbours after_;
  std::vector<Pair> pairs_;
  PairMap index_;
  std::vector<Candidate> queue_;  // a heap
  int64_t listed_bytes_ = 0;
};

}  // namespace gradus::bpe
