#include "tokenizer/formats/protobuf.hpp"

#include <bit>

#include "tensor/error.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

constexpr int kMaxGroupDepth = 100;  // what the protobuf library allows
constexpr int kMaxVarintBytes = 10;

const char* wire_name(uint32_t wire) {
  switch (wire) {
    case 0: return "a varint";
    case 1: return "a 64-bit value";
    case 2: return "a string of bytes";
    case 3: return "a group";
    default: return "a 32-bit value";
  }
}

}  // namespace

ProtoReader::ProtoReader(std::string_view bytes, std::string_view source)
    : source_(source),
      file_(bytes.data()),
      at_(bytes.data()),
      end_(bytes.data() + bytes.size()),
      field_begin_(at_) {}

ProtoReader::ProtoReader(std::string_view bytes, const ProtoReader& parent, std::string_view name)
    : source_(parent.source_),
      parent_(&parent),
      name_(name),
      file_(parent.file_),
      at_(bytes.data()),
      end_(bytes.data() + bytes.size()),
      field_begin_(at_) {}

bool ProtoReader::next() {
  if (at_ == end_) return false;
  field_begin_ = at_;
  const uint64_t tag = read_varint();
  const auto wire = static_cast<uint32_t>(tag & 7);
  if (tag >> 3 == 0 || tag >> 32 != 0) {
    damaged(field_begin_,
            detail::join("a field must have a number from 1 to 2^29 - 1; this one has ", tag >> 3));
  }
  if (wire > kFixed32 || wire == kGroupEnd) {
    damaged(field_begin_, detail::join("a field must have one of the known wire types; this one has ", wire));
  }
  field_ = static_cast<uint32_t>(tag >> 3);
  wire_ = static_cast<Wire>(wire);
  read_value(0);
  return true;
}

uint64_t ProtoReader::read_varint() {
  const char* const begin = at_;
  uint64_t value = 0;
  for (int i = 0; i < kMaxVarintBytes; ++i) {
    if (at_ == end_) damaged(begin, "the message must not end inside a number; it does");
    const auto byte = static_cast<unsigned char>(*at_++);
    value |= static_cast<uint64_t>(byte & 0x7F) << (7 * i);
    if (byte < 0x80) return value;
  }
  damaged(begin, "a number must have at most 10 bytes; this one has more");
}

// Reads the value of a field of type wire_, so that at_ stands behind it.
void ProtoReader::read_value(int depth) {
  const char* const begin = at_;
  const auto left = [this] { return static_cast<uint64_t>(end_ - at_); };
  switch (wire_) {
    case kVarint: number_ = read_varint(); return;
    case kFixed64:
    case kFixed32: {
      const size_t size = wire_ == kFixed64 ? 8 : 4;
      if (left() < size)
        damaged(begin, detail::join("a value must have ", size, " bytes; ", left(), " are left"));
      number_ = 0;
      for (size_t i = 0; i < size; ++i)
        number_ |= static_cast<uint64_t>(static_cast<unsigned char>(at_[i])) << (8 * i);
      at_ += size;
      return;
    }
    case kBytes: {
      const uint64_t size = read_varint();
      if (size > left()) {
        damaged(begin, detail::join("a value must end inside its message; it should have ", size,
                                    " bytes, and ", left(), " are left"));
      }
      bytes_ = {at_, static_cast<size_t>(size)};
      at_ += size;
      return;
    }
    case kGroup:
    case kGroupEnd: break;
  }
  // A group: fields up to the end mark of the same number.
  if (depth == kMaxGroupDepth) damaged(begin, detail::join("groups must not be nested deeper than ", depth));
  for (;;) {
    const char* const inner = at_;
    if (at_ == end_) damaged(begin, "a group must end inside its message; it does not");
    const uint64_t tag = read_varint();
    const auto wire = static_cast<uint32_t>(tag & 7);
    if (wire == kGroupEnd && tag >> 3 == field_) break;
    if (wire >= kGroupEnd && wire != kFixed32)
      damaged(inner, "a field in a group must have a known wire type");
    const uint32_t outer_field = field_;
    field_ = static_cast<uint32_t>(tag >> 3);
    wire_ = static_cast<Wire>(wire);
    read_value(depth + 1);
    field_ = outer_field;
  }
  wire_ = kGroup;
}

void ProtoReader::expect(Wire wire, std::string_view name) const {
  if (wire_ != wire) refuse(name, detail::join("must be ", wire_name(wire), "; it is ", wire_name(wire_)));
}

bool ProtoReader::as_bool(std::string_view name) const {
  expect(kVarint, name);
  return number_ != 0;
}

int32_t ProtoReader::as_int32(std::string_view name) const {
  expect(kVarint, name);
  const auto value = static_cast<int64_t>(number_);
  if (value != static_cast<int32_t>(value)) {
    refuse(name, detail::join("must be an integer of 32 bits; it is ", value));
  }
  return static_cast<int32_t>(value);
}

float ProtoReader::as_float(std::string_view name) const {
  expect(kFixed32, name);
  return std::bit_cast<float>(static_cast<uint32_t>(number_));
}

std::string_view ProtoReader::as_bytes(std::string_view name) const {
  expect(kBytes, name);
  return bytes_;
}

std::string_view ProtoReader::as_text(std::string_view name) const {
  expect(kBytes, name);
  const size_t utf8 = utf8_prefix(bytes_);
  if (utf8 < bytes_.size())
    refuse(name, detail::join("must be UTF-8; byte ", utf8, " of it begins no character"));
  return bytes_;
}

ProtoReader ProtoReader::as_message(std::string_view name) const {
  expect(kBytes, name);
  return ProtoReader(bytes_, *this, name);
}

std::string ProtoReader::place(const char* at, std::string_view name) const {
  std::string path(name);
  for (const ProtoReader* reader = this; reader->parent_ != nullptr; reader = reader->parent_) {
    path = std::string(reader->name_) + (path.empty() ? "" : "." + path);
  }
  return detail::join(source_, ": byte ", at - file_, path.empty() ? "" : ", ", path);
}

void ProtoReader::refuse(std::string_view name, const std::string& what) const {
  fail_world(place(field_begin_, name), ": ", what);
}

void ProtoReader::damaged(const char* at, const std::string& what) const {
  fail_world(place(at, ""), ": ", what, "; the file is damaged or of another kind");
}

void ProtoWriter::append_varint(uint64_t value) {
  for (; value >= 0x80; value >>= 7) bytes_.push_back(static_cast<char>(value | 0x80));
  bytes_.push_back(static_cast<char>(value));
}

void ProtoWriter::put_varint(uint32_t field, uint64_t value) {
  append_varint(uint64_t{field} << 3);
  append_varint(value);
}

void ProtoWriter::put_int32(uint32_t field, int32_t value) {
  put_varint(field, static_cast<uint64_t>(static_cast<int64_t>(value)));
}

void ProtoWriter::put_float(uint32_t field, float value) {
  append_varint(uint64_t{field} << 3 | 5);
  const auto bits = std::bit_cast<uint32_t>(value);
  for (int shift = 0; shift < 32; shift += 8) bytes_.push_back(static_cast<char>(bits >> shift & 0xFF));
}

void ProtoWriter::put_bytes(uint32_t field, std::string_view value) {
  append_varint(uint64_t{field} << 3 | 2);
  append_varint(value.size());
  bytes_ += value;
}

}  // namespace gradus
