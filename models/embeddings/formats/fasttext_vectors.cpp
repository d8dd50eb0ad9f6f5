// fastText's models. A word's vector is the mean of its own row and of those of the pieces of its letters, which are found
// by a hash; so a word that was never seen has a vector too.
// ref: Bojanowski, Grave, Joulin, Mikolov, "Enriching Word Vectors with Subword Information" (2017)

#include <algorithm>
#include <cstring>
#include <span>
#include <unordered_map>
#include <vector>

#include "models/embeddings/formats/readers.hpp"
#include "models/embeddings/subwords.hpp"
#include "tensor/error.hpp"
#include "tensor/parallel.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus::detail {
namespace {

constexpr int32_t kMagic = 793712314;
constexpr int32_t kSupervised = 3;

// Reads the file from front to back; an error says what was to stand where.
class Reader {
 public:
  Reader(std::string_view bytes, const std::string& source) : bytes_(bytes), source_(source) {}

  template <class T>
  T number(const char* what) {
    T value;
    std::memcpy(&value, take(sizeof value, what).data(), sizeof value);
    return value;
  }
  std::string_view take(std::size_t count, const char* what) {
    check_world(count <= bytes_.size() - at_, source_, ": ", what, " must stand at byte ", at_, ", ", count,
                " bytes; the file has ", bytes_.size(), "; it is cut off");
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }
  // Up to a zero byte.
  std::string_view text(const char* what) {
    const std::size_t end = bytes_.find('\0', at_);
    check_world(end != bytes_.npos, source_, ": ", what, " at byte ", at_,
                " must end in a zero byte; there is none");
    const std::string_view found = bytes_.substr(at_, end - at_);
    at_ = end + 1;
    return found;
  }
  std::size_t at() const { return at_; }

 private:
  std::string_view bytes_;
  const std::string& source_;
  std::size_t at_ = 0;
};

// Where the rows of words' pieces are.
struct PieceRows {
  Subwords pieces;
  int64_t words = 0;  // the rows before those of the pieces
  bool pruned = false;
  std::unordered_map<int32_t, int32_t> kept;  // of a pruned model: the row of a bucket

  void add_rows(std::string_view word, std::vector<int64_t>& rows) const {
    pieces.for_buckets(word, [&](int32_t bucket) {
      if (!pruned) {
        rows.push_back(words + bucket);
      } else if (const auto found = kept.find(bucket); found != kept.end()) {
        rows.push_back(words + found->second);
      }
    });
  }
};

// y = Σ rows / count, in f32 and in this order, as fastText adds them. The file's numbers may stand at any address.
void mean_of(const char* matrix, int64_t width, std::span<const int64_t> rows, float* y) {
  const auto row_bytes = static_cast<std::size_t>(width) * sizeof(float);
  std::vector<float> row(static_cast<std::size_t>(width));
  std::fill(y, y + width, 0.0f);
  for (const int64_t r : rows) {
    std::memcpy(row.data(), matrix + static_cast<std::size_t>(r) * row_bytes, row_bytes);
    for (int64_t c = 0; c < width; ++c) y[c] += row[static_cast<std::size_t>(c)];
  }
  const auto share = static_cast<float>(1.0 / static_cast<double>(std::max<std::size_t>(rows.size(), 1)));
  for (int64_t c = 0; c < width; ++c) y[c] *= share;
}

}  // namespace

