#include "tokenizer/text/aligned_text.hpp"

#include <algorithm>
#include <limits>
#include <utility>

#include "tensor/error.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {

namespace {

// The character that a byte is in.
ByteSpan char_around(std::string_view text, size_t byte) {
  for (size_t back = 0; back <= std::min<size_t>(3, byte); ++back) {
    const size_t begin = byte - back;
    if (is_continuation(text[begin])) continue;
    const size_t end = begin + char_length(text, begin);
    if (end > byte) return {static_cast<uint32_t>(begin), static_cast<uint32_t>(end)};
    break;
  }
  return {static_cast<uint32_t>(byte), static_cast<uint32_t>(byte + 1)};
}

constexpr size_t kMostBytes = std::numeric_limits<uint32_t>::max();

void check_size(size_t bytes) {
  check(bytes <= kMostBytes, "AlignedText: a text must have fewer than 4294967296 bytes; it has ", bytes,
        "; cut it into documents");
}

}  // namespace

AlignedText::AlignedText(std::string_view text, int64_t offset, bool aligned)
    : view_(text),
      aligned_(aligned),
      most_(std::min(kMostBytes, 32 * text.size() + (size_t{4} << 20))),
      offset_(offset) {
  check_size(text.size());
}

// A text of its own bytes begins with one character that stands for the original's byte 0, or with none.
size_t AlignedText::lead() const {
  if (!direct_) return lead_;
  return offset_ == 0 && !view_.empty() ? char_length(view_, 0) : 0;
}

bool AlignedText::at_start() const { return direct_ || text().empty() ? offset_ == 0 : lead_ > 0; }

ByteSpan AlignedText::range_of(size_t byte) const {
  if (borrowed_ != nullptr) return borrowed_[byte];
  return direct_ ? char_around(view_, byte) : ranges_[byte];
}

void AlignedText::append_ranges(size_t begin, size_t end, std::vector<ByteSpan>& ranges) const {
  if (!direct_) {
    const ByteSpan* all = borrowed_ != nullptr ? borrowed_ : ranges_.data();
    ranges.insert(ranges.end(), all + begin, all + end);
    return;
  }
  for (size_t at = begin; at < end;) {
    const ByteSpan range = static_cast<unsigned char>(view_[at]) < 0x80
                               ? ByteSpan{static_cast<uint32_t>(at), static_cast<uint32_t>(at + 1)}
                               : char_around(view_, at);
    for (; at < std::min<size_t>(range.end, end); ++at) ranges.push_back(range);
  }
}

TextRange AlignedText::original(ByteSpan span) const {
  check(aligned_,
        "AlignedText: the text must be aligned to tell where bytes came from; it is not; ask for offsets");
  const size_t size = text().size();
  check(span.begin <= span.end && span.end <= size, "AlignedText: a span must lie in the text; it is ",
        span.begin, " to ", span.end, " of ", size);
  if (span.begin < span.end)
    return {offset_ + range_of(span.begin).begin, offset_ + range_of(span.end - 1).end};
  const int64_t at = offset_ + (span.begin < size ? range_of(span.begin).begin
                                : size > 0        ? range_of(size - 1).end
                                                  : begin_);
  return {at, at};
}

AlignedText AlignedText::slice(ByteSpan span) const {
  AlignedText part(text().substr(span.begin, span.end - span.begin), offset_, aligned_);
  part.most_ = most_;
  if (direct_) {
    part.offset_ += span.begin;
    return part;
  }
  part.direct_ = false;
  part.lead_ = std::clamp<size_t>(lead_, span.begin, span.end) - span.begin;
  if (aligned_) {
    part.borrowed_ = (borrowed_ != nullptr ? borrowed_ : ranges_.data()) + span.begin;
    part.begin_ = static_cast<uint32_t>(original({span.begin, span.begin}).begin - offset_);
  }
  return part;
}

AlignedText::Rewriter::Rewriter(AlignedText& source) : source_(source), source_lead_(source.lead()) {}

