#include "tensor/io/npy.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include "tensor/error.hpp"
#include "tensor/io/bounds.hpp"
#include "tensor/io/detail/zip.hpp"

namespace gradus {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kAlignment = 64;
constexpr std::size_t kMaxHeaderBytes = std::size_t{1} << 20;

// NumPy's name behind the byte order, and ours.
constexpr std::array<std::pair<std::string_view, std::string_view>, 12> kTypes = {{{"b1", "BOOL"},
                                                                                   {"u1", "U8"},
                                                                                   {"i1", "I8"},
                                                                                   {"u2", "U16"},
                                                                                   {"i2", "I16"},
                                                                                   {"f2", "F16"},
                                                                                   {"u4", "U32"},
                                                                                   {"i4", "I32"},
                                                                                   {"f4", "F32"},
                                                                                   {"u8", "U64"},
                                                                                   {"i8", "I64"},
                                                                                   {"f8", "F64"}}};

std::string npy_header(const std::string& name, const std::string& dtype, const Shape& shape,
                       std::size_t least_bytes = 0) {
  std::string descr;
  for (const auto& [theirs, ours] : kTypes) {
    if (ours == dtype) descr.append(raw_dtype_bytes(dtype) == 1 ? "|" : "<").append(theirs);
  }
  check(!descr.empty(), "npy: the element type must be one that NumPy has; ", name, " has ", dtype,
        "; cast it to F32");
  std::string sizes;
  for (int64_t size : shape) sizes += std::to_string(size) + (shape.rank() == 1 ? "," : ", ");
  if (shape.rank() > 1) sizes.resize(sizes.size() - 2);
  std::string text = "{'descr': '" + descr + "', 'fortran_order': False, 'shape': (" + sizes + "), }";
  // Magic, version and length in front and a line feed behind; values begin at a multiple of 64.
  const std::size_t used = kMagic.size() + 4 + text.size() + 1;
  text.append((kAlignment - used % kAlignment) % kAlignment, ' ');
  if (const std::size_t total = kMagic.size() + 4 + text.size() + 1; total < least_bytes)
    text.append(least_bytes - total, ' ');
  text += '\n';
  std::string header(kMagic);
  header += {1, 0, static_cast<char>(text.size() & 0xff), static_cast<char>(text.size() >> 8)};
  return header + text;
}

/// Reads the header of a .npy file: a Python dictionary with three entries, and nothing else of Python.
class HeaderReader {
 public:
  HeaderReader(std::string_view text, const std::string& source) : text_(text), source_(source) {}

