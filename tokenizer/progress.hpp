#pragma once

#include <cstdint>
#include <functional>

namespace gradus {

/// Called now and then with how much is done of how much; it may throw to stop the work.
using ProgressFn = std::function<void(int64_t done, int64_t total)>;

}  // namespace gradus
