#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "models/embeddings/vectors.hpp"
#include "models/word_vectors/options.hpp"
#include "models/word_vectors/vocabulary.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/safetensors.hpp"

namespace gradus {

/// Where a training stands.
struct WordVectorProgress {
  int64_t done = 0;  ///< words (of GloVe: cells), those of earlier epochs too
  int64_t total = 0;
  double learning_rate = 0;
  double loss =
      0;  ///< mean of a pair since the last call; of GloVe of a cell of the last epoch; NaN: none yet
};

/// What a method's training is, to those who run it.
class WordVectorTrainer {
 public:
  virtual ~WordVectorTrainer() = default;
  WordVectorTrainer() = default;
  WordVectorTrainer(const WordVectorTrainer&) = delete;
  WordVectorTrainer& operator=(const WordVectorTrainer&) = delete;

  /// Trains for a fraction of a second and stops where the state can be saved.
  virtual void advance() = 0;
  virtual bool finished() const = 0;
  virtual WordVectorProgress progress() = 0;

  /// All that training on needs, besides options and corpus.
  virtual std::vector<NamedTensor> state() const = 0;
  virtual Metadata position() const = 0;
  virtual void restore(const SafetensorsFile& state) = 0;

  /// The words' vectors, in the order of the vocabulary.
  virtual Tensor vectors() const = 0;
  /// Lets a word begin with these numbers; not after the first step.
  virtual void set_vector(int64_t word, std::span<const float> values) = 0;
};

/// A number or a text of a state's metadata; an error names what is missing or is none.
int64_t integer_of(const Metadata& metadata, const std::string& key, const std::string& path);
const std::string& text_of(const Metadata& metadata, const std::string& key, const std::string& path);

}  // namespace gradus
