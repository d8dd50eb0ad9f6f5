#include "tokenizer/training/wordpiece_trainer.hpp"

#include <utility>

#include "tensor/error.hpp"

namespace gradus {

WordPieceTraining train_wordpiece(std::span<const CountedWord> words,
                                  const WordPieceTrainingOptions& options) {
  check(!options.continuing_subword_prefix.empty(), options.name,
        ": continuing_subword_prefix must not be empty, else tokens inside words are lost; "
        "\"##\" is usual");
  CharBpeOptions bpe;
  static_cast<BpeTrainingOptions&>(bpe) = options;
  bpe.special_tokens = options.special_tokens;
  bpe.initial_alphabet = options.initial_alphabet;
  bpe.alphabet_limit = options.alphabet_limit;
  bpe.continuing_subword_prefix = options.continuing_subword_prefix;
  CharBpeTraining training = train_char_bpe(words, bpe);
  return {std::move(training.tokens), std::move(training.dropped)};
}

}  // namespace gradus
