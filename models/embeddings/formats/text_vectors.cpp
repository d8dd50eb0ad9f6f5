// Text: a line a row, its name and its numbers with spaces between, as word2vec, GloVe and fastText write it.

#include <algorithm>
#include <charconv>
#include <cstring>
#include <limits>
#include <map>
#include <span>
#include <vector>

#include "models/embeddings/formats/readers.hpp"
#include "tensor/error.hpp"
#include "tensor/parallel.hpp"
#include "tokenizer/text/strings.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus::detail {
namespace {

constexpr std::size_t kPieceBytes = std::size_t{1} << 20;
constexpr int64_t kMaxWidth = int64_t{1} << 20;
constexpr int64_t kSampledLines = 20;  // by which the width of rows is told where no line says it

bool is_space(char c) { return c == ' ' || c == '\t'; }

// Without the spaces and the carriage return at its end.
std::string_view trimmed(std::string_view line) {
  while (!line.empty() && (is_space(line.back()) || line.back() == '\r')) line.remove_suffix(1);
  return line;
}

std::string_view line_at(std::string_view bytes, std::size_t begin) {
  return bytes.substr(begin, std::min(bytes.find('\n', begin), bytes.size()) - begin);
}

// Reads the number that begins at `at`; where it ends, or nullptr.
const char* read_number(const char* at, const char* end, float& number) {
  if (at < end && *at == '+') ++at;
  auto read = std::from_chars(at, end, number);
  if (read.ec == std::errc::result_out_of_range) {
    // Nearest to it are zero, a denormal number or an infinity.
    double wide = 0;
    const auto again = std::from_chars(at, end, wide);
    if (again.ec == std::errc::result_out_of_range) {
      const std::string_view text(at, static_cast<std::size_t>(again.ptr - at));
      const std::size_t exponent = text.find_first_of("eE");
      const bool tiny = exponent != text.npos && text.substr(exponent + 1).starts_with('-');
      wide = tiny ? 0 : std::numeric_limits<double>::infinity();
      if (text.starts_with('-')) wide = -wide;
    } else if (again.ec != std::errc()) {
      return nullptr;
    }
    number = static_cast<float>(wide);
    return again.ptr;
  }
  return read.ec == std::errc() ? read.ptr : nullptr;
}

// Reads `width` numbers, each behind spaces, up to the end of a line; whether there are exactly so many.
bool read_numbers(std::string_view text, int64_t width, float* numbers) {
  const char* at = text.data();
  const char* const end = at + text.size();
  for (int64_t c = 0; c < width; ++c) {
    if (at == end || !is_space(*at)) return false;
    while (at != end && is_space(*at)) ++at;
    at = read_number(at, end, numbers[c]);
    if (at == nullptr) return false;
  }
  return at == end;
}

// Where the last `count` fields of a line begin, the spaces before them included; npos where there are not so many.
std::size_t begin_of_last_fields(std::string_view line, int64_t count) {
  std::size_t at = line.size();
  for (int64_t f = 0; f < count; ++f) {
    while (at > 0 && !is_space(line[at - 1])) --at;
    while (at > 0 && is_space(line[at - 1])) --at;
  }
  return at < line.size() && is_space(line[at]) ? at : line.npos;
}

int64_t count_fields(std::string_view line) {
  int64_t fields = 0;
  for (std::size_t i = 0; i < line.size(); ++i)
    fields += !is_space(line[i]) && (i == 0 || is_space(line[i - 1])) ? 1 : 0;
  return fields;
}

// The name of a line, whose numbers are read; nothing where it has no such form.
std::optional<std::string_view> read_line(std::string_view line, int64_t width, float* numbers) {
  line = trimmed(line);
  const std::size_t space = line.find_first_of(" \t");
  if (space == line.npos) return std::nullopt;
  if (read_numbers(line.substr(space), width, numbers)) return line.substr(0, space);
  // A name with spaces.
  const std::size_t begin = begin_of_last_fields(line, width);
  if (begin == line.npos || !read_numbers(line.substr(begin), width, numbers)) return std::nullopt;
  return line.substr(0, begin);
}

// What is wrong with a line that read_line() refuses.
[[noreturn]] void fail_line(const std::string& source, int64_t number, std::string_view line, int64_t width) {
  line = trimmed(line);
  const int64_t fields = count_fields(line);
  check_world(fields > 0, source, ":", number, ": a line must be a name and ", width,
              " numbers; it is empty");
  check_world(fields > width, source, ":", number, ": a line must be a name and ", width, " numbers; it has ",
              fields, fields == 1 ? " field" : " fields", " in all; is the file cut off?");
  std::string_view rest = line.substr(begin_of_last_fields(line, width));
  while (!rest.empty()) {
    const std::size_t begin = rest.find_first_not_of(" \t");
    if (begin == rest.npos) break;
    const std::string_view field = rest.substr(begin, rest.find_first_of(" \t", begin) - begin);
    float number_read = 0;
    const char* const end = read_number(field.data(), field.data() + field.size(), number_read);
    check_world(end == field.data() + field.size(), source, ":", number, ": the last ", width,
                " fields of a line must be numbers; one is ", shown_text(field));
    rest.remove_prefix(begin + field.size());
  }
  fail_world(source, ":", number, ": a line must be a name and ", width, " numbers; it is ",
             shown_text(line));
}

// How many numbers a line ends in, its first field left out.
int64_t count_last_numbers(std::string_view line) {
  int64_t numbers = 0;
  while (true) {
    const std::size_t space = line.find_last_of(" \t");
    if (space == line.npos) return numbers;
    const std::string_view field = line.substr(space + 1);
    float number = 0;
    if (read_number(field.data(), field.data() + field.size(), number) != field.data() + field.size())
      return numbers;
    ++numbers;
    line = trimmed(line.substr(0, space));
  }
}

// The numbers in a row of a file without a header: as many as most of its first lines end in, the fewest of equals, for
// names may end in numbers.
int64_t width_of(std::string_view bytes) {
  std::map<int64_t, int64_t> lines_of;
  std::size_t begin = 0;
  for (int64_t i = 0; i < kSampledLines && begin < bytes.size(); ++i) {
    const std::string_view line = trimmed(line_at(bytes, begin));
    begin = std::min(bytes.find('\n', begin), bytes.size()) + 1;
    // The last of several lines may be cut, and an empty one is an error that names it.
    const bool whole = i < 2 || begin <= bytes.size();
    if (whole && !line.empty()) ++lines_of[count_last_numbers(line)];
  }
  const auto more = [](const auto& a, const auto& b) { return a.second < b.second; };
  lines_of.erase(0);
  return lines_of.empty() ? 0 : std::max_element(lines_of.begin(), lines_of.end(), more)->first;
}

// Lines that one task reads.
struct Piece {
  std::size_t begin, end;
  int64_t lines = 0;
  int64_t first = 0;  // of the whole file, from 0
  int64_t bad = -1;   // the first that cannot be read
  std::size_t bad_begin = 0;
};

std::vector<Piece> cut_at_lines(std::string_view bytes) {
  std::vector<Piece> pieces;
  for (std::size_t begin = 0; begin < bytes.size();) {
    std::size_t end = std::min(begin + kPieceBytes, bytes.size());
    if (end < bytes.size()) end = std::min(bytes.find('\n', end), bytes.size() - 1) + 1;
    pieces.push_back({begin, end});
    begin = end;
  }
  return pieces;
}

}  // namespace

