#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/embeddings/names.hpp"
#include "tensor/tensor.hpp"

namespace gradus {

/// Vectors with names, at one or more layers, whatever made them: a file of word vectors has one layer, `vectors`; a model's
/// are `layer_0` … `final`.
struct Vectors {
  Names names;                           ///< of the rows
  std::vector<int64_t> counts;           ///< how often each was seen; empty: nobody says
  std::vector<std::string> layer_names;  ///< "layer_0" … "final", or "vectors"
  std::vector<Tensor> layers;            ///< f32 (rows, C) each
  /// The vector of a name that has no row, as of the pieces of its letters; empty where it has none. Empty: there are none.
  std::function<std::vector<float>(std::string_view name)> unseen;
  double unknown_rate = 0;  ///< of the text that they were made of, the part of the tokens that is unknown
  std::vector<std::string> notes;  ///< what somebody should know of how they were read, in sentences

  int64_t rows() const { return names.size(); }
  /// The row of a name; an error says which it is, and which names are spelt most like it.
  int64_t row(std::string_view name) const;
  /// A layer by its name; an error lists the names.
  const Tensor& layer(std::string_view name) const;
};

/// The layer that a choice names: `final`, the name of one, a number k for `layer_k`, of which -1 is the last; "": the last
/// numbered one, or the only one. An error lists the names.
std::string choose_layer(const Vectors& vectors, std::string_view choice);

}  // namespace gradus
