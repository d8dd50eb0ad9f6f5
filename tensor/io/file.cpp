#include "tensor/io/file.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>

#include "tensor/error.hpp"

namespace gradus {
namespace {

/// note: errno has to be read after the call that sets it, and the arguments of one call have no order: no system call
///       stands beside reason(errno).
std::string reason(int error) { return std::generic_category().message(error); }

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

/// A descriptor that closes itself.
class Descriptor {
 public:
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  ~Descriptor() {
    if (value_ >= 0) ::close(value_);
  }
  int get() const { return value_; }

 private:
  int value_;
};

int open_retrying(const std::string& path, int flags, mode_t mode = 0) {
  int descriptor = -1;
  do {
    descriptor = ::open(path.c_str(), flags | O_CLOEXEC, mode);
  } while (descriptor < 0 && errno == EINTR);
  return descriptor;
}

int open_to_read(const std::string& path) {
  const int descriptor = open_retrying(path, O_RDONLY);
  check_world(descriptor >= 0, path, ": cannot be opened; ", reason(errno));
  return descriptor;
}

struct stat status_of(int descriptor, const std::string& path) {
  struct stat status {};
  const bool known = ::fstat(descriptor, &status) == 0;
  check_world(known, path, ": cannot be examined; ", reason(errno));
  check_world(!S_ISDIR(status.st_mode), path, ": must be a file; it is a directory");
  return status;
}

/// Large-file stores leave a small text in the place of a file that was not fetched, whatever should stand there.
/// ref: github.com/git-lfs/git-lfs, docs/spec.md: fewer than 1024 bytes, the version first
void check_not_pointer(const std::string& path, std::string_view contents) {
  if (contents.size() >= 1024 || contents.rfind("version https://git-lfs.github.com/spec/v1", 0) != 0) return;
  const auto line = contents.find("\nsize ");
  const std::string_view bytes = line == std::string_view::npos
                                     ? "?"
                                     : contents.substr(line + 6, contents.find('\n', line + 6) - line - 6);
  fail_world(
      path, ": must be the file itself; it is only a pointer to one of ", bytes,
      " bytes in a large-file store; get it with `git lfs pull` where the folder was cloned, or download "
      "the file by itself");
}

/// Syncs a folder, so that the names in it are safe.
void sync_folder(const std::string& folder) {
  const Descriptor descriptor(open_retrying(folder, O_RDONLY | O_DIRECTORY));
  check_world(descriptor.get() >= 0, folder, ": the folder cannot be opened; ", reason(errno));
  // Some file systems cannot sync a folder and say so with EINVAL: their renames are as safe as they get.
  const bool synced = ::fsync(descriptor.get()) == 0 || errno == EINVAL;
  check_world(synced, folder, ": the folder cannot be synced; ", reason(errno));
}

void rename_checked(const std::string& from, const std::string& to) {
  const bool renamed = ::rename(from.c_str(), to.c_str()) == 0;
  check_world(renamed, to, ": cannot be put in place of the old file; ", from,
              " was written, but renaming it failed: ", reason(errno));
}

}  // namespace

std::string read_file(const std::string& path) {
  const Descriptor descriptor(open_to_read(path));
  const struct stat status = status_of(descriptor.get(), path);
  std::string contents;
  if (status.st_size > 0) contents.reserve(static_cast<std::size_t>(status.st_size) + 1);
  // Reads to the end rather than to the size: pipes and the files of /proc have none.
  constexpr std::size_t most = std::size_t{1} << 20;
  for (;;) {
    const std::size_t before = contents.size();
    const std::size_t wanted = std::max<std::size_t>(std::min(most, contents.capacity() - before), 4096);
    contents.resize(before + wanted);
    const ssize_t got = ::read(descriptor.get(), contents.data() + before, wanted);
    const int error = errno;
    contents.resize(before + static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) {
      check_not_pointer(path, contents);
      return contents;
    }
    check_world(got > 0 || error == EINTR, path, ": reading failed after ", before, " bytes; ",
                reason(error));
  }
}

void write_file_atomic(const std::string& path, std::string_view contents) {
  AtomicFile file(path);
  file.write(contents);
  file.commit();
}

bool file_exists(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0;
}

bool is_directory(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}

uint64_t file_bytes(const std::string& path) {
  const Descriptor descriptor(open_to_read(path));
  return static_cast<uint64_t>(status_of(descriptor.get(), path).st_size);
}

void create_directories(const std::string& path) {
  check(!path.empty(), "create_directories: the path must not be empty");
  for (std::size_t at = 0; at < path.size();) {
    at = std::min(path.find('/', at + 1), path.size());
    const std::string part = path.substr(0, at);
    if (::mkdir(part.c_str(), 0777) == 0) continue;
    const int error = errno;
    if (is_directory(part)) continue;
    const std::string why = error == EEXIST ? "a file of that name is in the way" : reason(error);
    fail_world(path, ": the folder cannot be made; ", part, ": ", why);
  }
}

uint64_t free_disk_bytes(const std::string& path) {
  // The nearest folder that exists tells the file system.
  std::string folder = path;
  while (!is_directory(folder) && folder != "." && folder != "/") folder = folder_of(folder);
  struct statvfs status {};
  const bool known = ::statvfs(folder.c_str(), &status) == 0;
  check_world(known, folder, ": the free space cannot be read; ", reason(errno));
  return static_cast<uint64_t>(status.f_bavail) * static_cast<uint64_t>(status.f_frsize);
}

void remove_file(const std::string& path) {
  const bool gone = ::unlink(path.c_str()) == 0 || errno == ENOENT;
  check_world(gone, path, ": cannot be removed; ", reason(errno));
}

void rename_synced(const std::string& from, const std::string& to) {
  rename_checked(from, to);
  sync_folder(folder_of(to));
}

MappedFile::MappedFile(const std::string& path) {
  const Descriptor descriptor(open_to_read(path));
  const struct stat status = status_of(descriptor.get(), path);
  check_world(S_ISREG(status.st_mode), path, ": must be a regular file; it is a device, pipe or socket");
  size_ = static_cast<std::size_t>(status.st_size);
  if (size_ == 0) return;
  void* memory = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, descriptor.get(), 0);
  check_world(memory != MAP_FAILED, path, ": its ", size_, " bytes cannot be mapped; ", reason(errno));
  data_ = static_cast<const std::byte*>(memory);
  try {
    check_not_pointer(path, text());
  } catch (...) {
    ::munmap(memory, size_);
    throw;
  }
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)), partial_(path_ + ".partial") {
  check_world(!is_directory(path_), path_, ": must be a file; it is a directory");
  // The new file would take its place.
  struct stat status {};
  const bool other = ::stat(path_.c_str(), &status) == 0 && !S_ISREG(status.st_mode);
  check_world(!other, path_, ": must be a regular file; it is a device, pipe or socket");
  // What stands at the partial name was left by a writer that died; no live writer shares a target with another.
  descriptor_ = open_retrying(partial_, O_WRONLY | O_CREAT | O_TRUNC, 0666);
  check_world(descriptor_ >= 0, path_, ": cannot be written; ", partial_,
              " cannot be made beside it: ", reason(errno));
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::discard() {
  if (descriptor_ < 0) return;
  ::close(std::exchange(descriptor_, -1));
  ::unlink(partial_.c_str());
}

void AtomicFile::write_bytes(const void* data, std::size_t bytes, int64_t offset) {
  check(descriptor_ >= 0, path_, ": nothing can be written after a commit or a failed write");
  const char* from = static_cast<const char*>(data);
  std::size_t done = 0;
  while (done < bytes) {
    // Linux writes at most 2 GiB - 4 KiB a call.
    const std::size_t wanted = std::min(bytes - done, std::size_t{1} << 30);
    const ssize_t written =
        offset < 0 ? ::write(descriptor_, from + done, wanted)
                   : ::pwrite(descriptor_, from + done, wanted, offset + static_cast<int64_t>(done));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = written < 0 ? errno : ENOSPC;
      const uint64_t before = offset < 0 ? size_ + done : static_cast<uint64_t>(offset) + done;
      discard();
      fail_world(path_, ": writing ", bytes, " bytes failed at byte ", before, "; ", reason(error),
                 "; what stood there before is unchanged");
    }
    done += static_cast<std::size_t>(written);
  }
}

