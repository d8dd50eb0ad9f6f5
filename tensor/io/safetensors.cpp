#include "tensor/io/safetensors.hpp"

#include <algorithm>
#include <atomic>
#include <cassert>
#include <charconv>
#include <cstdint>
#include <cstring>
#include <functional>
#include <numeric>
#include <set>
#include <span>
#include <utility>

#include "tensor/error.hpp"
#include "tensor/io/bounds.hpp"
#include "tensor/io/detail/checksum.hpp"
#include "tensor/io/json.hpp"

namespace gradus {
namespace {

constexpr std::size_t kLengthBytes = 8;
constexpr uint64_t kMaxHeaderBytes = 100'000'000;
// The format asks for nothing, other writers give 8; with a cache line, tensors of whole lines start at one.
constexpr std::size_t kDataAlignment = 64;
constexpr std::string_view kMetadataKey = "__metadata__";
constexpr std::string_view kChecksumPrefix = "crc32.";

std::string hex8(uint32_t value) {
  std::string digits(8, '0');
  for (std::size_t i = 8; i-- > 0; value >>= 4) digits[i] = "0123456789abcdef"[value & 15];
  return digits;
}

bool parse_hex8(std::string_view text, uint32_t& value) {
  if (text.size() != 8) return false;
  const auto [end, error] = std::from_chars(text.data(), text.data() + 8, value, 16);
  return error == std::errc() && end == text.data() + 8;
}

/// The checksum of what the writer had to say: each key and value, ended by a zero byte.
uint32_t metadata_checksum(const Metadata& metadata) {
  std::string all;
  for (const auto& [key, value] : metadata) all += key + '\0' + value + '\0';
  return detail::crc32(all.data(), all.size());
}

/// What other files that are taken for safetensors begin with.
const char* foreign_format(std::string_view bytes) {
  const auto begins = [&](std::string_view magic) { return bytes.substr(0, magic.size()) == magic; };
  if (begins("PK\x03\x04")) return "a zip archive (a .npz, or a .pt of PyTorch, which is never read)";
  if (begins("\x80\x02") || begins("\x80\x03") || begins("\x80\x04") || begins("\x80\x05")) {
    return "a Python pickle, which can hold code and is never read; convert it to safetensors";
  }
  if (begins("GGUF")) return "a GGUF file";
  if (begins("\x93NUMPY")) return "a .npy file";
  return nullptr;
}

/// The tensor entries of a header, sorted by place.
struct Entry {
  RawTensor array;
  uint64_t begin = 0;
  uint64_t end = 0;
};

Entry parse_entry(const std::string& path, const std::string& name, const Json& json) {
  for (const auto& [key, value] : json.as_object()) {
    check_world(key == "dtype" || key == "shape" || key == "data_offsets", value.path(),
                ": is not a key of the format; tensors have dtype, shape and data_offsets");
  }
  Entry entry;
  entry.array.name = name;
  entry.array.dtype = json.at("dtype").as_string();
  const Json::Array& sizes = json.at("shape").as_array();
  check_world(sizes.size() <= static_cast<std::size_t>(Shape::kMaxRank), path, ": tensor ", name,
              " must have at most ", Shape::kMaxRank, " dimensions; it has ", sizes.size());
  for (const Json& size : sizes) entry.array.shape.push_back(size.as_integer());
  const Json::Array& offsets = json.at("data_offsets").as_array();
  check_world(offsets.size() == 2 && offsets[0].as_integer() >= 0 &&
                  offsets[1].as_integer() >= offsets[0].as_integer(),
              path, ": data_offsets of tensor ", name, " must be where it begins and ends; they are ",
              json.at("data_offsets").dump());
  entry.begin = static_cast<uint64_t>(offsets[0].as_integer());
  entry.end = static_cast<uint64_t>(offsets[1].as_integer());
  // How many bytes an element of an unknown type has is unknown too: some have half a byte.
  const bool known = raw_dtype_bytes(entry.array.dtype) > 0;
  const auto bytes = raw_bytes(known ? entry.array.dtype : "U8", entry.array.shape);
  check_world(bytes.has_value(), path, ": the size of tensor ", name, " must fit in 63 bits; its shape is ",
              entry.array.shape);
  check_world(!known || *bytes == entry.end - entry.begin, path, ": tensor ", name, " of type ",
              entry.array.dtype, " and shape ", entry.array.shape, " must have ", *bytes,
              " bytes; data_offsets give it ", entry.end - entry.begin);
  entry.array.bytes = entry.end - entry.begin;
  return entry;
}

/// Tensors follow one another from byte 0 without gap or overlap and fill the file.
void check_layout(const std::string& path, std::vector<Entry>& entries, uint64_t data_bytes) {
  std::stable_sort(entries.begin(), entries.end(), [](const Entry& a, const Entry& b) {
    return std::pair(a.begin, a.end) < std::pair(b.begin, b.end);
  });
  uint64_t reached = 0;
  const Entry* previous = nullptr;
  for (const Entry& entry : entries) {
    const std::string before = previous == nullptr ? "the first byte" : "the end of " + previous->array.name;
    check_world(entry.begin >= reached, path, ": tensors must not overlap; ", entry.array.name,
                " begins at byte ", entry.begin, " of the data, before ", before, " at ", reached);
    check_world(entry.begin == reached, path, ": tensors must follow one another without gaps; ",
                entry.array.name, " begins at byte ", entry.begin, " of the data, after ", before, " at ",
                reached);
    reached = entry.end;
    previous = &entry;
  }
  if (reached > data_bytes) {
    const auto cut =
        std::find_if(entries.begin(), entries.end(), [&](const Entry& e) { return e.end > data_bytes; });
    fail_world(path, ": the file is truncated: its tensors take ", reached, " bytes, but only ", data_bytes,
               " are there; tensor ", cut->array.name, " (bytes ", cut->begin, " to ", cut->end,
               ") is incomplete");
  }
  check_world(reached == data_bytes, path, ": the file must end with its last tensor; ", data_bytes - reached,
              " bytes follow it");
}

}  // namespace

struct SafetensorsFile::Contents {
  struct Checksum {
    bool present = false;
    uint32_t value = 0;
  };

