#pragma once

#include <cstdint>
#include <string_view>

namespace gradus {

/// A word of the training text and how often it occurs. All training of tokenizers starts from a list of these, each
/// different word once, ordered by its first appearance in the text.
struct CountedWord {
  std::string_view bytes;
  int64_t count = 0;
};

}  // namespace gradus
