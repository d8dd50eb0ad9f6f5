#include "tensor/io/file.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdio>
#include <system_error>
#include <utility>
#include <vector>

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

int open_to_read(const std::string& path, int flags = 0) {
  const int descriptor = open_retrying(path, O_RDONLY | flags);
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

int sync_retrying(int descriptor) {
  int result = 0;
  do {
    result = ::fsync(descriptor);
  } while (result != 0 && errno == EINTR);
  return result;
}

/// Syncs a folder, so that the names in it are safe.
void sync_folder(const std::string& folder) {
  const Descriptor descriptor(open_retrying(folder, O_RDONLY | O_DIRECTORY));
  check_world(descriptor.get() >= 0, folder, ": the folder cannot be opened; ", reason(errno));
  // Some file systems cannot sync a folder and say so with EINVAL: their renames are as safe as they get.
  const bool synced = sync_retrying(descriptor.get()) == 0 || errno == EINVAL;
  check_world(synced, folder, ": the folder cannot be synced; ", reason(errno));
}

void rename_checked(const std::string& from, const std::string& to) {
  const bool renamed = ::rename(from.c_str(), to.c_str()) == 0;
  check_world(renamed, to, ": cannot be put in place of the old file; ", from,
              " was written, but renaming it failed: ", reason(errno));
}

}  // namespace

namespace {

/// Waits until something can be read, where somebody wants to be asked meanwhile.
void wait_for_bytes(int descriptor, const std::function<void()>& on_interrupt) {
  if (!on_interrupt) return;
  // A signal that comes just before a read would not wake it: so no wait lasts.
  constexpr int kMilliseconds = 100;
  pollfd wait = {descriptor, POLLIN, 0};
  do {
    on_interrupt();
  } while (::poll(&wait, 1, kMilliseconds) <= 0);
  on_interrupt();
}

/// Reads to the end rather than to the size: pipes and the files of /proc have none. `room(done)` gives where the next bytes
/// go and how many may come.
template <class Room>
std::size_t read_all(int descriptor, const std::string& name, const std::function<void()>& on_interrupt,
                     const Room& room, const std::function<void(std::size_t got)>& take) {
  std::size_t done = 0;
  for (;;) {
    wait_for_bytes(descriptor, on_interrupt);
    const auto [to, wanted] = room(done);
    const ssize_t got = ::read(descriptor, to, wanted);
    const int error = errno;
    take(static_cast<std::size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return done;
    check_world(got > 0 || error == EINTR || error == EAGAIN, name, ": reading failed after ", done,
                " bytes; ", reason(error));
    done += static_cast<std::size_t>(std::max<ssize_t>(got, 0));
  }
}

constexpr std::size_t kPiece = std::size_t{1} << 20;

std::string read_to_end(int descriptor, const std::string& name, std::size_t expected,
                        const std::function<void()>& on_interrupt) {
  std::string contents;
  if (expected > 0) contents.reserve(expected + 1);
  std::size_t before = 0;
  read_all(
      descriptor, name, on_interrupt,
      [&](std::size_t done) {
        before = done;
        const std::size_t wanted =
            std::max<std::size_t>(std::min(kPiece, contents.capacity() - before), 4096);
        contents.resize(before + wanted);
        return std::pair(contents.data() + before, wanted);
      },
      [&](std::size_t got) { contents.resize(before + got); });
  check_not_pointer(name, contents);
  return contents;
}

}  // namespace

std::string read_file(const std::string& path, const std::function<void()>& on_interrupt) {
  // Opening a pipe would wait for its writer where no signal is looked for.
  const Descriptor descriptor(open_retrying(path, on_interrupt ? O_RDONLY | O_NONBLOCK : O_RDONLY));
  check_world(descriptor.get() >= 0, path, ": cannot be opened; ", reason(errno));
  const struct stat status = status_of(descriptor.get(), path);
  return read_to_end(descriptor.get(), path, static_cast<std::size_t>(std::max<off_t>(status.st_size, 0)),
                     on_interrupt);
}

std::string read_descriptor(int descriptor, const std::string& name,
                            const std::function<void()>& on_interrupt) {
  return read_to_end(descriptor, name, 0, on_interrupt);
}

void read_pieces(const std::string& path, const std::function<void(std::string_view)>& take,
                 const std::function<void()>& on_interrupt) {
  const bool typed = path == "-";
  const std::string name = typed ? "standard input" : path;
  const Descriptor opened(typed ? -1 : open_retrying(path, on_interrupt ? O_RDONLY | O_NONBLOCK : O_RDONLY));
  const int descriptor = typed ? STDIN_FILENO : opened.get();
  check_world(descriptor >= 0, path, ": cannot be opened; ", reason(errno));
  status_of(descriptor, name);
  std::string piece(kPiece, '\0');
  bool first = true;
  read_all(
      descriptor, name, on_interrupt, [&](std::size_t) { return std::pair(piece.data(), piece.size()); },
      [&](std::size_t got) {
        const auto bytes = std::string_view(piece).substr(0, got);
        if (first) check_not_pointer(name, bytes);
        first = false;
        if (got > 0) take(bytes);
      });
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

bool is_stream(const std::string& path) {
  struct stat status {};
  return ::stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode);
}

bool same_file(const std::string& a, const std::string& b) {
  struct stat first {};
  struct stat second {};
  return ::stat(a.c_str(), &first) == 0 && ::stat(b.c_str(), &second) == 0 && first.st_dev == second.st_dev &&
         first.st_ino == second.st_ino;
}

std::string file_identity(const std::string& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0) return {};
  return detail::join(status.st_dev, ":", status.st_ino, ":", status.st_size, ":", status.st_mtim.tv_sec, ":",
                      status.st_mtim.tv_nsec);
}

