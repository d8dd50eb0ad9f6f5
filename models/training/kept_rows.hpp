#pragma once

#include <cstdint>

#include "models/training/options.hpp"
#include "models/transformer/config.hpp"

namespace gradus {

/// The default of Trainer::keep_rows(): 64 MiB, or as much as the table of a larger model takes.
int64_t kept_row_bytes(const Config& config);
/// Batches of a step that go through the model twice where `kept` bytes of rows may wait; see Trainer.
int64_t batches_read_twice(const Config& config, const TrainingOptions& options, int64_t kept);

}  // namespace gradus
