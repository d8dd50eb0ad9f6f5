#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/tensor.hpp"

namespace gradus {

/// A vector for each word, at one or more layers.
struct WordTable {
  std::vector<std::string> words;        ///< any bytes but line feeds; each once
  std::vector<int64_t> counts;           ///< how often each was seen
  std::vector<std::string> layer_names;  ///< "layer_0" … "final"
  std::vector<Tensor> layers;            ///< f32 (words, C) each
  int64_t dropped_words =
      0;  ///< frequent words that no token stands for; they have no row. Not kept in files

  /// The row of a word.
  std::optional<int64_t> find(std::string_view word) const;
  /// The same; an error names the word and those spelt most like it.
  int64_t row(std::string_view word) const;
  /// The table of a layer by its name; an error lists the names.
  const Tensor& layer(std::string_view name) const;
};

}  // namespace gradus
