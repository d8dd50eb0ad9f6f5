#pragma once

#include <string>
#include <vector>

#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// Texts on which tokenizers that are not quite the same differ: white space, controls, scripts, marks, digits,
/// contractions, long runs, what looks like special tokens, and mixtures of these.
/// note: valid UTF-8, no two the same, always the same.
std::vector<std::string> hostile_texts();

/// Texts in which each added token of a tokenizer stands: alone, between words, and with no space beside it. Where their ids
/// are equal with EncodeOptions::special_tokens, so is what becomes a token of its own.
std::vector<std::string> texts_with_added_tokens(const Tokenizer& tokenizer);

}  // namespace gradus
