#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/stages/normalizer_steps.hpp"

namespace gradus {

namespace {

// What the cleaning removes: controls, formats, characters for private use; as of Unicode 8.
bool is_removed(char32_t c, Category kind) {
  if (c == 0 || c == 0xFFFD) return true;
  if (c == '\t' || c == '\n' || c == '\r') return false;
  if (kind == Category::Cf) {
    return c != 0x890 && c != 0x891 && c != 0x8E2 && c != 0x110CD && !(c >= 0x13430 && c <= 0x1343F);
  }
  return kind == Category::Cc || kind == Category::Co;
}

bool is_space(Category kind) { return kind == Category::Zs || kind == Category::Zl || kind == Category::Zp; }

// U+2B820 to U+2B91F are Chinese too (extension E), but not to the Hugging Face library.
bool is_chinese(char32_t c) {
  return (c >= 0x4E00 && c <= 0x9FFF) || (c >= 0x3400 && c <= 0x4DBF) || (c >= 0xF900 && c <= 0xFAFF) ||
         (c >= 0x20000 && c <= 0x2A6DF) || (c >= 0x2A700 && c <= 0x2B81F) || (c >= 0x2B920 && c <= 0x2CEAF) ||
         (c >= 0x2F800 && c <= 0x2FA1F);
}

class BertNormalizer final : public Normalizer {
 public:
  BertNormalizer(bool clean_text, bool handle_chinese_chars, std::optional<bool> strip_accents,
                 bool lowercase)
      : clean_text_(clean_text),
        handle_chinese_chars_(handle_chinese_chars),
        strip_accents_(strip_accents),
        lowercase_(lowercase) {}
  void apply(AlignedText& text) const override;
  bool is_local() const override { return true; }
  Json to_json() const override {
    return Json::object({{"type", "BertNormalizer"},
                         {"clean_text", clean_text_},
                         {"handle_chinese_chars", handle_chinese_chars_},
                         {"strip_accents", strip_accents_ ? Json(*strip_accents_) : Json()},
                         {"lowercase", lowercase_}});
  }

 private:
  class Run;

  bool clean_text_;
  bool handle_chinese_chars_;
  std::optional<bool> strip_accents_;  // as the file says; where it says nothing, lowercase_ decides
  bool lowercase_;
  AlignedText::AsciiMap map_ = ascii_map([this](char32_t c) -> char32_t {
    if (clean_text_ && (c == '\t' || c == '\n' || c == '\r')) return ' ';
    if (clean_text_ && is_removed(c, category(c))) return kDroppedChar;
    return lowercase_ && c >= 'A' && c <= 'Z' ? c + 32 : c;
  });
};

// All steps in one pass. Only taking a character apart looks at others: marks that follow each other, with nothing
// between them but what the cleaning removes, change places. Those wait until the last of them is read.
class BertNormalizer::Run {
 public:
  Run(const BertNormalizer& settings, AlignedText& text)
      : settings_(settings),
        strip_(settings.strip_accents_.value_or(settings.lowercase_)),
        source_(text.text()),
        to_(text) {}

  void apply() {
    while (at_ < source_.size()) {
      ascii();
      others();
    }
    flush();
    catch_up();
    to_.finish();
  }

 private:
  void ascii() {
    size_t length = ascii_prefix(source_.substr(at_));
    for (; !waiting_.empty() && length > 0 && is_dropped(source_[at_]); --length) ++at_;
    if (length == 0) return;
    flush();
    catch_up();
    to_.map(length, settings_.map_);
    at_ += length;
  }

  void others() {
    const char* const end = source_.data() + source_.size();
    while (at_ < source_.size() && static_cast<unsigned char>(source_[at_]) >= 0x80) {
      char32_t c;
      const auto length = static_cast<size_t>(decode_utf8(source_.data() + at_, end, c));
      if (length == 0) {
        flush();
        catch_up();
        to_.keep(1);
        ++at_;
      } else if (settings_.handle_chinese_chars_ && is_chinese(c)) {
        chinese(c, length);
      } else {
        const Category kind = category(c);
        if (settings_.clean_text_ && is_removed(c, kind)) {
          at_ += length;
        } else if (settings_.clean_text_ && is_space(kind)) {
          replace(length, " ");
        } else {
          character(c, kind, length);
        }
      }
    }
  }

