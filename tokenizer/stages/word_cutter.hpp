#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "tokenizer/text/aligned_text.hpp"

namespace gradus {

/// What becomes of the matches that cut a text.
/// note: with "-" as the pattern, "the-final--countdown" gives
///       removed: the final countdown; isolated: the - final - - countdown; contiguous: the - final -- countdown;
///       merged_with_previous: the- final- - countdown; merged_with_next: the -final - -countdown.
enum class CutBehavior : uint8_t { removed, isolated, merged_with_previous, merged_with_next, contiguous };

/// Collects the words that matches and what is between them become.
class WordCutter {
 public:
  /// `inverted` takes matches for what is between them, and the reverse.
  WordCutter(CutBehavior behavior, bool inverted, std::vector<ByteSpan>& words)
      : behavior_(behavior), inverted_(inverted), words_(words) {}

  /// Begins a word at byte `begin`, which calls of match() and then finish() go through.
  void start(size_t begin) {
    begin_ = begin;
    previous_ = false;
    open_ = {0, 0};
    has_open_ = false;
  }
  /// The next match. note: matches may be empty, and then still separate what is before and behind.
  void match(size_t begin, size_t end) {
    if (begin_ != begin) take({static_cast<uint32_t>(begin_), static_cast<uint32_t>(begin)}, inverted_);
    take({static_cast<uint32_t>(begin), static_cast<uint32_t>(end)}, !inverted_);
    begin_ = end;
  }
  /// The word ends at byte `end`.
  void finish(size_t end) {
    if (begin_ != end) take({static_cast<uint32_t>(begin_), static_cast<uint32_t>(end)}, inverted_);
    if (has_open_) add(open_);
  }

 private:
  void add(ByteSpan word) {
    if (word.begin != word.end) words_.push_back(word);
  }

  void take(ByteSpan span, bool is_match) {
    bool joins = false;  // the span before, which is still open
    switch (behavior_) {
      case CutBehavior::removed:
        if (!is_match) add(span);
        return;
      case CutBehavior::isolated: return add(span);
      case CutBehavior::contiguous: joins = is_match == previous_; break;
      case CutBehavior::merged_with_previous: joins = is_match && !previous_; break;
      case CutBehavior::merged_with_next: joins = !is_match && previous_; break;
    }
    previous_ = is_match;
    if (joins && has_open_) {
      open_.end = span.end;
      return;
    }
    if (has_open_) add(open_);
    open_ = span;
    has_open_ = true;
  }

  CutBehavior behavior_;
  bool inverted_;
  std::vector<ByteSpan>& words_;
  size_t begin_ = 0;       // of what has not been taken yet
  bool previous_ = false;  // whether the span before was a match
  ByteSpan open_ = {0, 0};
  bool has_open_ = false;
};

}  // namespace gradus
