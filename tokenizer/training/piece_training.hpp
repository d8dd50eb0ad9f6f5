#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

#include "tokenizer/progress.hpp"
#include "tokenizer/training/word_counts.hpp"

namespace gradus {

/// A piece of a SentencePiece vocabulary.
struct ScoredPiece {
  std::string text;  // UTF-8, U+2581 for a space
  float score = 0;
  bool operator==(const ScoredPiece&) const = default;
};

/// What the SentencePiece-style trainers give.
struct PieceTraining {
  std::vector<ScoredPiece> pieces;   // by falling score, as SentencePiece numbers them after the special ones
  std::vector<DroppedChar> dropped;  // the most frequent first
  std::string note;  // empty, or what the caller should tell: why there are fewer pieces than asked
};

/// Passes on progress, but not more than four times a second, and the last one always.
class ProgressReporter {
 public:
  ProgressReporter(const ProgressFn& progress, int64_t total) : progress_(progress), total_(total) {}

  void report(int64_t done) {
    if (!progress_) return;
    const auto now = std::chrono::steady_clock::now();
    if (done < total_ && now - last_ < std::chrono::milliseconds(250)) return;
    last_ = now;
    progress_(done, total_);
  }

 private:
  const ProgressFn& progress_;
  int64_t total_;
  std::chrono::steady_clock::time_point last_ = std::chrono::steady_clock::now();
};

}  // namespace gradus
