#pragma once

#include "tools/common.hpp"

namespace gradus::tools {

/// The actions of `gradus vectors`.
int run_vectors_get(const Arguments& arguments);
int run_vectors_trim(const Arguments& arguments);
int run_vectors_merge(const Arguments& arguments);
int run_vectors_reduce(const Arguments& arguments);
int run_vectors_align(const Arguments& arguments);

}  // namespace gradus::tools
