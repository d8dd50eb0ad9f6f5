#pragma once

#include <map>
#include <string>

#include "models/embeddings/embedding_set.hpp"

namespace gradus {

/// Writes a set all at once, see EmbeddingWriter.
void save_embeddings(const std::string& path, const EmbeddingSet& set,
                     const std::map<std::string, std::string>& metadata = {});
/// Whether PATH.tokens.jsonl is what was written together with PATH, whose metadata names `tokens_sha256`.
bool rows_belong(const std::string& path, const std::string& tokens_sha256);

}  // namespace gradus
