#include "tokenizer/bpe.hpp"

#include <algorithm>
#include <cstring>

#include "tokenizer/pretokenize.hpp"

namespace gradus {

BpeMerges::BpeMerges(const std::array<int32_t, 256>& byte_ids, std::vector<BpeMerge> merges)
    : byte_ids_(byte_ids), merges_(std::move(merges)), ranks_(static_cast<int64_t>(merges_.size())) {
  for (size_t rank = 0; rank < merges_.size(); ++rank) {
    ranks_.find_or_insert(merges_[rank].left, merges_[rank].right, static_cast<int32_t>(rank));
  }
}

void BpeMerges::apply(std::string_view piece, std::vector<int32_t>& ids) const {
  if (piece.size() <= kLinearLimit) {
    apply_linear(piece, ids);
  } else {
    apply_heap(piece, ids);
  }
}

void BpeMerges::apply_linear(std::string_view piece, std::vector<int32_t>& ids) const {
  int32_t symbols[kLinearLimit];
  uint32_t ranks[kLinearLimit];  // of the pair (i, i + 1)
  size_t count = piece.size();
  for (size_t i = 0; i < count; ++i) symbols[i] = byte_ids_[static_cast<unsigned char>(piece[i])];
  for (size_t i = 0; i + 1 < count; ++i) ranks[i] = rank(symbols[i], symbols[i + 1]);

  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; ++i) {
      if (ranks[i] < ranks[best]) best = i;
    }
    if (ranks[best] == kNone) break;
    symbols[best] = merges_[ranks[best]].result;
    for (size_t i = best + 1; i + 1 < count; ++i) {
      symbols[i] = symbols[i + 1];
      ranks[i - 1] = ranks[i];
    }
    --count;
    if (best > 0) ranks[best - 1] = rank(symbols[best - 1], symbols[best]);
    if (best + 1 < count) ranks[best] = rank(symbols[best], symbols[best + 1]);
  }
  ids.insert(ids.end(), symbols, symbols + count);
}

void BpeMerges::apply_heap(std::string_view piece, std::vector<int32_t>& ids) const {
  struct Symbol {
    int64_t previous;
    int64_t next;
    int32_t id;
    uint32_t rank;  // of the pair with the next symbol; kNone once this symbol is merged away
  };
  struct Candidate {
    uint32_t rank;
    int64_t at;
    bool operator<(const Candidate& other) const {  // std's heaps keep the largest on top
      return rank != other.rank ? rank > other.rank : at > other.at;
    }
  };
  const auto count = static_cast<int64_t>(piece.size());
  std::vector<Symbol> symbols(piece.size());
  const auto symbol = [&symbols](int64_t at) -> Symbol& { return symbols[static_cast<size_t>(at)]; };
  for (int64_t i = 0; i < count; ++i) {
    const auto byte = static_cast<unsigned char>(piece[static_cast<size_t>(i)]);
    symbol(i) = {i - 1, i + 1, byte_ids_[byte], kNone};
  }
  std::vector<Candidate> heap;
  for (int64_t i = 0; i + 1 < count; ++i) {
    symbol(i).rank = rank(symbol(i).id, symbol(i + 1).id);
    if (symbol(i).rank != kNone) heap.push_back({symbol(i).rank, i});
  }
  std::make_heap(heap.begin(), heap.end());
  // A changed pair gets a new entry; the old one is known by a rank that is no longer the symbol's.
  const auto update = [&](int64_t at) {
    Symbol& left = symbol(at);
    left.rank = left.next < count ? rank(left.id, symbol(left.next).id) : kNone;
    if (left.rank == kNone) return;
    heap.push_back({left.rank, at});
    std::push_heap(heap.begin(), heap.end());
  };
  while (!heap.empty()) {
    std::pop_heap(heap.begin(), heap.end());
    const Candidate top = heap.back();
    heap.pop_back();
    Symbol& left = symbol(top.at);
    if (left.rank != top.rank) continue;
    Symbol& right = symbol(left.next);
    left.id = merges_[top.rank].result;
    left.next = right.next;
    if (right.next < count) symbol(right.next).previous = top.at;
    right.rank = kNone;
    update(top.at);
    if (left.previous >= 0) update(left.previous);
  }
  for (int64_t i = 0; i < count; i = symbol(i).next) ids.push_back(symbol(i).id);
}

