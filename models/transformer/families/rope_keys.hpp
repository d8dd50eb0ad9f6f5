#pragma once

#include "models/transformer/config.hpp"

namespace gradus {

class ConfigKeys;

/// Rotary positions as config.json has them, in both generations of the Hugging Face library: `rope_theta` beside
/// `rope_scaling`, or both in `rope_parameters`.
/// note: call it after block_size is known. What the library would pass over in silence is an error here: another theta in
///       either place, both objects at once, keys of another scaling.
/// note: `part` is what partial_rotary_factor says, the part of a head that turns; without it that must be the whole.
void read_rope(ConfigKeys& keys, Config& config, double* part = nullptr);

/// The same where layers with a window have angles of their own: `rope_parameters` then holds an object for each of
/// full_attention and sliding_attention; before, `theta_key` and `rope_scaling` stood for the first, `local_key` for the
/// second. Set rope_base and rope_local_base to the defaults before.
/// note: layers with a window and a scaling are refused.
void read_rope_by_layer(ConfigKeys& keys, Config& config, std::string_view theta_key,
                        std::string_view local_key);

/// `layer_types`, in which each of `n_layer` layers is sliding_attention or full_attention, as windows of `window` rows.
std::vector<int64_t> windows_from(const Json& layer_types, int64_t n_layer, int64_t window);
/// Sets `layer_types`.
void write_layer_types(Json& json, const Config& config);

/// Sets `rope_theta` and, where there is a scaling, `rope_scaling`, which both generations read.
void write_rope(Json& json, const Config& config);

}  // namespace gradus
