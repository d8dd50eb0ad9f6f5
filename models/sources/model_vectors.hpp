#pragma once

#include "models/embeddings/vectors.hpp"
#include "models/sources/source.hpp"
#include "models/training/corpus.hpp"

namespace gradus {

/// Runs a model over texts: a row for each frequent word, or for each text.
/// note: a static model has the words' vectors without their surroundings.
Vectors vectors_of_model(const std::string& path, const SourceOptions& options, const Corpus& corpus,
                         const SourceEvents& events);

}  // namespace gradus