std::optional<VectorHeader> read_vector_header(std::string_view bytes) {
  const std::string_view line = trimmed(line_at(bytes, 0));
  if (line.size() > 64 || count_fields(line) != 2) return std::nullopt;
  VectorHeader header{0, 0, std::min(bytes.find('\n'), bytes.size() - 1) + 1};
  const char* const end = line.data() + line.size();
  auto read = std::from_chars(line.data(), end, header.rows);
  if (read.ec != std::errc() || read.ptr == end || !is_space(*read.ptr)) return std::nullopt;
  while (is_space(*read.ptr)) ++read.ptr;
  read = std::from_chars(read.ptr, end, header.width);
  if (read.ec != std::errc() || read.ptr != end || header.rows < 0 || header.width < 1) return std::nullopt;
  return header;
}

bool is_vector_line(std::string_view line, int64_t width) {
  line = trimmed(line);
  if (width > kMaxWidth || count_fields(line) <= width) return false;
  std::vector<float> values(static_cast<std::size_t>(width));
  const std::size_t begin = begin_of_last_fields(line, width);
  return begin != line.npos && read_numbers(line.substr(begin), width, values.data());
}

bool UniqueRows::add(std::string_view name, int64_t where) {
  if (!all_utf8(name)) {
    check_world(!strict_, source_, ":", where, ": a name must be UTF-8; it is ", shown_text(name));
    ++invalid_;
  }
  if (names_.find(name)) {
    if (duplicates_++ == 0) first_duplicate_ = name;
    return false;
  }
  names_.add(name);
  return true;
}

