#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "models/embeddings/embedding_set.hpp"
#include "tensor/io/json.hpp"

namespace gradus {

/// How the numbers of layers are written.
enum class VectorType {
  f32,
  f16,   ///< rounded to nearest even
  int8,  ///< q = round(x / scale), scale = max|x| / 127 of the row, which stands in `layer_k.scale`
  binary,  ///< a bit for each x, 1 where x > 0, eight to a byte, the first one highest, as NumPy's packbits has them
};
std::string_view name_of(VectorType type);
/// An error lists the possible names.
VectorType parse_vector_type(std::string_view name);

/// What a row stands for, as a line of OUT.tokens.jsonl has it.
Json row_to_json(const RowInfo& row, Level level);

/// Writes embeddings into OUT.npz, OUT.safetensors or a folder OUT/ of .npy files, set after set, in memory that does not
/// grow with their number. Nothing stands there before finish().
///
/// Arrays `layer_0` … (rows, C), with int8 also `layer_0.scale` (rows); `logits`, `heads_1` … f32; `attention_1` … f32, flat,
/// with `attention_offsets` i64 (texts + 1); `offsets` i64 (texts + 1). What the rows are stands in OUT.tokens.jsonl, of a
/// folder in its tokens.jsonl; the metadata in the u8 array `meta` of npz, as JSON; in `__metadata__` of safetensors; in the
/// folder's meta.json.
/// note: a folder must be new or empty. One array of npz and safetensors waits on disk beside OUT until it is complete, so
///       they take twice their room for a while.
/// note: `tokens_sha256` in the metadata is the hash of the rows' file: where it differs, the two are not of one writer.
class EmbeddingWriter {
 public:
  explicit EmbeddingWriter(const std::string& path, VectorType type = VectorType::f32);
  ~EmbeddingWriter();

  /// An error unless a file or folder of this name could be written: for asking before the work is done.
  static void check_path(const std::string& path);

  /// Rows that follow those before. All sets have the same arrays.
  void append(const EmbeddingSet& set);
  int64_t rows() const { return rows_; }
  /// Publishes everything; `metadata` gets `level`, `pooling`, `layers`, `normalized`, `dtype` where it is not f32, and
  /// `tokens_sha256`.
  void finish(const std::map<std::string, std::string>& metadata = {});

 private:
  struct Array;
  struct Output;
  Array& array(const std::string& name, const char* dtype, const Shape& row);
  void append_layer(const std::string& name, const Tensor& values);

  std::string path_;
  VectorType type_;
  std::unique_ptr<Output> output_;
  std::vector<std::unique_ptr<Array>> arrays_;
  bool made_folder_ = false;
  int64_t rows_ = 0;
  int64_t texts_ = 0;
  int64_t map_values_ = 0;
  std::map<std::string, std::string> about_;
};

}  // namespace gradus
