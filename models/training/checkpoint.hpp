#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/transformer/files.hpp"
#include "tensor/io/safetensors.hpp"
#include "tensor/tensor.hpp"

namespace gradus {

/// Checkpoints of a run folder: `model.safetensors` (what other programs read) and `state.safetensors` (what resuming needs
/// besides) are published together.
///
/// Both are written and synced under staged names first; then each takes its place by a rename. Whoever dies in between
/// leaves either the old pair, or the new model beside a staged state that is complete: recover_checkpoint() finishes the
/// second rename. So a crash loses at most the steps since the last checkpoint, and no moment leaves a torn pair.
struct CheckpointFiles {
  std::vector<NamedTensor> model;  ///< in the layout and under the names of the model file
  Metadata model_metadata;         ///< gets "step"
  std::vector<NamedTensor> state;
  Metadata state_metadata;  ///< gets "step"
};

/// A key of the state's metadata: whether the steps were taken with fused multiply-add ("yes" or "no"), on which their bits
/// depend.
inline constexpr const char* kFusedKey = "fused_multiply_add";

/// Publishes a checkpoint. With keep > 0 the last `keep` older ones stay as checkpoints/step-N/, as safe from a loss of
/// power as the new one. A checkpoint of the step that stands replaces it.
/// note: an error (a full disk, for instance) leaves the previous checkpoint as it was.
void write_checkpoint(const std::string& folder, int64_t step, CheckpointFiles files, int64_t keep);

/// Finishes a publication that was cut off, removes what is left of one that had not begun to take effect, and returns the
/// step of the checkpoint that stands. An error names the file and what is wrong with it.
int64_t recover_checkpoint(const std::string& folder);

/// The checkpoints that a run folder holds: the one that stands and the older ones that were kept.
struct HeldCheckpoints {
  int64_t kept = 0;
  uint64_t bytes = 0;  ///< of all together
};
HeldCheckpoints held_checkpoints(const std::string& folder);

}  // namespace gradus
