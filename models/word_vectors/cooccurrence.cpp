#include "models/word_vectors/cooccurrence.hpp"

#include <algorithm>
#include <memory>

#include "models/word_vectors/corpus.hpp"
#include "tensor/error.hpp"
#include "tensor/io/spool.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

constexpr int64_t kLanes = 8;        // rows that are added up at once
constexpr int64_t kBatch = 1 << 18;  // places of the words of a batch of rows

/// Where each word stands in a part of the text.
struct PlaceIndex {
  int64_t begin, end;
  std::vector<int64_t> starts;   // of each word in `places`
  std::vector<uint32_t> places;  // from `begin`
};

PlaceIndex index_part(const int32_t* text, int64_t begin, int64_t end, int64_t words) {
  PlaceIndex index = {begin, end, std::vector<int64_t>(static_cast<std::size_t>(words) + 1, 0), {}};
  for (int64_t at = begin; at < end; ++at) {
    if (text[at] != kLineEnd) ++index.starts[static_cast<std::size_t>(text[at]) + 1];
  }
  std::partial_sum(index.starts.begin(), index.starts.end(), index.starts.begin());
  index.places.resize(static_cast<std::size_t>(index.starts.back()));
  std::vector<int64_t> next(index.starts.begin(), index.starts.end() - 1);
  for (int64_t at = begin; at < end; ++at) {
    if (text[at] == kLineEnd) continue;
    index.places[static_cast<std::size_t>(next[static_cast<std::size_t>(text[at])]++)] =
        static_cast<uint32_t>(at - begin);
  }
  return index;
}

/// The row of a word, added up.
class RowSum {
 public:
  explicit RowSum(int64_t words) : sums_(static_cast<std::size_t>(words), 0) {}
  void add(int32_t context, uint64_t weight) {
    uint64_t& sum = sums_[static_cast<std::size_t>(context)];
    if (sum == 0) seen_.push_back(context);
    sum += weight;
  }
  void finish(std::vector<Cooccurrence>& row) {
    std::sort(seen_.begin(), seen_.end());
    row.clear();
    for (const int32_t context : seen_) {
      row.push_back({context, sums_[static_cast<std::size_t>(context)]});
      sums_[static_cast<std::size_t>(context)] = 0;
    }
    seen_.clear();
  }

 private:
  std::vector<uint64_t> sums_;
  std::vector<int32_t> seen_;
};

/// Gives the rows of a part of the text.
class PartCounter {
 public:
  PartCounter(const int32_t* text, int64_t size, int64_t words, const CooccurrenceOptions& options)
      : text_(text), size_(size), options_(options), weights_(options.window) {
    for (int64_t lane = 0; lane < kLanes; ++lane) sums_.emplace_back(words);
  }

  template <class Take>
  void count(const PlaceIndex& index, const std::vector<int32_t>& rows, const Take& take) {
    std::vector<std::vector<Cooccurrence>> made;
    for (std::size_t begin = 0; begin < rows.size();) {
      std::size_t end = begin;
      int64_t places = 0;
      for (; end < rows.size() && (end == begin || places < kBatch); ++end)
        places += places_of(index, rows[end]);
      made.resize(std::max(made.size(), end - begin));
      parallel_for(kLanes, [&](int64_t lane) {
        for (std::size_t i = begin + static_cast<std::size_t>(lane); i < end;
             i += static_cast<std::size_t>(kLanes)) {
          add_row(index, rows[i], sums_[static_cast<std::size_t>(lane)]);
          sums_[static_cast<std::size_t>(lane)].finish(made[i - begin]);
        }
      });
      for (std::size_t i = begin; i < end; ++i) take(rows[i], made[i - begin]);
      begin = end;
    }
  }

 private:
  static int64_t places_of(const PlaceIndex& index, int32_t word) {
    return index.starts[static_cast<std::size_t>(word) + 1] - index.starts[static_cast<std::size_t>(word)];
  }
  void add_row(const PlaceIndex& index, int32_t word, RowSum& sum) const {
    const int64_t reach = options_.baskets ? kBasketReach : options_.window;
    const auto w = static_cast<std::size_t>(word);
    for (int64_t i = index.starts[w]; i < index.starts[w + 1]; ++i) {
      constexpr int64_t kAhead = 8;
      if (i + kAhead < index.starts[w + 1])
        __builtin_prefetch(text_ + index.begin + index.places[static_cast<std::size_t>(i + kAhead)]);
      const int64_t at = index.begin + index.places[static_cast<std::size_t>(i)];
      for (int64_t d = 1; d <= reach && at - d >= 0 && text_[at - d] != kLineEnd; ++d)
        sum.add(text_[at - d], options_.baskets ? weights_.one() : weights_.at(d));
      for (int64_t d = 1; d <= reach && at + d < size_ && text_[at + d] != kLineEnd; ++d)
        sum.add(text_[at + d], options_.baskets ? weights_.one() : weights_.at(d));
    }
  }

