#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace gradus {

/// The end of the piece that begins at `at` (at < end) under the GPT-2 rule: BPE merges inside pieces, never across.
/// y = the first match of `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
/// ref: Radford et al. 2019, Language Models are Unsupervised Multitask Learners (the pattern is in its encoder.py)
/// note: a byte that is not UTF-8 counts as one character that is no space, letter or number, so any bytes split;
///       the pieces of a text always join to exactly that text.
const char* gpt2_piece_end(const char* at, const char* end);

/// All pieces of a text, in order; they point into it.
std::vector<std::string_view> gpt2_pieces(std::string_view text);

}  // namespace gradus