// From here on the text differs from the source, so what was kept until now has to be copied.
void AlignedText::Rewriter::change() {
  if (changed_) return;
  changed_ = true;
  const std::string_view source = source_.text();
  text_.reserve(source.size() + source.size() / 8);
  text_.assign(source.substr(0, read_));
  lead_ = std::min(read_, source_lead_);
  if (!source_.aligned_) return;
  ranges_.reserve(source.size() + source.size() / 8);
  source_.append_ranges(0, read_, ranges_);
}

void AlignedText::Rewriter::append(std::string_view text, ByteSpan range, bool leading) {
  text_.append(text);
  check_growth();
  if (leading) lead_ = text_.size();
  if (!source_.aligned_) return;
  for (size_t i = 0; i < text.size(); ++i) ranges_.push_back(range);
}

void AlignedText::Rewriter::check_growth() const {
  check(text_.size() <= source_.most_, "AlignedText: rewriting may make this text at most ", source_.most_,
        " bytes long; it would have ", text_.size(), " or more; use a normalizer that adds less");
}

void AlignedText::Rewriter::keep(size_t bytes) {
  if (changed_) {
    if (read_ < source_lead_) lead_ = text_.size() + std::min(bytes, source_lead_ - read_);
    text_.append(source_.text().substr(read_, bytes));
    if (source_.aligned_) source_.append_ranges(read_, read_ + bytes, ranges_);
  }
  read_ += bytes;
}

void AlignedText::Rewriter::replace(size_t bytes, std::string_view with) {
  change();
  if (!with.empty())
    append(with, source_.aligned_ ? source_.range_of(read_) : ByteSpan{}, read_ < source_lead_);
  read_ += bytes;
}

void AlignedText::Rewriter::insert(std::string_view text) {
  if (text.empty()) return;
  change();
  if (read_ == 0) {
    append(text, {source_.begin_, source_.begin_}, source_.at_start());
  } else {
    append(text, source_.aligned_ ? source_.range_of(read_ - 1) : ByteSpan{}, read_ - 1 < source_lead_);
  }
}

void AlignedText::Rewriter::write(std::string_view text, ByteSpan source) {
  change();
  ByteSpan range{};
  if (source_.aligned_) {
    const TextRange original = source_.original(source);
    range = {static_cast<uint32_t>(original.begin - source_.offset_),
             static_cast<uint32_t>(original.end - source_.offset_)};
  }
  append(text, range, source.begin < source_lead_);
}

void AlignedText::Rewriter::map(size_t bytes, const AsciiMap& map) {
  const char* from = source_.text().data() + read_;
  const auto becomes = [&](size_t i) { return map[static_cast<unsigned char>(from[i])]; };
  size_t same = 0;
  if (!changed_) {
    while (same < bytes && becomes(same) == from[same]) ++same;
    read_ += same;
    if (same == bytes) return;
    change();
  }
  const size_t old_size = text_.size();
  text_.resize(old_size + bytes - same);
  char* to = text_.data() + old_size;
  for (size_t i = same; i < bytes; ++i) {
    const char next = becomes(i);
    *to = next;
    to += next != kDropped;
  }
  text_.resize(static_cast<size_t>(to - text_.data()));
  size_t kept_lead = 0;
  for (size_t i = same; i < bytes && read_ + i - same < source_lead_; ++i)
    kept_lead += becomes(i) != kDropped;
  if (kept_lead > 0) lead_ = old_size + kept_lead;
  if (source_.aligned_) {
    const size_t old_ranges = ranges_.size();
    source_.append_ranges(read_, read_ + bytes - same, ranges_);
    size_t kept = old_ranges;
    for (size_t i = same; i < bytes; ++i) {
      ranges_[kept] = ranges_[old_ranges + i - same];
      kept += becomes(i) != kDropped;
    }
    ranges_.resize(kept);
  }
  read_ += bytes - same;
}

void AlignedText::Rewriter::finish() {
  if (!changed_) return;
  keep(source_.text().size() - read_);
  check_growth();
  // `replace` may have put characters of the source into the new text, so the old one goes only now.
  source_.owned_ = std::move(text_);
  source_.ranges_ = std::move(ranges_);
  source_.view_ = {};
  source_.borrowed_ = nullptr;
  source_.rewritten_ = true;
  source_.direct_ = false;
  source_.lead_ = lead_;
}

}  // namespace gradus
