#pragma once

#include <map>
#include <string>

#include "models/embeddings/vectors.hpp"
#include "tensor/io/safetensors.hpp"

namespace gradus {

/// Writes vectors as a safetensors file that can be used as it lies: a tensor for each layer, `words` (u8, the names joined
/// by line feeds) and, where they are known, `counts` (i64).
/// note: where a name is empty or holds a line feed, `words` has the names without anything between, and `words.ends`
///       (i64) says where each ends.
void save_vector_table(const std::string& path, const Vectors& vectors,
                       const std::map<std::string, std::string>& metadata = {});

/// Whether a file is such a table.
bool is_vector_table(const SafetensorsFile& file);
/// Reads the names and the counts; the layers stay in the file, and are not looked at.
/// note: what does not fit together is an error that names the file and the array.
Vectors read_vector_table(const SafetensorsFile& file);

}  // namespace gradus
