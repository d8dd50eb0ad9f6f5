#include "tensor/build.hpp"

namespace gradus {

BuildInfo build_info() { return {GRADUS_VERSION, GRADUS_COMPILER, GRADUS_BUILD_TYPE}; }

}  // namespace gradus