void UniqueRows::finish(Vectors& vectors) {
  vectors.names = std::move(names_);
  if (duplicates_ > 0) {
    vectors.notes.push_back(std::to_string(duplicates_) + (duplicates_ == 1 ? " row" : " rows") +
                            " left out, of names that had one before, such as " +
                            shown_text(first_duplicate_));
  }
  if (invalid_ > 0) {
    vectors.notes.push_back(std::to_string(invalid_) + (invalid_ == 1 ? " name is" : " names are") +
                            " not UTF-8, and kept as they are");
  }
}

Vectors read_text_vectors(std::string_view bytes, const std::string& source,
                          const VectorReadOptions& options) {
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (bytes.starts_with(kByteOrderMark)) bytes.remove_prefix(kByteOrderMark.size());
  const std::optional<VectorHeader> header = read_vector_header(bytes);
  std::string_view body = header ? bytes.substr(header->end) : bytes;
  while (!body.empty() && (body.back() == '\n' || body.back() == '\r')) body.remove_suffix(1);
  const int64_t width = header ? header->width : width_of(body);
  check_world(width >= 1 && width <= kMaxWidth, source, ": a file of vectors must have 1 to ", kMaxWidth,
              " numbers a line; ", header ? "its first line says " : "it has ", width);

  std::vector<Piece> pieces = cut_at_lines(body);
  parallel_for(std::ssize(pieces), [&](int64_t p) {
    Piece& piece = pieces[static_cast<std::size_t>(p)];
    piece.lines = std::count(body.begin() + static_cast<std::ptrdiff_t>(piece.begin),
                             body.begin() + static_cast<std::ptrdiff_t>(piece.end), '\n');
    if (body[piece.end - 1] != '\n') ++piece.lines;  // the last
  });
  int64_t lines = 0;
  for (Piece& piece : pieces) {
    piece.first = lines;
    lines += piece.lines;
  }
  // A line has at least a byte and a space for each number: memory is bounded by the file's size.
  check_world(lines <= std::ssize(bytes) / std::max<int64_t>(2 * width, 1) + 1, source,
              ": lines must be a name and ", width, " numbers; the file has ", lines, " lines in ",
              bytes.size(), " bytes, too few for that");
  Tensor rows = Tensor::empty({lines, width});
  float* const values = rows.mutable_data<float>();
  std::vector<std::string_view> names(static_cast<std::size_t>(lines));
  const auto read_piece = [&](int64_t p) {
    Piece& piece = pieces[static_cast<std::size_t>(p)];
    int64_t row = piece.first;
    for (std::size_t begin = piece.begin; begin < piece.end; ++row) {
      const std::string_view line = line_at(body, begin);
      const auto name = read_line(line, width, values + row * width);
      if (!name) {
        piece.bad = row;
        piece.bad_begin = begin;
        return;
      }
      names[static_cast<std::size_t>(row)] = *name;
      begin += line.size() + 1;
    }
  };
  constexpr int64_t kPiecesAtOnce = 64;
  for (int64_t first = 0; first < std::ssize(pieces); first += kPiecesAtOnce) {
    if (options.on_interrupt) options.on_interrupt();
    parallel_for(std::min(kPiecesAtOnce, std::ssize(pieces) - first),
                 [&](int64_t p) { read_piece(first + p); });
  }
  const int64_t first_line = header ? 2 : 1;
  for (const Piece& piece : pieces) {
    if (piece.bad >= 0) fail_line(source, first_line + piece.bad, line_at(body, piece.bad_begin), width);
  }
  check_world(!header || lines >= header->rows, source, ": the first line says ", header ? header->rows : 0,
              " rows; the file has ", lines, "; it is cut off, or its first line is wrong");

  Vectors vectors;
  UniqueRows unique(source, options.strict_encoding);
  int64_t kept = 0;
  for (int64_t row = 0; row < lines; ++row) {
    if (!unique.add(names[static_cast<std::size_t>(row)], first_line + row)) continue;
    if (kept != row)
      std::memmove(values + kept * width, values + row * width,
                   static_cast<std::size_t>(width) * sizeof(float));
    ++kept;
  }
  unique.finish(vectors);
  if (header && lines > header->rows) {
    vectors.notes.push_back("the first line says " + std::to_string(header->rows) + " rows; all " +
                            std::to_string(lines) + " are read");
  }
  vectors.layer_names = {"vectors"};
  vectors.layers = {kept == lines ? rows : rows.view({kept, width}, {width, 1}, 0)};
  return vectors;
}

