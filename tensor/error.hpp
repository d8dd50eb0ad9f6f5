#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace gradus {

/// Throws std::invalid_argument: the caller gave something that cannot be used.
/// note: messages read `op: what must hold; what was given; what to do`.
[[noreturn]] void fail_argument(const std::string& message);

/// Throws std::runtime_error: the world (a file, the memory, a device) did not do what was asked.
[[noreturn]] void fail_runtime(const std::string& message);

namespace detail {
template <class... Parts>
std::string join(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  return out.str();
}
}  // namespace detail

/// Throws std::invalid_argument with the concatenated parts.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  fail_argument(detail::join(parts...));
}

/// Throws std::runtime_error with the concatenated parts.
template <class... Parts>
[[noreturn]] void fail_world(const Parts&... parts) {
  fail_runtime(detail::join(parts...));
}

/// Throws std::invalid_argument with the concatenated parts unless `holds`; the parts are only joined on failure.
template <class... Parts>
void check(bool holds, const Parts&... parts) {
  if (!holds) [[unlikely]] {
    fail(parts...);
  }
}

/// Throws std::runtime_error with the concatenated parts unless `holds`.
template <class... Parts>
void check_world(bool holds, const Parts&... parts) {
  if (!holds) [[unlikely]] {
    fail_world(parts...);
  }
}

}  // namespace gradus
