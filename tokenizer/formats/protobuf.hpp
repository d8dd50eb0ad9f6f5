#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace gradus {

/// Goes through the fields of a message in the wire format of protocol buffers, in the order in which they stand.
/// note: every length is checked against the message before anything is read; what is wrong is a std::runtime_error
///       that names the file, the byte and the field. Copies nothing: the bytes and the source must live as long.
/// ref: protobuf.dev/programming-guides/encoding
class ProtoReader {
 public:
  /// `bytes` is a whole file and `source` what errors call it.
  ProtoReader(std::string_view bytes, std::string_view source);

  /// Goes to the next field; false after the last one. Groups count as one field.
  bool next();
  /// The number of the present field.
  uint32_t field() const { return field_; }
  /// The present field as it stands, its number included.
  std::string_view raw() const { return {field_begin_, static_cast<size_t>(at_ - field_begin_)}; }

  /// The present field's value as the named kind; `name` is what errors call the field.
  bool as_bool(std::string_view name) const;
  int32_t as_int32(std::string_view name) const;
  float as_float(std::string_view name) const;
  std::string_view as_bytes(std::string_view name) const;
  /// As as_bytes; must be UTF-8.
  std::string_view as_text(std::string_view name) const;
  /// A message inside this one. note: refers to this reader, and to `name`, for its errors.
  ProtoReader as_message(std::string_view name) const;

  /// Throws a std::runtime_error about the present field: where it stands, then `what`.
  [[noreturn]] void refuse(std::string_view name, const std::string& what) const;

 private:
  enum Wire : uint32_t { kVarint = 0, kFixed64 = 1, kBytes = 2, kGroup = 3, kGroupEnd = 4, kFixed32 = 5 };

  ProtoReader(std::string_view bytes, const ProtoReader& parent, std::string_view name);
  uint64_t read_varint();
  void read_value(int depth);
  void expect(Wire wire, std::string_view name) const;
  [[noreturn]] void damaged(const char* at, const std::string& what) const;
  std::string place(const char* at, std::string_view name) const;

  std::string_view source_;
  const ProtoReader* parent_ = nullptr;
  std::string_view name_;
  const char* file_;  // the first byte of the file, from which errors count
  const char* at_;
  const char* end_;
  const char* field_begin_;
  uint32_t field_ = 0;
  Wire wire_ = kVarint;
  uint64_t number_ = 0;     // of a varint or a fixed-size value
  std::string_view bytes_;  // of a length-delimited value
};

/// Writes the fields of a message, one after the other.
class ProtoWriter {
 public:
  void put_bool(uint32_t field, bool value) { put_varint(field, value ? 1 : 0); }
  void put_int32(uint32_t field, int32_t value);
  void put_float(uint32_t field, float value);
  void put_bytes(uint32_t field, std::string_view value);
  /// Fields as ProtoReader::raw gave them.
  void put_raw(std::string_view fields) { bytes_ += fields; }

  const std::string& bytes() const { return bytes_; }
  void clear() { bytes_.clear(); }

 private:
  void put_varint(uint32_t field, uint64_t value);
  void append_varint(uint64_t value);

  std::string bytes_;
};

}  // namespace gradus