std::string follow_links(const std::string& path) {
  std::string place = path;
  constexpr int kMostLinks = 40;  // as the system has it
  for (int i = 0; i < kMostLinks; ++i) {
    std::array<char, 4096> link{};
    const ssize_t length = ::readlink(place.c_str(), link.data(), link.size());
    if (length <= 0) return place;
    const std::string to(link.data(), static_cast<std::size_t>(length));
    place = to.front() == '/' ? to : folder_of(place) + "/" + to;
  }
  fail_world(path, ": symbolic links must lead to a place; these lead in a circle, or there are more than ",
             kMostLinks);
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

namespace {

/// Which addresses are mapped from which file: entries never move, and a handler reads them while others change.
struct Mapping {
  std::atomic<uintptr_t> begin{0};  // 0: free, 1: taken, not yet told
  std::atomic<std::size_t> size{0};
  std::array<char, 1024> path{};
};
constexpr uintptr_t kTaken = 1;
// Models in more files than this are as safe but for the text of an error.
std::array<Mapping, 256> mappings;

void remember_mapping(const std::byte* data, std::size_t size, const std::string& path) {
  for (Mapping& mapping : mappings) {
    uintptr_t free = 0;
    if (!mapping.begin.compare_exchange_strong(free, kTaken)) continue;
    path.copy(mapping.path.data(), mapping.path.size() - 1);
    mapping.path[std::min(path.size(), mapping.path.size() - 1)] = '\0';
    mapping.size.store(size);
    mapping.begin.store(reinterpret_cast<uintptr_t>(data));
    return;
  }
}

void forget_mapping(const std::byte* data) {
  for (Mapping& mapping : mappings) {
    uintptr_t begin = reinterpret_cast<uintptr_t>(data);
    if (mapping.begin.compare_exchange_strong(begin, 0)) return;
  }
}

}  // namespace

std::optional<MappedPlace> find_mapped(const void* address) noexcept {
  const auto at = reinterpret_cast<uintptr_t>(address);
  for (const Mapping& mapping : mappings) {
    const uintptr_t begin = mapping.begin.load();
    if (begin <= kTaken || at < begin || at - begin >= mapping.size.load()) continue;
    return MappedPlace{mapping.path.data(), at - begin};
  }
  return std::nullopt;
}

MappedFile::MappedFile(const std::string& path) {
  // A pipe is not waited for: opening one would else block until somebody writes.
  const Descriptor descriptor(open_to_read(path, O_NONBLOCK));
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
  remember_mapping(data_, size_, path);
}

void MappedFile::forget(std::size_t bytes) const {
  const auto page = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  const std::size_t whole = std::min(bytes, size_) / page * page;
  if (whole > 0) ::madvise(const_cast<std::byte*>(data_), whole, MADV_DONTNEED);
}

MappedFile::~MappedFile() {
  if (data_ == nullptr) return;
  forget_mapping(data_);
  ::munmap(const_cast<std::byte*>(data_), size_);
}

namespace {

std::string name_of(const std::string& path) { return path.substr(path.rfind('/') + 1); }

/// Whether a name is that of a file which a writer of `name` began: name.PROCESS-NUMBER.partial.
bool is_partial_of(std::string_view candidate, std::string_view name) {
  constexpr std::string_view kEnd = ".partial";
  if (!candidate.starts_with(name) || !candidate.ends_with(kEnd)) return false;
  candidate.remove_prefix(name.size());
  candidate.remove_suffix(std::min(kEnd.size(), candidate.size()));
  const std::size_t dash = candidate.find('-');
  return candidate.size() >= 4 && candidate[0] == '.' && dash > 1 && dash + 1 < candidate.size() &&
         candidate.find_first_not_of("0123456789", 1) == dash &&
         candidate.find_first_not_of("0123456789", dash + 1) == candidate.npos;
}

}  // namespace

void remove_stale_partials(const std::string& path) {
  const std::string target = follow_links(path);
  const std::string folder = folder_of(target);
  DIR* listing = ::opendir(folder.c_str());
  if (listing == nullptr) return;
  std::vector<std::string> found;
  while (const dirent* entry = ::readdir(listing)) {
    if (is_partial_of(entry->d_name, name_of(target))) found.push_back(folder + "/" + entry->d_name);
  }
  ::closedir(listing);
  for (const std::string& partial : found) {
    const Descriptor descriptor(open_retrying(partial, O_RDONLY | O_NOFOLLOW | O_NONBLOCK));
    // Whoever writes it holds its lock.
    if (descriptor.get() >= 0 && ::flock(descriptor.get(), LOCK_EX | LOCK_NB) == 0) ::unlink(partial.c_str());
  }
}

AtomicFile::AtomicFile(std::string path) : path_(std::move(path)) {
  check(!path_.empty(), "the name of a file to write must not be empty; it is; give one");
  target_ = follow_links(path_);
  check_world(!is_directory(target_), path_, ": must be a file; it is a directory");
  // The new file would take its place.
  check_world(!is_stream(target_), path_, ": must be a regular file; it is a device, pipe or socket");
  remove_stale_partials(target_);
  static std::atomic<uint64_t> made{0};
  constexpr int kTries = 1000;
  for (int i = 0; i < kTries && descriptor_ < 0; ++i) {
    partial_ = target_ + "." + std::to_string(::getpid()) + "-" + std::to_string(made++) + ".partial";
    descriptor_ = open_retrying(partial_, O_WRONLY | O_CREAT | O_EXCL, 0666);
    check_world(descriptor_ >= 0 || errno == EEXIST, path_, ": cannot be written; ", partial_,
                " cannot be made beside it: ", reason(errno));
    if (descriptor_ < 0) continue;
    // Between the two calls another writer may have taken it for one left behind.
    const bool locked = ::flock(descriptor_, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK;
    struct stat status {};
    if (!locked || ::fstat(descriptor_, &status) != 0 || status.st_nlink == 0) {
      ::close(std::exchange(descriptor_, -1));
    }
  }
  check_world(descriptor_ >= 0, path_, ": cannot be written; other files are in the way of ", partial_);
  // Who may read a file does not change with what is in it. Where that cannot be kept, it is the default.
  struct stat replaced {};
  if (::stat(target_.c_str(), &replaced) == 0) (void)::fchmod(descriptor_, replaced.st_mode & 0777);
  lock_ = ::fcntl(descriptor_, F_DUPFD_CLOEXEC, 0);
  if (lock_ >= 0) return;
  const int error = errno;
  ::unlink(partial_.c_str());
  ::close(descriptor_);
  fail_world(path_, ": cannot be written; ", reason(error));
}

AtomicFile::~AtomicFile() { discard(); }

void AtomicFile::discard() {
  if (descriptor_ >= 0) ::close(std::exchange(descriptor_, -1));
  if (lock_ < 0) return;
  ::unlink(partial_.c_str());
  ::close(std::exchange(lock_, -1));
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

void AtomicFile::sync() {
  check(lock_ >= 0, path_, ": cannot be committed twice or after a failed write");
  if (descriptor_ < 0) return;
  const auto fail_with = [&](int error) {
    discard();
    fail_world(path_, ": its ", size_, " bytes could not be brought to disk; ", reason(error),
               "; what stood there before is unchanged");
  };
  if (sync_retrying(descriptor_) != 0) fail_with(errno);
  // Network file systems report a full disk only here.
  if (::close(std::exchange(descriptor_, -1)) != 0) fail_with(errno);
}

void AtomicFile::sync_as(const std::string& staged_path) {
  const std::string to = staged_path == path_ ? target_ : staged_path;
  check(folder_of(to) == folder_of(target_), path_, ": a staged name must stand in the same folder; ",
        staged_path, " was given");
  sync();
  try {
    rename_checked(partial_, to);
  } catch (...) {
    discard();
    throw;
  }
  ::close(std::exchange(lock_, -1));
  sync_folder(folder_of(to));
}

void check_can_write(const std::string& path) { const AtomicFile made_and_removed(path); }

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
  const bool synced = sync_retrying(descriptor_) == 0;
  check_world(synced, path_, ": what was appended could not be brought to disk; ", reason(errno));
}

void AppendFile::truncate(uint64_t bytes) {
  const bool cut = ::ftruncate(descriptor_, static_cast<off_t>(bytes)) == 0;
  check_world(cut, path_, ": cannot be cut to ", bytes, " bytes; ", reason(errno));
}

uint64_t AppendFile::size() const { return static_cast<uint64_t>(status_of(descriptor_, path_).st_size); }

}  // namespace gradus
