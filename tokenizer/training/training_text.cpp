#include "tokenizer/training/training_text.hpp"

#include <algorithm>
#include <limits>
#include <numeric>

#include "tensor/error.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

constexpr int64_t kMostCounted = int64_t{1} << 53;  // beyond it doubles no longer count in ones

// How often each code point occurs.
std::vector<int64_t> count_chars(std::span<const CountedWord> words, std::string_view name) {
  std::vector<int64_t> counts(kCodePoints, 0);
  int64_t total = 0;
  for (size_t index = 0; index < words.size(); ++index) {
    const CountedWord& word = words[index];
    check(word.count >= 1, name, ": each word's count must be at least 1; word ", index, " has ", word.count,
          "; leave out words that do not occur");
    const auto bytes = static_cast<int64_t>(word.bytes.size());
    check_world(bytes == 0 || word.count <= (kMostCounted - total) / bytes, name,
                ": the text must have fewer than 2^53 characters; word ", index, " occurs ", word.count,
                " times; scale the counts down");
    total += bytes * word.count;
    const char* at = word.bytes.data();
    const char* const end = at + word.bytes.size();
    while (at < end) {
      char32_t c = 0;
      const int length = decode_utf8(at, end, c);
      check_world(length > 0, name, ": words must be UTF-8; byte ", at - word.bytes.data(), " of word ",
                  index, " begins no character; clean the text first");
      counts[c] += word.count;
      at += length;
    }
  }
  return counts;
}

// Fills alphabet, char_counts and dropped.
void choose_alphabet(const std::vector<int64_t>& counts, double coverage, TrainingText& text) {
  std::vector<char32_t> usable;
  int64_t total = 0;
  for (char32_t c = 0; c < kCodePoints; ++c) {
    if (counts[c] == 0) continue;
    if (is_reserved_char(c)) {
      text.dropped.push_back({c, counts[c]});
    } else {
      usable.push_back(c);
      total += counts[c];
    }
  }
  std::stable_sort(usable.begin(), usable.end(),
                   [&](char32_t a, char32_t b) { return counts[a] > counts[b]; });
  int64_t covered = 0;
  for (const char32_t c : usable) {
    const auto share = static_cast<float>(static_cast<double>(covered) / static_cast<double>(total));
    if (share >= static_cast<float>(coverage)) {
      text.dropped.push_back({c, counts[c]});
    } else {
      text.alphabet.push_back(c);
      covered += counts[c];
    }
  }
  std::sort(text.alphabet.begin(), text.alphabet.end());
  for (const char32_t c : text.alphabet) text.char_counts.push_back(counts[c]);
  std::sort(text.dropped.begin(), text.dropped.end(), [](const DroppedChar& a, const DroppedChar& b) {
    return a.count != b.count ? a.count > b.count : a.c < b.c;
  });
}

// A segment among the raw ones; `key` is its first three characters, which decide most comparisons.
struct RawSegment {
  uint64_t key;
  int32_t begin;
  int32_t length;
  int64_t count;
};

class Cutter {
 public:
  Cutter(const TrainingText& text, const PieceRules& rules)
      : checker_(text.alphabet, rules), code_of_(kCodePoints, 0) {
    for (size_t at = 0; at < text.alphabet.size(); ++at) {
      code_of_[text.alphabet[at]] = static_cast<int32_t>(at) + 1;
    }
  }

  void reserve(size_t chars) { codes_.reserve(chars); }

  void add(const CountedWord& word) {
    const char* at = word.bytes.data();
    const char* const end = at + word.bytes.size();
    size_t begin = codes_.size();
    while (at < end) {
      char32_t c = 0;
      at += decode_utf8(at, end, c);
      const int32_t code = code_of_[c];
      if (codes_.size() > begin && (code == 0 || checker_.cuts(codes_.back(), code))) {
        close(begin, word.count);
        begin = codes_.size();
      }
      if (code != 0) codes_.push_back(code);
    }
    if (codes_.size() > begin) close(begin, word.count);
  }

