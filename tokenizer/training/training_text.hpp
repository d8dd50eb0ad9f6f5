#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/training/piece_rules.hpp"
#include "tokenizer/training/piece_training.hpp"
#include "tokenizer/training/word_counts.hpp"

namespace gradus {

/// The counted words as the SentencePiece-style trainers work on them: cut wherever no piece can reach across
/// (a dropped character, a change of script), so that each different segment is there once, whatever stood
/// around it.
/// note: nothing is lost by it: segmentations on the two sides of such a cut are independent of each other.
struct TrainingText {
  std::vector<char32_t> alphabet;    // ascending, so that codes order as UTF-8 does
  std::vector<int64_t> char_counts;  // by code - 1
  std::vector<DroppedChar> dropped;  // the most frequent first
  std::vector<int32_t> codes;   // the segments, ordered, each with a 0 after it; c stands for alphabet[c - 1]
  std::vector<int32_t> begins;  // of the segments, and at last codes.size()
  std::vector<int64_t> counts;  // of the segments

  size_t segments() const { return counts.size(); }
  std::span<const int32_t> segment(size_t index) const {
    return {codes.data() + begins[index], static_cast<size_t>(begins[index + 1] - begins[index] - 1)};
  }
  int32_t alphabet_size() const { return static_cast<int32_t>(alphabet.size()); }

  /// Some codes as UTF-8.
  std::string utf8(std::span<const int32_t> some) const;
};

/// Counts the characters, drops the rarest ones beyond `coverage` (a share of all occurrences) and cuts the
/// words.
/// y = the most frequent characters are kept until they make up the coverage; of equals, the lower code point
///     first
/// note: `name` begins the error messages. Words that are not UTF-8, counts below 1 and words of 2^30 bytes
///       or more are errors. The coverage is compared in float, as SentencePiece does.
TrainingText make_training_text(std::span<const CountedWord> words, const PieceRules& rules, double coverage,
                                std::string_view name);

/// An error where the alphabet alone needs more than `places`.
void check_alphabet_fits(const TrainingText& text, int64_t places, std::string_view name);

/// What to tell where a training found fewer pieces than there are places; else empty.
std::string shortfall_note(int64_t pieces, int64_t places);

/// The most bytes that make_training_text needs at any time, its result included.
int64_t training_text_bytes(std::span<const CountedWord> words);

/// The alphabet by falling count; of equals, the lower code point first.
std::vector<int32_t> codes_by_count(const TrainingText& text);

}  // namespace gradus