  explicit Contents(const std::string& file_path) : path(file_path), file(file_path) {}

  std::string path;
  MappedFile file;
  std::vector<RawTensor> arrays;
  std::vector<std::string> names;
  std::map<std::string, std::size_t, std::less<>> places;
  Metadata metadata;
  std::vector<Checksum> checksums;
  // Two threads that verify the same tensor at once do the work twice, no more.
  mutable std::unique_ptr<std::atomic<bool>[]> verified;
};

SafetensorsFile SafetensorsFile::open(const std::string& path) {
  auto contents = std::make_shared<Contents>(path);
  const std::string_view bytes = contents->file.text();
  if (const char* format = foreign_format(bytes))
    fail_world(path, ": must be a safetensors file; it is ", format);
  check_world(bytes.size() >= kLengthBytes, path, ": a safetensors file has at least ", kLengthBytes,
              " bytes; it has ", bytes.size());
  uint64_t header_bytes = 0;
  std::memcpy(&header_bytes, bytes.data(), kLengthBytes);
  check_world(header_bytes <= kMaxHeaderBytes, path, ": the header may have at most ", kMaxHeaderBytes,
              " bytes; the first 8 bytes give it ", header_bytes, "; this may not be a safetensors file");
  check_world(lies_within(kLengthBytes, header_bytes, bytes.size()), path,
              ": the file is truncated: its header takes ", header_bytes, " bytes, but only ",
              bytes.size() - kLengthBytes, " are there");
  const Json header = Json::parse(bytes.substr(kLengthBytes, header_bytes), path + ": header");
  const uint64_t data_begin = kLengthBytes + header_bytes;

  std::vector<Entry> entries;
  for (const auto& [name, value] : header.as_object()) {
    if (name == kMetadataKey) {
      for (const auto& [key, text] : value.as_object()) contents->metadata[key] = text.as_string();
    } else {
      entries.push_back(parse_entry(path, name, value));
    }
  }
  check_layout(path, entries, bytes.size() - data_begin);

  contents->checksums.resize(entries.size());
  contents->verified = std::make_unique<std::atomic<bool>[]>(entries.size());
  for (Entry& entry : entries) {
    const std::size_t place = contents->arrays.size();
    entry.array.data = bytes.data() + data_begin + entry.begin;
    contents->names.push_back(entry.array.name);
    contents->places.emplace(entry.array.name, place);
    const auto found = contents->metadata.find(std::string(kChecksumPrefix) + entry.array.name);
    if (found != contents->metadata.end()) {
      Contents::Checksum& checksum = contents->checksums[place];
      checksum.present = parse_hex8(found->second, checksum.value);
      check_world(checksum.present, path, ": the checksum of tensor ", entry.array.name,
                  " must be 8 hexadecimal digits; it is \"", found->second, "\"");
      contents->metadata.erase(found);
    }
    contents->arrays.push_back(std::move(entry.array));
  }
  const auto about = contents->metadata.find(std::string(kChecksumPrefix) + std::string(kMetadataKey));
  if (about != contents->metadata.end()) {
    const std::string expected = about->second;
    contents->metadata.erase(about);
    const std::string found = hex8(metadata_checksum(contents->metadata));
    check_world(expected == found, path,
                ": the metadata in its header has changed since it was written: ", "checksum ", expected,
                " expected, ", found, " found");
  }
  SafetensorsFile result;
  result.contents_ = std::move(contents);
  return result;
}

const std::string& SafetensorsFile::path() const { return contents_->path; }
const std::vector<std::string>& SafetensorsFile::names() const { return contents_->names; }
const Metadata& SafetensorsFile::metadata() const { return contents_->metadata; }
bool SafetensorsFile::contains(std::string_view name) const { return contents_->places.count(name) > 0; }
const RawTensor& SafetensorsFile::info(std::string_view name) const { return contents_->arrays[index(name)]; }

std::size_t SafetensorsFile::index(std::string_view name) const {
  const auto found = contents_->places.find(name);
  if (found != contents_->places.end()) return found->second;
  std::string some;
  for (std::size_t i = 0; i < std::min<std::size_t>(names().size(), 5); ++i)
    some += (i > 0 ? ", " : "") + names()[i];
  fail_world(path(), ": must have a tensor named ", name, "; it has ", names().size(), " others",
             names().empty() ? "" : ": ", some, names().size() > 5 ? " ..." : "");
}

void SafetensorsFile::verify(std::size_t index) const {
  if (!contents_->checksums[index].present || contents_->verified[index].load(std::memory_order_acquire))
    return;
  const RawTensor& array = contents_->arrays[index];
  const uint32_t expected = contents_->checksums[index].value;
  const uint32_t found = detail::crc32(array.data, array.bytes);
  check_world(found == expected, path(), ": the bytes of tensor ", array.name,
              " have changed since they were written: ", "checksum ", hex8(expected), " expected, ",
              hex8(found), " found");
  contents_->verified[index].store(true, std::memory_order_release);
}

void SafetensorsFile::verify() const {
  for (std::size_t i = 0; i < contents_->arrays.size(); ++i) verify(i);
}

RawTensor SafetensorsFile::array(std::string_view name) const {
  const std::size_t place = index(name);
  check_world(raw_dtype_bytes(contents_->arrays[place].dtype) > 0, path(), ": tensor ", name,
              " must have a type that this program knows; it is ", contents_->arrays[place].dtype);
  verify(place);
  return contents_->arrays[place];
}

Tensor SafetensorsFile::tensor(std::string_view name) const {
  return tensor_over(array(name), path(), contents_);
}

namespace {

/// The head of a file: length, JSON, spaces. Its size depends on no checksum.
std::string head_of(const std::vector<RawTensor>& arrays, const std::vector<uint32_t>& checksums,
                    const Metadata& metadata) {
  Json::Object about;
  for (const auto& [key, value] : metadata) {
    check(key.substr(0, kChecksumPrefix.size()) != kChecksumPrefix,
          "save_safetensors: metadata keys must not begin with ", kChecksumPrefix,
          ", which is for checksums; ", key, " was given");
    about.emplace_back(key, value);
  }
  if (!metadata.empty()) {
    about.emplace_back(std::string(kChecksumPrefix) + std::string(kMetadataKey),
                       hex8(metadata_checksum(metadata)));
  }
  Json::Object members;
  uint64_t reached = 0;
  for (std::size_t i = 0; i < arrays.size(); ++i) {
    const RawTensor& array = arrays[i];
    about.emplace_back(std::string(kChecksumPrefix) + array.name, hex8(checksums[i]));
    Json shape = Json::array();
    for (int64_t size : array.shape) shape.push(size);
    const int64_t begin = static_cast<int64_t>(reached);
    const int64_t end = static_cast<int64_t>(reached += array.bytes);
    members.emplace_back(array.name, Json::object({{"dtype", array.dtype},
                                                   {"shape", std::move(shape)},
                                                   {"data_offsets", Json::array({begin, end})}}));
  }
  if (!about.empty())
    members.emplace(members.begin(), std::string(kMetadataKey), Json::object(std::move(about)));

  std::string head(kLengthBytes, '\0');
  head += Json::object(std::move(members)).dump();
  head.append((kDataAlignment - head.size() % kDataAlignment) % kDataAlignment, ' ');
  const uint64_t header_bytes = head.size() - kLengthBytes;
  check(header_bytes <= kMaxHeaderBytes, "save_safetensors: the header may have at most ", kMaxHeaderBytes,
        " bytes; names and metadata take ", header_bytes);
  std::memcpy(head.data(), &header_bytes, kLengthBytes);
  return head;
}

/// Writes arrays whose bytes `pieces(i, take)` gives: the head, which holds their checksums, is written again at the end, so
/// that no array has to be in memory.
void write_arrays(AtomicFile& file, const std::vector<RawTensor>& arrays, const Metadata& metadata,
                  const RawPieces& pieces) {
  std::set<std::string_view> names;
  for (const RawTensor& array : arrays) {
    check(array.name != kMetadataKey, "save_safetensors: a tensor must not be called ", kMetadataKey);
    check(names.insert(array.name).second, "save_safetensors: names must differ; ", array.name,
          " is given twice");
  }
  std::vector<std::size_t> order(arrays.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) {
    return raw_dtype_bytes(arrays[a].dtype) > raw_dtype_bytes(arrays[b].dtype);
  });
  std::vector<RawTensor> in_order;
  for (const std::size_t i : order) in_order.push_back(arrays[i]);