  // The different segments in order.
  void finish(TrainingText& text) {
    const auto codes_of = [this](const RawSegment& s) { return codes_.data() + s.begin; };
    const auto before = [&](const RawSegment& a, const RawSegment& b) {
      if (a.key != b.key) return a.key < b.key;
      return std::lexicographical_compare(codes_of(a), codes_of(a) + a.length, codes_of(b),
                                          codes_of(b) + b.length);
    };
    std::sort(segments_.begin(), segments_.end(), before);
    size_t kept = 0;
    for (size_t at = 0; at < segments_.size(); ++at) {
      if (kept > 0 && !before(segments_[kept - 1], segments_[at])) {
        segments_[kept - 1].count += segments_[at].count;
      } else {
        segments_[kept++] = segments_[at];
      }
    }
    segments_.resize(kept);
    size_t size = kept;
    for (const RawSegment& segment : segments_) size += static_cast<size_t>(segment.length);
    text.codes.reserve(size);
    text.begins.reserve(kept + 1);
    text.counts.reserve(kept);
    for (const RawSegment& segment : segments_) {
      text.begins.push_back(static_cast<int32_t>(text.codes.size()));
      text.counts.push_back(segment.count);
      text.codes.insert(text.codes.end(), codes_of(segment), codes_of(segment) + segment.length);
      text.codes.push_back(0);
    }
    text.begins.push_back(static_cast<int32_t>(text.codes.size()));
  }

 private:
  void close(size_t begin, int64_t count) {
    uint64_t key = 0;
    for (size_t at = begin; at < begin + 3; ++at) {
      key = key << 21 | (at < codes_.size() ? static_cast<uint64_t>(codes_[at]) : 0);
    }
    segments_.push_back(
        {key, static_cast<int32_t>(begin), static_cast<int32_t>(codes_.size() - begin), count});
  }

  PieceChecker checker_;
  std::vector<int32_t> code_of_;  // by code point; 0: not in the alphabet
  std::vector<int32_t> codes_;
  std::vector<RawSegment> segments_;
};

}  // namespace

std::string TrainingText::utf8(std::span<const int32_t> some) const {
  std::string out;
  for (const int32_t code : some) append_utf8(alphabet[static_cast<size_t>(code) - 1], out);
  return out;
}

TrainingText make_training_text(std::span<const CountedWord> words, const PieceRules& rules, double coverage,
                                std::string_view name) {
  check(coverage > 0 && coverage <= 1, name, ": character_coverage must be above 0 and at most 1; it is ",
        coverage, "; 0.9995 suits large alphabets, 1 small ones");
  // Every character takes a byte or more and may be a segment, with a separator.
  const int64_t bytes = total_bytes(words);
  check_world(bytes < std::numeric_limits<int32_t>::max() / 2, name,
              ": the different words must have fewer than 2^30 bytes in all; they have ", bytes,
              "; train on a sample of the text");
  TrainingText text;
  choose_alphabet(count_chars(words, name), coverage, text);
  check_world(!text.alphabet.empty(), name, ": the text must hold at least one usable character; it has ",
              words.size(), " different words without any; give more text");
  Cutter cutter(text, rules);
  cutter.reserve(static_cast<size_t>(bytes));
  for (const CountedWord& word : words) cutter.add(word);
  cutter.finish(text);
  return text;
}

void check_alphabet_fits(const TrainingText& text, int64_t places, std::string_view name) {
  check(text.alphabet_size() <= places, name, ": there must be a place for every character; the text has ",
        text.alphabet_size(), " characters for ", places,
        " places; ask for a larger vocabulary or a smaller character_coverage");
}

std::string shortfall_note(int64_t pieces, int64_t places) {
  if (pieces == places) return {};
  return detail::join("the text is too small for ", places, " pieces: it gave ", pieces);
}

int64_t training_text_bytes(std::span<const CountedWord> words) {
  // Raw and final codes, and the segments, of which running text has about one for every four bytes and
  // letters and digits in turn one for each; the vector may be twice as large.
  const int64_t bytes = total_bytes(words);
  constexpr auto kSegment =
      static_cast<int64_t>(2 * sizeof(RawSegment) + sizeof(int64_t) + 2 * sizeof(int32_t));
  constexpr auto kTables = static_cast<int64_t>(kCodePoints * (sizeof(int64_t) + sizeof(int32_t)));
  return kTables + bytes * 2 * static_cast<int64_t>(sizeof(int32_t)) + bytes * kSegment / 2;
}

std::vector<int32_t> codes_by_count(const TrainingText& text) {
  std::vector<int32_t> codes(text.alphabet.size());
  std::iota(codes.begin(), codes.end(), 1);
  std::stable_sort(codes.begin(), codes.end(), [&](int32_t a, int32_t b) {
    return text.char_counts[static_cast<size_t>(a) - 1] > text.char_counts[static_cast<size_t>(b) - 1];
  });
  return codes;
}

}  // namespace gradus
