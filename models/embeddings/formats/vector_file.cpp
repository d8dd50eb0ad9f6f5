#include "models/embeddings/formats/vector_file.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <fstream>
#include <span>

#include "models/embeddings/formats/readers.hpp"
#include "models/embeddings/formats/table.hpp"
#include "tensor/error.hpp"
#include "tensor/io/npy.hpp"

namespace gradus {
namespace {

constexpr std::size_t kBeginning = std::size_t{1} << 20;

// 8 bytes of length, then JSON.
bool looks_like_safetensors(std::string_view bytes) {
  if (bytes.size() < 10 || bytes[8] != '{') return false;
  uint64_t length;
  std::memcpy(&length, bytes.data(), sizeof length);
  return length >= 2 && length <= 100'000'000;
}

// The bytes that a name is longer by than its ending.
bool ends_in(std::string_view path, std::string_view ending) {
  return path.size() > ending.size() && path.ends_with(ending);
}

void check_names(const Names& names, std::string_view forbidden, const char* why) {
  for (int64_t row = 0; row < names.size(); ++row) {
    check(names[row].find_first_of(forbidden) == std::string_view::npos, "vectors: ", why, "; row ", row + 1,
          " is '", std::string(names[row].substr(0, 60)), "'; write .safetensors, which holds any name");
  }
}

}  // namespace

std::string_view name_of(VectorFormat format) {
  switch (format) {
    case VectorFormat::text: return "text";
    case VectorFormat::binary: return "word2vec binary";
    case VectorFormat::fasttext: return "fastText model";
    case VectorFormat::npy: return "npy";
    case VectorFormat::npz: return "npz";
    case VectorFormat::safetensors: return "safetensors";
  }
  return "?";
}

std::optional<VectorFormat> detect_vectors(std::string_view bytes) {
  if (bytes.starts_with("\x93NUMPY")) return VectorFormat::npy;
  if (bytes.starts_with("PK\x03\x04") || bytes.starts_with("PK\x05\x06")) return VectorFormat::npz;
  if (bytes.starts_with("\xBA\x16\x4F\x2F")) return VectorFormat::fasttext;
  if (looks_like_safetensors(bytes)) return VectorFormat::safetensors;
  if (bytes.starts_with("\xEF\xBB\xBF")) bytes.remove_prefix(3);
  const auto header = detail::read_vector_header(bytes);
  const std::string_view first = header ? bytes.substr(header->end) : bytes;
  const std::string_view line = first.substr(0, std::min(first.find('\n'), first.size()));
  // Of numbers in text whose line is longer than what was read, the beginning is enough.
  if (header && (first.empty() || detail::is_vector_line(line, header->width))) return VectorFormat::text;
  if (header && first.find('\n') == first.npos && first.size() + 4 > kBeginning) return VectorFormat::text;
  if (header) return VectorFormat::binary;
  // Lists of words and ranks have one number a line.
  if (detail::is_vector_line(line, 2)) return VectorFormat::text;
  return std::nullopt;
}

std::optional<VectorFormat> detect_vectors_at(const std::string& path) {
  if (!file_exists(path) || is_directory(path) || is_stream(path)) return std::nullopt;
  std::ifstream file(path, std::ios::binary);
  std::string beginning(kBeginning, '\0');
  file.read(beginning.data(), static_cast<std::streamsize>(beginning.size()));
  beginning.resize(static_cast<std::size_t>(file.gcount()));
  return detect_vectors(beginning);
}

Vectors load_vectors(const std::string& path, const VectorReadOptions& options) {
  if (is_directory(path)) return detail::read_folder_vectors(path, options);
  const auto bytes = std::make_shared<const detail::FileBytes>(path, options.on_interrupt);
  check_world(!bytes->text().empty(), path, ": a file of vectors must have rows; it is empty");
  check_world(!bytes->text().starts_with("\x1f\x8b"), path,
              ": is compressed with gzip; unpack it first, with `gzip -d`");
  const auto format = detect_vectors(bytes->text().substr(0, kBeginning));
  check_world(
      format.has_value(), path,
      ": must be a file of vectors (word2vec's text or binary, GloVe's, fastText's .vec or .bin, .npy, .npz, "
      "safetensors); its contents are none of these");
  const bool has_names =
      *format != VectorFormat::npy && *format != VectorFormat::npz && *format != VectorFormat::safetensors;
  check(!has_names || options.names_file.empty(), "vectors: ", path,
        " has names of its own; leave out --names");
  check(has_names || (path != "-" && !is_stream(path)), "vectors: ", path,
        " is a pipe; arrays are read from files, text and binary from pipes too");
  switch (*format) {
    case VectorFormat::text: return detail::read_text_vectors(bytes->text(), path, options);
    case VectorFormat::binary: return detail::read_binary_vectors(bytes->text(), path, options);
    case VectorFormat::fasttext: return detail::read_fasttext(bytes, path, options);
    case VectorFormat::npy: return detail::read_npy_vectors(path, options);
    case VectorFormat::npz: return detail::read_npz_vectors(path, options);
    case VectorFormat::safetensors: return detail::read_safetensors_vectors(path, options);
  }
  fail("vectors: the format must be a known one; it is number ", static_cast<int>(*format));
}

VectorFormat format_of_vectors(const std::string& path) {
  if (ends_in(path, ".vec") || ends_in(path, ".txt")) return VectorFormat::text;
  if (ends_in(path, ".bin")) return VectorFormat::binary;
  if (ends_in(path, ".npy")) return VectorFormat::npy;
  if (ends_in(path, ".safetensors")) return VectorFormat::safetensors;
  fail("vectors: the name of a file to write must end in .vec, .txt, .bin, .npy or .safetensors; it is '",
       path, "'");
}

void save_vectors(const std::string& path, const Vectors& vectors, const std::string& layer,
                  const std::function<void()>& on_step) {
  const VectorFormat format = format_of_vectors(path);
  Vectors one;
  const Vectors* written = &vectors;
  if (!layer.empty()) {
    one.names = vectors.names;
    one.counts = vectors.counts;
    one.layer_names = {layer};
    one.layers = {vectors.layer(layer)};
    written = &one;
  }
  if (format == VectorFormat::safetensors) return save_vector_table(path, *written);
  check(written->layers.size() == 1, "vectors: ", path, " can hold one layer; there are ",
        written->layers.size(), "; choose one with --layer, or write .safetensors");
  const Tensor rows = written->layers[0].to_contiguous();
  const Names& names = written->names;
  if (format == VectorFormat::npy) {
    check_names(names, "\n", "a file of names has one a line");
    const std::string beside = path + ".names";
    NpyWriter array(path, "F32", {rows.size(1)});
    AtomicFile list(beside);
    array.write(rows.bytes(), rows.nbytes());
    for (int64_t row = 0; row < names.size(); ++row) {
      if (on_step && row % 65536 == 0) on_step();
      list.write(std::string(names[row]) + "\n");
    }
    array.sync();
    list.sync();
    list.commit();
    array.commit();
    return;
  }
  for (int64_t row = 0; row < names.size(); ++row) {
    const int64_t first = names.find(names[row]).value_or(row);
    check(first == row, "vectors: in ", path, " a name can stand once; '",
          std::string(names[row].substr(0, 60)), "' stands in rows ", first + 1, " and ", row + 1,
          "; write .safetensors or .npy");
  }
  check(!ends_in(path, ".txt") || (names.size() > 0 && rows.size(1) > 1), "vectors: ", path,
        " would have no line of sizes, without which one row of two numbers is the least that can be told; "
        "write .vec");
  AtomicFile file(path);
  if (format == VectorFormat::text) {
    check_names(names, "\n", "a row of text is a line");
    detail::write_text_vectors(file, names, rows, !ends_in(path, ".txt"), on_step);
  } else {
    check_names(names, " \n", "a name in word2vec's binary ends at the first space");
    detail::write_binary_vectors(file, names, rows, on_step);
  }
  if (on_step) on_step();
  file.commit();
}

void append_numbers(std::string& text, std::span<const float> numbers) {
  std::array<char, 32> digits;
  for (const float number : numbers) {
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
    text += ' ';
    text.append(digits.data(), end);
  }
}

}  // namespace gradus
