#pragma once

#include <string_view>

namespace gradus {

/// The end of the word that begins at `at` (at < end): merges happen inside words, never across. Going on from each
/// end cuts a whole text; the words join to exactly that text.
/// note: a byte that is not UTF-8 is one character that is no space, letter, mark or number. The time is linear in
///       the text, whatever it holds.
using WordEnd = const char* (*)(const char* at, const char* end);

/// The regular expressions of GPT-2 (and tiktoken's r50k_base and p50k_base), cl100k_base and o200k_base, in their plain
/// spellings. note: the possessive ones, which later releases of tiktoken have, cut only white space with line ends at the
/// end of a text otherwise.
inline constexpr std::string_view kGpt2Regex =
    R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kCl100kRegex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kO200kRegex =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
    R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
/// Those of Qwen 2 to 3, Qwen 3.5 and Mistral's Tekken.
inline constexpr std::string_view kQwen2Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kQwen35Regex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|)"
    R"(\s*[\r\n]+|\s+(?!\S)|\s+)";
inline constexpr std::string_view kTekkenRegex =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
    R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

/// y = the first match of kGpt2Regex
/// ref: Radford et al. 2019, Language Models are Unsupervised Multitask Learners (the pattern is in its encoder.py)
const char* gpt2_word_end(const char* at, const char* end);

/// The rule of cl100k_base in its plain spelling, which is also that of Llama 3.
/// y = the first match of kCl100kRegex
const char* cl100k_word_end(const char* at, const char* end);

/// The rule of Qwen 2 to 3: that of cl100k_word_end, but `\p{N}`, each digit by itself.
const char* qwen2_word_end(const char* at, const char* end);

/// The rule of Qwen 3.5: that of Qwen 2, but marks count as letters: `[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+` and
/// `?[^\s\p{L}\p{M}\p{N}]+[\r\n]*`.
const char* qwen35_word_end(const char* at, const char* end);

/// The rule of o200k_base (GPT-4o, gpt-oss, Llama 4): words are also cut where a capital follows a small letter.
/// y = the first match of kO200kRegex: `P?U*L+C?|P?U+L*C?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+` with
///     P = `[^\r\n\p{L}\p{N}]`, U = `[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]`, L = `[\p{Ll}\p{Lm}\p{Lo}\p{M}]`,
///     C = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
const char* o200k_word_end(const char* at, const char* end);

/// The rule of Mistral's Tekken: that of o200k_base without C, and `\p{N}`, each digit by itself.
const char* tekken_word_end(const char* at, const char* end);

/// The function that does what a regular expression says when its matches cut a text, or nullptr where there is none.
/// note: known are the published spellings of the rules above, by their exact text, and what they mean to the Hugging
///       Face library: `\p{N}{1,3}+` is a run of any length to it, of one to three to tiktoken.
WordEnd find_splitter(std::string_view regex);

}  // namespace gradus
