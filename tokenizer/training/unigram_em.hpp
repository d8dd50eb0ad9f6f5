#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "tokenizer/training/piece_trie.hpp"
#include "tokenizer/training/training_text.hpp"

namespace gradus {

/// How often each piece is expected in the text: over all segmentations, weighted by their probability.
/// y = sum over segments of count P(piece at place | segment), the segmentations being independent draws of
///     pieces
/// note: a character that is no piece scores the least score - UnigramModel::kUnknownPenalty. Sums are over fixed shares of
///       the text, combined in order: the same at any thread count. Segments may be of any length.
/// ref: Kudo 2018, equations 2 to 4 (forward-backward)
std::vector<double> expected_counts(const TrainingText& text, const PieceTrie& trie,
                                    std::span<const double> scores);

/// How often each piece is in the segments' most likely segmentations; of equals, the longer last piece.
std::vector<double> best_path_counts(const TrainingText& text, const PieceTrie& trie,
                                     std::span<const double> scores);

/// What the text's log likelihood would lose without each piece, had every use of it in `counts`
/// (best_path_counts) to become the piece's own second best segmentation.
/// note: infinity for a single character, -infinity for a piece that is not in use or is more likely as
///       several. A character that is no piece counts with its score, so that pieces which alone can spell it
///       are the last to go.
std::vector<double> removal_losses(const TrainingText& text, std::span<const PieceRef> pieces,
                                   const PieceTrie& trie, std::span<const double> scores,
                                   std::span<const double> counts);

/// The most bytes that the three functions need at a time, of texts of so many characters, so many of them in
/// the longest segment.
int64_t unigram_em_bytes(int64_t pieces, int64_t chars, int64_t longest_segment, int64_t max_piece_length);

}  // namespace gradus
