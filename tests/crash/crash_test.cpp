// Loses the power at every call that changes a file or folder of a run, and looks at what is left. See README.md.

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "models/training/checkpoint.hpp"
#include "tensor/io/file.hpp"
#include "tests/support/small_checkpoint.hpp"

namespace {

namespace fs = std::filesystem;

/// Of each folder the names in it, and which file or folder each is: by number, for names change.
using Entries = std::map<ino_t, std::map<std::string, ino_t>>;

/// What of the watched folder would survive.
struct Disk {
  std::string folder;
  ino_t root = 0;
  std::map<ino_t, std::string> contents;  // of each file, when it was last synced
  Entries names;                          // of each folder, when it was last synced
  std::set<ino_t> folders;                // synced or not
};
Disk* disk = nullptr;              // while a run is watched
std::function<void()> lose_power;  // called before each change
bool looking = false;              // this program's own calls are no changes

/// A call of the system behind ours.
template <class Fn>
Fn* real(const char* name) {
  return reinterpret_cast<Fn*>(::dlsym(RTLD_NEXT, name));
}

struct stat status_of(const std::string& path) {
  struct stat status {};
  ::lstat(path.c_str(), &status);
  return status;
}

std::string contents_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string path_of(int descriptor) {
  std::error_code error;
  return fs::read_symlink("/proc/self/fd/" + std::to_string(descriptor), error).string();
}

bool watched(const std::string& path) {
  return disk != nullptr && !looking && path.starts_with(disk->folder);
}

std::map<std::string, ino_t> listing(const std::string& folder) {
  std::map<std::string, ino_t> names;
  for (const auto& entry : fs::directory_iterator(folder))
    names[entry.path().filename().string()] = status_of(entry.path().string()).st_ino;
  return names;
}

Entries listing_of_all(const std::string& folder) {
  Entries all;
  all[status_of(folder).st_ino] = listing(folder);
  for (const auto& entry : fs::recursive_directory_iterator(folder)) {
    if (entry.is_directory()) all[status_of(entry.path().string()).st_ino] = listing(entry.path().string());
  }
  return all;
}

/// A change of a file is about to happen: the power may go before.
void before_change(const std::string& path) {
  if (!watched(path)) return;
  looking = true;
  // What is replaced or removed keeps its number, which would else soon be another file's.
  (void)::open(path.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC);
  for (const auto& [folder, names] : listing_of_all(disk->folder)) disk->folders.insert(folder);
  lose_power();
  looking = false;
}

void after_sync(int descriptor) {
  const std::string path = path_of(descriptor);
  if (!watched(path)) return;
  looking = true;
  if (fs::is_directory(path)) {
    disk->names[status_of(path).st_ino] = listing(path);
  } else {
    struct stat status {};
    ::fstat(descriptor, &status);
    // By its descriptor: the name may be another file's by now.
    disk->contents[status.st_ino] = contents_of("/proc/self/fd/" + std::to_string(descriptor));
  }
  looking = false;
}

int failures = 0;
int states = 0;

void expect(bool holds, const std::string& what) {
  if (holds) return;
  if (++failures <= 10) std::printf("FAILED: %s\n", what.c_str());
}

/// Makes the folder that would be found after the power came back.
void put_together(const Entries& names, ino_t number, const std::string& target) {
  fs::create_directories(target);
  const auto folder = names.find(number);
  if (folder == names.end()) return;
  for (const auto& [name, inode] : folder->second) {
    if (disk->folders.contains(inode)) {
      put_together(names, inode, target + "/" + name);
      continue;
    }
    const auto content = disk->contents.find(inode);
    std::ofstream(target + "/" + name, std::ios::binary)
        << (content == disk->contents.end() ? std::string() : content->second);
  }
}

}  // namespace

