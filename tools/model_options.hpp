#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/training/options.hpp"
#include "models/transformer/config.hpp"
#include "tools/args.hpp"

namespace gradus::tools {

/// The options that say what a model looks like, for train and the benches.
struct ModelOptions {
  std::string arch = "gpt";
  std::string preset = "nano";
  std::string position = "default";
  std::string tie = "on";
  // What is not given is the preset's.
  std::optional<int64_t> n_layer, n_head, n_kv_head, n_embd, block_size, batch_size;
  double dropout = 0;

  /// Without `training`, those are left out that only matter there: the batch and dropout.
  void add(Args& args, bool training = true);
  /// The configuration: the preset's sizes where no option gives one.
  Config config(int64_t vocab_size) const;
  int64_t batch() const;
  /// What has no effect among them.
  NoEffect preset_without_effect(bool training = true) const;
  /// All that say what a model looks like have none where one is given.
  static NoEffect without_effect(bool given);
};

}  // namespace gradus::tools
