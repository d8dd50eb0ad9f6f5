#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/bpe.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// What training a byte-level BPE gives.
struct BpeTraining {
  std::vector<std::string> tokens;  // the 256 bytes in byte_order(), then one a merge, as bytes
  std::vector<BpeMerge> merges;
};

/// Learns merges until there are `size` tokens (at least 256), or until no pair of neighbours occurs twice.
/// y = again and again, the most frequent pair of neighbours inside a piece becomes a token; of equals, the one with the
///     lower left id, then the lower right id (the rule of the Hugging Face library)
/// note: `progress` counts twice the bytes of the documents: reading them, then merging.
/// ref: Sennrich et al. 2016, algorithm 1
BpeTraining train_bpe_merges(std::span<const std::string_view> documents, int64_t size,
                             const ProgressFn& progress);

}  // namespace gradus
