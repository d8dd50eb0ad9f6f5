#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "models/embeddings/embedding_set.hpp"
#include "models/embeddings/formats/vector_file.hpp"
#include "models/embeddings/vectors.hpp"
#include "models/training/texts.hpp"

namespace gradus {

/// What holds vectors, judged by its contents.
enum class SourceKind {
  vectors,  ///< a file of vectors, or an output of embed: see load_vectors()
  model,    ///< a run, a model's folder, a GGUF file or one of llama2.c, whose vectors are made of a text
};
/// note: what is neither is an error that says what can be one.
SourceKind kind_of_source(const std::string& path);

struct SourceOptions {
  VectorReadOptions files = {};
  // Of a model:
  std::vector<std::string> texts = {};  ///< files and folders; none: the text that a run learned from
  TextOptions reading = {};             ///< of the texts
  /// Instead of files: sentences themselves, each a row; nothing is kept of them.
  std::vector<std::string> sentences = {};
  /// Rows are words, see make_word_table(), or sentences: the texts of a file by lines, each its own name.
  Level level = Level::word;
  bool truncate = false;  ///< cut sentences that are longer than the model can read; else they are errors
  /// Layers that are needed: of a run's own text all are made, of others these alone. "all", or as parse_layers() takes
  /// them; "": the last block's output.
  std::string layers = {};
  std::string tokenizer_file = {};             ///< in the place of the model's own; "": none
  std::string cache = default_vector_cache();  ///< a folder for what was made of texts; "": nothing is kept

  static std::string default_vector_cache();
};

/// What happens while a source is opened; each may be empty.
struct SourceEvents {
  std::function<void(const std::string& text)> on_note;  ///< what somebody should know, in sentences
  std::function<void(int64_t done, int64_t total)> on_progress;
};

/// Opens whatever holds vectors. Those of a model are computed once: of the text that a run learned from they are kept as
/// `words.safetensors` in its folder, of others in the cache, by the hashes of the model, of its tokenizer and of the text.
/// note: what is kept is made again where the model has changed; a place that cannot be written is told, and no error.
Vectors open_source(const std::string& path, const SourceOptions& options, const SourceEvents& events = {});

}  // namespace gradus
