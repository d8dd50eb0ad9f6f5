#pragma once

#include "tools/common.hpp"

namespace gradus::tools {

/// The actions of `gradus vectors`.
int run_vectors_get(const Arguments& arguments);

}  // namespace gradus::tools