  void read() {
    expect('{');
    while (!accept('}')) {
      const std::string key = read_string();
      expect(':');
      if (key == "descr") {
        once(has_descr, key);
        check_world(peek() == '\'' || peek() == '"', source_,
                    ": arrays of records are not read; save the fields as arrays");
        descr = read_string();
      } else if (key == "fortran_order") {
        once(has_order, key);
        fortran_order = read_boolean();
      } else if (key == "shape") {
        once(has_shape, key);
        read_shape();
      } else {
        fail_here("unknown key '" + key + "'");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_space();
    if (at_ != text_.size()) fail_here("something follows the dictionary");
    if (!has_descr || !has_order || !has_shape) fail_here("descr, fortran_order and shape must all be there");
  }

  std::string descr;
  bool fortran_order = false;
  Shape shape;

 private:
  [[noreturn]] void fail_here(const std::string& what) const {
    fail_world(source_, ": the .npy header is damaged at its byte ", at_, ": ", what);
  }
  void once(bool& seen, const std::string& key) {
    if (std::exchange(seen, true)) fail_here("'" + key + "' stands twice");
  }
  void skip_space() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) ++at_;
  }
  char peek() {
    skip_space();
    return at_ < text_.size() ? text_[at_] : '\0';
  }
  bool accept(char c) {
    if (peek() != c) return false;
    ++at_;
    return true;
  }
  void expect(char c) {
    if (!accept(c)) fail_here(std::string("'") + c + "' is expected");
  }
  std::string read_string() {
    const char quote = peek();
    if (quote != '\'' && quote != '"') fail_here("a string is expected");
    const std::size_t begin = ++at_;
    while (at_ < text_.size() && text_[at_] != quote && text_[at_] != '\\') ++at_;
    if (at_ == text_.size() || text_[at_] != quote) fail_here("a string does not end");
    return std::string(text_.substr(begin, at_++ - begin));
  }
  bool read_boolean() {
    skip_space();
    for (const auto& [word, value] : {std::pair<std::string_view, bool>{"True", true}, {"False", false}}) {
      if (text_.substr(at_, word.size()) == word) {
        at_ += word.size();
        return value;
      }
    }
    fail_here("True or False is expected");
  }
  void read_shape() {
    expect('(');
    while (!accept(')')) {
      skip_space();
      int64_t size = 0;
      const auto [end, error] = std::from_chars(text_.data() + at_, text_.data() + text_.size(), size);
      if (error != std::errc() || size < 0) fail_here("a size that fits in 63 bits is expected");
      at_ = static_cast<std::size_t>(end - text_.data());
      if (at_ < text_.size() && text_[at_] == 'L') ++at_;  // Python 2
      if (shape.rank() == Shape::kMaxRank)
        fail_here(detail::join("more than ", Shape::kMaxRank, " dimensions"));
      shape.push_back(size);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
  }

  std::string_view text_;
  const std::string& source_;
  std::size_t at_ = 0;
  bool has_descr = false;
  bool has_order = false;
  bool has_shape = false;
};

/// The type by NumPy's name; an error that says what to do instead.
std::string type_of(const std::string& descr, const std::string& source) {
  const char order = descr.empty() ? '?' : descr[0];
  const std::string_view kind = std::string_view(descr).substr(std::min<std::size_t>(descr.size(), 1));
  check_world(kind.substr(0, 1) != "O", source,
              ": arrays of Python objects are pickles, which can hold code and are never read");
  for (const auto& [theirs, ours] : kTypes) {
    if (theirs != kind) continue;
    const bool byte = raw_dtype_bytes(ours) == 1;
    check_world(order != '>' || byte, source, ": values must be little-endian; they are '", descr,
                "'; save them with .astype('<", kind, "')");
    if (order == '<' || order == '=' || (byte && (order == '|' || order == '>'))) return std::string(ours);
  }
  fail_world(source, ": arrays must hold booleans, integers or floats of up to 64 bits; this one holds '",
             descr, "'");
}

/// The array in the bytes of a .npy file.
NpyArray read_array(std::string_view bytes, const std::string& source) {
  check_world(bytes.substr(0, kMagic.size()) == kMagic, source,
              ": must be a .npy array; its first bytes are not those of one");
  const std::size_t fixed = kMagic.size() + 2;
  check_world(bytes.size() >= fixed + 4, source, ": the .npy header is truncated; ", bytes.size(),
              " bytes are there");
  const int version = bytes[kMagic.size()];
  check_world(version >= 1 && version <= 3 && bytes[kMagic.size() + 1] == 0, source,
              ": the version of the .npy format must be 1.0, 2.0 or 3.0; it is ", version, ".",
              static_cast<int>(bytes[kMagic.size() + 1]));
  uint32_t header_bytes = 0;
  const std::size_t length_bytes = version == 1 ? 2 : 4;
  std::memcpy(&header_bytes, bytes.data() + fixed, length_bytes);
  const std::size_t begin = fixed + length_bytes;
  check_world(header_bytes <= kMaxHeaderBytes && lies_within(begin, header_bytes, bytes.size()), source,
              ": the .npy header takes ", header_bytes, " bytes, but ", bytes.size() - begin,
              " are there and ", kMaxHeaderBytes, " allowed");
  HeaderReader header(bytes.substr(begin, header_bytes), source);
  header.read();
  NpyArray array;
  array.source = source;
  array.dtype = type_of(header.descr, source);
  array.shape = header.shape;
  check_world(!header.fortran_order || header.shape.rank() < 2, source,
              ": values must be in row-major order; they are in Fortran order; save them with "
              "numpy.ascontiguousarray");
  const auto size = raw_bytes(array.dtype, array.shape);
  check_world(size.has_value(), source, ": the array's size must fit in 63 bits; its shape is ", array.shape);
  const std::size_t there = bytes.size() - begin - header_bytes;
  check_world(*size == there, source, ": an array of type ", array.dtype, " and shape ", array.shape,
              " must have ", *size, " bytes; ", there, " are there",
              there < *size ? ": it is truncated" : "");
  array.data = bytes.data() + begin + header_bytes;
  array.bytes = *size;
  return array;
}

}  // namespace

void save_npy(const std::string& path, const RawTensor& array) {
  check_raw(array, "save_npy");
  AtomicFile file(path);
  file.write(npy_header(array.name, array.dtype, array.shape));
  file.write(array.data, array.bytes);
  file.commit();
}

NpyWriter::NpyWriter(const std::string& path, const std::string& dtype, const Shape& row)
    : file_(path), dtype_(dtype), row_(row) {
  // Room for any number of rows.
  const std::string room = header(std::numeric_limits<int64_t>::max());
  header_bytes_ = room.size();
  file_.write(room);
}

std::string NpyWriter::header(int64_t rows) const {
  Shape shape{rows};
  for (const int64_t size : row_) shape.push_back(size);
  return npy_header(file_.path(), dtype_, shape, header_bytes_);
}

void NpyWriter::sync() {
  const uint64_t bytes = file_.size() - header_bytes_;
  const std::size_t row_bytes = raw_bytes(dtype_, row_).value_or(0);
  check(row_bytes > 0 ? bytes % row_bytes == 0 : bytes == 0, "npy: whole rows of ", row_bytes,
        " bytes must be written; ", bytes, " bytes were");
  const std::string text = header(row_bytes > 0 ? static_cast<int64_t>(bytes / row_bytes) : 0);
  file_.write_at(0, text.data(), text.size());
  file_.sync();
}

NpyArray load_npy(const std::string& path) {
  const auto file = std::make_shared<MappedFile>(path);
  NpyArray array = read_array(file->text(), path);
  array.owner = file;
  return array;
}

NpzWriter::NpzWriter(const std::string& path)
    : file_(path), zip_(std::make_unique<detail::ZipWriter>(file_)) {}
NpzWriter::~NpzWriter() = default;

void NpzWriter::begin(const std::string& name, const std::string& dtype, const Shape& shape) {
  const auto bytes = raw_bytes(dtype, shape);
  check(bytes.has_value(), "npz: sizes must not be negative and fit in 63 bits; ", name, " has shape ",
        shape);
  const std::string header = npy_header(name, dtype, shape);
  zip_->begin(name + ".npy", header.size() + *bytes);
  zip_->write(header.data(), header.size());
}

void NpzWriter::write(const void* data, std::size_t bytes) { zip_->write(data, bytes); }

void NpzWriter::end() { zip_->end(); }

void NpzWriter::add(const RawTensor& array) {
  check_raw(array, "npz");
  begin(array.name, array.dtype, array.shape);
  zip_->write(array.data, array.bytes);
  zip_->end();
}

void NpzWriter::commit() { sync_as(file_.path()); }

void NpzWriter::sync() {
  if (!std::exchange(finished_, true)) zip_->finish();
  file_.sync();
}

void NpzWriter::sync_as(const std::string& staged_path) {
  sync();
  file_.sync_as(staged_path);
}

void save_npz(const std::string& path, const std::vector<RawTensor>& arrays) {
  NpzWriter writer(path);
  for (const RawTensor& array : arrays) writer.add(array);
  writer.commit();
}

NpzFile::NpzFile(const std::string& path) : zip_(std::make_unique<detail::ZipReader>(path)) {
  for (const std::string& name : zip_->names()) {
    const bool is_array = name.size() > 4 && name.substr(name.size() - 4) == ".npy";
    check_world(is_array, path, ": an .npz file holds .npy arrays only; it has the entry ", name);
    names_.push_back(name.substr(0, name.size() - 4));
  }
}

NpzFile::~NpzFile() = default;

bool NpzFile::contains(std::string_view name) const { return zip_->contains(std::string(name) + ".npy"); }

NpyArray NpzFile::array(std::string_view name) const {
  const auto bytes = std::make_shared<std::vector<std::byte>>(zip_->read(std::string(name) + ".npy"));
  const std::string_view text(reinterpret_cast<const char*>(bytes->data()), bytes->size());
  NpyArray array = read_array(text, zip_->path() + ": " + std::string(name));
  array.name = name;
  array.source = zip_->path();
  array.owner = bytes;
  return array;
}

}  // namespace gradus
