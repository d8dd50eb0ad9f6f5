#include "models/sources/source.hpp"

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "models/embeddings/formats/table.hpp"
#include "models/files/gguf_source.hpp"
#include "models/files/llama2c_source.hpp"
#include "models/sources/model_vectors.hpp"
#include "models/training/run_source.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/sentence_folder.hpp"
#include "models/word_vectors/run.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/io/hash.hpp"
#include "tensor/io/json.hpp"
#include "tokenizer/text/strings.hpp"

namespace gradus {
namespace {

constexpr const char* kKeptWords = "words.safetensors";
constexpr const char* kKey = "key";
constexpr const char* kNotes = "notes";
constexpr const char* kUnknownRate = "unknown_rate";

void tell(const SourceEvents& events, const std::string& note) {
  if (events.on_note) events.on_note(note);
}

// The hash of what vectors are made of.
std::string key_of(const std::string& path, const SourceOptions& options, const std::string& corpus) {
  std::string text = "vectors 2\ntext " + corpus + "\nlevel " + std::string(name_of(options.level)) +
                     "\nlayers " + options.layers + (options.truncate ? "\ncut\n" : "\n");
  std::vector<std::string> files;
  if (is_directory(path) && is_sentence_folder(path)) {
    // The modules stand in files of their own, the model perhaps in a folder below.
    for (const auto& entry : std::filesystem::recursive_directory_iterator(path)) {
      const std::string file = entry.path().string();
      if (entry.is_regular_file() && (file.ends_with(".json") || file.ends_with(".safetensors")))
        files.push_back(file);
    }
    std::sort(files.begin(), files.end());
  } else {
    text += "model " + model_sha256(path) + "\n";
    files = {path + "/" + kTokenizerFile, path + "/" + kConfigFile};
  }
  if (!options.tokenizer_file.empty()) files.push_back(options.tokenizer_file);
  for (const std::string& file : files) {
    if (file_exists(file) && !is_directory(file)) text += file + " " + sha256_file(file) + "\n";
  }
  Sha256 hash;
  hash.update(text);
  return hash.hex();
}

std::optional<Vectors> read_kept(const std::string& path, const std::string& key) {
  if (!file_exists(path)) return std::nullopt;
  try {
    const SafetensorsFile file = SafetensorsFile::open(path);
    const auto found = file.metadata().find(kKey);
    if (found == file.metadata().end() || found->second != key) return std::nullopt;
    file.verify();
    Vectors vectors = read_vector_table(file);
    // What was told of them when they were made is told again.
    const auto said = [&](const char* name) {
      const auto entry = file.metadata().find(name);
      return entry == file.metadata().end() ? std::string() : entry->second;
    };
    if (const std::string rate = said(kUnknownRate); !rate.empty())
      vectors.unknown_rate = Json::parse(rate, path).as_number();
    if (const std::string notes = said(kNotes); !notes.empty()) {
      const Json list = Json::parse(notes, path);  // it must live as long as its array is gone through
      for (const Json& note : list.as_array()) vectors.notes.push_back(note.as_string());
    }
    return vectors;
  } catch (const std::runtime_error&) {
    return std::nullopt;  // it is made again
  }
}

// What is kept only saves time.
void keep(const std::string& path, const Vectors& vectors, const std::string& key, const SourceEvents& events,
          bool told) {
  try {
    Json notes = Json::array();
    for (const std::string& note : vectors.notes) notes.push(note);
    save_vector_table(
        path, vectors,
        {{kKey, key}, {kNotes, notes.dump()}, {kUnknownRate, Json(vectors.unknown_rate).dump()}});
    if (told) tell(events, "the vectors are kept in " + path);
  } catch (const std::runtime_error& error) {
    tell(events, std::string("the vectors are not kept: ") + error.what());
  }
}

Vectors open_model_source(const std::string& path, const SourceOptions& options, const SourceEvents& events) {
  check(options.level != Level::token,
        "vectors: the rows of a model must be words or sentences; give --level word or sentence");
  if (!options.sentences.empty()) {
    Corpus corpus;
    corpus.documents = options.sentences;
    corpus.training.assign(corpus.documents.begin(), corpus.documents.end());
    for (const std::string& text : corpus.documents) corpus.names.push_back(shown_text(text));
    return vectors_of_model(path, options, corpus, events);
  }
  if (options.texts.empty()) {
    check(options.level == Level::word, "vectors: sentences are made of a text; give --text FILE");
    check(options.tokenizer_file.empty(),
          "vectors: the text that a run learned from is read with its own tokenizer; leave out --tokenizer, "
          "or give --text FILE");
    check(is_directory(path) && file_exists(path + "/" + kStateFile), "vectors: ", path,
          " is no run, which alone has a text of its own; give --text FILE");
    const std::string kept = path + "/" + kKeptWords;
    SourceOptions all = options;
    all.layers = "all";  // what is kept serves every layer
    const std::string key = key_of(path, all, "of the run");
    if (auto vectors = read_kept(kept, key)) return *vectors;
    if (!options.layers.empty()) parse_layers(options.layers, load_config(path));  // before the work
    const Corpus corpus = load_run_corpus(path, "name a text with --text", options.reading.on_interrupt);
    if (!corpus.passed_over.empty()) tell(events, corpus.passed_over);
    const Vectors vectors = vectors_of_model(path, all, corpus, events);
    keep(kept, vectors, key, events, false);
    return vectors;
  }
  TextOptions reading = options.reading;
  reading.by_lines = options.level == Level::sentence;
  const Corpus corpus = load_corpus(options.texts, 0, reading);
  if (!corpus.passed_over.empty()) tell(events, corpus.passed_over);
  if (options.cache.empty()) return vectors_of_model(path, options, corpus, events);
  const std::string key = key_of(path, options, corpus.sha256);
  const std::string kept = options.cache + "/" + key + ".safetensors";
  if (auto vectors = read_kept(kept, key)) {
    tell(events, "the vectors were made before, and are those of " + kept);
    return *vectors;
  }
  const Vectors vectors = vectors_of_model(path, options, corpus, events);
  if (vectors.rows() == 0) {
    tell(events, "no word of the text is seen 20 times or more; take a longer text, or --level sentence");
    return vectors;
  }
  try {
    create_directories(options.cache);
  } catch (const std::runtime_error& error) {
    tell(events, std::string("the vectors are not kept: ") + error.what());
    return vectors;
  }
  keep(kept, vectors, key, events, true);
  return vectors;
}

}  // namespace

std::string SourceOptions::default_vector_cache() {
  if (const char* folder = std::getenv("XDG_CACHE_HOME"); folder != nullptr && *folder == '/')
    return std::string(folder) + "/gradus/vectors";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home == '/')
    return std::string(home) + "/.cache/gradus/vectors";
  return "";
}

