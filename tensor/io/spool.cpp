#include "tensor/io/spool.hpp"

#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>
#include <utility>

#include "tensor/error.hpp"

namespace gradus {
namespace {

constexpr std::size_t kBuffer = std::size_t{1} << 16;

std::string reason(int error) { return std::generic_category().message(error); }

}  // namespace

SpoolFile::SpoolFile(const std::string& path) : path_(path) {
  std::string name = path + ".XXXXXX.partial";
  constexpr int kEnding = 8;
  descriptor_ = ::mkstemps(name.data(), kEnding);
  const int error = errno;
  check_world(descriptor_ >= 0, path, ": cannot be written beside; ", reason(error));
  ::unlink(name.c_str());
  buffer_.reserve(kBuffer);
}

SpoolFile::SpoolFile(SpoolFile&& other) noexcept
    : path_(std::move(other.path_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      size_(other.size_),
      buffer_(std::move(other.buffer_)) {}

SpoolFile::~SpoolFile() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

void SpoolFile::write(const void* data, std::size_t bytes) {
  const char* from = static_cast<const char*>(data);
  size_ += bytes;
  while (bytes > 0) {
    const std::size_t part = std::min(bytes, kBuffer - buffer_.size());
    buffer_.insert(buffer_.end(), from, from + part);
    from += part;
    bytes -= part;
    if (buffer_.size() == kBuffer) flush();
  }
}

void SpoolFile::flush() {
  const char* from = buffer_.data();
  for (std::size_t left = buffer_.size(); left > 0;) {
    const ssize_t written = ::write(descriptor_, from, left);
    const int error = errno;
    check_world(written >= 0 || error == EINTR, path_, ": writing failed; ", reason(error),
                "; what stood there before is unchanged");
    if (written <= 0) continue;
    from += written;
    left -= static_cast<std::size_t>(written);
  }
  buffer_.clear();
}

std::size_t SpoolFile::read_at(uint64_t offset, void* data, std::size_t bytes) {
  flush();
  for (std::size_t done = 0;;) {
    const std::size_t left = std::min<uint64_t>(bytes, size_ - std::min(size_, offset)) - done;
    if (left == 0) return done;
    const ssize_t got =
        ::pread(descriptor_, static_cast<char*>(data) + done, left, static_cast<off_t>(offset + done));
    const int error = errno;
    check_world(got > 0 || (got < 0 && error == EINTR), path_, ": reading back what was written failed; ",
                got == 0 ? "it is gone" : reason(error));
    if (got > 0) done += static_cast<std::size_t>(got);
  }
}

void SpoolFile::for_pieces(const std::function<void(const void*, std::size_t)>& take) {
  std::vector<char> piece(kBuffer);
  for (uint64_t at = 0; at < size_;) {
    const std::size_t got = read_at(at, piece.data(), piece.size());
    take(piece.data(), got);
    at += got;
  }
}

}  // namespace gradus
