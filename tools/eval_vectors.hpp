#pragma once

#include <string>
#include <vector>

#include "models/embeddings/evaluation.hpp"
#include "tools/source_options.hpp"

namespace gradus::tools {

/// What vectors are held against, of `eval`.
struct VectorJudging {
  std::vector<std::string> similarity;
  std::string analogy, cluster, dictionary, baskets, method = "3cosadd", oov = "drop", dims;
  int64_t restrict = 300000, recall_at = 10;
  bool include_inputs = false;

  void add(Args& args);
  bool wanted() const {
    return !similarity.empty() || !analogy.empty() || !cluster.empty() || !dictionary.empty() ||
           !baskets.empty();
  }
};

int eval_vectors(const Args& args, const std::vector<std::string>& sources, const VectorJudging& judging,
                 const SourceArguments& given);

}  // namespace gradus::tools
