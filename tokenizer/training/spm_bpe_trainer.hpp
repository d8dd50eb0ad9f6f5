#pragma once

#include <cstdint>
#include <span>

#include "tokenizer/training/piece_rules.hpp"
#include "tokenizer/training/piece_training.hpp"
#include "tokenizer/training/word_counts.hpp"

namespace gradus {

/// How a SentencePiece-style BPE is trained; the defaults are SentencePiece's.
struct SpmBpeTrainingOptions {
  int64_t places = 8000;               // pieces to learn: the vocabulary's size without special tokens
  double character_coverage = 0.9995;  // rarer characters get no piece
  PieceRules rules;
};

/// Learns pieces by merging characters. Words begin with U+2581, as SentencePiece sees them.
/// y = again and again, the most frequent pair of neighbours whose joint string is a valid piece becomes a
///     piece; of equals the one with fewer characters, then the one with the lower bytes; scores are -0, -1,
///     -2 ... in this order, and go on with the characters by falling count
/// note: neighbours in "aaa" count as two pairs "aa", as in SentencePiece since 0.1.99 (before, as one).
///       SentencePiece looks for the best pair among the 5 % that were the most frequent up to 100 merges
///       ago, and so may take another where this, which counts exactly, finds one outside them. A text too
///       small for the places gives fewer pieces and a note; one with more characters than places is an
///       error.
/// ref: Sennrich et al. 2016, algorithm 1
PieceTraining train_spm_bpe(std::span<const CountedWord> words, const SpmBpeTrainingOptions& options,
                            const ProgressFn& progress = {});

/// An upper estimate of the bytes that train_spm_bpe needs besides the words.
int64_t spm_bpe_training_bytes(std::span<const CountedWord> words, const SpmBpeTrainingOptions& options);

}  // namespace gradus
