#include "models/word_vectors/run.hpp"

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "models/embeddings/formats/table.hpp"
#include "models/embeddings/formats/vector_file.hpp"
#include "models/word_vectors/glove_trainer.hpp"
#include "models/word_vectors/window_trainer.hpp"
#include "tensor/error.hpp"
#include "tensor/io/hash.hpp"
#include "tensor/machine.hpp"
#include "tensor/parallel.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

namespace fs = std::filesystem;

constexpr const char* kNumbersFile = "text.ids";
constexpr const char* kVocabularyFile = "vocabulary.safetensors";
constexpr const char* kCellsFile = "cells.bin";
constexpr const char* kMetricsFile = "metrics.jsonl";
constexpr const char* kOurs[] = {kNumbersFile, kVocabularyFile,  kCellsFile,
                                 kMetricsFile, kWordVectorState, kWordVectorTable};

std::string in(const std::string& folder, const char* name) { return folder + "/" + name; }

bool is_file_name(const std::string& out) {
  for (const char* ending : {".vec", ".txt", ".bin", ".npy", ".safetensors"}) {
    if (out.ends_with(ending)) return true;
  }
  return false;
}

/// Names as a table of no numbers, for words can be any bytes.
void save_words(const std::string& path, const Vocabulary& vocabulary) {
  Vectors table;
  table.names = vocabulary.words;
  table.counts = vocabulary.counts;
  table.layer_names = {"none"};
  table.layers = {Tensor::zeros({vocabulary.size(), 1})};
  save_vector_table(path, table);
}

Vocabulary load_words(const std::string& path) {
  const Vectors table = read_vector_table(SafetensorsFile::open(path));
  Vocabulary vocabulary;
  vocabulary.words = table.names;
  vocabulary.counts = table.counts;
  check_world(std::ssize(vocabulary.counts) == vocabulary.size() && vocabulary.size() > 0, path,
              ": must hold words and their counts; it does not");
  for (const int64_t count : vocabulary.counts) vocabulary.total += count;
  return vocabulary;
}

}  // namespace

struct WordVectorRun::Impl {
  std::string folder, out, command;
  std::unique_ptr<FolderLock> lock;
  WordVectorOptions options;
  Vocabulary vocabulary;
  std::unique_ptr<WordVectorTrainer> trainer;
  std::string hashes;  // of the text as numbers
  std::optional<bool> fused;
  int64_t words = 0, cells = 0;
  uint64_t memory = 0;
  double training_seconds = 0;

  bool keeps_folder() const { return !is_file_name(out); }

  void make_trainer() {
    if (options.is_glove()) {
      auto glove = std::make_unique<GloveTrainer>(options, vocabulary, in(folder, kCellsFile));
      cells = glove->cells();
      trainer = std::move(glove);
    } else {
      trainer = std::make_unique<WindowTrainer>(options, vocabulary, in(folder, kNumbersFile));
    }
  }
  void checkpoint() const {
    Metadata metadata = trainer->position();
    metadata["kind"] = "word_vectors";
    metadata["options"] = options_to_json(options).dump();
    metadata["out"] = out;
    metadata["command"] = command;
    metadata["words"] = std::to_string(words);
    metadata["text_sha256"] = hashes;
    metadata["fused_multiply_add"] = has_fused_multiply_add() ? "yes" : "no";
    save_safetensors(in(folder, kWordVectorState), trainer->state(), metadata);
  }
  void write_out() const {
    const std::string to = keeps_folder() ? in(folder, kWordVectorTable) : out;
    if (options.has_pieces() && to.ends_with(".bin")) {
      dynamic_cast<const WindowTrainer&>(*trainer).save_fasttext(to, {});
      return;
    }
    Vectors vectors;
    vectors.names = vocabulary.words;
    vectors.counts = vocabulary.counts;
    vectors.layer_names = {"vectors"};
    vectors.layers = {trainer->vectors()};
    save_vectors(to, vectors);
  }
};