SourceKind kind_of_source(const std::string& path) {
  if (path == "-") return SourceKind::vectors;
  check_world(file_exists(path), path,
              ": must be a file or folder with vectors, or a model; there is nothing");
  if (is_directory(path)) {
    if (file_exists(path + "/" + kConfigFile) || is_sentence_folder(path)) return SourceKind::model;
    if (file_exists(path + "/" + kWordVectorTable)) return SourceKind::vectors;
    check_world(!WordVectorRun::is_run(path), path,
                ": is a training of word vectors that has not ended; continue it with gradus resume ", path);
    check_world(
        file_exists(path + "/meta.json"), path,
        ": must be a folder of a model (with a config.json) or one that `gradus embed -o DIR/` wrote (with a "
        "meta.json); it has neither");
    return SourceKind::vectors;
  }
  if (is_stream(path)) return SourceKind::vectors;
  if (is_gguf_file(path)) return SourceKind::model;
  // A file of llama2.c begins with numbers alone: what is recognised as vectors is no model.
  return !detect_vectors_at(path) && is_llama2c_file(path) ? SourceKind::model : SourceKind::vectors;
}

Vectors open_source(const std::string& path, const SourceOptions& options, const SourceEvents& events) {
  const bool model = kind_of_source(path) == SourceKind::model;
  const bool trained = path != "-" && is_directory(path) && file_exists(path + "/" + kWordVectorTable);
  Vectors vectors = model ? open_model_source(path, options, events)
                          : load_vectors(trained ? path + "/" + kWordVectorTable : path, options.files);
  for (const std::string& note : vectors.notes) tell(events, note);
  return vectors;
}

}  // namespace gradus
