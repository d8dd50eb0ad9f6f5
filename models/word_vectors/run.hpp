#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "models/word_vectors/corpus.hpp"
#include "models/word_vectors/trainer.hpp"

namespace gradus {

/// A folder's file by which it is known as a training of word vectors.
inline constexpr const char* kWordVectorState = "vectors.state.safetensors";
/// In the folder that was asked for: the vectors, and which of them exist.
inline constexpr const char* kWordVectorTable = "vectors.safetensors";

/// What a training of word vectors begins with.
struct WordVectorStart {
  WordVectorOptions options;
  std::vector<std::string> texts;
  TextOptions reading = {};
  std::string out;              ///< a file of vectors, or a folder
  std::string vocabulary = "";  ///< a file of read_vocabulary(); "": the words of the text
  std::string save_vocabulary = "";
  std::string init = "";  ///< a file of vectors to begin with
  uint64_t memory = 0;    ///< bytes to stay below; 0: what is available
  double seconds = 0;     ///< instead of epochs: as many as fit
  std::string command = "";
};

struct WordVectorEvents {
  std::function<void(const std::string& line)> on_note;
  /// What is read or counted: "text", "cells". `total` 0: nobody knows.
  std::function<void(const std::string& what, int64_t done, int64_t total)> on_preparing;
  /// Now and then; seconds of this process alone.
  std::function<void(const WordVectorProgress& progress, double words_per_second, double seconds_left)>
      on_progress;
};

/// A training of word vectors and its folder, which holds all that going on needs: the text as numbers, GloVe's table, the
/// vocabulary, the state. A crash loses what was done since the last checkpoint; what follows is the same bit for bit.
class WordVectorRun {
 public:
  /// Where the state of a training for `out` lies: NAME.run beside the file NAME.vec, or in the folder itself.
  static std::string folder_of(const std::string& out);
  static bool is_run(const std::string& folder);
  /// Reads the texts and begins; an error where the folder holds a training already.
  static WordVectorRun create(const WordVectorStart& start, const WordVectorEvents& events);
  static WordVectorRun open(const std::string& folder, const WordVectorEvents& events = {});

  WordVectorRun(WordVectorRun&&) noexcept;
  ~WordVectorRun();

  const std::string& folder() const;
  const std::string& out() const;
  const WordVectorOptions& options() const;
  const Vocabulary& vocabulary() const;
  WordVectorTrainer& trainer();
  /// Words of one pass over the text (of GloVe: cells).
  int64_t words() const;
  int64_t cells() const;
  std::optional<bool> fused_multiply_add() const;
  /// What the training will take, as it was told before it began.
  uint64_t peak_memory() const;
  /// Of train() without writing anything.
  double training_seconds() const;

  /// Trains to the end and writes what was asked for, or until `cancel`: then a checkpoint stands and false is returned.
  bool train(const WordVectorEvents& events, const std::atomic<bool>& cancel);

 private:
  struct Impl;
  explicit WordVectorRun(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace gradus
