// word2vec's binary: "ROWS WIDTH\n", then of each row its name, a space, WIDTH f32 numbers and, as its own program writes it,
// a line end, which others leave out.

#include <algorithm>
#include <bit>
#include <cstring>
#include <utility>
#include <vector>

#include "models/embeddings/formats/readers.hpp"
#include "tensor/error.hpp"
#include "tokenizer/text/strings.hpp"

namespace gradus::detail {
namespace {

static_assert(std::endian::native == std::endian::little, "numbers in files are little-endian");

constexpr std::size_t kMaxName = std::size_t{1} << 24;
constexpr std::size_t kPiece = std::size_t{1} << 16;  // bytes that are written at once

}  // namespace

Vectors read_binary_vectors(std::string_view bytes, const std::string& source,
                            const VectorReadOptions& options) {
  const std::optional<VectorHeader> header = read_vector_header(bytes);
  check_world(header.has_value(), source,
              ": word2vec's binary must begin with a line ROWS WIDTH; it begins with ",
              shown_text(bytes.substr(0, std::min(bytes.find('\n'), kMaxName))));
  const auto [rows, width, begin] = *header;
  const std::string_view body = bytes.substr(begin);
  // A row has at least its space: neither product can overflow, and memory is bounded by the file's size.
  check_world(width <= std::ssize(body) / 4 || rows == 0, source, ": the first line says ", width,
              " numbers a row; the file has only ", bytes.size(), " bytes; it is cut off");
  const auto vector_bytes = static_cast<std::size_t>(rows == 0 ? 0 : width) * sizeof(float);
  check_world(rows == 0 || rows <= std::ssize(body) / static_cast<int64_t>(vector_bytes + 1), source,
              ": the first line says ", rows, " rows of ", width, " numbers, at least ", vector_bytes + 1,
              " bytes each; the file has ", bytes.size(), "; it is cut off");
  Tensor table = Tensor::empty({rows, width});
  float* const values = table.mutable_data<float>();
  UniqueRows unique(source, options.strict_encoding);
  int64_t kept = 0;
  std::size_t at = 0;
  bool lines = false;  // whether a line end follows each row
  for (int64_t row = 0; row < rows; ++row) {
    if (options.on_interrupt && row % 65536 == 0) options.on_interrupt();
    const auto ends_well = [&](std::size_t space) {
      if (space == body.npos || body.size() - space - 1 < vector_bytes) return false;
      const std::size_t end = space + 1 + vector_bytes;
      return !lines || end == body.size() || body[end] == '\n';
    };
    std::size_t space = body.find(' ', at);
    // Where rows end in line ends, a name can have spaces: it ends where the row fits.
    while (lines && space != body.npos && space - at < kMaxName && !ends_well(space))
      space = body.find(' ', space + 1);
    check_world(
        space != body.npos && space - at < kMaxName, source, ": row ", row + 1, " of ", rows, ", at byte ",
        begin + at,
        ": must be a name, a space and numbers; there is no space after the name; the file is cut off or "
        "no file of word2vec");
    check_world(ends_well(space), source, ": row ", row + 1, " of ", rows, ", at byte ", begin + at,
                ": must have ", width, " numbers, ", vector_bytes, " bytes; the file ends ",
                body.size() - std::min(space + 1, body.size()), " bytes behind the name; it is cut off");
    if (unique.add(body.substr(at, space - at), row + 1)) {
      std::memcpy(values + kept * width, body.data() + space + 1, vector_bytes);
      ++kept;
    }
    at = space + 1 + vector_bytes;
    if (row == 0) lines = at < body.size() && body[at] == '\n';
    if (lines && at < body.size()) ++at;
  }
  Vectors vectors;
  unique.finish(vectors);
  if (at < body.size()) {
    vectors.notes.push_back(std::to_string(body.size() - at) + " bytes behind the " + std::to_string(rows) +
                            " rows that the first line says are not read");
  }
  vectors.layer_names = {"vectors"};
  vectors.layers = {kept == rows ? table : table.view({kept, width}, {width, 1}, 0)};
  return vectors;
}

void write_binary_vectors(AtomicFile& file, const Names& names, const Tensor& rows,
                          const std::function<void()>& on_step) {
  const int64_t width = rows.size(1);
  file.write(std::to_string(names.size()) + " " + std::to_string(width) + "\n");
  const float* const values = rows.data<float>();
  std::string bytes;
  for (int64_t row = 0; row < names.size(); ++row) {
    bytes += names[row];
    bytes += ' ';
    bytes.append(reinterpret_cast<const char*>(values + row * width),
                 static_cast<std::size_t>(width) * sizeof(float));
    bytes += '\n';
    if (bytes.size() >= kPiece) {
      if (on_step) on_step();
      file.write(bytes);
      bytes.clear();
    }
  }
  file.write(bytes);
}

}  // namespace gradus::detail