  std::vector<uint32_t> checksums(arrays.size());
  const uint64_t begin = file.size();
  file.write(head_of(in_order, checksums, metadata));
  for (std::size_t place = 0; place < order.size(); ++place) {
    std::size_t taken = 0;
    pieces(order[place], [&](const void* data, std::size_t bytes) {
      checksums[place] = detail::crc32(data, bytes, checksums[place]);
      file.write(data, bytes);
      taken += bytes;
    });
    assert(taken == in_order[place].bytes);
  }
  const std::string head = head_of(in_order, checksums, metadata);
  file.write_at(begin, head.data(), head.size());
}

}  // namespace

void write_safetensors(AtomicFile& file, const std::vector<RawTensor>& arrays, const Metadata& metadata) {
  for (const RawTensor& array : arrays) check_raw(array, "save_safetensors");
  write_arrays(file, arrays, metadata,
               [&](std::size_t i, const auto& take) { take(arrays[i].data, arrays[i].bytes); });
}

void write_safetensors(AtomicFile& file, const std::vector<RawTensor>& arrays, const RawPieces& pieces,
                       const Metadata& metadata) {
  for (const RawTensor& array : arrays) {
    check(raw_bytes(array.dtype, array.shape) == array.bytes, "save_safetensors: ", array.name,
          " must have the bytes of its type ", array.dtype, " and shape ", array.shape, "; it has ",
          array.bytes);
  }
  write_arrays(file, arrays, metadata, pieces);
}

void write_safetensors(AtomicFile& file, const std::vector<NamedTensor>& tensors, const Metadata& metadata) {
  std::vector<RawTensor> arrays;
  for (const NamedTensor& named : tensors) {
    check(named.tensor.defined(), "save_safetensors: tensors must hold values; ", named.name, " is empty");
    arrays.push_back({named.name, std::string(raw_dtype(named.tensor.dtype())), named.tensor.shape(), nullptr,
                      named.tensor.nbytes()});
  }
  Tensor dense;  // the copy of a strided one, while it is written
  write_arrays(file, arrays, metadata, [&](std::size_t i, const auto& take) {
    dense = tensors[i].tensor.to_contiguous();
    take(dense.bytes(), dense.nbytes());
  });
}

void save_safetensors(const std::string& path, const std::vector<RawTensor>& arrays,
                      const Metadata& metadata) {
  AtomicFile file(path);
  write_safetensors(file, arrays, metadata);
  file.commit();
}

void save_safetensors(const std::string& path, const std::vector<NamedTensor>& tensors,
                      const Metadata& metadata) {
  AtomicFile file(path);
  write_safetensors(file, tensors, metadata);
  file.commit();
}

}  // namespace gradus