namespace {

uint64_t load_bytes(const char* at, size_t count) {
  uint64_t word = 0;
  std::memcpy(&word, at, count);
  return word;
}

// Only the speed of look-ups depends on this, never a result.
uint64_t hash_piece(std::string_view piece) {
  constexpr uint64_t kMix = 0x9E3779B97F4A7C15u;
  const char* at = piece.data();
  size_t left = piece.size();
  uint64_t hash = left * kMix;
  for (; left >= 8; at += 8, left -= 8) hash = ((hash ^ load_bytes(at, 8)) * kMix) ^ (hash >> 29);
  // The last one to seven bytes, read without a loop: overlapping reads cover every one of them.
  uint64_t last = 0;
  if (left >= 4) {
    last = load_bytes(at, 4) | load_bytes(at + left - 4, 4) << 32;
  } else if (left > 0) {
    const auto byte = [at](size_t i) { return static_cast<uint64_t>(static_cast<unsigned char>(at[i])); };
    last = byte(0) | byte(left / 2) << 8 | byte(left - 1) << 16;
  }
  hash = (hash ^ last) * kMix;
  return hash ^ hash >> 32;
}

std::array<int32_t, 256> byte_ids_of(const Vocabulary& vocabulary, const std::vector<int32_t>& special_ids) {
  std::array<int32_t, 256> ids{};
  for (int32_t id = 0; id < vocabulary.size(); ++id) {
    if (vocabulary.bytes(id).size() != 1 || std::binary_search(special_ids.begin(), special_ids.end(), id))
      continue;
    ids[static_cast<unsigned char>(vocabulary.bytes(id)[0])] = id;
  }
  return ids;
}

// The pieces this call has merged, each known by where it stands in the text and where its ids stand in the output.
class PieceCache {
 public:
  static constexpr size_t kLongest = 255;  // bytes of a piece worth keeping

  struct Entry {
    const char* piece = nullptr;
    uint32_t length = 0;
    uint32_t count = 0;
    size_t first = 0;  // of its ids
  };

  Entry& entry(uint64_t hash) { return entries_[hash % kEntries]; }

 private:
  static constexpr size_t kEntries = 8192;
  std::vector<Entry> entries_ = std::vector<Entry>(kEntries);
};

}  // namespace

BpeModel::BpeModel(Vocabulary vocabulary, std::vector<BpeMerge> merges, std::vector<int32_t> special_ids)
    : TokenizerModel(std::move(vocabulary), std::move(special_ids)),
      merges_(byte_ids_of(this->vocabulary(), this->special_ids()), std::move(merges)) {
  index_whole_pieces();
}

void BpeModel::index_whole_pieces() {
  size_t slots = 16;
  while (slots < 2 * static_cast<size_t>(vocabulary().size())) slots *= 2;
  whole_.assign(slots, Whole{});
  std::vector<int32_t> ids;
  for (int32_t id = 0; id < vocabulary().size(); ++id) {
    if (std::binary_search(special_ids().begin(), special_ids().end(), id)) continue;
    const std::string& bytes = vocabulary().bytes(id);
    ids.clear();
    merges_.apply(bytes, ids);
    if (ids.size() != 1 || ids[0] != id) continue;  // the merges never make it of its bytes alone
    const uint64_t hash = hash_piece(bytes);
    size_t at = hash & (slots - 1);
    while (whole_[at].id >= 0) at = (at + 1) & (slots - 1);
    whole_[at] = {hash, id};
  }
}

int32_t BpeModel::find_whole(std::string_view piece, uint64_t hash) const {
  const size_t mask = whole_.size() - 1;
  for (size_t at = hash & mask; whole_[at].id >= 0; at = (at + 1) & mask) {
    if (whole_[at].hash == hash && vocabulary().bytes(whole_[at].id) == piece) return whole_[at].id;
  }
  return -1;
}

std::string BpeModel::kind() const {
  const bool only_bytes = merges_.list().empty() && special_ids().empty();
  return only_bytes ? "byte" : "bpe:" + std::to_string(vocabulary().size());
}

void BpeModel::encode(std::string_view text, int64_t, std::vector<int32_t>& ids) const {
  // Bytes of text below which setting up a cache costs more than it saves.
  constexpr size_t kWorthCaching = 4096;
  const char* at = text.data();
  const char* const end = at + text.size();
  if (merges_.list().empty()) {
    ids.reserve(ids.size() + text.size());
    for (; at < end; ++at) merges_.apply_linear({at, 1}, ids);
    return;
  }
  std::optional<PieceCache> cache;
  if (text.size() >= kWorthCaching) cache.emplace();
  for (const char* next = at; at < end; at = next) {
    next = gpt2_piece_end(at, end);
    const std::string_view piece(at, static_cast<size_t>(next - at));
    const uint64_t hash = hash_piece(piece);
    if (const int32_t id = find_whole(piece, hash); id >= 0) {
      ids.push_back(id);
      continue;
    }
    if (!cache || piece.size() > PieceCache::kLongest) {
      merges_.apply(piece, ids);
      continue;
    }
    PieceCache::Entry& entry = cache->entry(hash);
    if (entry.piece != nullptr && std::string_view(entry.piece, entry.length) == piece) {
      const size_t first = ids.size();
      ids.resize(first + entry.count);
      std::copy_n(ids.data() + entry.first, entry.count, ids.data() + first);
    } else {
      const size_t first = ids.size();
      merges_.apply(piece, ids);
      entry = {piece.data(), static_cast<uint32_t>(piece.size()), static_cast<uint32_t>(ids.size() - first),
               first};
    }
  }
}

}  // namespace gradus