extern "C" {

int rename(const char* from, const char* to) {
  before_change(to);
  return real<int(const char*, const char*)>("rename")(from, to);
}
int unlink(const char* path) {
  before_change(path);
  return real<int(const char*)>("unlink")(path);
}
int unlinkat(int folder, const char* path, int flags) {
  if (disk != nullptr && !looking) before_change(path[0] == '/' ? path : path_of(folder) + "/" + path);
  return real<int(int, const char*, int)>("unlinkat")(folder, path, flags);
}
int link(const char* from, const char* to) {
  before_change(to);
  return real<int(const char*, const char*)>("link")(from, to);
}
int mkdir(const char* path, mode_t mode) {
  before_change(path);
  return real<int(const char*, mode_t)>("mkdir")(path, mode);
}
ssize_t write(int descriptor, const void* data, size_t bytes) {
  if (disk != nullptr && !looking) before_change(path_of(descriptor));
  return real<ssize_t(int, const void*, size_t)>("write")(descriptor, data, bytes);
}
int fsync(int descriptor) {
  if (disk != nullptr && !looking) before_change(path_of(descriptor));
  const int result = real<int(int)>("fsync")(descriptor);
  if (disk != nullptr && result == 0) after_sync(descriptor);
  return result;
}

}  // extern "C"

namespace {

using namespace gradus;
using namespace gradus::testing;

constexpr int64_t kKeep = 2;

int64_t acknowledged = -1;  // the step of the last checkpoint that was through
int64_t under_way = -1;

void check_survives(const Entries& names, const std::string& target, const char* what) {
  ++states;
  fs::remove_all(target);
  put_together(names, disk->root, target);
  const std::string where = std::string(what) + ", while the checkpoint of step " +
                            std::to_string(under_way) + " was written after that of step " +
                            std::to_string(acknowledged);
  if (acknowledged < 0) return;  // nothing was promised yet
  int64_t step = -1;
  try {
    step = recover_checkpoint(target);
  } catch (const std::exception& error) {
    return expect(false, where + ": " + error.what());
  }
  expect(step == acknowledged || step == under_way, where + ": resumes at step " + std::to_string(step));
  expect(whole_step(target) == step, where + ": the pair is not whole");
  const std::string log = contents_of(target + "/metrics.jsonl");
  expect(log.find("{\"step\":" + std::to_string(step) + "}\n") != log.npos,
         where + ": the log has no line of its step");
  // Once the next one is through, the older ones are safe too.
  for (int64_t older = std::max<int64_t>(1, acknowledged - kKeep); older < acknowledged; ++older) {
    if (older < under_way - kKeep) continue;  // on its way out
    expect(whole_step(target + "/checkpoints/step-" + std::to_string(older)) == older,
           where + ": the kept checkpoint of step " + std::to_string(older) + " is not whole");
  }
}

}  // namespace

int main() {
  std::string folder = (fs::temp_directory_path() / "gradus-crash-XXXXXX").string();
  if (::mkdtemp(folder.data()) == nullptr) return 1;
  const std::string run = fs::canonical(folder).string() + "/run";
  const std::string left = fs::canonical(folder).string() + "/left";
  fs::create_directory(run);
  const ino_t root = status_of(run).st_ino;
  Disk watched_disk{run, root, {}, {{root, {}}}, {root}};
  disk = &watched_disk;
  lose_power = [&] {
    check_survives(disk->names, left, "only what was synced is there");
    check_survives(listing_of_all(run), left, "every name is there, contents as far as they were synced");
  };
  {
    AppendFile log(run + "/metrics.jsonl");
    for (int64_t step = 1; step <= 5; ++step) {
      log.append("{\"step\":" + std::to_string(step) + "}");
      log.sync();
      under_way = step;
      write_step(run, step, kKeep);
      acknowledged = step;
      looking = true;
      lose_power();
      looking = false;
    }
  }
  disk = nullptr;
  fs::remove_all(folder);
  std::printf("%d states after a loss of power, %d failures\n", states, failures);
  // A double that sees nothing would pass.
  return failures == 0 && states > 100 ? 0 : 1;
}
