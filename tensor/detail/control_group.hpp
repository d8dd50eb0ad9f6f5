#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace gradus::detail {

/// What a control group says of its memory, read from its folder.
struct GroupMemory {
  uint64_t limit = UINT64_MAX;  ///< UINT64_MAX: none
  uint64_t available =
      UINT64_MAX;  ///< the limit less what is used; pages of files that nobody uses are given back
};
GroupMemory group_memory(const std::string& folder);

/// The folders of this process's control group and of those around it, the nearest first: of `controller` ("memory") in
/// version 1, of all in version 2. Empty where there are none.
std::vector<std::string> control_group_folders(const std::string& controller);

}  // namespace gradus::detail
