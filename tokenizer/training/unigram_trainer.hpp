#pragma once

#include <cstdint>
#include <span>

#include "tokenizer/training/piece_rules.hpp"
#include "tokenizer/training/piece_training.hpp"
#include "tokenizer/training/word_counts.hpp"

namespace gradus {

/// How a unigram model is trained; the defaults are SentencePiece's.
struct UnigramTrainingOptions {
  int64_t places = 8000;               // pieces to learn: the vocabulary's size without special tokens
  double character_coverage = 0.9995;  // rarer characters get no piece
  PieceRules rules;
  int64_t seed_pieces = 1'000'000;  // strings to begin with
  double shrinking_factor = 0.75;   // what a round keeps of the pieces, 0.5 ... 0.95
  int64_t sub_iterations = 2;       // of expectation maximisation a round, 1 ... 10
};

/// Learns the pieces of a unigram model and their log probabilities. Words begin with U+2581, as
/// SentencePiece sees them.
/// y = from many seeds, in rounds: expectation maximisation, then the pieces go whose loss costs the
///     likelihood least, until 1.1 x places are left; of these the most likely, and all characters
/// note: the same at any thread count. Of equal scores the lower bytes come first. A text too small for the
///       places gives fewer pieces and a note; one with more characters than places is an error. Where
///       SentencePiece sums in float by thread and takes its seeds from running text, this sums in double and
///       takes them from the words, so that the last few per cent of the pieces differ.
/// ref: Kudo 2018, section 3.2
PieceTraining train_unigram(std::span<const CountedWord> words, const UnigramTrainingOptions& options,
                            const ProgressFn& progress = {});

/// An upper estimate of the bytes that train_unigram needs besides the words.
int64_t unigram_training_bytes(std::span<const CountedWord> words, const UnigramTrainingOptions& options);

}  // namespace gradus
