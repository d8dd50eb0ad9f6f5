#pragma once

#include <cstdint>
#include <exception>
#include <string>
#include <utility>

#include "models/training/checkpoint.hpp"
#include "models/transformer/files.hpp"
#include "tensor/io/safetensors.hpp"

/// Checkpoints of a single weight, which tell of themselves whether they are whole.

namespace gradus::testing {

inline void write_step(const std::string& folder, int64_t step, int64_t keep = 0) {
  CheckpointFiles files;
  files.model = {{"w", Tensor::full({3, 5}, static_cast<double>(step))}};
  files.model_metadata = {{"format", "pt"}};
  files.state = {{"m.w", Tensor::full({3, 5}, static_cast<double>(step) + 0.5)}};
  files.state_metadata = {{"options", "{}"}};
  write_checkpoint(folder, step, std::move(files), keep);
}

/// The step that both files of a folder tell, by their metadata and by what they hold; -1 where they disagree or one of
/// them cannot be read.
inline int64_t whole_step(const std::string& folder) {
  try {
    const SafetensorsFile model = SafetensorsFile::open(folder + "/" + kWeightsFile);
    const SafetensorsFile state = SafetensorsFile::open(folder + "/" + kStateFile);
    const std::string step = model.metadata().at("step");
    const float value = model.tensor("w").to_vector<float>().at(14);
    const bool agree = state.metadata().at("step") == step && value == std::stof(step) &&
                       state.tensor("m.w").to_vector<float>().at(14) == value + 0.5f;
    return agree ? std::stoll(step) : -1;
  } catch (const std::exception&) {
    return -1;
  }
}

}  // namespace gradus::testing
