#include "tensor/detail/control_group.hpp"

#include <fstream>

namespace gradus::detail {
namespace {

/// The number in a file, or `otherwise` where there is no number in it.
uint64_t number_in(const std::string& path, uint64_t otherwise) {
  std::ifstream file(path);
  uint64_t value = 0;
  return file >> value ? value : otherwise;
}

/// The number after `key` in a file of "key number" lines; 0 where there is none.
uint64_t number_after(const std::string& path, const std::string& key) {
  std::ifstream file(path);
  std::string name;
  for (uint64_t value = 0; file >> name >> value;) {
    if (name == key) return value;
  }
  return 0;
}

}  // namespace

GroupMemory group_memory(const std::string& folder) {
  const bool v2 = std::ifstream(folder + "/memory.current").good();
  GroupMemory memory;
  memory.limit = number_in(folder + (v2 ? "/memory.max" : "/memory.limit_in_bytes"), UINT64_MAX);
  if (memory.limit == UINT64_MAX) return memory;
  // The page cache counts as used; what of it is inactive gives way before anything is refused.
  const uint64_t used = number_in(folder + (v2 ? "/memory.current" : "/memory.usage_in_bytes"), 0);
  const uint64_t cache = number_after(folder + "/memory.stat", v2 ? "inactive_file" : "total_inactive_file");
  const uint64_t held = used > cache ? used - cache : 0;
  memory.available = memory.limit > held ? memory.limit - held : 0;
  return memory;
}

std::vector<std::string> control_group_folders(const std::string& controller) {
  std::vector<std::string> folders;
  std::ifstream file("/proc/self/cgroup");
  // hierarchy:controllers:path; version 2 has hierarchy 0 and no controllers.
  for (std::string line; std::getline(file, line);) {
    const std::size_t first = line.find(':');
    const std::size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string controllers(1, ',');
    controllers.append(line, first + 1, second - first - 1).push_back(',');
    const bool v2 = controllers == ",,";
    if (!v2 && controllers.find("," + controller + ",") == std::string::npos) continue;
    const std::string root = v2 ? "/sys/fs/cgroup" : "/sys/fs/cgroup/" + controller;
    std::string path = line.substr(second + 1);
    for (;;) {
      if (path == "/") path.clear();
      folders.push_back(root + path);
      const std::size_t slash = path.rfind('/');
      if (slash == std::string::npos) break;
      path.resize(slash);
    }
  }
  return folders;
}

}  // namespace gradus::detail
