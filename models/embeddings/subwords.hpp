#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "tokenizer/text/unicode.hpp"

namespace gradus {

/// The pieces of words, as fastText cuts them: all runs of `shortest` to `longest` characters of "<word>", by their hash in
/// one of `buckets` places.
/// ref: Bojanowski, Grave, Joulin, Mikolov, "Enriching Word Vectors with Subword Information" (2017), 3.2
struct Subwords {
  int32_t shortest = 0, longest = 0;  ///< characters, the marks < and > at a word's ends among them
  int64_t buckets = 0;

  /// FNV-1a, of bytes whose sign is extended.
  static uint32_t hash(std::string_view piece) {
    uint32_t value = 2166136261u;
    for (const char c : piece) {
      value ^= static_cast<uint32_t>(static_cast<int8_t>(c));
      value *= 16777619u;
    }
    return value;
  }

  /// Calls take(bucket) for each piece; "</s>", the end of a line, has none.
  template <class Take>
  void for_buckets(std::string_view word, const Take& take) const {
    if (longest <= 0 || buckets <= 0 || word == "</s>") return;
    const std::string marked = "<" + std::string(word) + ">";
    for (std::size_t begin = 0; begin < marked.size(); ++begin) {
      if (is_continuation(marked[begin])) continue;
      std::size_t end = begin;
      for (int32_t count = 1; end < marked.size() && count <= longest; ++count) {
        ++end;
        while (end < marked.size() && is_continuation(marked[end])) ++end;
        if (count < shortest) continue;
        // A mark alone is no piece.
        if (count == 1 && (begin == 0 || end == marked.size())) continue;
        take(static_cast<int32_t>(hash(std::string_view(marked).substr(begin, end - begin)) %
                                  static_cast<uint64_t>(buckets)));
      }
    }
  }
};

}  // namespace gradus
