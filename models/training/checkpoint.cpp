#include "models/training/checkpoint.hpp"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"

namespace gradus {
namespace {

namespace fs = std::filesystem;

constexpr const char* kStaged = ".next";
constexpr const char* kKeptFolder = "checkpoints";

/// A file of a folder, behind whatever link somebody has put there.
std::string in(const std::string& folder, const std::string& name) {
  return follow_links(folder + "/" + name);
}

int64_t step_of(const SafetensorsFile& file) {
  const auto entry = file.metadata().find("step");
  check_world(entry != file.metadata().end(), file.path(),
              ": the metadata must give the step of its checkpoint; it does not");
  int64_t step = 0;
  const std::string& text = entry->second;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), step);
  check_world(error == std::errc() && end == text.data() + text.size() && step >= 0, file.path(),
              ": the metadata's step must be a number; it is '", text, "'");
  return step;
}

/// The older checkpoints of a run folder, the oldest first.
std::vector<std::pair<int64_t, fs::path>> kept_checkpoints(const std::string& folder) {
  std::vector<std::pair<int64_t, fs::path>> kept;
  std::error_code none;  // no folder, none kept
  for (const auto& entry : fs::directory_iterator(in(folder, kKeptFolder), none)) {
    const std::string name = entry.path().filename().string();
    int64_t number = 0;
    if (name.starts_with("step-") &&
        std::from_chars(name.data() + 5, name.data() + name.size(), number).ptr ==
            name.data() + name.size()) {
      kept.emplace_back(number, entry.path());
    }
  }
  std::sort(kept.begin(), kept.end());
  return kept;
}

void remove_all(const std::string& path) {
  std::error_code error;
  fs::remove_all(path, error);
  check_world(!error, path, ": cannot be removed; ", error.message());
}

/// Lets a file stand under a second name too, through a loss of power: as a hard link, since publishing replaces names, not
/// contents, or as a copy where the file system has none.
void link_or_copy(const std::string& from, const std::string& to) {
  const std::string staged = to + kStaged;
  std::error_code error;
  fs::create_hard_link(from, staged, error);
  if (!error) return rename_synced(staged, to);
  const MappedFile contents(from);
  AtomicFile copy(to);
  copy.write(contents.data(), contents.size());
  copy.commit();
}

/// The checkpoint that stands becomes an older one, unless it is of the step that is about to be written.
void keep_current(const std::string& folder, int64_t next_step, int64_t keep) {
  if (!file_exists(in(folder, kWeightsFile)) || !file_exists(in(folder, kStateFile))) return;
  const int64_t step = step_of(SafetensorsFile::open(in(folder, kStateFile)));
  if (step == next_step) return;
  // Made under another name, so that a folder step-N is never half of a checkpoint.
  const std::string kept_folder = in(folder, kKeptFolder);
  const std::string staged = in(kept_folder, kStaged);
  const std::string old = in(kept_folder, "step-" + std::to_string(step));
  remove_all(staged);
  create_directories(staged);
  for (const char* name : {kWeightsFile, kStateFile}) link_or_copy(in(folder, name), in(staged, name));
  remove_all(old);
  rename_synced(staged, old);
  const auto kept = kept_checkpoints(folder);
  for (std::size_t i = 0; i + static_cast<std::size_t>(keep) < kept.size(); ++i) {
    remove_all(kept[i].second.string());
  }
}

}  // namespace

void write_checkpoint(const std::string& folder, int64_t step, CheckpointFiles files, int64_t keep) {
  files.model_metadata["step"] = std::to_string(step);
  files.state_metadata["step"] = std::to_string(step);
  const std::string model = in(folder, kWeightsFile);
  const std::string state = in(folder, kStateFile);
  if (keep > 0) keep_current(folder, step, keep);
  // A staged file of an earlier, failed attempt must not survive the first rename below: it would pass for this one's.
  remove_file(state + kStaged);
  AtomicFile model_file(model);
  write_safetensors(model_file, files.model, files.model_metadata);
  AtomicFile state_file(state);
  write_safetensors(state_file, files.state, files.state_metadata);
  try {
    model_file.sync_as(model + kStaged);
    state_file.sync_as(state + kStaged);
  } catch (...) {
    remove_file(model + kStaged);
    throw;
  }
  rename_synced(model + kStaged, model);
  rename_synced(state + kStaged, state);
}

int64_t recover_checkpoint(const std::string& folder) {
  const std::string model = in(folder, kWeightsFile);
  const std::string state = in(folder, kStateFile);
  check_world(file_exists(model), folder, ": the run folder must hold ", kWeightsFile,
              "; it does not; train a model first");
  const int64_t model_step = step_of(SafetensorsFile::open(model));
  const auto finish = [&] {
    remove_file(model + kStaged);
    remove_file(state + kStaged);
    for (const std::string& path : {model, state}) {
      remove_stale_partials(path);
      remove_file(path + ".partial");  // as older versions called it
    }
    return model_step;
  };
  if (file_exists(state) && step_of(SafetensorsFile::open(state)) == model_step) return finish();
  check_world(
      file_exists(state) || file_exists(state + kStaged), state, ": must stand beside ", kWeightsFile,
      ", of step ", model_step,
      ", for a training to go on; it is not there; put it back, or train from the weights with --init");
  // The model took its place and the state did not: the staged state was complete by then.
  check_world(
      file_exists(state + kStaged), state, ": the state must belong to step ", model_step, " as ",
      kWeightsFile,
      " does; it does not, and there is no staged file to finish with; restore both files of one checkpoint");
  const int64_t staged_step = step_of(SafetensorsFile::open(state + kStaged));
  check_world(staged_step == model_step, state, kStaged, ": the staged state must belong to step ",
              model_step, "; it belongs to step ", staged_step);
  rename_synced(state + kStaged, state);
  return finish();
}

HeldCheckpoints held_checkpoints(const std::string& folder) {
  HeldCheckpoints held;
  for (const char* name : {kWeightsFile, kStateFile}) held.bytes += file_bytes(in(folder, name));
  for (const auto& [step, path] : kept_checkpoints(folder)) {
    ++held.kept;
    for (const char* name : {kWeightsFile, kStateFile}) {
      std::error_code missing;
      // After a crash the checkpoint that stands may have a second name here.
      if (fs::equivalent(path / name, in(folder, name), missing)) continue;
      const auto bytes = fs::file_size(path / name, missing);
      if (!missing) held.bytes += bytes;
    }
  }
  return held;
}

}  // namespace gradus
