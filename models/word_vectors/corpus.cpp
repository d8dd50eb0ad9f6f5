#include "models/word_vectors/corpus.hpp"

#include <algorithm>
#include <array>
#include <numeric>

#include "tensor/error.hpp"
#include "tensor/io/spool.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tokenizer/text/words.hpp"

namespace gradus {
namespace {

enum class Byte : uint8_t { of_word, space, line_end };

constexpr std::array<Byte, 256> byte_table() {
  std::array<Byte, 256> table{};
  for (const char c : {' ', '\t', '\v', '\f', '\r', '\0'}) table[static_cast<unsigned char>(c)] = Byte::space;
  table[static_cast<unsigned char>('\n')] = Byte::line_end;
  return table;
}
constexpr std::array<Byte, 256> kBytes = byte_table();

std::string lower_case(std::string_view text) {
  std::string lowered;
  lowered.reserve(text.size());
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    char32_t c = 0;
    const int length = decode_utf8(at, end, c);
    if (length == 0) {
      lowered += *at++;
      continue;
    }
    at += length;
    char32_t small[2];
    const int count = to_lower(c, small);
    for (int i = 0; i < count; ++i) append_utf8(small[i], lowered);
  }
  return lowered;
}

/// Cuts text that comes in pieces into words and lines.
template <class OnWord, class OnLine>
class WordSplitter {
 public:
  WordSplitter(const WordVectorOptions& options, OnWord on_word, OnLine on_line)
      : by_bytes_(!options.letters && !options.lower),
        letters_(options.letters),
        lower_(options.lower),
        on_word_(on_word),
        on_line_(on_line) {}

  void feed(std::string_view piece) {
    std::size_t begin = 0;
    for (std::size_t at = 0; at < piece.size(); ++at) {
      const Byte kind = kBytes[static_cast<unsigned char>(piece[at])];
      if (kind == Byte::of_word) continue;
      // A run of bytes goes out whole: with rules about letters, it can be several words.
      finish_run(piece.substr(begin, at - begin));
      begin = at + 1;
      if (kind == Byte::line_end) on_line_();
    }
    left_ += piece.substr(begin);
  }
  void finish() {
    finish_run({});
    on_line_();
  }

 private:
  void finish_run(std::string_view run) {
    if (left_.empty()) {
      if (!run.empty()) take_run(run);
      return;
    }
    left_ += run;
    take_run(left_);
    left_.clear();
  }
  void take_run(std::string_view run) {
    if (by_bytes_) return on_word_(run);
    const std::string lowered = lower_ ? lower_case(run) : std::string();
    if (lower_) run = lowered;
    if (!letters_) return on_word_(run);
    for (const WordSpan& word : find_words(run))
      on_word_(
          run.substr(static_cast<std::size_t>(word.begin), static_cast<std::size_t>(word.end - word.begin)));
  }

  bool by_bytes_, letters_, lower_;
  OnWord on_word_;
  OnLine on_line_;
  std::string left_;  // a run's beginning, at the end of the last piece
};

}  // namespace

