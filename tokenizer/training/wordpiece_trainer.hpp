#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tokenizer/training/bpe_trainer.hpp"

namespace gradus {

struct WordPieceTrainingOptions : BpeTrainingOptions {
  /// The first tokens; the model that is trained needs its unknown token among them.
  std::vector<std::string> special_tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  /// Characters that are tokens whether they occur or not.
  std::u32string initial_alphabet;
  /// The most characters to keep: the rarest are dropped from the words; 0 is no limit.
  int64_t alphabet_limit = 1000;
  /// Before each token that continues a word.
  std::string continuing_subword_prefix = "##";
};

/// What training a WordPiece vocabulary gives.
struct WordPieceTraining {
  std::vector<std::string> tokens;        // by id
  std::vector<DroppedCharacter> dropped;  // by code point
};

/// Learns a WordPiece vocabulary from words already normalised and cut: the tokens of a BPE over characters, of which
/// all but the first of a word have the prefix.
/// y = special tokens; the alphabet by code point; "##x" in the order in which words show them; one token a merge
/// note: this is what the Hugging Face library trains. The likelihood criterion of the paper was never released.
/// ref: Schuster and Nakajima 2012, Japanese and Korean Voice Search
WordPieceTraining train_wordpiece(std::span<const CountedWord> words,
                                  const WordPieceTrainingOptions& options = {});

}  // namespace gradus
