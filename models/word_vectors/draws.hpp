#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "models/word_vectors/vocabulary.hpp"

namespace gradus {

/// Numbers that depend on (seed, name, index) alone, as Random's, at a tenth of the cost: training draws several for each word.
/// y = mix(key + index · φ)   ref: Steele, Lea, Flood, "Fast splittable pseudorandom number generators" (2014)
class QuickRandom {
 public:
  QuickRandom(uint64_t seed, std::string_view name);
  uint64_t bits(uint64_t index) const {
    uint64_t z = key_ + index * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    return z ^ (z >> 31);
  }

 private:
  uint64_t key_;
};

/// Draws words in proportion to count ^ exponent, by one number of 64 bits each.
/// ref: Walker, "An efficient method for generating discrete random variables" (1977); Vose (1991)
class NoiseTable {
 public:
  NoiseTable(const std::vector<int64_t>& counts, double exponent);
  int32_t draw(uint64_t bits) const {
    const auto place = static_cast<std::size_t>(((bits >> 32) * entries_.size()) >> 32);
    const Entry& entry = entries_[place];
    return static_cast<uint32_t>(bits) < entry.own ? static_cast<int32_t>(place) : entry.other;
  }
  int64_t size() const { return static_cast<int64_t>(entries_.size()); }
  /// The largest share that a word has of the draws.
  double largest_share() const { return largest_share_; }

 private:
  struct Entry {
    uint32_t own;  // of 2^32 draws of this place, so many are its own word
    int32_t other;
  };
  std::vector<Entry> entries_;
  double largest_share_ = 0;
};

/// For each word, of 2^32 places where it stands the number at which it is kept; 2^32 - 1: all.
/// p = √(t / f) + t / f, where f is the word's share of the text; t 0: every word is kept
/// ref: word2vec.c; the paper has 1 - √(t / f) for leaving one out
std::vector<uint32_t> kept_shares(const Vocabulary& vocabulary, double t);

}  // namespace gradus
