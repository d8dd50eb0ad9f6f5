#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace gradus {

/// Bytes that wait on disk until it is known how many there are: a file without a name, which is gone with the object or
/// with the process.
class SpoolFile {
 public:
  /// On the file system of `path`, in its folder.
  explicit SpoolFile(const std::string& path);
  SpoolFile(SpoolFile&& other) noexcept;
  SpoolFile& operator=(SpoolFile&&) = delete;
  ~SpoolFile();

  void write(const void* data, std::size_t bytes);
  uint64_t size() const { return size_; }
  /// Calls take(data, bytes) with everything that was written, piece after piece; nothing is written after it.
  void for_pieces(const std::function<void(const void*, std::size_t)>& take);
  /// Reads back bytes from a place on, and returns how many there were.
  std::size_t read_at(uint64_t offset, void* data, std::size_t bytes);

 private:
  void flush();

  std::string path_;
  int descriptor_ = -1;
  uint64_t size_ = 0;
  std::vector<char> buffer_;
};

}  // namespace gradus
