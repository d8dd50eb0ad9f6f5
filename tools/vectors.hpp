#pragma once

#include "tools/common.hpp"

namespace gradus {
class WordVectorRun;
}

namespace gradus::tools {

/// Trains to the end, writes the vectors and reports, or keeps the state where interrupted(). Returns the exit code.
int finish_word_vectors(WordVectorRun& run, const CommonOptions& common);

/// The actions of `gradus vectors`.
int run_vectors_train(const Arguments& arguments);
int run_vectors_cooc(const Arguments& arguments);
int run_vectors_get(const Arguments& arguments);
int run_vectors_trim(const Arguments& arguments);
int run_vectors_merge(const Arguments& arguments);
int run_vectors_reduce(const Arguments& arguments);
int run_vectors_align(const Arguments& arguments);

}  // namespace gradus::tools
