#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/io/file.hpp"
#include "tensor/io/raw.hpp"

/// NumPy's files: .npy holds one array, .npz several by name (a zip archive of .npy). Written dense, row-major and
/// uncompressed, so that `numpy.load` opens them; read in versions 1 to 3, stored or deflated.
/// note: NumPy has no BF16: cast to F32 first. Arrays of Python objects are pickles and are never read.
/// ref: NumPy's description of the format, numpy.lib.format

namespace gradus {

namespace detail {
class ZipReader;
class ZipWriter;
}  // namespace detail

/// An array and whatever holds its values: memory of its own or a mapped file.
struct NpyArray : RawTensor {
  std::string source;  // for errors: the file
  std::shared_ptr<const void> owner;

  /// The array as a tensor, in place and read-only; an error where the library has no such type.
  Tensor tensor() const { return tensor_over(*this, source, owner); }
};

void save_npy(const std::string& path, const RawTensor& array);

/// Writes a .npy file whose number of rows is known at the end, or leaves what stood there: see AtomicFile.
class NpyWriter {
 public:
  /// `row` is the shape of a row; () for an array of numbers.
  NpyWriter(const std::string& path, const std::string& dtype, const Shape& row);

  void write(const void* data, std::size_t bytes) { file_.write(data, bytes); }
  /// Finishes the file and brings it to disk, see AtomicFile::sync; commit() follows.
  void sync();
  void commit() { file_.commit(); }

 private:
  std::string header(int64_t rows) const;

  AtomicFile file_;
  std::string dtype_;
  Shape row_;
  std::size_t header_bytes_ = 0;
};

NpyArray load_npy(const std::string& path);

/// Writes an .npz file or leaves what stood there: see AtomicFile. The bytes depend on the arguments alone.
/// note: save_npz() does all at once; large arrays can be given in pieces with begin(), write() and end().
class NpzWriter {
 public:
  explicit NpzWriter(const std::string& path);
  ~NpzWriter();

  void add(const RawTensor& array);
  /// Begins an array whose values write() then takes in any pieces.
  void begin(const std::string& name, const std::string& dtype, const Shape& shape);
  void write(const void* data, std::size_t bytes);
  void end();
  /// Finishes the archive and brings it to disk, see AtomicFile::sync; commit() follows.
  void sync();
  void commit();
  /// Finishes under another name in the same folder: see AtomicFile::sync_as.
  void sync_as(const std::string& staged_path);

 private:
  AtomicFile file_;
  std::unique_ptr<detail::ZipWriter> zip_;
  bool finished_ = false;
};

void save_npz(const std::string& path, const std::vector<RawTensor>& arrays);

/// An .npz file; arrays are read when they are asked for.
class NpzFile {
 public:
  explicit NpzFile(const std::string& path);
  ~NpzFile();

  const std::vector<std::string>& names() const { return names_; }
  bool contains(std::string_view name) const;
  NpyArray array(std::string_view name) const;
  Tensor tensor(std::string_view name) const { return array(name).tensor(); }

 private:
  std::unique_ptr<const detail::ZipReader> zip_;
  std::vector<std::string> names_;
};

}  // namespace gradus
