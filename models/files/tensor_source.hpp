#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/dtype.hpp"
#include "tensor/shape.hpp"
#include "tensor/tensor.hpp"

namespace gradus {

/// What a file says of a tensor, known without a look at its values.
struct TensorInfo {
  /// The file's name of the type: "F32", "BF16"; or that of a block-quantised one, where some elements in a row share their
  /// bytes: "Q8_0".
  std::string dtype;
  Shape shape;         ///< in elements
  uint64_t bytes = 0;  ///< in the file, blocks as they are
  std::optional<DType>
      values;            ///< the type in which tensor() has the values; nothing where it cannot read them
  std::size_t file = 0;  ///< which of files() holds it
};

/// Whose names the tensors have, and whose layout.
enum class TensorNames { hugging_face, gguf };

/// Named tensors, whatever file or files they stand in. A model is read from this, not from a format.
/// note: a format derives from it, add()s what its file lists when it is opened, and reads the values on demand.
class TensorSource {
 public:
  TensorSource(const TensorSource&) = delete;
  TensorSource& operator=(const TensorSource&) = delete;
  virtual ~TensorSource() = default;

  /// What was opened: a file of tensors, or the index of several.
  const std::string& path() const { return path_; }
  /// The files that hold the tensors.
  const std::vector<std::string>& files() const { return files_; }
  TensorNames naming() const { return naming_; }
  /// All names: file by file, in the order of each.
  const std::vector<std::string>& names() const { return names_; }
  bool contains(std::string_view name) const { return infos_.find(name) != infos_.end(); }
  /// An error where there is no such tensor, here and below.
  const TensorInfo& info(std::string_view name) const;
  /// The file that holds a tensor.
  const std::string& file_of(std::string_view name) const { return files_[info(name).file]; }
  /// The values: over the mapped bytes of the file, read-only, where they stand there as they are computed with; a copy
  /// otherwise, block-quantised ones dequantised.
  Tensor tensor(std::string_view name) const;

 protected:
  explicit TensorSource(std::string path, TensorNames naming = TensorNames::hugging_face)
      : path_(std::move(path)), naming_(naming) {}

  /// Appends to files(), and returns its place there.
  std::size_t add_file(std::string path);
  /// Appends a tensor; an error where another file holds one of this name.
  void add(std::string name, TensorInfo info);

 private:
  /// The values of a tensor whose info() has a type of values.
  virtual Tensor read(const std::string& name, const TensorInfo& info) const = 0;

  std::string path_;
  TensorNames naming_;
  std::vector<std::string> files_;
  std::vector<std::string> names_;
  std::map<std::string, TensorInfo, std::less<>> infos_;
};

/// Opens a file of named tensors, or the index of several; its contents say which it is.
std::unique_ptr<TensorSource> open_tensors(const std::string& path);

}  // namespace gradus
