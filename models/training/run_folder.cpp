#include "models/training/run_folder.hpp"

#include <algorithm>
#include <filesystem>
#include <string_view>
#include <utility>

#include "models/training/checkpoint.hpp"
#include "models/training/run_source.hpp"
#include "models/transformer/families/family.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/run_card.hpp"
#include "tensor/build.hpp"
#include "tensor/error.hpp"
#include "tensor/io/hash.hpp"
#include "tensor/io/json.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

namespace fs = std::filesystem;

constexpr const char* kCardSentence = "A language model trained by Gradus";
constexpr const char* kProfileFile = "profile.json";
constexpr std::string_view kInputBegin = "input-";

std::string in(const std::string& folder, const std::string& name) { return folder + "/" + name; }

std::string bytes_text(int64_t bytes) {
  std::string text = std::to_string(bytes);
  for (std::size_t at = text.size(); at > 3;) text.insert(at -= 3, ",");
  return text + " bytes";
}

std::string model_card(const RunStart& start) {
  const Config& config = start.config;
  std::string card = "# " + start.corpus.name + "\n\n";
  card += std::string(kCardSentence) + std::string(kCardOfFiles) + ".\n\n";
  card += "| | |\n|---|---|\n";
  if (!start.command.empty()) card += "| command | `" + start.command + "` |\n";
  card += "| text | " + bytes_text(start.corpus.bytes) + " in " + std::to_string(start.corpus.files.size()) +
          " file(s), sha256 `" + start.corpus.sha256 + "` |\n";
  card += "| model | " + std::string(config.family->name) + ", " + std::to_string(config.n_layer) +
          " layers, width " + std::to_string(config.n_embd) + ", " + std::to_string(parameter_count(config)) +
          " parameters |\n";
  card += "| objective | " + start.options.objective + " |\n";
  card += "| tokenizer | " + start.tokenizer.kind() + ", " + std::to_string(start.tokenizer.vocab_size()) +
          " tokens |\n";
  card += "| seed | " + std::to_string(start.options.seed) + " |\n";
  card += "| build | gradus " + build_info().text() + " |\n\n";
  card += kCardOfUse;
  return replace_invalid_utf8(card);
}

/// The name, in the run folder, of what nobody can read again.
std::string kept_name(std::size_t file, const std::string& path) {
  return std::string(kInputBegin) + std::to_string(file + 1) + (path.ends_with(".jsonl") ? ".jsonl" : ".txt");
}

/// Whether a file of this name is one that a training writes before its first checkpoint, or the beginning of one.
bool is_written_first(const std::string& name) {
  for (const std::string_view ending : {".txt", ".jsonl"}) {
    if (!name.starts_with(kInputBegin) || !name.ends_with(ending)) continue;
    const std::string number =
        name.substr(kInputBegin.size(), name.size() - kInputBegin.size() - ending.size());
    if (!number.empty() && number.find_first_not_of("0123456789") == number.npos) return true;
  }
  for (const char* ours : {kCardFile, kTokenizerFile, kConfigFile, kMetricsFile, kProfileFile}) {
    if (name == ours || (name.starts_with(ours) && name.ends_with(".partial"))) return true;
  }
  return (name.starts_with(kWeightsFile) || name.starts_with(kStateFile)) &&
         (name.ends_with(".partial") || name.ends_with(".next"));
}

std::string config_hash(const Config& config) { return sha256_hex(config_to_json(config).dump()); }

}  // namespace

RunFolder::RunFolder() : source_(std::make_unique<RunSource>()) {}
RunFolder::RunFolder(RunFolder&&) noexcept = default;
RunFolder& RunFolder::operator=(RunFolder&&) noexcept = default;
RunFolder::~RunFolder() = default;

const std::vector<std::string>& RunFolder::text_paths() const { return source_->paths; }

Metadata RunFolder::state_metadata() const { return source_metadata(*source_); }

void RunFolder::check_free(const std::string& path) {
  if (!file_exists(path)) return;
  check(is_directory(path), "run: ", path,
        " must be a folder; a file of that name is in the way; choose another");
  check(!file_exists(in(path, kWeightsFile)) && !file_exists(in(path, kStateFile)), "run: ", path,
        " must not hold a run already; it does; choose another, or continue it with gradus resume ", path);
  const std::string card = in(path, kCardFile);
  const bool has_card = file_exists(card) && !is_directory(card);
  const bool begun = has_card && read_file(card).find(kCardSentence) != std::string::npos;
  std::vector<std::string> foreign;
  for (const auto& entry : fs::directory_iterator(path)) {
    const std::string name = entry.path().filename().string();
    const bool half_a_card = name.starts_with(std::string(kCardFile) + ".") && name.ends_with(".partial");
    if (!half_a_card && !(begun && is_written_first(name))) foreign.push_back(name);
  }
  std::sort(foreign.begin(), foreign.end());
  std::string names;
  constexpr std::size_t kNamed = 3;
  for (std::size_t i = 0; i < std::min(foreign.size(), kNamed); ++i)
    names += (i > 0 ? ", " : "") + foreign[i];
  if (foreign.size() > kNamed) names += " and " + std::to_string(foreign.size() - kNamed) + " more";
  check(foreign.empty(), "run: ", path, " must be a new or empty folder; it holds ", names,
        ", which is not of a run; choose another");
}

