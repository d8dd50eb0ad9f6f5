#pragma once

#include <map>
#include <string>

#include "models/embeddings/embedding_set.hpp"
#include "models/embeddings/word_table.hpp"

namespace gradus {

/// Writes a set all at once, see EmbeddingWriter.
void save_embeddings(const std::string& path, const EmbeddingSet& set,
                     const std::map<std::string, std::string>& metadata = {});
/// Whether PATH.tokens.jsonl is what was written together with PATH, whose metadata names `tokens_sha256`.
bool rows_belong(const std::string& path, const std::string& tokens_sha256);
/// Writes a safetensors file: a tensor for each layer, `words` (u8, joined by line feeds) and `counts` (i64).
void save_word_table(const std::string& path, const WordTable& table,
                     const std::map<std::string, std::string>& metadata = {});
/// note: what is not such a file is an error that names the file and the tensor. `metadata`, where given, is filled.
WordTable load_word_table(const std::string& path, std::map<std::string, std::string>* metadata = nullptr);

}  // namespace gradus
