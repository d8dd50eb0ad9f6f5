#include "tokenizer/bpe_train.hpp"

#include <algorithm>
#include <array>
#include <limits>
#include <queue>
#include <unordered_map>

#include "tensor/error.hpp"
#include "tokenizer/byte_alphabet.hpp"
#include "tokenizer/pretokenize.hpp"

namespace gradus {
namespace {

struct CountedPiece {
  std::string_view bytes;
  int64_t count = 0;
};

// Each different piece of the documents once, in the order of first appearance.
std::vector<CountedPiece> count_pieces(std::span<const std::string_view> documents,
                                       const ProgressFn& progress, int64_t total) {
  constexpr int64_t kReportEvery = 1 << 20;  // bytes
  std::vector<CountedPiece> pieces;
  std::unordered_map<std::string_view, size_t> places;
  int64_t done = 0;
  int64_t reported = 0;
  for (const std::string_view document : documents) {
    const char* at = document.data();
    const char* const end = at + document.size();
    while (at < end) {
      const char* next = gpt2_piece_end(at, end);
      const std::string_view piece(at, static_cast<size_t>(next - at));
      const auto [found, added] = places.try_emplace(piece, pieces.size());
      if (added) pieces.push_back({piece, 0});
      ++pieces[found->second].count;
      done += next - at;
      at = next;
      if (progress && done - reported >= kReportEvery) {
        progress(done, total);
        reported = done;
      }
    }
  }
  return pieces;
}

// All different pieces side by side, one place a byte. A token lives at the place of its first byte and covers as many
// as it has bytes; so a merge changes two tokens and touches two neighbours, however long the piece is.
class Trainer {
 public:
  explicit Trainer(const std::vector<CountedPiece>& pieces) {
    size_t size = 0;
    for (const CountedPiece& piece : pieces) size += piece.bytes.size();
    check(size < kMostPlaces, "train_bpe: the different pieces of the text must have fewer than ",
          kMostPlaces, " bytes in all; they have ", size, "; train on less text");
    std::array<int32_t, 256> ids{};
    for (size_t id = 0; id < 256; ++id) {
      ids[byte_order()[id]] = static_cast<int32_t>(id);
      tokens_.emplace_back(1, static_cast<char>(byte_order()[id]));
    }
    symbols_.reserve(size);
    piece_of_.reserve(size);
    for (const CountedPiece& piece : pieces) {
      for (const char byte : piece.bytes) {
        symbols_.push_back(ids[static_cast<unsigned char>(byte)]);
        piece_of_.push_back(static_cast<uint32_t>(weights_.size()));
      }
      weights_.push_back(piece.count);
    }
    first_of_.resize(size);
    for (uint32_t at = 0; at < size; ++at) first_of_[at] = at;
    for (uint32_t at = 0; at + 1 < size; ++at) {
      if (piece_of_[at] == piece_of_[at + 1]) add(symbols_[at], symbols_[at + 1], at);
    }
    for (size_t pair = 0; pair < pairs_.size(); ++pair) offer(static_cast<int32_t>(pair));
    touched_.clear();
  }

  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }

  // Makes the most frequent pair a token; false where none occurs twice.
  bool step() {
    while (!queue_.empty()) {
      const Candidate top = queue_.top();
      queue_.pop();
      const int64_t count = pairs_[static_cast<size_t>(top.pair)].count;
      if (count == top.count) {
        merge(top.pair);
        return true;
      }
      if (count < top.count) offer(top.pair);  // where it grew, it has been offered since
    }
    return false;
  }

  BpeTraining take() { return {std::move(tokens_), std::move(merges_)}; }

 private:
  static constexpr size_t kMostPlaces = std::numeric_limits<uint32_t>::max();

  struct Pair {
    int32_t left;
    int32_t right;
    int64_t count = 0;             // exact, weighted with how often each piece occurs
    std::vector<uint32_t> places;  // of the left token; some may hold something else by now
  };

  struct Candidate {
    int64_t count;  // when it was offered
    int32_t left;
    int32_t right;
    int32_t pair;
    bool operator<(const Candidate& other) const {
      if (count != other.count) return count < other.count;
      if (left != other.left) return left > other.left;
      return right > other.right;
    }
  };

