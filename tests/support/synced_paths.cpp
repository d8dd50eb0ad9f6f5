#include "tests/support/synced_paths.hpp"

#include <sys/syscall.h>
#include <unistd.h>

#include <filesystem>

namespace {

std::vector<std::string>* synced = nullptr;

}  // namespace

/// Stands before the C library's for the whole program of tests.
extern "C" int fsync(int descriptor) {
  if (synced != nullptr) {
    std::error_code unknown;
    synced->push_back(
        std::filesystem::read_symlink("/proc/self/fd/" + std::to_string(descriptor), unknown).string());
  }
  return static_cast<int>(::syscall(SYS_fsync, descriptor));
}

namespace gradus::testing {

SyncedPaths::SyncedPaths() { synced = new std::vector<std::string>; }
SyncedPaths::~SyncedPaths() {
  delete synced;
  synced = nullptr;
}
std::vector<std::string> SyncedPaths::paths() const { return *synced; }

}  // namespace gradus::testing
