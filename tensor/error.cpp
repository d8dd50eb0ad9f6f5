#include "tensor/error.hpp"

namespace gradus {

void fail_argument(const std::string& message) { throw std::invalid_argument(message); }

void fail_runtime(const std::string& message) { throw std::runtime_error(message); }

}  // namespace gradus