  // Between spaces that stand for the same character.
  void chinese(char32_t c, size_t length) {
    if (!strip_ || stands_alone(NormalForm::nfd, c)) {
      spaced_.assign(1, ' ');
      spaced_.append(source_, at_, length);
      return replace(length, spaced_ += ' ');
    }
    flush();
    catch_up();
    const auto at = static_cast<uint32_t>(at_);
    to_.write(" ", {at, at + 1});
    character(c, Category::Lo, length);
    flush();
    to_.write(" ", {at, at + 1});
  }

  void character(char32_t c, Category kind, size_t length) {
    if (strip_ && !stands_alone(NormalForm::nfd, c) && !is_newer_than_unicode_9(c)) {
      waiting_ += c;
      places_.push_back(static_cast<uint32_t>(at_));
      at_ += length;
      return;
    }
    if (strip_ && is_nonspacing_mark_to_bert(c, kind)) return replace(length, {});
    flush();
    catch_up();
    bytes_.clear();
    if (append_lower(c)) {
      to_.replace(length, bytes_);
    } else {
      to_.keep(length);
    }
    at_ += length;
  }

  void replace(size_t length, std::string_view with) {
    flush();
    catch_up();
    to_.replace(length, with);
    at_ += length;
  }

  // Writes the characters that waited.
  void flush() {
    if (waiting_.empty()) return;
    parts_.clear();
    append_normal_form(NormalForm::nfd, waiting_, parts_);
    catch_up(places_[0]);
    size_t next = 0;
    for (const ChangedChar& part : parts_) {
      if (part.change == 0) ++next;
      const uint32_t place = places_[next == 0 ? 0 : next - 1];
      if (is_nonspacing_mark_to_bert(part.c, category(part.c))) continue;
      bytes_.clear();
      if (!append_lower(part.c)) append_utf8(part.c, bytes_);
      to_.write(bytes_, {place, place + 1});
    }
    const uint32_t last = places_.back();
    catch_up(last + utf8_length(waiting_.back()));
    waiting_.clear();
    places_.clear();
  }

  bool append_lower(char32_t c) {
    char32_t lower[2];
    const int count = settings_.lowercase_ ? to_lower(c, lower) : 1;
    if (!settings_.lowercase_ || (count == 1 && lower[0] == c)) return false;
    for (int i = 0; i < count; ++i) append_utf8(lower[i], bytes_);
    return true;
  }

  bool is_dropped(char c) const {
    return settings_.map_[static_cast<unsigned char>(c)] == AlignedText::kDropped;
  }

  // What has been passed over and not been written is dropped.
  void catch_up() { catch_up(at_); }
  void catch_up(size_t at) {
    if (to_.read() < at) to_.replace(at - to_.read(), {});
  }

  const BertNormalizer& settings_;
  bool strip_;
  std::string_view source_;
  AlignedText::Rewriter to_;
  size_t at_ = 0;
  std::u32string waiting_;
  std::vector<uint32_t> places_;  // of the characters that wait
  std::vector<ChangedChar> parts_;
  std::string bytes_;
  std::string spaced_;
};

void BertNormalizer::apply(AlignedText& text) const { Run(*this, text).apply(); }

}  // namespace

std::shared_ptr<const Normalizer> read_bert_normalizer(const Json& value) {
  check_json_keys(value, {"type", "clean_text", "handle_chinese_chars", "strip_accents", "lowercase"});
  std::optional<bool> strip_accents;
  if (const Json* strip = find_value(value, "strip_accents")) strip_accents = strip->as_boolean();
  return std::make_shared<BertNormalizer>(value.at("clean_text").as_boolean(),
                                          value.at("handle_chinese_chars").as_boolean(), strip_accents,
                                          value.at("lowercase").as_boolean());
}

}  // namespace gradus
