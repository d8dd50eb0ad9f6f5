#pragma once

#include <stdexcept>
#include <string>

namespace gradus::testing {

/// The text of the error that `action` throws, which must be an Error; "no error" if it throws none.
template <class Error = std::runtime_error, class Action>
std::string error_of(const Action& action) {
  try {
    action();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace gradus::testing
