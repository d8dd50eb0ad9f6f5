#include "tensor/io/detail/zip.hpp"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <functional>
#include <utility>

#include "tensor/error.hpp"
#include "tensor/io/bounds.hpp"
#include "tensor/io/detail/checksum.hpp"

namespace gradus::detail {
namespace {

constexpr uint32_t kLocalMagic = 0x04034b50;
constexpr uint32_t kDirectoryMagic = 0x02014b50;
constexpr uint32_t kEndMagic = 0x06054b50;
constexpr uint32_t kEnd64Magic = 0x06064b50;
constexpr uint32_t kLocator64Magic = 0x07064b50;
constexpr uint64_t kLocalBytes = 30;
constexpr uint64_t kDirectoryBytes = 46;
constexpr uint64_t kEndBytes = 22;
constexpr uint64_t kEnd64Bytes = 56;
constexpr uint64_t kLocator64Bytes = 20;
constexpr uint64_t kFull32 = 0xffffffff;  // "see the 64-bit field"
constexpr uint64_t kFull16 = 0xffff;
constexpr uint16_t kTag64 = 1;
constexpr uint16_t kUtf8Flag = 1 << 11;
constexpr uint16_t kEncryptedFlag = 1;
constexpr uint16_t kDate = (0 << 9) | (1 << 5) | 1;  // 1 January 1980, the first that zip knows
constexpr uint64_t kMaxInflation = 1032;             // what deflate can reach

/// Little-endian fields one behind the other.
class Fields {
 public:
  template <class T>
  Fields& put(T value) {
    for (std::size_t i = 0; i < sizeof value; ++i) bytes_ += static_cast<char>((value >> (8 * i)) & 0xff);
    return *this;
  }
  Fields& u16(uint64_t value) { return put(static_cast<uint16_t>(value)); }
  Fields& u32(uint64_t value) { return put(static_cast<uint32_t>(value)); }
  Fields& u64(uint64_t value) { return put(value); }
  Fields& text(std::string_view value) {
    bytes_ += value;
    return *this;
  }
  const std::string& bytes() const { return bytes_; }