WordVectorRun::WordVectorRun(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
WordVectorRun::WordVectorRun(WordVectorRun&&) noexcept = default;
WordVectorRun::~WordVectorRun() = default;

const std::string& WordVectorRun::folder() const { return impl_->folder; }
const std::string& WordVectorRun::out() const { return impl_->out; }
const WordVectorOptions& WordVectorRun::options() const { return impl_->options; }
const Vocabulary& WordVectorRun::vocabulary() const { return impl_->vocabulary; }
WordVectorTrainer& WordVectorRun::trainer() { return *impl_->trainer; }
int64_t WordVectorRun::words() const { return impl_->words; }
int64_t WordVectorRun::cells() const { return impl_->cells; }
std::optional<bool> WordVectorRun::fused_multiply_add() const { return impl_->fused; }
uint64_t WordVectorRun::peak_memory() const { return impl_->memory; }
double WordVectorRun::training_seconds() const { return impl_->training_seconds; }

std::string WordVectorRun::folder_of(const std::string& out) {
  if (!is_file_name(out)) return out;
  return out.substr(0, out.rfind('.')) + ".run";
}

bool WordVectorRun::is_run(const std::string& folder) {
  return is_directory(folder) && file_exists(in(folder, kWordVectorState));
}

WordVectorRun WordVectorRun::create(const WordVectorStart& start, const WordVectorEvents& events) {
  const WordVectorOptions& options = start.options;
  options.validate();
  auto impl = std::make_unique<Impl>();
  impl->out = start.out;
  impl->command = replace_invalid_utf8(start.command);
  impl->folder = folder_of(start.out);
  const std::string& folder = impl->folder;
  check(!is_run(folder), "word vectors: ", folder,
        " must hold no training already; it does; continue it with ", "gradus resume ", folder,
        ", or remove it");
  check(!file_exists(folder) || is_directory(folder), "word vectors: ", folder,
        " must be a folder for the state; a file of that name is in the way");
  if (file_exists(folder)) {
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      const bool ours = std::any_of(std::begin(kOurs), std::end(kOurs), [&](const char* our) {
        // Vectors without a training beside them are somebody's.
        if (our == std::string_view(kWordVectorTable)) return false;
        return name == our || (name.starts_with(our) && name.ends_with(".partial"));
      });
      check(ours, "word vectors: ", folder, " must be a new or empty folder; it holds ", name,
            "; choose another");
    }
  }
  const bool made = !file_exists(folder);
  Vocabulary fixed;
  if (!start.vocabulary.empty()) fixed = read_vocabulary(start.vocabulary);
  Vectors init;
  if (!start.init.empty()) {
    init = load_vectors(start.init, {.on_interrupt = start.reading.on_interrupt});
    const int64_t width = init.layers.front().size(1);
    check(init.layers.size() == 1 && width == options.width, "--init: the vectors must be one table of ",
          options.width, " numbers each; ", start.init, " has ", init.layers.size(), " of ", width,
          "; give --dim ", width);
  }
  create_directories(folder);
  impl->lock = std::make_unique<FolderLock>(folder);
  check_can_write(in(folder, kWordVectorState));
  try {
    const std::string numbers = in(folder, kNumbersFile);
    WordCorpus corpus = encode_words(start.texts, options, start.reading, fixed.size() > 0 ? &fixed : nullptr,
                                     numbers, {.on_progress = [&](int64_t done, int64_t total) {
                                       if (events.on_preparing) events.on_preparing("text", done, total);
                                     }});
    const auto note = [&](const std::string& line) {
      if (events.on_note) events.on_note(line);
    };
    if (!corpus.passed_over.empty()) note(corpus.passed_over);
    impl->options = options;
    impl->vocabulary = std::move(corpus.vocabulary);
    impl->words = corpus.words;
    note(std::to_string(corpus.words_read) + " words, " + std::to_string(corpus.different_words) +
         " different ones; " + std::to_string(impl->vocabulary.size()) +
         " get a vector, of which the text has " + std::to_string(corpus.words));
    if (!start.save_vocabulary.empty()) save_vocabulary(start.save_vocabulary, impl->vocabulary);
    save_words(in(folder, kVocabularyFile), impl->vocabulary);
    impl->hashes = sha256_file(numbers);

    const uint64_t held = resident_bytes();
    impl->memory = held + (options.is_glove() ? GloveTrainer::memory(options, impl->vocabulary.size())
                                              : WindowTrainer::memory(options, impl->vocabulary));
    // GloVe's table is counted with the text, and each word's places in it, at hand.
    if (options.is_glove()) impl->memory = std::max(impl->memory, held + 3 * file_bytes(numbers));
    const uint64_t available = available_memory_bytes() + held;
    const uint64_t most = start.memory > 0 ? std::min(start.memory, available) : available;
    check_world(
        impl->memory <= most, "word vectors: the training must fit into ", most / 1000000,
        " MB of memory; it needs ", impl->memory / 1000000, " MB; give a larger --min-count, a smaller --dim",
        options.has_pieces() ? ", a smaller --bucket" : "", start.memory > 0 ? ", or more --memory" : "");
    if (options.is_glove()) {
      const uint64_t budget =
          std::max<uint64_t>((start.memory > 0 ? most : std::min(most, uint64_t{4} << 30)) / 2, 1);
      const auto report = write_glove_cells(options, impl->vocabulary, numbers, budget,
                                            in(folder, kCellsFile), [&](int64_t done, int64_t total) {
                                              if (events.on_preparing)
                                                events.on_preparing("cells", done, total);
                                            });
      impl->cells = report.cells;
    }
    impl->make_trainer();
    if (start.seconds > 0) {
      // As many whole epochs as fit, told from the first moments of a training that is thrown away.
      constexpr double kLook = 0.5;
      const double begun = now_seconds();
      while (!impl->trainer->finished() && now_seconds() - begun < kLook) impl->trainer->advance();
      const WordVectorProgress progress = impl->trainer->progress();
      const double all = (now_seconds() - begun) * static_cast<double>(progress.total) /
                         static_cast<double>(std::max<int64_t>(progress.done, 1));
      const double epoch = all / static_cast<double>(options.epochs);
      impl->options.epochs = std::clamp<int64_t>(static_cast<int64_t>(start.seconds / epoch), 1, 100000);
      note("--time comes to " + std::to_string(impl->options.epochs) + " epochs");
      impl->make_trainer();
    }
    if (!start.init.empty()) {
      int64_t matched = 0;
      const Tensor rows = init.layers.front().to_contiguous();
      for (int64_t word = 0; word < impl->vocabulary.size(); ++word) {
        const auto row = init.names.find(impl->vocabulary.words[word]);
        if (!row) continue;
        ++matched;
        impl->trainer->set_vector(
            word, {rows.data<float>() + *row * rows.size(1), static_cast<std::size_t>(rows.size(1))});
      }
      note(std::to_string(matched) + " of " + std::to_string(impl->vocabulary.size()) +
           " words begin with a vector of " + start.init);
    }
    impl->checkpoint();
  } catch (...) {
    // Nothing that could be gone on with stands here yet.
    for (const char* name : kOurs) {
      std::error_code none;
      fs::remove(in(folder, name), none);
    }
    std::error_code none;
    if (made) fs::remove(folder, none);
    throw;
  }
  return WordVectorRun(std::move(impl));
}