RunFolder RunFolder::create(const std::string& path, const RunStart& start) {
  create_directories(path);
  RunFolder run;
  run.path_ = path;
  run.lock_ = std::make_unique<FolderLock>(path);
  check_can_write(in(path, kStateFile));
  check_free(path);
  run.config_ = start.config;
  run.tokenizer_ = start.tokenizer;
  run.options_ = start.options;
  for (const std::string& file : start.corpus.files)
    run.source_->paths.push_back(fs::absolute(file).string());
  run.source_->text_key = start.texts.key;
  run.source_->json_lines = start.texts.json_lines;
  run.source_->force_text = start.texts.force;
  run.source_->corpus_sha256 = start.corpus.sha256;
  run.source_->tokenizer_sha256 = sha256_hex(start.tokenizer.to_json());
  run.source_->config_sha256 = config_hash(start.config);
  // The card first: by it what stands here is known as a run's.
  write_file_atomic(in(path, kCardFile), model_card(start));
  for (const auto& [file, contents] : start.corpus.streams) {
    run.source_->paths[file] = kept_name(file, start.corpus.files[file]);
    write_file_atomic(in(path, run.source_->paths[file]), contents);
  }
  start.tokenizer.save(in(path, kTokenizerFile));
  write_file_atomic(in(path, kConfigFile), config_to_json(start.config).dump(2) + "\n");
  return run;
}

RunFolder RunFolder::open(const std::string& path) {
  check_world(is_directory(path), path, ": must be a run folder; there is no such folder");
  RunFolder run;
  run.path_ = path;
  run.lock_ = std::make_unique<FolderLock>(path);
  check_can_write(in(path, kStateFile));
  run.step_ = recover_checkpoint(path);
  const SafetensorsFile file = SafetensorsFile::open(in(path, kStateFile));
  const Metadata& state = file.metadata();
  const auto find = [&](const char* key) -> std::optional<std::string> {
    const auto entry = state.find(key);
    return entry == state.end() ? std::nullopt : std::optional(entry->second);
  };
  const std::optional<std::string> options = find("options");
  check_world(options.has_value(), file.path(),
              ": the metadata must hold the training's options; it does not");
  run.options_ = options_from_json(Json::parse(*options, file.path()));
  if (const auto fused = find(kFusedKey)) run.fused_ = *fused == "yes";
  if (const auto last = find("last")) {
    const Json json = Json::parse(*last, file.path());
    if (const Json* rate = json.find("lr")) run.last_rate_ = rate->as_number();
  }
  *run.source_ = source_from_metadata(state, file.path());
  run.tokenizer_ = Tokenizer::load(in(path, kTokenizerFile));
  check_world(
      sha256_hex(run.tokenizer_.to_json()) == run.source_->tokenizer_sha256, in(path, kTokenizerFile),
      ": must be the tokenizer that the run was started with; it is another; restore the original file");
  run.config_ = load_config(path);
  check_tokenizer(run.config_, run.tokenizer_, path);
  check_world(
      config_hash(run.config_) == run.source_->config_sha256, in(path, kConfigFile),
      ": must hold the configuration that the run was started with; it holds another; restore the file, or "
      "start a new run with gradus train --init model:",
      path);
  return run;
}

Corpus RunFolder::read_texts(const std::string& advice, const std::function<void()>& on_interrupt) const {
  return load_run_corpus(path_, *source_, options_.val_fraction, advice, on_interrupt);
}

Corpus RunFolder::move_texts(const std::vector<std::string>& paths, const std::string& advice,
                             const std::function<void()>& on_interrupt) {
  RunSource moved = *source_;
  moved.paths.clear();
  for (const std::string& path : paths) {
    check(path != "-", "run: its texts must be files, which can be read again; '-' is a stream");
    moved.paths.push_back(fs::absolute(path).string());
  }
  Corpus corpus = load_run_corpus(path_, moved, options_.val_fraction, advice, on_interrupt);
  check(corpus.streams.empty(),
        "run: its texts must be files, which can be read again; a pipe or device is none");
  moved.paths = corpus.files;
  *source_ = std::move(moved);
  return corpus;
}

MetricsLog& RunFolder::metrics() {
  if (!metrics_) metrics_ = std::make_unique<MetricsLog>(in(path_, kMetricsFile), step_);
  return *metrics_;
}

}  // namespace gradus
