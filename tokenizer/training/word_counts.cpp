#include "tokenizer/training/word_counts.hpp"

#include <algorithm>
#include <bit>
#include <cstring>
#include <limits>
#include <utility>

#include "tensor/error.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

constexpr size_t kUnit = 8;  // records begin at multiples of it
constexpr size_t kHeader = sizeof(int64_t) + sizeof(uint32_t);
constexpr size_t kBlockBytes = 64 << 10;
constexpr int kUnitBits = 13;  // of a place: the unit in its block; the rest is the block
static_assert(kBlockBytes / kUnit == size_t{1} << kUnitBits);
constexpr size_t kMostBlocks = size_t{1} << (32 - kUnitBits);
constexpr uint32_t kFree = ~uint32_t{0};
constexpr int64_t kChunkBytes = 1 << 20;  // of text
constexpr size_t kFirstSlots = 1 << 12;
constexpr size_t kMostSlots = size_t{1} << 32;  // more would need more bits of hash

size_t record_bytes(size_t length) { return (kHeader + length + kUnit - 1) / kUnit * kUnit; }

int64_t count_of(const char* record) {
  int64_t count = 0;
  std::memcpy(&count, record, sizeof count);
  return count;
}

void set_count(char* record, int64_t count) { std::memcpy(record, &count, sizeof count); }

uint32_t length_of(const char* record) {
  uint32_t length = 0;
  std::memcpy(&length, record + sizeof(int64_t), sizeof length);
  return length;
}

template <class Int>
uint64_t load(const char* at) {
  Int value = 0;
  std::memcpy(&value, at, sizeof value);
  return value;
}

__extension__ using uint128 = unsigned __int128;

uint64_t fold(uint64_t a, uint64_t b) {
  const uint128 product = static_cast<uint128>(a) * b;
  return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
}

// Odd numbers without a pattern, for mixing. Where a word lies in a table shows in no result.
struct HashKeys {
  uint64_t a = 0x9E3779B97F4A7C15u, b = 0xD6E8FEB86659FD93u, c = 0xA0761D6478BD642Fu;
};

uint32_t hash_of(std::string_view word) {
  constexpr HashKeys keys;
  const char* at = word.data();
  const size_t size = word.size();
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t state = keys.a ^ size;
  if (size > 16) {
    const char* const end = at + size;
    for (; end - at > 16; at += 16) {
      state = fold(load<uint64_t>(at) ^ keys.b, load<uint64_t>(at + 8) ^ state);
    }
    first = load<uint64_t>(end - 16);
    last = load<uint64_t>(end - 8);
  } else if (size >= 8) {
    first = load<uint64_t>(at);
    last = load<uint64_t>(at + size - 8);
  } else if (size >= 4) {
    first = load<uint32_t>(at);
    last = load<uint32_t>(at + size - 4);
  } else if (size > 0) {
    first = load<uint8_t>(at) | load<uint8_t>(at + size / 2) << 8 | load<uint8_t>(at + size - 1) << 16;
  }
  return static_cast<uint32_t>(fold(fold(first ^ keys.b, last ^ state), keys.c) >> 32);
}

constexpr int64_t kNoLimit = std::numeric_limits<int64_t>::max();

}  // namespace

int64_t total_bytes(std::span<const CountedWord> words) {
  int64_t bytes = 0;
  for (const CountedWord& word : words) bytes += static_cast<int64_t>(word.bytes.size());
  return bytes;
}

WordCountTable::WordCountTable(int64_t max_bytes, TrainingMemory training)
    : max_bytes_(max_bytes > 0 ? max_bytes : kNoLimit),
      training_(training),
      slots_(kFirstSlots, Slot{0, kFree}) {
  charged_ = training.fixed + static_cast<int64_t>(kFirstSlots * sizeof(Slot));
  check(charged_ <= max_bytes_,
        "count_words: the memory must hold a table and what training takes at least, ", charged_, " bytes; ",
        max_bytes_, " were given; give more");
}

// A place reaches no further, even into a block that was made for one long word.
bool WordCountTable::Block::takes(size_t record) const {
  return used < kBlockBytes && used + record <= capacity;
}

char* WordCountTable::record_at(uint32_t place) const {
  return blocks_[place >> kUnitBits].bytes.get() + (place & ((uint32_t{1} << kUnitBits) - 1)) * kUnit;
}

// What a word takes beside its block: a place in the final list, and its share of training.
int64_t WordCountTable::cost(size_t length) const {
  return static_cast<int64_t>(sizeof(CountedWord)) + training_.per_word +
         training_.per_byte * static_cast<int64_t>(length);
}

bool WordCountTable::has_room(size_t length) const {
  int64_t more = cost(length);
  const size_t record = record_bytes(length);
  if (blocks_.empty() || !blocks_[filling_].takes(record)) {
    more += static_cast<int64_t>(std::max(record, kBlockBytes));
  }
  // While slots double, the old and the new ones live together.
  if (3 * static_cast<size_t>(words_ + 1) > 2 * slots_.size()) {
    more += static_cast<int64_t>(2 * slots_.size() * sizeof(Slot));
  }
  return more <= max_bytes_ - charged_;
}