void write_text_vectors(AtomicFile& file, const Names& names, const Tensor& rows, bool header,
                        const std::function<void()>& on_step) {
  const int64_t width = rows.size(1);
  const float* const values = rows.data<float>();
  for (int64_t row = 0; row < names.size(); ++row) {
    const std::string_view name = names[row];
    check(name.empty() || trimmed(name).size() == name.size(),
          "vectors: in text a name must not end in a space; that of row ", row + 1, " is '",
          std::string(name.substr(0, 60)), "'; write .safetensors, which holds any name");
  }
  const std::string first_line = std::to_string(names.size()) + " " + std::to_string(width) + "\n";
  std::string beginning = header ? first_line : "";
  for (int64_t row = 0; row < std::min(kSampledLines, names.size()); ++row) {
    beginning += names[row];
    append_numbers(beginning, {values + row * width, static_cast<std::size_t>(width)});
    beginning += '\n';
  }
  const std::string first_name = names.size() > 0 ? std::string(names[0].substr(0, 60)) : "";
  check(detect_vectors(beginning) == VectorFormat::text,
        "vectors: a file of text that begins with the name '", first_name,
        "' would be taken for something else; write .safetensors, which holds any name");
  check(header || (!read_vector_header(beginning) && width_of(beginning) == width),
        "vectors: without a line of sizes the width of rows is told by their lines; of names that end in "
        "numbers, such as '",
        first_name, "', it cannot be; write .vec or .safetensors");
  if (header) file.write(first_line);
  constexpr int64_t kRowsAtOnce = 256;
  constexpr int64_t kGroups = 64;
  std::vector<std::string> texts(kGroups);
  for (int64_t first = 0; first < names.size(); first += kRowsAtOnce * kGroups) {
    if (on_step) on_step();
    const int64_t count = std::min(names.size() - first, kRowsAtOnce * kGroups);
    const int64_t groups = (count + kRowsAtOnce - 1) / kRowsAtOnce;
    parallel_for(groups, [&](int64_t g) {
      std::string& text = texts[static_cast<std::size_t>(g)];
      text.clear();
      const int64_t end = std::min(first + (g + 1) * kRowsAtOnce, first + count);
      for (int64_t row = first + g * kRowsAtOnce; row < end; ++row) {
        text += names[row];
        append_numbers(text, {values + row * width, static_cast<std::size_t>(width)});
        text += '\n';
      }
    });
    for (int64_t g = 0; g < groups; ++g) file.write(texts[static_cast<std::size_t>(g)]);
  }
}

}  // namespace gradus::detail
