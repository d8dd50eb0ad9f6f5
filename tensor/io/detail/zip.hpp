#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/io/file.hpp"

/// As much of zip as .npz files need: entries in order, stored when writing, stored or deflated when reading.
/// ref: PKWARE's APPNOTE.TXT, 4.3 (layout) and 4.5.3 (sizes beyond 4 GiB)

namespace gradus::detail {

/// Writes an archive into a file that the caller commits. The bytes depend on the arguments alone: no dates.
class ZipWriter {
 public:
  explicit ZipWriter(AtomicFile& file) : file_(file) {}

  /// Begins an entry of exactly `bytes` bytes, which write() then takes in any pieces.
  void begin(const std::string& name, uint64_t bytes);
  void write(const void* data, std::size_t bytes);
  /// Ends the current entry.
  void end();
  /// Writes the directory of entries; nothing can follow.
  void finish();

 private:
  struct Entry {
    std::string name;
    uint64_t bytes = 0;
    uint64_t offset = 0;
    uint32_t checksum = 0;
  };
  AtomicFile& file_;
  std::vector<Entry> entries_;
  uint64_t missing_ = 0;
  bool open_ = false;
};

/// Reads an archive, which may come from anywhere.
class ZipReader {
 public:
  explicit ZipReader(const std::string& path);

  const std::string& path() const { return path_; }
  /// The names of the entries in the order of the directory.
  const std::vector<std::string>& names() const { return names_; }
  bool contains(std::string_view name) const { return entries_.find(name) != entries_.end(); }
  /// The bytes of an entry, inflated where they are deflated, their checksum compared.
  std::vector<std::byte> read(std::string_view name) const;

 private:
  struct Entry {
    uint64_t begin = 0;   // of its bytes in the file
    uint64_t packed = 0;  // their number
    uint64_t bytes = 0;   // when inflated
    uint32_t checksum = 0;
    bool deflated = false;
  };
  void read_directory(uint64_t begin, uint64_t end, uint64_t count);

  std::string path_;
  MappedFile file_;
  std::vector<std::string> names_;
  std::map<std::string, Entry, std::less<>> entries_;
};

}  // namespace gradus::detail
