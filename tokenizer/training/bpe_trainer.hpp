#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tokenizer/progress.hpp"
#include "tokenizer/training/word_counts.hpp"

namespace gradus {

struct BpeTrainingOptions {
  /// How many tokens to make in all.
  int64_t vocab_size = 30000;
  /// Pairs that occur less often never become a token. note: 0 means 1, as in the Hugging Face library.
  int64_t min_frequency = 2;
  /// Two tokens that have together so many characters (bytes, in a byte-level vocabulary) or more stay apart, unless
  /// each of them is a single one; 0 is no limit. note: the rule of the Hugging Face library.
  int64_t max_token_length = 0;
  /// What training may take beside the words; 0 is no limit. Where it does not suffice, that is an error.
  int64_t memory_bytes = 0;
  /// What the byte-level trainer must not make a token of, as bytes: the texts of special tokens.
  std::vector<std::string> excluded;
  /// What begins every error.
  std::string name = "train_bpe";
  /// Told of the tokens made, of vocab_size.
  ProgressFn progress;
};

/// What training a byte-level BPE gives.
struct BpeTraining {
  /// `left` followed by `right` becomes `result`.
  struct Merge {
    int32_t left;
    int32_t right;
    int32_t result;
    bool operator==(const Merge&) const = default;
  };
  std::vector<std::string> tokens;  // the 256 bytes in byte_order(), then one a merge, as bytes
  std::vector<Merge> merges;
};

/// Learns the merges of a byte-level BPE from the words of a corpus, until there are vocab_size tokens (at least 256) or
/// no pair is left that occurs min_frequency times.
/// y = again and again, the most frequent pair of neighbours inside a word becomes a token; of equals, the one with the
///     lower left id, then the lower right id (the rule of the Hugging Face library, but counts have 64 bits)
/// note: n log n in the bytes of the words, long words or short; the same at any thread count.
/// ref: Sennrich et al. 2016, Neural Machine Translation of Rare Words with Subword Units, algorithm 1
BpeTraining train_byte_bpe(std::span<const CountedWord> words, const BpeTrainingOptions& options = {});

struct CharBpeOptions : BpeTrainingOptions {
  /// The first tokens; text never becomes one.
  std::vector<std::string> special_tokens;
  /// Characters that are tokens whether they occur or not.
  std::u32string initial_alphabet;
  /// The most characters to keep: the rarest are dropped from the words, of equals the higher code points; 0 is no limit.
  int64_t alphabet_limit = 0;
  /// Before each character but the first of a word, such as "##".
  std::string continuing_subword_prefix;
  /// After the last character of a word, such as "</w>".
  std::string end_of_word_suffix;
};

/// What training a BPE over characters gives.
struct CharBpeTraining {
  std::vector<std::string> tokens;  // special tokens; the alphabet; its forms within words; one a merge
  std::vector<BpeTraining::Merge> merges;
  std::vector<DroppedChar> dropped;  // by code point
};

/// Learns the merges of a BPE whose first tokens are the characters of the words, as train_byte_bpe does.
/// note: the words must be UTF-8. The alphabet is sorted by code point; forms with a prefix or suffix follow in the order
///       in which the words show them (in the Hugging Face library in that of a hash table, different in each run).
/// note: where a merge spells what is a token already, such as a special token, it gives that token. The count of a pair
///       of such a token does not mix occurrences from before and from merges (the Hugging Face library counts twice).
CharBpeTraining train_char_bpe(std::span<const CountedWord> words, const CharBpeOptions& options = {});

/// What training takes beside the words, for room to be left while they are counted.
TrainingMemory bpe_training_memory(const BpeTrainingOptions& options);
/// The same of words already counted.
int64_t bpe_training_bytes(std::span<const CountedWord> words, const BpeTrainingOptions& options);

}  // namespace gradus
