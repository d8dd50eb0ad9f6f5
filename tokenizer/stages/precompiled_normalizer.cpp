#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "tensor/error.hpp"
#include "tokenizer/lookup/charsmap.hpp"
#include "tokenizer/stages/normalizer_steps.hpp"
#include "tokenizer/text/base64.hpp"

namespace gradus {

namespace {

// Writes characters in the place of others as the Hugging Face library counts them: one by one; those left over in the
// new text are insertions, those left over in the old text go with the last character written.
// note: this has two odd ends, which offsets must share. Before anything is written nothing can be dropped, so the
//       places of all that follows lag behind; and an insertion before something dropped takes that one's place.
class PlaceWriter {
 public:
  explicit PlaceWriter(AlignedText& text) : source_(text.text()), to_(text) {}

  size_t read() const { return read_; }

  // The next bytes, whole characters, stay as they are.
  void keep(size_t bytes) {
    release();
    const size_t end = read_ + bytes;
    if (place_ == read_) {
      catch_up();
      to_.keep(bytes);
      place_ = read_ = end;
    }
    while (read_ < end) {
      const size_t length = char_length(source_, read_);
      write(source_.substr(read_, length));
      read_ += length;
    }
    any_ = any_ || bytes > 0;
  }

  void replace(size_t bytes, std::string_view with) {
    size_t old_chars = count_chars(source_.substr(read_, bytes));
    read_ += bytes;
    for (size_t at = 0; at < with.size();) {
      const size_t length = char_length(with, at);
      release();
      if (old_chars > 0) {
        write(with.substr(at, length));
        --old_chars;
      } else {
        inserted_ = with.substr(at, length);
      }
      any_ = true;
      at += length;
    }
    if (old_chars > 0 && any_) drop(old_chars);
  }

  void finish() {
    release();
    catch_up();
    to_.finish();
  }

 private:
  void write(std::string_view text) {
    const auto place = static_cast<uint32_t>(place_);
    to_.write(text, {place, place + 1});
    place_ += char_length(source_, place_);
  }

  void drop(size_t chars) {
    if (!inserted_.empty()) {
      write(std::exchange(inserted_, {}));
      --chars;
    }
    for (; chars > 0; --chars) place_ += char_length(source_, place_);
  }

  // An insertion shares the place of what stands before it.
  void release() {
    if (inserted_.empty()) return;
    const auto place = static_cast<uint32_t>(place_);
    to_.write(inserted_, {place - 1, place});
    inserted_ = {};
  }

  void catch_up() {
    if (to_.read() < read_) to_.replace(read_ - to_.read(), {});
  }

  std::string_view source_;
  AlignedText::Rewriter to_;
  size_t read_ = 0;
  size_t place_ = 0;           // of the next character to be replaced
  std::string_view inserted_;  // a character that waits to be written
  bool any_ = false;           // was written
};

class Precompiled final : public Normalizer {
 public:
  explicit Precompiled(Charsmap charsmap) : charsmap_(std::move(charsmap)) {}
  void apply(AlignedText& text) const override;
  Json to_json() const override {
    return Json::object(
        {{"type", "Precompiled"}, {"precompiled_charsmap", base64_encode(charsmap_.bytes())}});
  }

 private:
  Charsmap charsmap_;
};

// Short graphemes are rewritten whole, and by the rule for their shortest beginning, whatever comes after it; others
// character by character.
void Precompiled::apply(AlignedText& text) const {
  constexpr size_t kShort = 6;
  const std::string_view source = text.text();
  const char* const end = source.data() + source.size();
  const auto is_ascii = [&](size_t at) { return static_cast<unsigned char>(source[at]) < 0x80; };
  PlaceWriter to(text);
  while (to.read() < source.size()) {
    // An ASCII character before another is a grapheme, except before a line feed.
    size_t at = to.read();
    while (at < source.size() && is_ascii(at) && charsmap_.is_plain(source[at]) &&
           (at + 1 == source.size() || (is_ascii(at + 1) && source[at + 1] != '\n'))) {
      ++at;
    }
    if (at > to.read()) to.keep(at - to.read());
    if (at == source.size()) break;
    char32_t c;
    if (decode_utf8(source.data() + at, end, c) == 0) {
      to.keep(1);
      continue;
    }
    const auto length = static_cast<size_t>(grapheme_end(source.data() + at, end) - (source.data() + at));
    if (length < kShort) {
      if (const Charsmap::Rule rule = charsmap_.shortest(source.substr(at, length)); rule.length > 0) {
        to.replace(length, rule.with);
        continue;
      }
    }
    for (const size_t stop = at + length; at < stop;) {
      const size_t bytes = char_length(source, at);
      const Charsmap::Rule rule = charsmap_.shortest(source.substr(at, bytes));
      if (rule.length > 0) {
        to.replace(bytes, rule.with);
      } else {
        to.keep(bytes);
      }
      at += bytes;
    }
  }
  to.finish();
}

}  // namespace

std::shared_ptr<const Normalizer> read_precompiled(const Json& value) {
  check_json_keys(value, {"type", "precompiled_charsmap"});
  const Json& charsmap = value.at("precompiled_charsmap");
  const std::string where = charsmap.path();
  std::optional<std::string> bytes = base64_decode(charsmap.as_string());
  check_world(bytes.has_value(), where,
              ": must be base64; it is not; the file is damaged, take it from its source again");
  return std::make_shared<Precompiled>(Charsmap(std::move(*bytes), where));
}

}  // namespace gradus
