// A model of fastText as its program writes one, version 12.
// ref: the format as fastText 0.9.2 reads it: arguments, dictionary, input matrix (words, then buckets), output matrix

#include <cstring>
#include <limits>

#include "models/word_vectors/corpus.hpp"
#include "models/word_vectors/window_trainer.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"

namespace gradus {
namespace {

class Writer {
 public:
  explicit Writer(const std::string& path) : file_(path) {}
  template <class T>
  void number(T value) {
    bytes({reinterpret_cast<const char*>(&value), sizeof value});
  }
  void bytes(std::string_view text) {
    waiting_ += text;
    if (waiting_.size() >= kPiece) flush();
  }
  void commit() {
    flush();
    file_.commit();
  }

 private:
  static constexpr std::size_t kPiece = std::size_t{1} << 20;
  void flush() {
    file_.write(waiting_);
    waiting_.clear();
  }
  AtomicFile file_;
  std::string waiting_;
};

}  // namespace

void WindowTrainer::save_fasttext(const std::string& path, const std::function<void()>& on_step) const {
  check(pieces_ != nullptr, "word vectors: only the fastText kinds have pieces; write .vec or .safetensors");
  const int64_t words = vocabulary_.size();
  check(words <= std::numeric_limits<int32_t>::max(),
        "word vectors: a model of fastText holds fewer than 2^31 words");
  constexpr int32_t kMagic = 793712314, kVersion = 12;
  constexpr int32_t kWordNgrams = 1, kNegativeSampling = 2, kCbow = 1, kSkipgram = 2, kRateUpdates = 100;
  Writer file(path);
  file.number(kMagic);
  file.number(kVersion);
  for (const int64_t argument :
       {options_.width, options_.window, options_.epochs, options_.min_count, options_.negatives})
    file.number(static_cast<int32_t>(argument));
  file.number(kWordNgrams);
  file.number(kNegativeSampling);
  file.number(options_.averages() ? kCbow : kSkipgram);
  for (const int64_t argument : {options_.buckets, options_.min_piece, options_.max_piece})
    file.number(static_cast<int32_t>(argument));
  file.number(kRateUpdates);
  file.number(options_.sample);
  file.number(static_cast<int32_t>(words));
  file.number(static_cast<int32_t>(words));
  file.number(int32_t{0});  // labels
  file.number(vocabulary_.total);
  file.number(int64_t{-1});  // not pruned
  for (int64_t word = 0; word < words; ++word) {
    file.bytes(vocabulary_.words[word]);
    file.number('\0');
    file.number(vocabulary_.counts[static_cast<std::size_t>(word)]);
    file.number('\0');  // a word, no label
  }
  file.number('\0');  // not quantised
  file.number(words + options_.buckets);
  file.number(options_.width);
  const auto write_row = [&](const float* row) {
    file.bytes(
        {reinterpret_cast<const char*>(row), static_cast<std::size_t>(options_.width) * sizeof(float)});
  };
  const float* in = inputs_.data<float>();
  for (int64_t word = 0; word < words; ++word) write_row(in + word * stride_);
  // Buckets of no word have kept their first values.
  std::vector<int32_t> rows(static_cast<std::size_t>(options_.buckets), -1);
  for (std::size_t i = 0; i < pieces_->buckets().size(); ++i)
    rows[static_cast<std::size_t>(pieces_->buckets()[i])] =
        static_cast<int32_t>(words + static_cast<int64_t>(i));
  std::vector<float> first(static_cast<std::size_t>(options_.width));
  for (int64_t bucket = 0; bucket < options_.buckets; ++bucket) {
    if (on_step && bucket % 65536 == 0) on_step();
    if (const int32_t row = rows[static_cast<std::size_t>(bucket)]; row >= 0) {
      write_row(in + row * stride_);
      continue;
    }
    for (int64_t c = 0; c < options_.width; ++c)
      first[static_cast<std::size_t>(c)] = first_value(words + bucket, c);
    write_row(first.data());
  }
  file.number('\0');  // not quantised
  file.number(words);
  file.number(options_.width);
  const float* out = outputs_.data<float>();
  for (int64_t word = 0; word < words; ++word) write_row(out + word * stride_);
  file.commit();
}

}  // namespace gradus
