#pragma once

#include <cstddef>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/io/file.hpp"
#include "tensor/io/raw.hpp"
#include "tensor/tensor.hpp"

/// safetensors: 8 bytes with the length of a JSON header, the header (for each tensor its type, its shape and where its
/// bytes begin and end), and the bytes, without gaps. No code can hide in it, unlike in a pickle.
/// note: each tensor's CRC-32 stands in the header's `__metadata__` as `crc32.NAME`, eight hexadecimal digits, and that of
///       the other metadata as `crc32.__metadata__`; other programs pass over them, and files without are read as well.
/// ref: the format's own description, github.com/huggingface/safetensors

namespace gradus {

using Metadata = std::map<std::string, std::string>;

/// Writes a file or leaves what stood there: see AtomicFile. The bytes depend on the arguments alone.
/// note: larger elements come first, so that all are aligned; among equals the given order holds. Strided tensors are
///       copied one at a time.
void save_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                      const Metadata& metadata = {});
void save_safetensors(const std::string& path, const std::vector<RawTensor>& arrays,
                      const Metadata& metadata = {});

/// The same into a file that the caller commits, for instance together with others.
void write_safetensors(AtomicFile& file, const std::vector<NamedTensor>& tensors,
                       const Metadata& metadata = {});
void write_safetensors(AtomicFile& file, const std::vector<RawTensor>& arrays, const Metadata& metadata = {});

/// Calls take(data, bytes) with the bytes of arrays[array], piece after piece.
using RawPieces =
    std::function<void(std::size_t array, const std::function<void(const void*, std::size_t)>& take)>;
/// The same of arrays without data, whose bytes come in pieces.
void write_safetensors(AtomicFile& file, const std::vector<RawTensor>& arrays, const RawPieces& pieces,
                       const Metadata& metadata = {});

/// A safetensors file, mapped into memory and checked: every rule of the format holds, whatever the file's origin.
/// note: a tensor of a type that is not known here has names() and info(); only asking for its values is an error.
/// note: copies share the map, which lives as long as the last of them and the tensors taken from it.
class SafetensorsFile {
 public:
  static SafetensorsFile open(const std::string& path);

  const std::string& path() const;
  /// The tensors' names by place in the file.
  const std::vector<std::string>& names() const;
  bool contains(std::string_view name) const;
  /// What the writer had to say, without the checksums.
  const Metadata& metadata() const;

  /// A tensor over the file's bytes, read-only; only those at an odd address are copied.
  /// note: the first call compares the tensor's checksum where the file has one.
  Tensor tensor(std::string_view name) const;
  /// The array, of any type, valid as long as this file; its checksum is compared likewise.
  RawTensor array(std::string_view name) const;
  /// Type, shape and size of an array without a look at its bytes.
  const RawTensor& info(std::string_view name) const;
  /// Compares the checksums of all tensors.
  void verify() const;

 private:
  struct Contents;
  std::size_t index(std::string_view name) const;
  void verify(std::size_t index) const;
  std::shared_ptr<const Contents> contents_;
};

}  // namespace gradus
