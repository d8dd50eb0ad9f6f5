#include "models/training/checkpoint.hpp"

#include <stdlib.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "models/transformer/files.hpp"
#include "tensor/io/file.hpp"
#include "tests/support/catch.hpp"
#include "tests/support/small_checkpoint.hpp"
#include "tests/support/synced_paths.hpp"
#include "tests/support/temporary_folder.hpp"

/// Checkpoints through every moment at which a process can die: each is arranged by hand from the files of two whole ones.

using namespace gradus;
using namespace gradus::testing;
using Catch::Matchers::ContainsSubstring;

namespace {

namespace fs = std::filesystem;

/// The names in a folder, sorted, in one line.
std::string listing(const std::string& folder) {
  std::string all;
  for (const std::string& name : names_in(folder)) all += (all.empty() ? "" : " ") + name;
  return all;
}
const std::string kPair = "model.safetensors state.safetensors";

/// A folder that holds step 10, and the files of step 20 to die with.
struct Torn {
  TemporaryFolder folder, next;
  Torn() {
    write_step(folder.path(), 10);
    write_step(next.path(), 20);
  }
  /// Puts a file of step 20 into the folder under a name.
  void put(const std::string& file, const std::string& name) {
    fs::copy_file(next / file, folder / name, fs::copy_options::overwrite_existing);
  }
};

}  // namespace

TEST_CASE("a checkpoint is two files of one step, and nothing else stays") {
  const TemporaryFolder folder;
  write_step(folder.path(), 7);
  CHECK(listing(folder.path()) == kPair);
  CHECK(recover_checkpoint(folder.path()) == 7);
  write_step(folder.path(), 8);
  CHECK(listing(folder.path()) == kPair);
  CHECK(recover_checkpoint(folder.path()) == 8);
  CHECK(whole_step(folder.path()) == 8);
  CHECK(SafetensorsFile::open(folder / kStateFile).metadata().at("options") == "{}");
  CHECK(SafetensorsFile::open(folder / kWeightsFile).metadata().at("format") == "pt");
}

TEST_CASE("a checkpoint cut off before its first rename leaves the one before") {
  Torn torn;
  SECTION("while an older version wrote the model") {
    write_quickly(torn.folder / "model.safetensors.partial", "half of a head");
  }
  SECTION("while the model was written") {
    write_quickly(torn.folder / "model.safetensors.99-1.partial", "half of a head");
  }
  SECTION("while the state was written") {
    write_quickly(torn.folder / "model.safetensors.99-1.partial", read_file(torn.next / kWeightsFile));
    write_quickly(torn.folder / "state.safetensors.99-2.partial", "");
  }
  SECTION("when the model was staged") {
    torn.put(kWeightsFile, "model.safetensors.next");
    write_quickly(torn.folder / "state.safetensors.99-2.partial", read_file(torn.next / kStateFile));
  }
  SECTION("when both were staged") {
    torn.put(kWeightsFile, "model.safetensors.next");
    torn.put(kStateFile, "state.safetensors.next");
  }
  CHECK(recover_checkpoint(torn.folder.path()) == 10);
  CHECK(whole_step(torn.folder.path()) == 10);
  CHECK(listing(torn.folder.path()) == kPair);
}

TEST_CASE("a checkpoint cut off between its renames is finished") {
  Torn torn;
  torn.put(kWeightsFile, kWeightsFile);
  torn.put(kStateFile, "state.safetensors.next");
  SECTION("of a later checkpoint") {}
  SECTION("of the first one") { fs::remove(torn.folder / kStateFile); }
  CHECK(recover_checkpoint(torn.folder.path()) == 20);
  CHECK(whole_step(torn.folder.path()) == 20);
  CHECK(listing(torn.folder.path()) == kPair);
  CHECK(recover_checkpoint(torn.folder.path()) == 20);
}

TEST_CASE("two files that belong to different steps are an error naming file and steps") {
  Torn torn;
  torn.put(kWeightsFile, kWeightsFile);
  SECTION("with nothing staged") {
    CHECK_THROWS_WITH(recover_checkpoint(torn.folder.path()),
                      ContainsSubstring("state.safetensors: the state must belong to step 20") &&
                          ContainsSubstring("no staged file"));
  }
  SECTION("with something else staged") {
    write_step(torn.next.path(), 30);
    torn.put(kStateFile, "state.safetensors.next");
    CHECK_THROWS_WITH(recover_checkpoint(torn.folder.path()),
                      ContainsSubstring("state.safetensors.next: the staged state must belong to step 20") &&
                          ContainsSubstring("it belongs to step 30"));
  }
  SECTION("with half a file staged") {
    const std::string whole = read_file(torn.next / kStateFile);
    write_quickly(torn.folder / "state.safetensors.next", whole.substr(0, whole.size() / 2));
    CHECK_THROWS_WITH(recover_checkpoint(torn.folder.path()), ContainsSubstring("state.safetensors.next"));
  }
  CHECK_THROWS_AS(recover_checkpoint(torn.folder.path()), std::runtime_error);
}

