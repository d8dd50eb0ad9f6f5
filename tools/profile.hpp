#pragma once

#include <string>

#include "tensor/profile.hpp"

namespace gradus::tools {

/// A table of where the time and memory of `steps` training steps went, the costliest first:
/// op, phase, calls a step, milliseconds a step, share of the time, bytes allocated a step.
std::string profile_table(const Profile& profile, int64_t steps);

/// The events as a trace that chrome://tracing and ui.perfetto.dev open.
/// ref: Trace Event Format (Google, 2016), complete events ("ph": "X")
void write_trace(const Profile& profile, const std::string& path);

}  // namespace gradus::tools