 private:
  std::string bytes_;
};

template <class T>
T get(std::string_view bytes, uint64_t at) {
  T value = 0;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

uint64_t cap32(uint64_t value) { return std::min(value, kFull32); }

uint64_t flags_for(const std::string& name) {
  const bool ascii =
      std::all_of(name.begin(), name.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; });
  return ascii ? 0 : kUtf8Flag;
}

/// Names that cannot lead out of a folder into which somebody unpacks the archive.
bool is_safe_name(std::string_view name) {
  if (name.empty() || name.size() > kFull16 || name.front() == '/' ||
      name.find_first_of({"\\\0", 2}) != name.npos) {
    return false;
  }
  for (std::size_t begin = 0; begin <= name.size();) {
    const std::size_t end = std::min(name.find('/', begin), name.size());
    const std::string_view part = name.substr(begin, end - begin);
    if (part.empty() || part == "." || part == "..") return false;
    begin = end + 1;
  }
  return true;
}

}  // namespace

void ZipWriter::begin(const std::string& name, uint64_t bytes) {
  check(!open_, "zip: ", name, " cannot begin before ", open_ ? entries_.back().name : "", " has ended");
  check(is_safe_name(name), "zip: names must be relative paths without .. and \\; \"", name, "\" was given");
  for (const Entry& entry : entries_) {
    check(entry.name != name, "zip: names must differ; ", name, " is given twice in ", file_.path());
  }
  entries_.push_back({name, bytes, file_.size(), 0});
  missing_ = bytes;
  open_ = true;
  const bool wide = bytes >= kFull32;
  Fields fields;
  fields.u32(kLocalMagic).u16(wide ? 45 : 20).u16(flags_for(name)).u16(0).u16(0).u16(kDate);
  fields.u32(0).u32(cap32(bytes)).u32(cap32(bytes)).u16(name.size()).u16(wide ? 20 : 0).text(name);
  if (wide) fields.u16(kTag64).u16(16).u64(bytes).u64(bytes);
  file_.write(fields.bytes());
}

void ZipWriter::write(const void* data, std::size_t bytes) {
  check(open_ && bytes <= missing_, "zip: an entry must get the bytes that it began with; ", bytes,
        " were given, ", missing_, " are missing");
  file_.write(data, bytes);
  entries_.back().checksum = crc32(data, bytes, entries_.back().checksum);
  missing_ -= bytes;
}

void ZipWriter::end() {
  check(open_ && missing_ == 0, "zip: an entry must get the bytes that it began with; ", missing_,
        " are missing");
  const Entry& entry = entries_.back();
  // The checksum stands in front of the bytes.
  file_.write_at(entry.offset + 14, Fields().u32(entry.checksum).bytes().data(), 4);
  open_ = false;
}

void ZipWriter::finish() {
  check(!open_, "zip: the last entry must have ended");
  const uint64_t directory = file_.size();
  for (const Entry& entry : entries_) {
    Fields wide;
    if (entry.bytes >= kFull32) wide.u64(entry.bytes).u64(entry.bytes);
    if (entry.offset >= kFull32) wide.u64(entry.offset);
    const std::string& extra = wide.bytes();
    const uint64_t version = extra.empty() ? 20 : 45;
    Fields fields;
    fields.u32(kDirectoryMagic).u16((3 << 8) | version).u16(version).u16(flags_for(entry.name)).u16(0);
    fields.u16(0).u16(kDate).u32(entry.checksum).u32(cap32(entry.bytes)).u32(cap32(entry.bytes));
    fields.u16(entry.name.size()).u16(extra.empty() ? 0 : extra.size() + 4).u16(0).u16(0).u16(0);
    fields.u32(uint64_t{0100644} << 16).u32(cap32(entry.offset)).text(entry.name);
    if (!extra.empty()) fields.u16(kTag64).u16(extra.size()).text(extra);
    file_.write(fields.bytes());
  }
  const uint64_t end = file_.size();
  const uint64_t count = entries_.size();
  Fields fields;
  if (count >= kFull16 || directory >= kFull32 || end - directory >= kFull32) {
    fields.u32(kEnd64Magic).u64(kEnd64Bytes - 12).u16((3 << 8) | 45).u16(45).u32(0).u32(0);
    fields.u64(count).u64(count).u64(end - directory).u64(directory);
    fields.u32(kLocator64Magic).u32(0).u64(end).u32(1);
  }
  fields.u32(kEndMagic).u16(0).u16(0).u16(std::min(count, kFull16)).u16(std::min(count, kFull16));
  fields.u32(cap32(end - directory)).u32(cap32(directory)).u16(0);
  file_.write(fields.bytes());
}

ZipReader::ZipReader(const std::string& path) : path_(path), file_(path) {
  const std::string_view bytes = file_.text();
  check_world(bytes.size() >= kEndBytes, path, ": a zip archive has at least ", kEndBytes, " bytes; it has ",
              bytes.size());
  // The end record stands at the end, before a comment whose length it tells.
  const uint64_t last = bytes.size() - kEndBytes;
  const uint64_t first = last - std::min(last, kFull16);
  uint64_t at = last + 1;
  for (uint64_t candidate = last + 1; candidate-- > first && at > last;) {
    const bool fits = get<uint32_t>(bytes, candidate) == kEndMagic &&
                      candidate + kEndBytes + get<uint16_t>(bytes, candidate + 20) == bytes.size();
    if (fits) at = candidate;
  }
  check_world(at <= last, path,
              ": must be a zip archive; it has no directory at its end: it may be truncated");

  uint64_t disk = get<uint16_t>(bytes, at + 4) | get<uint16_t>(bytes, at + 6);
  uint64_t count = get<uint16_t>(bytes, at + 10);
  uint64_t directory_bytes = get<uint32_t>(bytes, at + 12);
  uint64_t directory = get<uint32_t>(bytes, at + 16);
  if (count == kFull16 || directory_bytes == kFull32 || directory == kFull32) {
    check_world(
        at >= kLocator64Bytes + kEnd64Bytes && get<uint32_t>(bytes, at - kLocator64Bytes) == kLocator64Magic,
        path, ": the zip directory is damaged: its 64-bit part is missing");
    const uint64_t end64 = get<uint64_t>(bytes, at - kLocator64Bytes + 8);
    check_world(end64 <= at - kLocator64Bytes - kEnd64Bytes && get<uint32_t>(bytes, end64) == kEnd64Magic,
                path, ": the zip directory is damaged: its 64-bit part is not at byte ", end64);
    disk = get<uint32_t>(bytes, end64 + 16) | get<uint32_t>(bytes, end64 + 20);
    count = get<uint64_t>(bytes, end64 + 32);
    directory_bytes = get<uint64_t>(bytes, end64 + 40);
    directory = get<uint64_t>(bytes, end64 + 48);
    at = end64;
  }
  check_world(disk == 0, path, ": zip archives in several parts are not read");
  check_world(directory <= at && directory_bytes == at - directory, path,
              ": the zip directory is damaged: ", directory_bytes, " bytes at ", directory, " must end at ",
              at);
  read_directory(directory, at, count);
}

void ZipReader::read_directory(uint64_t begin, uint64_t end, uint64_t count) {
  const std::string_view bytes = file_.text();
  const auto damaged = [&](const std::string& what) {
    fail_world(path_, ": the zip directory is damaged: ", what);
  };
  std::vector<std::pair<uint64_t, uint64_t>> ranges;
  uint64_t at = begin;
  for (uint64_t i = 0; i < count; ++i) {
    if (!lies_within(at, kDirectoryBytes, end) || get<uint32_t>(bytes, at) != kDirectoryMagic) {
      damaged(detail::join("entry ", i, " of ", count, " is not at byte ", at));
    }
    const uint64_t name_bytes = get<uint16_t>(bytes, at + 28);
    const uint64_t extra_bytes = get<uint16_t>(bytes, at + 30);
    const uint64_t comment_bytes = get<uint16_t>(bytes, at + 32);
    const uint64_t entry_bytes = kDirectoryBytes + name_bytes + extra_bytes + comment_bytes;
    if (!lies_within(at, entry_bytes, end)) damaged(detail::join("entry ", i, " goes beyond its end"));
    const std::string name(bytes.substr(at + kDirectoryBytes, name_bytes));
    check_world(is_safe_name(name), path_, ": entry ", i, " has a name that is not a relative path");

    Entry entry;
    const uint16_t flags = get<uint16_t>(bytes, at + 8);
    const uint16_t method = get<uint16_t>(bytes, at + 10);
    check_world((flags & kEncryptedFlag) == 0, path_, ": entry ", name, " is encrypted, which is not read");
    check_world(method == 0 || method == 8, path_, ": entry ", name,
                " must be stored (0) or deflated (8); its compression is ", method);
    entry.deflated = method == 8;
    entry.checksum = get<uint32_t>(bytes, at + 16);
    entry.packed = get<uint32_t>(bytes, at + 20);
    entry.bytes = get<uint32_t>(bytes, at + 24);
    uint64_t local = get<uint32_t>(bytes, at + 42);
    // Each full 32-bit field has its 64-bit one in the extra field, in this order.
    std::string_view extra = bytes.substr(at + kDirectoryBytes + name_bytes, extra_bytes);
    while (extra.size() >= 4) {
      const uint64_t field_bytes = std::min<uint64_t>(get<uint16_t>(extra, 2), extra.size() - 4);
      if (get<uint16_t>(extra, 0) == kTag64) {
        std::string_view field = extra.substr(4, field_bytes);
        for (uint64_t* value : {&entry.bytes, &entry.packed, &local}) {
          if (*value != kFull32) continue;
          if (field.size() < 8) damaged("entry " + name + " has no 64-bit size");
          *value = get<uint64_t>(field, 0);
          field.remove_prefix(8);
        }
      }
      extra.remove_prefix(4 + field_bytes);
    }

    if (!lies_within(local, kLocalBytes, begin) || get<uint32_t>(bytes, local) != kLocalMagic) {
      damaged(detail::join("entry ", name, " is not at byte ", local));
    }
    const uint64_t local_name = get<uint16_t>(bytes, local + 26);
    const uint64_t local_extra = get<uint16_t>(bytes, local + 28);
    entry.begin = local + kLocalBytes + local_name + local_extra;
    if (!lies_within(entry.begin, entry.packed, begin)) {
      damaged(detail::join("entry ", name, " of ", entry.packed, " bytes goes into the directory"));
    }
    if (bytes.substr(local + kLocalBytes, local_name) != name) {
      damaged("entry " + name + " has another name where its bytes are");
    }
    const bool possible =
        entry.deflated ? entry.bytes / kMaxInflation <= entry.packed : entry.bytes == entry.packed;
    if (!possible)
      damaged(detail::join("entry ", name, " cannot have ", entry.bytes, " bytes in ", entry.packed));
    ranges.emplace_back(local, entry.begin + entry.packed);
    if (!entries_.emplace(name, entry).second) damaged("entry " + name + " stands in it twice");
    names_.push_back(name);
    at += entry_bytes;
  }
  if (at != end) damaged(detail::join(end - at, " bytes follow its ", count, " entries"));
  // Entries that share bytes can hold much more than the file.
  std::sort(ranges.begin(), ranges.end());
  for (std::size_t i = 1; i < ranges.size(); ++i) {
    if (ranges[i].first < ranges[i - 1].second) damaged("entries overlap");
  }
}

std::vector<std::byte> ZipReader::read(std::string_view name) const {
  const auto found = entries_.find(name);
  check_world(found != entries_.end(), path_, ": must have an entry named ", name, "; there is none");
  const Entry& entry = found->second;
  const auto* packed = reinterpret_cast<const Bytef*>(file_.data() + entry.begin);
  std::vector<std::byte> result(entry.bytes);
  if (!entry.deflated) {
    if (entry.bytes > 0) std::memcpy(result.data(), packed, entry.bytes);
  } else {
    z_stream stream{};
    check_world(inflateInit2(&stream, -MAX_WBITS) == Z_OK, path_, ": entry ", name, ": zlib has no memory");
    const std::unique_ptr<z_stream, decltype(&inflateEnd)> close(&stream, &inflateEnd);
    uint64_t taken = 0;
    uint64_t made = 0;
    Bytef none = 0;
    int status = Z_OK;
    while (status == Z_OK) {
      constexpr uint64_t most = uint64_t{1} << 30;  // zlib counts in 32 bits
      stream.next_in = const_cast<Bytef*>(packed + taken);
      stream.avail_in = static_cast<uInt>(std::min(most, entry.packed - taken));
      stream.next_out = entry.bytes == made ? &none : reinterpret_cast<Bytef*>(result.data() + made);
      stream.avail_out = static_cast<uInt>(std::min(most, entry.bytes - made));
      const uInt in = stream.avail_in;
      const uInt out = stream.avail_out;
      status = inflate(&stream, Z_NO_FLUSH);
      taken += in - stream.avail_in;
      made += out - stream.avail_out;
    }
    check_world(status == Z_STREAM_END && taken == entry.packed && made == entry.bytes, path_, ": entry ",
                name, " is damaged: ", made, " of ", entry.bytes, " bytes could be inflated from ", taken,
                " of ", entry.packed);
  }
  const uint32_t checksum = crc32(result.data(), result.size());
  check_world(checksum == entry.checksum, path_, ": the bytes of entry ", name,
              " have changed since they were written: checksum ", entry.checksum, " expected, ", checksum,
              " found");
  return result;
}

}  // namespace gradus::detail
