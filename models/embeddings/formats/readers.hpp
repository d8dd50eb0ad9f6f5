#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "models/embeddings/formats/vector_file.hpp"
#include "models/embeddings/vectors.hpp"
#include "tensor/io/file.hpp"

/// The readers and writers behind load_vectors() and save_vectors(). Files are not trusted: each is fuzzed.

namespace gradus::detail {

/// The bytes of a file, mapped, or of a pipe or standard input ("-"), read.
class FileBytes {
 public:
  FileBytes(const std::string& path, const std::function<void()>& on_interrupt) {
    if (path == "-") {
      read_ = read_descriptor(0, "standard input", on_interrupt);
    } else if (is_stream(path)) {
      read_ = read_file(path, on_interrupt);
    } else {
      mapped_ = std::make_unique<MappedFile>(path);
    }
  }
  std::string_view text() const { return mapped_ ? mapped_->text() : std::string_view(read_); }

 private:
  std::unique_ptr<MappedFile> mapped_;
  std::string read_;
};

/// "ROWS WIDTH" and the byte behind the line.
struct VectorHeader {
  int64_t rows;
  int64_t width;
  std::size_t end;
};
/// The first line of word2vec's files, where these bytes begin with one.
std::optional<VectorHeader> read_vector_header(std::string_view bytes);
/// Whether a line is a name and numbers, at least `width` of them.
bool is_vector_line(std::string_view line, int64_t width);

/// Adds rows with their names, of which each may stand once, to a table that has room for all of them.
class UniqueRows {
 public:
  /// `source` is what errors call the file.
  UniqueRows(std::string source, bool strict_encoding)
      : source_(std::move(source)), strict_(strict_encoding) {}
  /// Whether the next row of the file stays; `where` is the line or the row, for errors.
  bool add(std::string_view name, int64_t where);
  /// The names so far, and what is to be said of them.
  void finish(Vectors& vectors);

 private:
  std::string source_;
  bool strict_;
  Names names_;
  int64_t duplicates_ = 0;
  std::string first_duplicate_;
  int64_t invalid_ = 0;
};

Vectors read_text_vectors(std::string_view bytes, const std::string& source,
                          const VectorReadOptions& options);
Vectors read_binary_vectors(std::string_view bytes, const std::string& source,
                            const VectorReadOptions& options);
/// note: all words of the vocabulary get their vectors, which takes as much memory again as the words' rows; those of the
///       pieces are used where they lie.
Vectors read_fasttext(std::shared_ptr<const FileBytes> bytes, const std::string& source,
                      const VectorReadOptions& options);
Vectors read_npy_vectors(const std::string& path, const VectorReadOptions& options);
Vectors read_npz_vectors(const std::string& path, const VectorReadOptions& options);
Vectors read_safetensors_vectors(const std::string& path, const VectorReadOptions& options);
/// A folder of .npy files, as `embed -o DIR/` writes it.
Vectors read_folder_vectors(const std::string& folder, const VectorReadOptions& options);

void write_text_vectors(AtomicFile& file, const Names& names, const Tensor& rows, bool header,
                        const std::function<void()>& on_step);
void write_binary_vectors(AtomicFile& file, const Names& names, const Tensor& rows,
                          const std::function<void()>& on_step);

}  // namespace gradus::detail