  uint32_t next_of(uint32_t at) const {
    return at + static_cast<uint32_t>(tokens_[static_cast<size_t>(symbols_[at])].size());
  }
  bool same_piece(uint32_t a, uint32_t b) const {
    return b < symbols_.size() && piece_of_[a] == piece_of_[b];
  }

  void add(int32_t left, int32_t right, uint32_t at) {
    const auto fresh = static_cast<int32_t>(pairs_.size());
    const int32_t index = places_.find_or_insert(left, right, fresh);
    if (index == fresh) pairs_.push_back({left, right, 0, {}});
    Pair& pair = pairs_[static_cast<size_t>(index)];
    pair.count += weights_[piece_of_[at]];
    pair.places.push_back(at);
    touched_.push_back(index);
  }

  void remove(int32_t left, int32_t right, uint32_t at) {
    pairs_[static_cast<size_t>(places_.find(left, right))].count -= weights_[piece_of_[at]];
  }

  void offer(int32_t index) {
    const Pair& pair = pairs_[static_cast<size_t>(index)];
    if (pair.count >= 2) queue_.push({pair.count, pair.left, pair.right, index});
  }

  void merge(int32_t index) {
    const int32_t left = pairs_[static_cast<size_t>(index)].left;
    const int32_t right = pairs_[static_cast<size_t>(index)].right;
    // No other pair can have made the same bytes before: wherever these bytes stand with nothing merged across their
    // ends, all merges so far have cut them alike.
    const auto result = static_cast<int32_t>(tokens_.size());
    tokens_.push_back(tokens_[static_cast<size_t>(left)] + tokens_[static_cast<size_t>(right)]);
    merges_.push_back({left, right, result});

    std::vector<uint32_t> places = std::move(pairs_[static_cast<size_t>(index)].places);
    std::sort(places.begin(), places.end());  // from the left: in "aaa" the first two merge
    touched_.clear();
    for (const uint32_t at : places) {
      if (symbols_[at] != left) continue;
      const uint32_t second = next_of(at);
      if (!same_piece(at, second) || symbols_[second] != right) continue;
      const uint32_t after = next_of(second);
      const bool has_after = same_piece(at, after);
      const bool has_before = at > 0 && same_piece(at, at - 1);
      remove(left, right, at);
      if (has_before) remove(symbols_[first_of_[at - 1]], left, at);
      if (has_after) remove(right, symbols_[after], at);
      symbols_[at] = result;
      symbols_[second] = kCovered;
      first_of_[after - 1] = at;
      if (has_before) add(symbols_[first_of_[at - 1]], result, first_of_[at - 1]);
      if (has_after) add(result, symbols_[after], at);
    }
    std::sort(touched_.begin(), touched_.end());
    touched_.erase(std::unique(touched_.begin(), touched_.end()), touched_.end());
    for (const int32_t pair : touched_) offer(pair);
  }

  static constexpr int32_t kCovered = -1;

  std::vector<std::string> tokens_;
  std::vector<BpeMerge> merges_;

  std::vector<int32_t> symbols_;    // by place: the token that begins here, or kCovered
  std::vector<uint32_t> first_of_;  // by place: where the token that ends here begins; elsewhere stale
  std::vector<uint32_t> piece_of_;  // by place
  std::vector<int64_t> weights_;    // by piece: how often it occurs

  PairMap places_;  // of a pair in pairs_
  std::vector<Pair> pairs_;
  std::vector<int32_t> touched_;  // pairs that grew in this step
  std::priority_queue<Candidate> queue_;
};

}  // namespace

BpeTraining train_bpe_merges(std::span<const std::string_view> documents, int64_t size,
                             const ProgressFn& progress) {
  int64_t bytes = 0;
  for (const std::string_view document : documents) bytes += static_cast<int64_t>(document.size());
  if (progress) progress(0, 2 * bytes);
  Trainer trainer(count_pieces(documents, progress, 2 * bytes));
  const int64_t first = trainer.size();
  int64_t reported = first;
  while (trainer.size() < size && trainer.step()) {
    if (progress && (trainer.size() - reported) * 100 >= size - first) {  // each hundredth
      reported = trainer.size();
      progress(bytes + bytes * (reported - first) / (size - first), 2 * bytes);
    }
  }
  if (progress) progress(2 * bytes, 2 * bytes);
  return trainer.take();
}

}  // namespace gradus
