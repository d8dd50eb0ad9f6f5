#pragma once

#include "models/transformer/families/family.hpp"

namespace gradus {

/// The windows of Qwen 2 and 3: `use_sliding_window`, `sliding_window`, and the layers from `max_window_layers` on, or
/// `layer_types`.
void read_qwen_windows(ConfigKeys& keys, Config& config);
void write_qwen_windows(Json& json, const Config& config);

}  // namespace gradus
