#pragma once

#include <map>
#include <string>

#include "models/embeddings/embedding_set.hpp"
#include "models/embeddings/word_table.hpp"

namespace gradus {

/// Writes PATH (.npz or .safetensors) and beside it PATH.tokens.jsonl with one line a row.
/// note: arrays `layer_0` … f32 (rows, C) and `offsets` i64; the metadata (`level`, `pooling`, `layers`, `normalized` and
///       what the caller adds, such as `model_sha256`) is `__metadata__` or, in npz, the JSON in the u8 array `meta`.
///       `tokens_sha256` there is the hash of PATH.tokens.jsonl: where it differs, the two are not of one writer.
void save_embeddings(const std::string& path, const EmbeddingSet& set,
                     const std::map<std::string, std::string>& metadata = {});
/// Whether PATH.tokens.jsonl is what was written together with PATH, whose metadata names `tokens_sha256`.
bool rows_belong(const std::string& path, const std::string& tokens_sha256);
/// An error unless save_embeddings could write a file of this name: for asking before the work is done.
void check_embeddings_path(const std::string& path);

/// Writes a safetensors file: a tensor for each layer, `words` (u8, joined by line feeds) and `counts` (i64).
void save_word_table(const std::string& path, const WordTable& table,
                     const std::map<std::string, std::string>& metadata = {});
/// note: what is not such a file is an error that names the file and the tensor. `metadata`, where given, is filled.
WordTable load_word_table(const std::string& path, std::map<std::string, std::string>* metadata = nullptr);

}  // namespace gradus