void WordCountTable::add(std::string_view word, int64_t count) {
  if (word.empty()) return;
  const uint32_t hash = hash_of(word);
  const size_t mask = slots_.size() - 1;
  for (size_t at = hash & mask; slots_[at].place != kFree; at = (at + 1) & mask) {
    if (slots_[at].hash != hash) continue;
    char* const record = record_at(slots_[at].place);
    if (length_of(record) == word.size() && std::memcmp(record + kHeader, word.data(), word.size()) == 0) {
      set_count(record, count_of(record) + count);
      occurrences_ += count;
      return;
    }
  }
  append(hash, word, count);
}

void WordCountTable::append(uint32_t hash, std::string_view word, int64_t count) {
  check_world(word.size() < (size_t{1} << 31),
              "count_words: a word must have fewer than 2^31 bytes; one has ", word.size(),
              ": a pre-tokenizer would cut it");
  if (!has_room(word.size())) {
    // One long word is not worth half of all others.
    const int64_t needed = cost(word.size()) + static_cast<int64_t>(record_bytes(word.size()));
    if (needed <= (max_bytes_ - training_.fixed) / 2) drop_rarest(needed);
    if (!has_room(word.size())) {
      dropped_ += count;
      return;
    }
  }
  if (3 * static_cast<size_t>(words_ + 1) > 2 * slots_.size()) rehash(2 * slots_.size());
  const size_t record = record_bytes(word.size());
  open_block(record);
  Block& block = blocks_[filling_];
  char* const at = block.bytes.get() + block.used;
  const auto length = static_cast<uint32_t>(word.size());
  set_count(at, count);
  std::memcpy(at + sizeof(int64_t), &length, sizeof length);
  std::memcpy(at + kHeader, word.data(), word.size());
  enter({hash, static_cast<uint32_t>(filling_ << kUnitBits | block.used / kUnit)});
  block.used += record;
  charged_ += cost(word.size());
  occurrences_ += count;
  text_ += static_cast<int64_t>(word.size());
  ++words_;
}

// Makes the block that is being filled one with room for so many bytes.
void WordCountTable::open_block(size_t record) {
  while (filling_ < blocks_.size() && !blocks_[filling_].takes(record)) ++filling_;
  if (filling_ < blocks_.size()) return;
  // The last place stands for a free slot.
  check_world(blocks_.size() + 1 < kMostBlocks, "count_words: the different words must take less than ",
              kMostBlocks * kBlockBytes >> 30, " GB; give a limit of memory, so that rare words are dropped");
  const size_t capacity = std::max(record, kBlockBytes);
  blocks_.push_back({std::make_unique_for_overwrite<char[]>(capacity), capacity, 0});
  charged_ += static_cast<int64_t>(capacity);
}

void WordCountTable::enter(Slot slot) {
  const size_t mask = slots_.size() - 1;
  size_t at = slot.hash & mask;
  while (slots_[at].place != kFree) at = (at + 1) & mask;
  slots_[at] = slot;
}

void WordCountTable::rehash(size_t slots) {
  check_world(slots <= kMostSlots, "count_words: there are too many different words (", words_,
              "); give a limit of memory, so that rare words are dropped");
  std::vector<Slot> old(slots, Slot{0, kFree});
  old.swap(slots_);
  charged_ += static_cast<int64_t>((slots_.size() - old.size()) * sizeof(Slot));
  for (const Slot& slot : old) {
    if (slot.place != kFree) enter(slot);
  }
}

template <class Visit>
void WordCountTable::visit(Visit&& visit) const {
  for (const Block& block : blocks_) {
    for (size_t at = 0; at < block.used;) {
      const char* const record = block.bytes.get() + at;
      const size_t length = length_of(record);
      visit(record, length, count_of(record));
      at += record_bytes(length);
    }
  }
}

void WordCountTable::add_all(const WordCountTable& other) {
  other.visit([&](const char* record, size_t length, int64_t count) {
    add(std::string_view(record + kHeader, length), count);
  });
  dropped_ += other.dropped_;
}

