#pragma once

#include <string>

namespace gradus {

/// What this library was made with. For people to read: no model's file may depend on it.
struct BuildInfo {
  std::string version;     ///< "0.1.0"
  std::string compiler;    ///< "GNU 12.2.0"
  std::string build_type;  ///< "Release"

  std::string text() const { return version + ", " + compiler + ", " + build_type; }
};
BuildInfo build_info();

}  // namespace gradus