WordCorpus encode_words(const std::vector<std::string>& paths, const WordVectorOptions& options,
                        const TextOptions& reading, const Vocabulary* fixed, const std::string& numbers_file,
                        const WordCorpusEvents& events) {
  WordCorpus corpus;
  const TextReader list(paths, reading);
  corpus.files = list.files();
  corpus.passed_over = list.passed_over();
  int64_t total = 0;
  bool streams = false;
  for (const std::string& file : corpus.files) {
    if (file == "standard input" || is_stream(file))
      streams = true;
    else
      total += static_cast<int64_t>(file_bytes(file));
  }
  if (streams) total = 0;

  // Words as they come get provisional numbers; what stays, and in which order, is known at the end.
  Names words;
  std::vector<int64_t> counts;
  if (fixed != nullptr) words = fixed->words;
  counts.resize(static_cast<std::size_t>(words.size()), 0);
  SpoolFile spool(numbers_file);
  bool in_line = false;
  const auto put = [&](int32_t number) { spool.write(&number, sizeof number); };
  const auto take_word = [&](std::string_view word) {
    ++corpus.words_read;
    int64_t row;
    if (fixed != nullptr) {
      const auto found = words.find(word);
      if (!found) return;
      row = *found;
    } else {
      row = words.find_or_add(word);
      check_world(row < (int64_t{1} << 31) - 1,
                  "word vectors: there must be fewer than 2^31 different words");
      if (row == std::ssize(counts)) counts.push_back(0);
    }
    ++counts[static_cast<std::size_t>(row)];
    put(static_cast<int32_t>(row));
    in_line = true;
  };
  const auto end_line = [&] {
    if (!in_line) return;
    if (options.has_pieces() && !options.baskets) {
      take_word(kLineEndWord);
      --corpus.words_read;
    }
    put(kLineEnd);
    in_line = false;
  };
  WordSplitter splitter(options, take_word, end_line);
  for (const std::string& file : corpus.files) {
    const auto begun = corpus.bytes;
    const auto take_piece = [&](std::string_view piece) {
      if (!reading.force && corpus.bytes == begun) check_is_text(file, piece);
      corpus.bytes += std::ssize(piece);
      splitter.feed(piece);
      if (events.on_progress) events.on_progress(corpus.bytes, total);
    };
    if (reading.json_lines && file.ends_with(".jsonl")) {
      TextReader lines({file}, reading);
      lines.for_batches(256, [&](const std::vector<TextItem>& items) {
        for (const TextItem& item : items) {
          corpus.bytes += std::ssize(item.text);
          splitter.feed(item.text);
          splitter.finish();
        }
        if (events.on_progress) events.on_progress(corpus.bytes, total);
      });
    } else {
      read_pieces(file == "standard input" ? "-" : file, take_piece, reading.on_interrupt);
      splitter.finish();
    }
  }

  // The order of the vocabulary.
  std::vector<int64_t> order;
  for (int64_t row = 0; row < words.size(); ++row) {
    const int64_t count = counts[static_cast<std::size_t>(row)];
    if (fixed != nullptr || count >= options.min_count) order.push_back(row);
  }
  if (fixed == nullptr)
    std::stable_sort(order.begin(), order.end(), [&](int64_t a, int64_t b) {
      return counts[static_cast<std::size_t>(a)] > counts[static_cast<std::size_t>(b)];
    });
  corpus.different_words = words.size();
  check_world(!order.empty() && corpus.words_read > 0,
              "word vectors: the text must have a word that occurs at least ", options.min_count,
              options.min_count == 1 ? " time" : " times", "; it has ", corpus.words_read, " words, ",
              words.size(), " different ones; give more text, or a smaller --min-count");
  std::vector<int32_t> number(static_cast<std::size_t>(words.size()), kLineEnd);
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto row = static_cast<std::size_t>(order[i]);
    number[row] = static_cast<int32_t>(i);
    corpus.vocabulary.words.add(words[order[i]]);
    const bool given = fixed != nullptr && fixed->total > 0;
    corpus.vocabulary.counts.push_back(given ? fixed->counts[row] : counts[row]);
    corpus.vocabulary.total += corpus.vocabulary.counts.back();
  }

  AtomicFile file(numbers_file);
  std::vector<int32_t> kept;
  int64_t line = 0;
  spool.for_pieces([&](const void* data, std::size_t bytes) {
    const auto* ids = static_cast<const int32_t*>(data);
    kept.clear();
    for (std::size_t i = 0; i < bytes / sizeof(int32_t); ++i) {
      if (ids[i] != kLineEnd) {
        if (const int32_t id = number[static_cast<std::size_t>(ids[i])]; id != kLineEnd) {
          kept.push_back(id);
          ++line;
        }
      } else if (line > 0) {
        kept.push_back(kLineEnd);
        corpus.words += line;
        corpus.longest_line = std::max(corpus.longest_line, line);
        line = 0;
      }
    }
    file.write(kept.data(), kept.size() * sizeof(int32_t));
  });
  file.commit();
  check_world(corpus.words > 0, "word vectors: the text must have a word of the vocabulary; it has none");
  return corpus;
}

}  // namespace gradus
