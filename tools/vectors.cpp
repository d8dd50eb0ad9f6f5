// gradus vectors: the list of what is done with vectors themselves.

#include "tools/vectors.hpp"

namespace gradus::tools {

int run_vectors(const Arguments& arguments) {
  return run_action(
      "vectors", arguments,
      {{"train", run_vectors_train, "learn vectors of words from text: word2vec, GloVe, fastText"},
       {"cooc", run_vectors_cooc, "how often two words stand near each other, and what GloVe makes of it"},
       {"get", run_vectors_get, "print the vectors of words and texts"},
       {"trim", run_vectors_trim, "write the first rows, or those of a list"},
       {"merge", run_vectors_merge, "write the rows of two sources as one"},
       {"reduce", run_vectors_reduce, "write rows with fewer numbers"},
       {"align", run_vectors_align, "turn a source into the space of another, by a dictionary"}});
}

}  // namespace gradus::tools
