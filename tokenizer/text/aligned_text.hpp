#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/text/text_range.hpp"

namespace gradus {

/// Bytes of a text; the end is exclusive.
struct ByteSpan {
  uint32_t begin;
  uint32_t end;
  bool operator==(const ByteSpan&) const = default;
};

/// A text on its way to tokens: its bytes as they are now, and, where asked for, the bytes of the original that each of
/// them came from.
/// note: copies nothing until it is first rewritten, so the text given must live as long.
/// note: rewriting may not make it more than 32 times as long, and 4 MiB: more than any form of Unicode and any escape of
///       spaces or bytes does, and little enough that rules from a file cannot take the memory.
/// ref: the NormalizedString of the Hugging Face library, with which all offsets agree.
class AlignedText {
 public:
  /// `text` is a part of an original, where it begins at byte `offset`; without `aligned` original() may not be asked.
  AlignedText(std::string_view text, int64_t offset, bool aligned);
  AlignedText(AlignedText&&) = default;
  AlignedText& operator=(AlignedText&&) = default;

  std::string_view text() const { return rewritten_ ? std::string_view(owned_) : view_; }
  bool aligned() const { return aligned_; }
  /// Whether the text begins with what the original begins with.
  bool at_start() const;
  /// Whether the text is still a part of the original, byte for byte.
  bool unchanged() const { return direct_; }
  /// The byte of the original where the text given to the constructor begins.
  int64_t offset() const { return offset_; }

  /// The bytes of the original behind some of the text's: from where its first byte's begin to where its last byte's
  /// end. An empty span stands for nothing: an empty range.
  /// note: a byte stands for whole characters of the original; one that is not UTF-8 for itself.
  TextRange original(ByteSpan span) const;

  /// A part of the text, as a text of its own. note: this one must outlive it, unchanged.
  AlignedText slice(ByteSpan span) const;

  /// What becomes of each ASCII character: another one, or nothing where the entry is kDropped.
  using AsciiMap = std::array<char, 128>;
  static constexpr char kDropped = '\x80';

  /// Writes the next state of a text from its present one, from the first byte to the last.
  /// note: a text of which everything is kept is not copied.
  class Rewriter {
   public:
    explicit Rewriter(AlignedText& source);
    /// The next `bytes` bytes stay as they are.
    void keep(size_t bytes);
    /// `bytes` bytes of the source become `with`, all of which stands for what their first byte stands for; where
    /// `with` is empty they are dropped.
    void replace(size_t bytes, std::string_view with);
    /// Bytes that stand for what the byte read last stands for; at the very beginning, for nothing at 0.
    void insert(std::string_view text);
    /// Bytes that stand for what a part of the source stands for, whatever was read.
    void write(std::string_view text, ByteSpan source);
    /// The next `bytes` bytes, which must be ASCII, become what a map says.
    void map(size_t bytes, const AsciiMap& map);
    /// How much of the source has been read.
    size_t read() const { return read_; }
    /// The text becomes what was written; what was not read stays as it is.
    void finish();

   private:
    void change();
    void append(std::string_view text, ByteSpan range, bool leading);
    void check_growth() const;

    AlignedText& source_;
    std::string text_;
    std::vector<ByteSpan> ranges_;
    size_t read_ = 0;
    size_t source_lead_;
    size_t lead_ = 0;
    bool changed_ = false;
  };

 private:
  ByteSpan range_of(size_t byte) const;
  void append_ranges(size_t begin, size_t end, std::vector<ByteSpan>& ranges) const;
  size_t lead() const;

  std::string_view view_;
  std::string owned_;
  bool rewritten_ = false;
  bool direct_ = true;  // the bytes are the original's own
  bool aligned_ = false;
  size_t most_;                   // bytes that the text may come to
  int64_t offset_ = 0;            // what ranges count from
  uint32_t begin_ = 0;            // where the text begins, counted so
  size_t lead_ = 0;               // of a text that is not direct: bytes that stand for the original's byte 0
  std::vector<ByteSpan> ranges_;  // one a byte, once rewritten and aligned
  const ByteSpan* borrowed_ = nullptr;  // of a slice of a rewritten text
};

}  // namespace gradus
