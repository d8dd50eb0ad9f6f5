#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/io/json.hpp"

namespace gradus {

enum class WordVectorMethod { skipgram, cbow, glove, fasttext, fasttext_cbow };
std::string_view name_of(WordVectorMethod method);
WordVectorMethod parse_word_vector_method(std::string_view name);
const std::vector<WordVectorMethod>& word_vector_methods();

/// How word vectors are trained. The defaults of each method are those of its authors' program.
struct WordVectorOptions {
  WordVectorMethod method = WordVectorMethod::skipgram;
  int64_t width = 100;  ///< numbers of a vector
  int64_t window = 5;   ///< most words on each side of a word that are its context
  int64_t epochs = 5;   ///< passes over the text, of GloVe over its table
  double learning_rate = 0.025;
  int64_t min_count = 5;  ///< rarer words are left out
  uint64_t seed = 1;
  /// A line is a context whole: what is bought together, for instance. Else a word's context reaches 1 to `window` words.
  bool baskets = false;
  bool letters = false;  ///< words are as the tokenizers' (see corpus.hpp); else what stands between spaces
  bool lower = false;    ///< letters become small ones

  // All but GloVe:
  int64_t negatives = 5;         ///< words drawn as noise for each pair
  double sample = 1e-3;          ///< words of a larger share of the text are left out now and then; 0: none
  double noise_exponent = 0.75;  ///< noise is drawn in proportion to count ^ this
  bool mean_gradient =
      true;  ///< of a mean, each word gets its share of the gradient, see WindowTrainer; else all of it

  // fastText:
  int64_t min_piece = 3, max_piece = 6;  ///< characters of a piece of a word
  int64_t buckets = 2'000'000;           ///< rows that the pieces share, by their hash

  // GloVe:
  double x_max = 100;   ///< counts from here on weigh alike
  double alpha = 0.75;  ///< others by (count / x_max) ^ alpha

  static WordVectorOptions defaults(WordVectorMethod method);
  bool has_pieces() const {
    return method == WordVectorMethod::fasttext || method == WordVectorMethod::fasttext_cbow;
  }
  /// Whether a word is predicted from the mean of its context.
  bool averages() const {
    return method == WordVectorMethod::cbow || method == WordVectorMethod::fasttext_cbow;
  }
  bool is_glove() const { return method == WordVectorMethod::glove; }
  /// An error names the option that is out of its range.
  void validate() const;
  bool operator==(const WordVectorOptions&) const = default;
};
Json options_to_json(const WordVectorOptions& options);
WordVectorOptions word_vector_options_from_json(const Json& json);

}  // namespace gradus
