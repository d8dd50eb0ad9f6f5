#pragma once

#include <string_view>

/// What the card of a run folder says of the folder, and not of the model in it, so that it stays behind when the model goes
/// elsewhere.

namespace gradus {

/// Where the card names the files that only a run has.
inline constexpr std::string_view kCardOfFiles =
    "; `gradus info` shows its parameters, `metrics.jsonl` its course";
/// And what it says can be done with it.
inline constexpr std::string_view kCardOfUse =
    "Continue the training: `gradus resume DIR`. Write with it: `gradus generate DIR -p TEXT`.\n";

}  // namespace gradus
