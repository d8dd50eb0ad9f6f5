#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

/// Files, with every call checked: an error names the path, what was wanted and the system's reason.
/// note: reading the pointer that a large-file store (Git LFS) left in a file's place is an error, too.

namespace gradus {

/// The whole contents of a file; a pipe is read to its end.
/// note: `on_interrupt` is called ten times a second while a pipe is waited for; it may throw to stop waiting.
std::string read_file(const std::string& path, const std::function<void()>& on_interrupt = {});
/// The same of what is open already, such as standard input.
std::string read_descriptor(int descriptor, const std::string& name,
                            const std::function<void()>& on_interrupt = {});

/// Calls take(bytes) with the contents of a file or pipe, or of standard input ("-"), a megabyte or less at a time.
void read_pieces(const std::string& path, const std::function<void(std::string_view)>& take,
                 const std::function<void()>& on_interrupt = {});

/// Replaces a file by these contents, or leaves it as it was: see AtomicFile.
void write_file_atomic(const std::string& path, std::string_view contents);

/// Something stands at this path (a file, a folder or anything else).
bool file_exists(const std::string& path);
bool is_directory(const std::string& path);

/// Something stands at this path that is no file with bytes to come back to: a pipe, a device or a socket.
bool is_stream(const std::string& path);
/// Both paths lead to one file, by whatever names and links.
bool same_file(const std::string& a, const std::string& b);
/// What tells a file from another that took its place, and from itself before it was written to: device, number, size and
/// time of the last change. "" where there is none.
std::string file_identity(const std::string& path);
/// Where writing to a path goes: the path itself, or what the symbolic links there lead to in the end, be it there or not.
std::string follow_links(const std::string& path);

/// The size of a file.
uint64_t file_bytes(const std::string& path);

/// Makes a folder and those above it; it may exist already.
void create_directories(const std::string& path);

/// What a file at this path, which need not exist yet, could still take.
uint64_t free_disk_bytes(const std::string& path);

/// Removes a file; nothing happens where there is none.
void remove_file(const std::string& path);

/// Renames a file that has been synced over another one, and syncs the folder: afterwards the new name holds even
/// through a loss of power. Both names must stand in the same folder.
void rename_synced(const std::string& from, const std::string& to);

/// A file's bytes, read-only, mapped into memory; an empty file has none.
/// note: where the file is cut short meanwhile, reading on raises SIGBUS: see find_mapped().
class MappedFile {
 public:
  explicit MappedFile(const std::string& path);
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  ~MappedFile();

  const std::byte* data() const { return data_; }
  std::size_t size() const { return size_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data_), size_}; }
  /// Gives memory back that the first bytes take; they can be read again.
  void forget(std::size_t bytes) const;

 private:
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// The byte of a mapped file that an address belongs to, for a handler of SIGBUS: takes no lock and no memory.
struct MappedPlace {
  const char* path;
  uint64_t byte;
};
std::optional<MappedPlace> find_mapped(const void* address) noexcept;

/// A file that comes to stand at its path whole or not at all: written beside it under a name of its own
/// (`path.NUMBERS.partial`), synced, renamed. Of several writers of one path the last rename wins, whole.
/// note: a symbolic link at the path stays: what it leads to is replaced.
/// note: to publish several files together, finish each with sync_as() under a staged name, then rename_synced() each.
/// note: what a writer that died left beside the path is removed; a live one's is locked.
class AtomicFile {
 public:
  explicit AtomicFile(std::string path);
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;
  /// Removes what was written, unless it was committed.
  ~AtomicFile();

  void write(const void* data, std::size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// Writes over bytes written before.
  void write_at(uint64_t offset, const void* data, std::size_t bytes);
  /// Bytes written so far.
  uint64_t size() const { return size_; }
  const std::string& path() const { return path_; }
  /// Where what was written stands until then, for reading it back after sync().
  const std::string& partial() const { return partial_; }

  /// Brings what was written to disk, as sync_as() does first: of several files that belong together, none takes its place
  /// before the others could. Nothing can be written after it.
  void sync();
  /// Syncs the file and lets it take the place of whatever stands at path().
  void commit() { sync_as(path_); }
  /// Syncs the file and lets it stand under another name in the same folder.
  void sync_as(const std::string& staged_path);

 private:
  void write_bytes(const void* data, std::size_t bytes, int64_t offset);
  void discard();

  std::string path_;
  std::string target_;  // path_ behind its links
  std::string partial_;
  int descriptor_ = -1;
  int lock_ = -1;  // the same open file: its lock outlives the descriptor until the rename
  uint64_t size_ = 0;
};

/// An error unless a file could be made beside a path, to take its place: for asking before the work is done.
void check_can_write(const std::string& path);

/// Removes what writers of a path that died have left beside it.
void remove_stale_partials(const std::string& path);

/// Keeps other processes that ask for it too from writing in a folder, until it is destroyed or the process ends.
/// note: of the folder itself, so that no lock file is left behind.
class FolderLock {
 public:
  /// An error where another process holds it.
  explicit FolderLock(const std::string& folder);
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  ~FolderLock();

 private:
  int descriptor_ = -1;
};

/// A file that only grows, such as a log: each write is one or more whole lines at its end.
class AppendFile {
 public:
  explicit AppendFile(const std::string& path);
  AppendFile(const AppendFile&) = delete;
  AppendFile& operator=(const AppendFile&) = delete;
  ~AppendFile();

  /// Appends the text, and a line feed where it does not end in one; what a failed write left behind is cut off.
  void append(std::string_view lines);
  /// Returns when everything appended so far would survive a loss of power.
  void sync();
  /// Cuts the file to its first `bytes` bytes.
  void truncate(uint64_t bytes);
  uint64_t size() const;

 private:
  std::string path_;
  int descriptor_ = -1;
};

}  // namespace gradus
