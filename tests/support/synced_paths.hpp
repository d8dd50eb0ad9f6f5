#pragma once

#include <string>
#include <vector>

namespace gradus::testing {

/// While it lives, it lists what this process syncs to disk, files and folders by the names that they have just then.
class SyncedPaths {
 public:
  SyncedPaths();
  SyncedPaths(const SyncedPaths&) = delete;
  SyncedPaths& operator=(const SyncedPaths&) = delete;
  ~SyncedPaths();
  std::vector<std::string> paths() const;
};

}  // namespace gradus::testing
