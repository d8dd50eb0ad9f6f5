#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

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
class AlignedText {
 public:
  /// `text` is a part of an original, where it begins at byte `offset`; without `aligned` original() may not be asked.
  AlignedText(std::string_view text, int64_t offset, bool aligned)
      : view_(text), offset_(offset), aligned_(aligned) {}
  AlignedText(AlignedText&&) = default;
  AlignedText& operator=(AlignedText&&) = default;

  std::string_view text() const { return rewritten_ ? std::string_view(owned_) : view_; }
  bool aligned() const { return aligned_; }
  /// Whether the text begins where the original does.
  bool at_start() const { return offset_ == 0; }

  struct Range {
    int64_t begin;
    int64_t end;
    bool operator==(const Range&) const = default;
  };
  /// The bytes of the original behind some of the text's. An empty span stands for nothing: an empty range.
  Range original(ByteSpan span) const;

  /// A part of the text, as a text of its own. note: this one must outlive it, unchanged.
  AlignedText slice(ByteSpan span) const;

  /// Writes the next state of a text from its present one, from the first byte to the last.
  /// note: where a character came from follows the Hugging Face library, so that offsets agree with it.
  class Rewriter {
   public:
    explicit Rewriter(AlignedText& source);
    /// The next `bytes` bytes stay as they are.
    void keep(size_t bytes);
    /// `bytes` bytes of the source become `with`, all of which stands for them (or, empty, they are dropped).
    void replace(size_t bytes, std::string_view with);
    /// Bytes that stand for what the byte written before them stands for; at the very beginning, for nothing at 0.
    void insert(std::string_view text);
    /// How much of the source has been read.
    size_t read() const { return read_; }
    /// The text becomes what was written; what was not read stays as it is.
    void finish();

   private:
    AlignedText& source_;
    std::string text_;
    std::vector<Range> ranges_;
    size_t read_ = 0;
  };

 private:
  AlignedText(std::string_view text, const Range* ranges, int64_t offset, bool aligned)
      : view_(text), offset_(offset), aligned_(aligned), borrowed_(ranges) {}
  Range range_of(size_t byte) const;

  std::string_view view_;
  std::string owned_;
  bool rewritten_ = false;
  int64_t offset_ = 0;
  bool aligned_ = false;
  std::vector<Range> ranges_;        // one a byte, once rewritten and aligned
  const Range* borrowed_ = nullptr;  // of a slice of a rewritten text
};

}  // namespace gradus