void AtomicFile::write(const void* data, std::size_t bytes) {
  write_bytes(data, bytes, -1);
  size_ += bytes;
}

void AtomicFile::write_at(uint64_t offset, const void* data, std::size_t bytes) {
  check(offset <= size_ && bytes <= size_ - offset, path_, ": write_at must stay within the ", size_,
        " bytes written; ", bytes, " bytes at ", offset, " were given");
  write_bytes(data, bytes, static_cast<int64_t>(offset));
}

void AtomicFile::sync_as(const std::string& staged_path) {
  check(descriptor_ >= 0, path_, ": cannot be committed twice or after a failed write");
  check(folder_of(staged_path) == folder_of(path_), path_, ": a staged name must stand in the same folder; ",
        staged_path, " was given");
  const auto fail_with = [&](int error) {
    discard();
    ::unlink(partial_.c_str());
    fail_world(path_, ": its ", size_, " bytes could not be brought to disk; ", reason(error),
               "; what stood there before is unchanged");
  };
  if (::fsync(descriptor_) != 0) fail_with(errno);
  // Network file systems report a full disk only here.
  if (::close(std::exchange(descriptor_, -1)) != 0) fail_with(errno);
  try {
    rename_checked(partial_, staged_path);
  } catch (...) {
    ::unlink(partial_.c_str());
    throw;
  }
  sync_folder(folder_of(path_));
}

