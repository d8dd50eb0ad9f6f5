#pragma once

#include <string>
#include <utility>
#include <vector>

#include "models/transformer/families/family.hpp"

namespace gradus {

/// What a file holds of a matrix: rows [begin, end) of the parameter, -1 for all, and whether inputs stand first.
struct MatrixPart {
  int64_t begin = 0;
  int64_t end = -1;
  bool transposed = false;
  RowSwap swap = {};
};

/// Collects the tensors of a family's files in their order.
class WeightList {
 public:
  explicit WeightList(const Config& config) : norm_bias_(config.norm_bias && has_bias(config.norm)) {}

  void tensor(std::string file, std::string parameter) {
    weights_.push_back({.name = std::move(file), .parameter = std::move(parameter)});
  }
  /// NAME.weight and, `with_bias`, NAME.bias, which has the same rows.
  void matrix(const std::string& file, const std::string& parameter, bool with_bias,
              const MatrixPart& part = {}) {
    weights_.push_back(
        {file + ".weight", parameter + ".weight", part.begin, part.end, part.transposed, part.swap});
    if (with_bias)
      weights_.push_back({file + ".bias", parameter + ".bias", part.begin, part.end, false, part.swap});
  }
  void norm(const std::string& file, const std::string& parameter) {
    tensor(file + ".weight", parameter + ".weight");
    if (norm_bias_) tensor(file + ".bias", parameter + ".bias");
  }

  std::vector<FileWeight> take() { return std::move(weights_); }

 private:
  bool norm_bias_;
  std::vector<FileWeight> weights_;
};

}  // namespace gradus
