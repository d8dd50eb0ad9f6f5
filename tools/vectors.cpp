// gradus vectors: the list of what is done with vectors themselves.

#include "tools/vectors.hpp"

namespace gradus::tools {

int run_vectors(const Arguments& arguments) {
  return run_action("vectors", arguments, {{"get", run_vectors_get, "print the vectors of words and texts"}});
}

}  // namespace gradus::tools
