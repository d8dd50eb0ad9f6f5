#include "tokenizer/training/wordpiece_trainer.hpp"

#include <utility>

#include "tensor/error.hpp"

namespace gradus {

WordPieceTraining train_wordpiece(std::span<const CountedWord> words,
                                  const WordPieceTrainingOptions& options) {
  check(!options.continuing_subword_prefix.empty(), options.name,
        ": continuing_subword_prefix must not be empty, else tokens inside words are lost; "
        "\"##\" is usual");
  CharBpeTraining training = train_char_bpe(words, options);
  return {std::move(training.tokens), std::move(training.dropped)};
}

}  // namespace gradus
