#include "models/embeddings/files.hpp"

#include "models/embeddings/embedding_writer.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"

namespace gradus {

bool rows_belong(const std::string& path, const std::string& tokens_sha256) {
  const std::string rows = path + ".tokens.jsonl";
  return file_exists(rows) && sha256_file(rows) == tokens_sha256;
}

void save_embeddings(const std::string& path, const EmbeddingSet& set,
                     const std::map<std::string, std::string>& metadata) {
  EmbeddingWriter writer(path);
  writer.append(set);
  writer.finish(metadata);
}

}  // namespace gradus