WordVectorRun WordVectorRun::open(const std::string& folder, const WordVectorEvents&) {
  check_world(is_run(folder), folder, ": must be the folder of a training of word vectors; it is none");
  auto impl = std::make_unique<Impl>();
  impl->folder = folder;
  impl->lock = std::make_unique<FolderLock>(folder);
  check_can_write(in(folder, kWordVectorState));
  const SafetensorsFile state = SafetensorsFile::open(in(folder, kWordVectorState));
  const Metadata& metadata = state.metadata();
  impl->options =
      word_vector_options_from_json(Json::parse(text_of(metadata, "options", state.path()), state.path()));
  impl->out = text_of(metadata, "out", state.path());
  impl->command = text_of(metadata, "command", state.path());
  impl->words = integer_of(metadata, "words", state.path());
  impl->hashes = text_of(metadata, "text_sha256", state.path());
  impl->fused = text_of(metadata, "fused_multiply_add", state.path()) == "yes";
  if (impl->keeps_folder()) impl->out = folder;
  impl->vocabulary = load_words(in(folder, kVocabularyFile));
  check_world(sha256_file(in(folder, kNumbersFile)) == impl->hashes, in(folder, kNumbersFile),
              ": must be the text that the training began with; it is another, or damaged; restore it");
  impl->make_trainer();
  impl->trainer->restore(state);
  return WordVectorRun(std::move(impl));
}

bool WordVectorRun::train(const WordVectorEvents& events, const std::atomic<bool>& cancel) {
  WordVectorTrainer& trainer = *impl_->trainer;
  AppendFile metrics(in(impl_->folder, kMetricsFile));
  const double begun = now_seconds();
  const int64_t first = trainer.progress().done;
  double last_told = begun, last_saved = begun;
  constexpr double kTold = 1, kSaved = 60, kShareOfSaving = 20;
  double interval = kSaved;
  while (!trainer.finished()) {
    if (cancel) {
      impl_->checkpoint();
      return false;
    }
    const double before = now_seconds();
    trainer.advance();
    const double now = now_seconds();
    impl_->training_seconds += now - before;
    if (now - last_told >= kTold) {
      last_told = now;
      const WordVectorProgress progress = trainer.progress();
      const double speed = static_cast<double>(progress.done - first) / (now - begun);
      const double left = speed > 0 ? static_cast<double>(progress.total - progress.done) / speed : 0;
      Json line = Json::object();
      line.set("done", progress.done).set("total", progress.total).set("lr", progress.learning_rate);
      line.set("loss", std::isfinite(progress.loss) ? Json(progress.loss) : Json());
      line.set("words_per_second", speed)
          .set("rss_bytes", static_cast<int64_t>(resident_bytes()))
          .set("eta_seconds", left);
      metrics.append(line.dump());
      if (events.on_progress) events.on_progress(progress, speed, left);
    }
    if (now - last_saved >= interval) {
      impl_->checkpoint();
      last_saved = now_seconds();
      // What is large is saved less often.
      interval = std::max(kSaved, kShareOfSaving * (last_saved - now));
    }
  }
  impl_->write_out();
  if (impl_->keeps_folder()) {
    impl_->checkpoint();
  } else {
    // The state first, by which the folder is known as a training: the vectors stand.
    remove_file(in(impl_->folder, kWordVectorState));
    for (const char* name : kOurs) remove_file(in(impl_->folder, name));
    std::error_code none;
    fs::remove(impl_->folder, none);
  }
  return true;
}

}  // namespace gradus