  const int32_t* text_;
  int64_t size_;
  const CooccurrenceOptions& options_;
  DistanceWeights weights_;
  std::vector<RowSum> sums_;
};

/// The rows of a part, on disk, which come back in the order in which they were written.
class WaitingRows {
 public:
  explicit WaitingRows(const std::string& beside) : file_(beside) {}
  void write(const std::vector<Cooccurrence>& row) {
    const auto size = static_cast<uint64_t>(row.size());
    file_.write(&size, sizeof size);
    file_.write(row.data(), row.size() * sizeof(Cooccurrence));
  }
  void add_next(RowSum& sum) {
    uint64_t size = 0;
    read(&size, sizeof size);
    for (uint64_t i = 0; i < size; ++i) {
      Cooccurrence cell;
      read(&cell, sizeof cell);
      sum.add(cell.context, cell.sum);
    }
  }

 private:
  void read(void* to, std::size_t bytes) {
    for (auto* at = static_cast<char*>(to); bytes > 0;) {
      if (place_ == piece_.size()) {
        constexpr std::size_t kPiece = std::size_t{1} << 18;
        piece_.resize(kPiece);
        piece_.resize(file_.read_at(offset_, piece_.data(), kPiece));
        offset_ += piece_.size();
        place_ = 0;
      }
      const std::size_t some = std::min(bytes, piece_.size() - place_);
      std::copy_n(piece_.data() + place_, some, at);
      at += some;
      bytes -= some;
      place_ += some;
    }
  }
  SpoolFile file_;
  std::vector<char> piece_;
  std::size_t place_ = 0;
  uint64_t offset_ = 0;
};

}  // namespace

DistanceWeights::DistanceWeights(int64_t window) : weights_(static_cast<std::size_t>(window) + 1, 0) {
  constexpr int64_t kExact = 20;
  if (window > kExact) one_ = uint64_t{1} << 32;
  for (int64_t d = 1; d <= std::min(window, kExact) && window <= kExact; ++d)
    one_ = std::lcm(one_, static_cast<uint64_t>(d));
  for (int64_t d = 1; d <= window; ++d) {
    const auto distance = static_cast<uint64_t>(d);
    weights_[static_cast<std::size_t>(d)] = (one_ + distance / 2) / distance;
  }
}

void count_cooccurrences(
    const std::string& numbers, int64_t words, const CooccurrenceOptions& options,
    const std::function<void(int32_t word, const std::vector<Cooccurrence>& row)>& take) {
  const MappedFile file(numbers);
  const auto* text = reinterpret_cast<const int32_t*>(file.data());
  const auto size = static_cast<int64_t>(file.size() / sizeof(int32_t));
  std::vector<int32_t> rows = options.rows;
  if (rows.empty()) {
    rows.resize(static_cast<std::size_t>(words));
    std::iota(rows.begin(), rows.end(), 0);
  }
  // The sums and, of each word in a part, its number and its place.
  const auto fixed = static_cast<uint64_t>(words) * (kLanes * sizeof(uint64_t) + 2 * sizeof(int64_t));
  constexpr uint64_t kPerWord = 2 * sizeof(uint32_t);
  const uint64_t left = options.memory > fixed ? options.memory - fixed : 0;
  constexpr int64_t kLeastPart = 1 << 16;
  const int64_t part = std::clamp(static_cast<int64_t>(left / kPerWord), kLeastPart, int64_t{1} << 31);
  const int64_t parts = std::max<int64_t>((size + part - 1) / part, 1);
  const auto total = static_cast<int64_t>(rows.size());
  PartCounter counter(text, size, words, options);
  int64_t done = 0;
  const auto tell = [&](int64_t rows_done) {
    if (options.on_progress && (done++ % 1024 == 0 || rows_done == total))
      options.on_progress(rows_done, total);
  };
  if (parts == 1) {
    int64_t given = 0;
    counter.count(index_part(text, 0, size, words), rows,
                  [&](int32_t word, const std::vector<Cooccurrence>& row) {
                    take(word, row);
                    tell(++given);
                  });
    return;
  }
  std::vector<std::unique_ptr<WaitingRows>> waiting;
  for (int64_t p = 0; p < parts; ++p) {
    auto rows_of_part = std::make_unique<WaitingRows>(numbers);
    const int64_t begin = p * part, end = std::min(size, begin + part);
    int64_t given = 0;
    counter.count(index_part(text, begin, end, words), rows,
                  [&](int32_t, const std::vector<Cooccurrence>& row) {
                    rows_of_part->write(row);
                    tell((p * total + ++given) / (parts + 1));
                  });
    waiting.push_back(std::move(rows_of_part));
  }
  RowSum sum(words);
  std::vector<Cooccurrence> row;
  int64_t given = 0;
  for (const int32_t word : rows) {
    for (const auto& part_rows : waiting) part_rows->add_next(sum);
    sum.finish(row);
    take(word, row);
    tell((parts * total + ++given) / (parts + 1));
  }
}

}  // namespace gradus
