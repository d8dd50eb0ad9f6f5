#pragma once

#include <cstdint>
#include <vector>

#include "tokenizer/text/text_range.hpp"

namespace gradus {

/// The tokens that post-processing adds to a single text, such as `[CLS]` and `[SEP]`.
struct AddedAround {
  std::vector<int32_t> before;
  std::vector<int32_t> after;
  bool empty() const { return before.empty() && after.empty(); }
};

/// The tokens of a text, or of two that belong together, with what is known of each. All vectors have one entry a
/// token, or none where nobody asked (offsets, attention).
struct Encoding {
  std::vector<int32_t> ids;
  std::vector<TextRange> offsets;  // bytes of its own text; (0, 0) for tokens that stand for none of it
  std::vector<uint8_t> type_ids;   // what the model is told of the token's part, as post-processing says
  std::vector<uint8_t> special;    // 1 for tokens that post-processing or padding added
  std::vector<int8_t> sequence;    // 0 the first text, 1 the second, -1 neither
  std::vector<uint8_t> attention;  // 0 for padding, else 1; empty where nothing was padded

  bool operator==(const Encoding&) const = default;
};

}  // namespace gradus
