#pragma once

#include <string>
#include <vector>

namespace gradus {

/// Texts on which tokenizers that are not quite the same differ: white space, controls, scripts, marks, digits,
/// contractions, long runs, what looks like special tokens, and mixtures of these.
/// note: valid UTF-8, no two the same, always the same.
std::vector<std::string> hostile_texts();

}  // namespace gradus