Vectors read_fasttext(std::shared_ptr<const FileBytes> bytes, const std::string& source,
                      const VectorReadOptions& options) {
  Reader reader(bytes->text(), source);
  const auto magic = reader.number<int32_t>("the format's number");
  check_world(magic == kMagic, source, ": a model of fastText must begin with the number ", kMagic,
              "; it begins with ", magic);
  const auto version = reader.number<int32_t>("the version");
  check_world(version == 11 || version == 12, source,
              ": the version of a model of fastText must be 11 or 12; it is ", version);
  const auto width = reader.number<int32_t>("the width");
  for (const char* skipped : {"the window", "the epochs", "the smallest count", "the negatives"})
    reader.number<int32_t>(skipped);
  for (const char* skipped : {"the word n-grams", "the loss"}) reader.number<int32_t>(skipped);
  const auto model = reader.number<int32_t>("the kind of model");
  PieceRows subwords;
  subwords.pieces.buckets = reader.number<int32_t>("the buckets");
  subwords.pieces.shortest = reader.number<int32_t>("the shortest piece");
  subwords.pieces.longest = reader.number<int32_t>("the longest piece");
  reader.number<int32_t>("the rate of updates");
  reader.number<double>("the sampling threshold");
  // Models of text classes of version 11 were written before these had pieces.
  if (version == 11 && model == kSupervised) subwords.pieces.longest = 0;
  check_world(width >= 1 && width <= (1 << 20) && subwords.pieces.buckets >= 0, source,
              ": a model of fastText must have 1 to ", 1 << 20,
              " numbers a row and no fewer than 0 buckets; it says ", width, " and ",
              subwords.pieces.buckets);

  const auto size = reader.number<int32_t>("the number of entries");
  const auto words = reader.number<int32_t>("the number of words");
  const auto labels = reader.number<int32_t>("the number of labels");
  reader.number<int64_t>("the number of tokens");
  const auto pruned = reader.number<int64_t>("the number of buckets kept");
  check_world(words >= 0 && labels >= 0 && int64_t{words} + labels == size, source,
              ": the entries of a model of fastText must be its words and its labels; it says ", size,
              " entries, ", words, " words, ", labels, " labels");
  subwords.words = words;
  Vectors vectors;
  UniqueRows unique(source, options.strict_encoding);
  std::vector<int64_t> row_of;  // in the matrix, of each word that stays
  for (int64_t entry = 0; entry < size; ++entry) {
    const std::string_view word = reader.text("a word");
    const auto count = reader.number<int64_t>("a word's count");
    const auto kind = reader.number<int8_t>("an entry's kind");
    check_world((kind == 0) == (entry < words) && (kind == 0 || kind == 1), source, ": entry ", entry + 1,
                " must be a ", entry < words ? "word" : "label", ", for words come first; its kind is ",
                int{kind});
    if (kind != 0 || !unique.add(word, entry + 1)) continue;
    vectors.counts.push_back(count);
    row_of.push_back(entry);
  }
  unique.finish(vectors);
  subwords.pruned = pruned >= 0;
  for (int64_t i = 0; i < pruned; ++i) {
    const auto bucket = reader.number<int32_t>("a bucket that is kept");
    const auto row = reader.number<int32_t>("its row");
    check_world(row >= 0 && row < pruned, source, ": the row of a bucket must be below ", pruned, "; it is ",
                row);
    subwords.kept.emplace(bucket, row);
  }
  const auto quantized = reader.number<uint8_t>("the mark of quantised models");
  check_world(quantized == 0, source,
              ": is a quantised model of fastText (.ftz), whose vectors are only approximations and are not "
              "read; take the .bin that it was made of");
  const auto matrix_rows = reader.number<int64_t>("the number of rows");
  const auto matrix_width = reader.number<int64_t>("the number of columns");
  const int64_t buckets = subwords.pruned ? pruned : subwords.pieces.buckets;
  check_world(matrix_width == width && matrix_rows == words + buckets, source,
              ": the matrix must have a row for each of ", words, " words and ", buckets, " buckets, ", width,
              " numbers each; it has ", matrix_rows, " rows of ", matrix_width);
  const char* const matrix =
      reader
          .take(static_cast<std::size_t>(matrix_rows) * static_cast<std::size_t>(width) * sizeof(float),
                "the matrix")
          .data();
  // The output's matrix, whose numbers nobody here needs, is there to the end in a file that is whole.
  check_world(reader.number<uint8_t>("the mark of a quantised output") == 0, source,
              ": is a model of fastText with a quantised output, whose vectors are not read; take the .bin "
              "that it was made of");
  const auto output_rows = reader.number<int64_t>("the number of the output's rows");
  const auto output_width = reader.number<int64_t>("the number of the output's columns");
  check_world(output_rows >= 0 && output_rows <= size + int64_t{1} && output_width == width, source,
              ": the output's matrix must have at most a row for each of ", size, " entries, ", width,
              " numbers each; it has ", output_rows, " rows of ", output_width);
  reader.take(static_cast<std::size_t>(output_rows) * static_cast<std::size_t>(width) * sizeof(float),
              "the output's matrix");

  Tensor table = Tensor::empty({std::ssize(row_of), width});
  float* const values = table.mutable_data<float>();
  constexpr int64_t kGrain = 256;
  parallel_ranges(std::ssize(row_of), kGrain, [&](int64_t begin, int64_t end) {
    std::vector<int64_t> rows;
    for (int64_t r = begin; r < end; ++r) {
      rows = {row_of[static_cast<std::size_t>(r)]};
      subwords.add_rows(vectors.names[r], rows);
      mean_of(matrix, width, rows, values + r * width);
    }
  });
  vectors.layer_names = {"vectors"};
  vectors.layers = {table};
  if (subwords.pieces.longest > 0 && buckets > 0) {
    vectors.unseen = [bytes = std::move(bytes), subwords = std::move(subwords), matrix,
                      width](std::string_view name) {
      std::vector<int64_t> rows;
      subwords.add_rows(name, rows);
      std::vector<float> y;
      if (rows.empty()) return y;
      y.resize(static_cast<std::size_t>(width));
      mean_of(matrix, width, rows, y.data());
      return y;
    };
  }
  return vectors;
}

}  // namespace gradus::detail