FolderLock::FolderLock(const std::string& folder) {
  descriptor_ = open_retrying(folder, O_RDONLY | O_DIRECTORY, 0);
  check_world(descriptor_ >= 0, folder, ": cannot be opened; ", reason(errno));
  if (::flock(descriptor_, LOCK_EX | LOCK_NB) == 0) return;
  const int error = errno;
  // File systems without locks are written as before.
  if (error != EWOULDBLOCK) return;
  ::close(descriptor_);
  fail_world(folder,
             ": another process must not be writing here; one is; wait for it, or choose another folder");
}

FolderLock::~FolderLock() { ::close(descriptor_); }

AppendFile::AppendFile(const std::string& path) : path_(path) {
  descriptor_ = open_retrying(path, O_WRONLY | O_APPEND | O_CREAT, 0666);
  check_world(descriptor_ >= 0, path, ": cannot be opened for appending; ", reason(errno));
}

AppendFile::~AppendFile() { ::close(descriptor_); }

void AppendFile::append(std::string_view lines) {
  std::string whole(lines);
  if (whole.empty() || whole.back() != '\n') whole += '\n';
  const uint64_t before = size();
  std::size_t done = 0;
  while (done < whole.size()) {
    const ssize_t written = ::write(descriptor_, whole.data() + done, whole.size() - done);
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) {
      const int error = written < 0 ? errno : ENOSPC;
      // Half a line would make the file unreadable for whoever comes next.
      const bool cut = done == 0 || ::ftruncate(descriptor_, static_cast<off_t>(before)) == 0;
      fail_world(path_, ": appending ", whole.size(), " bytes to its ", before, " failed; ", reason(error),
                 cut ? "" : "; its last line is incomplete");
    }
    done += static_cast<std::size_t>(written);
  }
}

void AppendFile::sync() {
  const bool synced = ::fsync(descriptor_) == 0;
  check_world(synced, path_, ": what was appended could not be brought to disk; ", reason(errno));
}

void AppendFile::truncate(uint64_t bytes) {
  const bool cut = ::ftruncate(descriptor_, static_cast<off_t>(bytes)) == 0;
  check_world(cut, path_, ": cannot be cut to ", bytes, " bytes; ", reason(errno));
}

uint64_t AppendFile::size() const { return static_cast<uint64_t>(status_of(descriptor_, path_).st_size); }

}  // namespace gradus