// Drops the words of the least counts, until a quarter of the limit, a quarter of what words take now, and `needed`
// bytes are free.
void WordCountTable::drop_rarest(int64_t needed) {
  const auto taken_above = [&](int64_t limit) {
    int64_t bytes = 0;
    visit([&](const char*, size_t length, int64_t count) {
      if (count > limit) bytes += cost(length) + static_cast<int64_t>(record_bytes(length));
    });
    return bytes;
  };
  const int64_t fixed = training_.fixed + static_cast<int64_t>(slots_.size() * sizeof(Slot));
  const int64_t goal =
      std::min({(max_bytes_ - fixed) / 4 * 3, max_bytes_ - fixed - needed, taken_above(-1) / 4 * 3});
  int64_t enough = 1;  // the highest count to drop, found by doubling, then by halving
  while (enough < kNoLimit / 2 && taken_above(enough) > goal) enough *= 2;
  int64_t too_few = enough / 2;
  while (enough - too_few > 1) {
    const int64_t middle = too_few + (enough - too_few) / 2;
    (taken_above(middle) > goal ? too_few : enough) = middle;
  }

  // The records left move towards the front, into the same blocks. None is written over before it is read: a shorter
  // list never gets ahead of a longer one.
  std::fill(slots_.begin(), slots_.end(), Slot{0, kFree});
  words_ = 0;
  text_ = 0;
  filling_ = 0;
  for (size_t source = 0; source < blocks_.size(); ++source) {
    const size_t used = std::exchange(blocks_[source].used, 0);
    for (size_t at = 0; at < used;) {
      const char* const record = blocks_[source].bytes.get() + at;
      const size_t length = length_of(record);
      const int64_t count = count_of(record);
      const size_t bytes = record_bytes(length);
      at += bytes;
      if (count <= enough) {
        occurrences_ -= count;
        dropped_ += count;
        continue;
      }
      open_block(bytes);
      Block& block = blocks_[filling_];
      char* const place = block.bytes.get() + block.used;
      std::memmove(place, record, bytes);
      enter({hash_of({place + kHeader, length}),
             static_cast<uint32_t>(filling_ << kUnitBits | block.used / kUnit)});
      block.used += bytes;
      text_ += static_cast<int64_t>(length);
      ++words_;
    }
  }
  blocks_.erase(blocks_.begin() + static_cast<std::ptrdiff_t>(words_ == 0 ? 0 : filling_ + 1), blocks_.end());
  charged_ = fixed;
  for (const Block& block : blocks_) charged_ += static_cast<int64_t>(block.capacity);
  charged_ += words_ * cost(0) + text_ * training_.per_byte;
}

std::vector<CountedWord> WordCountTable::list() const {
  std::vector<CountedWord> words;
  words.reserve(static_cast<size_t>(words_));
  visit([&](const char* record, size_t length, int64_t count) {
    words.push_back({{record + kHeader, length}, count});
  });
  return words;
}

WordCounter::WordCounter(CutFn cut, WordCounterOptions options)
    : cut_(std::move(cut)), options_(std::move(options)), chunk_bytes_(kChunkBytes) {
  check(static_cast<bool>(cut_), "count_words: a function that cuts text into words must be given");
  const int64_t memory = options_.memory_bytes;
  check(memory == 0 || memory >= kLeastMemory, "count_words: memory_bytes must be 0 (no limit) or at least ",
        kLeastMemory, "; ", memory, " were given");
  // A quarter is for the chunks being counted, the rest for the whole and then for training. Sizes must not follow
  // from the number of threads: they decide what is dropped.
  chunk_memory_ = std::min(memory / 32, int64_t{64} << 20);
  most_chunks_ = static_cast<size_t>(4 * thread_count());
  if (memory > 0) {
    chunk_bytes_ = std::min(kChunkBytes, chunk_memory_ / 16);
    most_chunks_ = std::min(most_chunks_, static_cast<size_t>(memory / 4 / chunk_memory_));
  }
  total_ = WordCountTable(memory - memory / 4, options_.training);
}

void WordCounter::add(std::span<const std::string_view> documents) {
  std::vector<Chunk> chunks;
  int64_t bytes = chunk_bytes_;  // of the last chunk
  const auto take = [&](std::string_view text) {
    if (bytes >= chunk_bytes_) {
      if (chunks.size() == most_chunks_) {
        count(chunks);
        chunks.clear();
      }
      chunks.emplace_back();
      bytes = 0;
    }
    chunks.back().push_back(text);
    bytes += static_cast<int64_t>(text.size());
  };
  const auto chunk_size = static_cast<size_t>(chunk_bytes_);
  for (std::string_view document : documents) {
    while (options_.split && document.size() > chunk_size) {
      const size_t end = options_.split(document, chunk_size);
      check(end >= chunk_size && end <= document.size(),
            "count_words: a document must be split at or after byte ", chunk_size, " and not beyond its ",
            document.size(), "; the rule gave ", end);
      take(document.substr(0, end));
      document.remove_prefix(end);
    }
    if (!document.empty()) take(document);
  }
  count(chunks);
}

void WordCounter::count(std::span<const Chunk> chunks) {
  std::vector<WordCountTable> tables;
  for (size_t i = 0; i < chunks.size(); ++i) tables.emplace_back(chunk_memory_);
  parallel_for_throwing(std::ssize(chunks), [&](int64_t chunk) {
    const auto i = static_cast<size_t>(chunk);
    for (const std::string_view text : chunks[i]) cut_(text, tables[i]);
  });
  for (WordCountTable& table : tables) {
    total_.add_all(table);
    table = WordCountTable();
  }
}

WordCounts WordCounter::finish() {
  WordCounts counts{std::move(total_), {}, 0, 0};
  counts.words = counts.table.list();
  counts.occurrences = counts.table.occurrences();
  counts.dropped_occurrences = counts.table.dropped_occurrences();
  return counts;
}

}  // namespace gradus
