#pragma once

#include <cstddef>
#include <functional>
#include <string_view>

namespace gradus {

/// Where a long text may be split: the first place at or after `at` where cutting the two sides apart from each
/// other gives the words of the whole; the text's size where there is none.
using SplitFn = std::function<size_t(std::string_view text, size_t at)>;

/// Splits between a character that is no white space and a single space with a letter after it.
/// note: right for every pre-tokenizer that begins a word at such a space or drops it, such as those of GPT-2, BERT,
///       cl100k and Metaspace; wrong where a normalizer does something at the ends of a text (Prepend, Strip).
size_t split_at_space(std::string_view text, size_t at);

/// Splits as split_at_space does, or after a single line feed between a character that is no white space and a letter.
/// note: right for those that never join a line feed and a letter: GPT-2, BERT, cl100k, but not Metaspace. For text
///       without spaces, such as Chinese, and for one word a line.
size_t split_at_line(std::string_view text, size_t at);

}  // namespace gradus
