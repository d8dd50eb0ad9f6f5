#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "tokenizer/training/bpe_trainer.hpp"

namespace gradus {

/// Those of a BPE over characters, with BERT's defaults. note: the model that is trained needs its unknown token among the
/// special ones.
struct WordPieceTrainingOptions : CharBpeOptions {
  WordPieceTrainingOptions() {
    special_tokens = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
    alphabet_limit = 1000;
    continuing_subword_prefix = "##";
    name = "train_wordpiece";
  }
};

/// What training a WordPiece vocabulary gives.
struct WordPieceTraining {
  std::vector<std::string> tokens;   // by id
  std::vector<DroppedChar> dropped;  // by code point
};

/// Learns a WordPiece vocabulary from words already normalised and cut: the tokens of a BPE over characters, of which
/// all but the first of a word have the prefix.
/// y = special tokens; the alphabet by code point; "##x" in the order in which words show them; one token a merge
/// note: this is what the Hugging Face library trains. The likelihood criterion of the paper was never released.
/// ref: Schuster and Nakajima 2012, Japanese and Korean Voice Search
WordPieceTraining train_wordpiece(std::span<const CountedWord> words,
                                  const WordPieceTrainingOptions& options = {});

}  // namespace gradus