TEST_CASE("a run folder without a usable model is an error naming the file") {
  const TemporaryFolder folder;
  CHECK_THROWS_WITH(recover_checkpoint(folder.path()), ContainsSubstring("must hold model.safetensors"));
  write_step(folder.path(), 1);
  const std::string model = read_file(folder / kWeightsFile);
  for (const std::size_t bytes : {std::size_t{0}, std::size_t{7}, std::size_t{100}, model.size() - 1}) {
    CAPTURE(bytes);
    write_quickly(folder / kWeightsFile, model.substr(0, bytes));
    CHECK_THROWS_WITH(recover_checkpoint(folder.path()), ContainsSubstring(folder / kWeightsFile));
  }
  for (const char* step : {"", "x", "-3", "1 ", "99999999999999999999"}) {
    CAPTURE(step);
    save_safetensors(folder / kWeightsFile, std::vector<NamedTensor>{{"w", Tensor::full({2}, 1)}},
                     {{"step", step}});
    CHECK_THROWS_WITH(recover_checkpoint(folder.path()),
                      ContainsSubstring("model.safetensors: the metadata's step must be a number"));
  }
  save_safetensors(folder / kWeightsFile, std::vector<NamedTensor>{{"w", Tensor::full({2}, 1)}}, {});
  CHECK_THROWS_WITH(recover_checkpoint(folder.path()),
                    ContainsSubstring("the metadata must give the step of its checkpoint"));
}

TEST_CASE("what an earlier attempt staged is never taken for a later one's") {
  Torn torn;
  write_step(torn.next.path(), 15);
  torn.put(kWeightsFile, "model.safetensors.next");
  torn.put(kStateFile, "state.safetensors.next");
  write_quickly(torn.folder / "model.safetensors.99-1.partial", "old");
  write_step(torn.folder.path(), 30);
  CHECK(listing(torn.folder.path()) == kPair);
  CHECK(recover_checkpoint(torn.folder.path()) == 30);
  CHECK(whole_step(torn.folder.path()) == 30);
}

TEST_CASE("a checkpoint that cannot be written leaves the one before as it was") {
  const TemporaryFolder folder;
  write_step(folder.path(), 10);
  // A folder in the way of each name that the writer needs.
  for (const char* name : {"model.safetensors.next", "state.safetensors.next"}) {
    CAPTURE(name);
    fs::create_directory(folder / name);
    CHECK_THROWS_AS(write_step(folder.path(), 20), std::runtime_error);
    CHECK(whole_step(folder.path()) == 10);
    fs::remove(folder / name);
    CHECK(listing(folder.path()) == kPair);
    CHECK(recover_checkpoint(folder.path()) == 10);
  }
  write_step(folder.path(), 20);
  CHECK(whole_step(folder.path()) == 20);
}

TEST_CASE("of older checkpoints the one of the lowest step goes first, not the one of the first name") {
  const TemporaryFolder folder;
  for (const int64_t step : {20, 100, 110, 1000}) write_step(folder.path(), step, 2);
  CHECK(listing(folder / "checkpoints") == "step-100 step-110");
  write_step(folder.path(), 1010, 1);
  CHECK(listing(folder / "checkpoints") == "step-1000");
}

TEST_CASE("a checkpoint of the step that stands replaces it and is not kept beside it") {
  const TemporaryFolder folder;
  for (const int64_t step : {10, 20, 20}) write_step(folder.path(), step, 5);
  CHECK(listing(folder / "checkpoints") == "step-10");
  const HeldCheckpoints held = held_checkpoints(folder.path());
  CHECK(held.kept == 1);
  CHECK(held.bytes == 2 * (file_bytes(folder / kWeightsFile) + file_bytes(folder / kStateFile)));
}

TEST_CASE("a kept checkpoint is synced, file by file and name by name, as a link and as a copy") {
  const TemporaryFolder folder;
  write_step(folder.path(), 10, 2);
  const std::string old = folder / "checkpoints";
  // On another file system there are no links.
  std::string far = "/dev/shm/gradus-test-XXXXXX";
  const bool copied = GENERATE(false, true);
  if (copied) {
    if (::mkdtemp(far.data()) == nullptr) {
      WARN("SKIPPED: /dev/shm is no other file system to copy to");
      return;
    }
    fs::create_directory_symlink(far, old);
  }
  const testing::SyncedPaths synced;
  write_step(folder.path(), 20, 2);
  const std::vector<std::string> paths = synced.paths();
  const auto holds = [&](const std::string& part) {
    return std::any_of(paths.begin(), paths.end(),
                       [&](const std::string& path) { return path.ends_with(part); });
  };
  const std::string where = copied ? far : old;
  CHECK(holds(where));
  CHECK(holds(where + "/.next"));
  CHECK(holds(folder.path()));
  if (copied) {
    int files = 0;
    for (const std::string& path : paths) files += path.find("/.next/") != std::string::npos ? 1 : 0;
    CHECK(files == 2);
  }
  CHECK(whole_step(old + "/step-10") == 10);
  CHECK(listing(old) == "step-10");
  if (copied) fs::remove_all(far);
}

TEST_CASE("older checkpoints stay as long as keep says, each whole") {
  const TemporaryFolder folder;
  const std::string old = folder / "checkpoints";
  for (const int64_t step : {0, 10, 20, 100}) write_step(folder.path(), step, 2);
  CHECK(listing(old) == "step-10 step-20");
  fs::create_directories(old + "/step-by-step");  // somebody else's
  write_quickly(old + "/notes", "mine");
  write_step(folder.path(), 110, 2);
  CHECK(listing(old) == "notes step-100 step-20 step-by-step");  // by number, not by name
  for (const int64_t step : {20, 100}) {
    const std::string kept = old + "/step-" + std::to_string(step);
    CHECK(listing(kept) == kPair);
    CHECK(recover_checkpoint(kept) == step);
    CHECK(whole_step(kept) == step);
  }
  CHECK(whole_step(folder.path()) == 110);
  // A checkpoint that is written again, as after a crash, replaces its own old copy.
  write_step(folder.path(), 110, 2);
  write_step(folder.path(), 120, 2);
  CHECK(whole_step(old + "/step-110") == 110);
  write_step(folder.path(), 130, 0);
  CHECK(whole_step(folder.path()) == 130);
}
