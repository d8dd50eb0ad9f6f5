#pragma once

#include <cstdint>
#include <span>

#include "tensor/tensor.hpp"

namespace gradus {

/// How one word's vectors in many sentences fall apart by what it means in each. NaN is what there is nothing to tell by: no two
/// occurrences of one sense, one sense alone.
struct SenseFigures {
  double within = 0;            ///< mean cosine of two occurrences of one sense
  double between = 0;           ///< and of two senses
  double self_similarity = 0;   ///< mean cosine of any two occurrences   ref: Ethayarajh (2019)
  double anisotropy = 0;        ///< mean cosine of words that have nothing in common
  double silhouette = 0;        ///< see silhouette(), the senses as clusters
  double nearest_accuracy = 0;  ///< the share of occurrences whose nearest other one has the same sense
  double most_frequent = 0;     ///< that of the most frequent sense, which guessing it would give
};
/// shape: x (occurrences, C) f32, others (rows, C) f32: vectors of words in other sentences, for `anisotropy`.
/// note: self_similarity − anisotropy is how much more alike the word is to itself than words are at this layer.
SenseFigures judge_senses(const Tensor& x, std::span<const int64_t> senses, const Tensor& others);

}  // namespace gradus
