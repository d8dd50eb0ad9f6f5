#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string_view>
#include <vector>

#include "tokenizer/text/split_text.hpp"

namespace gradus {

/// A word of the training text and how often it occurs. All training of tokenizers starts from a list of these, each
/// different word once, ordered by its first appearance in the text.
struct CountedWord {
  std::string_view bytes;
  int64_t count = 0;
};

/// How many bytes the words have, each once.
int64_t total_bytes(std::span<const CountedWord> words);

/// A character of the training text that the vocabulary leaves out, and how often it occurs.
struct DroppedChar {
  char32_t c = 0;
  int64_t count = 0;
  bool operator==(const DroppedChar&) const = default;
};

/// The most memory that some training takes, by what it is given.
/// y = fixed + per_word · words + per_byte · bytes of the words
struct TrainingMemory {
  int64_t fixed = 0;
  int64_t per_word = 0;
  int64_t per_byte = 0;
};

/// Different words, each kept once with its count, in the order of their first addition.
/// note: given a limit, it drops the rarest words whenever it is full: those added once, then twice, and so on, until a
///       quarter is free. That depends on what was added in which order, and on nothing else.
class WordCountTable {
 public:
  /// `max_bytes` bounds the table and what `training` will take of its words; 0 is no limit.
  explicit WordCountTable(int64_t max_bytes = 0, TrainingMemory training = {});

  /// note: copies the bytes, so the word may live in a buffer that is about to change. An empty word is no word.
  void add(std::string_view word, int64_t count = 1);
  /// Adds all words of another table in its order, and what it dropped.
  void add_all(const WordCountTable& other);

  /// How many different words there are.
  int64_t size() const { return words_; }
  /// How often they occur in all.
  int64_t occurrences() const { return occurrences_; }
  /// What the table takes, its list included, without what is set aside for training.
  int64_t bytes() const {
    return charged_ - training_.fixed - training_.per_word * words_ - training_.per_byte * text_;
  }
  /// How many occurrences were dropped for want of room.
  int64_t dropped_occurrences() const { return dropped_; }
  /// The words; they point into the table.
  std::vector<CountedWord> list() const;

 private:
  // Words lie in blocks one after the other: the count (8 bytes), the length (4), the bytes, up to a multiple of 8.
  struct Block {
    std::unique_ptr<char[]> bytes;
    size_t capacity;
    size_t used;
    bool takes(size_t record) const;
  };
  struct Slot {
    uint32_t hash;
    uint32_t place;  // the block and the record in it, or kFree
  };

  template <class Visit>
  void visit(Visit&& visit) const;  // visit(record, length, count), in order
  char* record_at(uint32_t place) const;
  int64_t cost(size_t length) const;
  bool has_room(size_t length) const;
  void append(uint32_t hash, std::string_view word, int64_t count);
  void open_block(size_t record);
  void enter(Slot slot);
  void rehash(size_t slots);
  void drop_rarest(int64_t needed);

  int64_t max_bytes_;
  TrainingMemory training_;
  std::vector<Slot> slots_;  // open addressing, a power of two
  std::vector<Block> blocks_;
  size_t filling_ = 0;  // the block that takes the next word; those after it are empty
  int64_t words_ = 0;
  int64_t text_ = 0;     // bytes of the words
  int64_t charged_ = 0;  // what blocks, slots and training take of max_bytes
  int64_t occurrences_ = 0;
  int64_t dropped_ = 0;
};

/// Cuts a text into words and adds each to the table. Called once for each document or part of one, from any number of
/// threads at a time; what it throws ends the counting.
using CutFn = std::function<void(std::string_view text, WordCountTable& words)>;

struct WordCounterOptions {
  /// Without it documents are never split, so that each is cut by one thread.
  SplitFn split;
  /// The most that counting and then training may take (0: no limit); documents and what cutting needs are not in it.
  int64_t memory_bytes = 0;
  /// What training will take of the words, so that room is left for it.
  TrainingMemory training;
};

/// What a corpus was counted to.
struct WordCounts {
  WordCountTable table;
  /// In the order of first appearance; they point into the table.
  std::vector<CountedWord> words;
  /// How often all words kept occur, and how many occurrences were dropped to stay within the memory given.
  int64_t occurrences = 0;
  int64_t dropped_occurrences = 0;
};

/// Counts the words of a corpus, batch by batch.
/// note: the result follows from the documents, their batches and the options; not from the number of threads.
class WordCounter {
 public:
  /// The least memory_bytes that makes sense.
  static constexpr int64_t kLeastMemory = 16 << 20;

  explicit WordCounter(CutFn cut, WordCounterOptions options = {});
  /// note: the documents may go once it returns. After an error the counter cannot be used any more.
  void add(std::span<const std::string_view> documents);
  /// The counts of everything added; the counter is spent.
  WordCounts finish();

 private:
  using Chunk = std::vector<std::string_view>;  // documents and parts of them
  void count(std::span<const Chunk> chunks);

  CutFn cut_;
  WordCounterOptions options_;
  int64_t chunk_bytes_;
  int64_t chunk_memory_;  // for the words of one chunk; 0: no limit
  size_t most_chunks_;    // at a time
  WordCountTable total_;
};

}  // namespace gradus
