#include "tokenizer/stages/normalizers.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "tensor/error.hpp"
#include "tokenizer/stages/normalizer_steps.hpp"

namespace gradus {

namespace {

Json typed(const char* type) { return Json::object({{"type", type}}); }

class Sequence final : public Normalizer {
 public:
  explicit Sequence(std::vector<std::shared_ptr<const Normalizer>> steps) : steps_(std::move(steps)) {}
  void apply(AlignedText& text) const override {
    for (const auto& step : steps_) step->apply(text);
  }
  bool is_local() const override {
    return std::all_of(steps_.begin(), steps_.end(), [](const auto& step) { return step->is_local(); });
  }
  bool keeps_spaces() const override {
    return std::all_of(steps_.begin(), steps_.end(), [](const auto& step) { return step->keeps_spaces(); });
  }
  Json to_json() const override {
    Json steps = Json::array();
    for (const auto& step : steps_) steps.push(step->to_json());
    return typed("Sequence").set("normalizers", steps);
  }

 private:
  std::vector<std::shared_ptr<const Normalizer>> steps_;
};

// ------------------------------------------------------------------------------------------------ normal forms

// Writes what became of the next characters of the source.
void write_changed(AlignedText::Rewriter& to, std::u32string_view from,
                   std::span<const ChangedChar> changed) {
  std::string bytes;
  for (const ChangedChar& c : changed) {
    bytes.clear();
    append_utf8(c.c, bytes);
    if (c.change > 0) {
      to.insert(bytes);
      continue;
    }
    const auto taken = static_cast<size_t>(1 - c.change);
    if (taken == 1 && from[0] == c.c) {
      to.keep(bytes.size());
    } else {
      size_t length = 0;
      for (const char32_t old : from.substr(0, taken)) length += utf8_length(old);
      to.replace(length, bytes);
    }
    from.remove_prefix(taken);
  }
}

class NormalFormStep final : public Normalizer {
 public:
  NormalFormStep(NormalForm form, const char* type) : form_(form), type_(type) {}
  void apply(AlignedText& text) const override;
  bool is_local() const override { return true; }
  bool keeps_spaces() const override { return true; }
  Json to_json() const override { return typed(type_); }

 private:
  NormalForm form_;
  const char* type_;
};

// Most text is in its normal form already, so the characters that stand alone are only passed over. One that does not,
// the one before it and those up to the next that stands alone are normalised together.
void NormalFormStep::apply(AlignedText& text) const {
  const std::string_view source = text.text();
  const char* const end = source.data() + source.size();
  AlignedText::Rewriter to(text);
  std::u32string part;
  std::vector<ChangedChar> changed;
  size_t begin = 0;  // of the last character that stands alone
  for (size_t at = 0; at < source.size();) {
    if (static_cast<unsigned char>(source[at]) < 0x80) {
      at += ascii_prefix(source.substr(at));
      begin = at - 1;
      continue;
    }
    char32_t c;
    size_t length = static_cast<size_t>(decode_utf8(source.data() + at, end, c));
    if (length == 0) {
      begin = ++at;
      continue;
    }
    if (stands_alone(form_, c)) {
      begin = at;
      at += length;
      continue;
    }
    if (is_newer_than_unicode_9(c)) {
      begin = at += length;
      continue;
    }
    part.clear();
    for (at = begin; at < source.size(); at += length) {
      length = static_cast<size_t>(decode_utf8(source.data() + at, end, c));
      if (length == 0) break;
      if (!part.empty() && (stands_alone(form_, c) || is_newer_than_unicode_9(c))) break;
      part += c;
    }
    changed.clear();
    append_normal_form(form_, part, changed);
    to.keep(begin - to.read());
    write_changed(to, part, changed);
    begin = at;
  }
  to.finish();
}

// ------------------------------------------------------------------------------------------------ one character at a time

class Lowercase final : public Normalizer {
 public:
  void apply(AlignedText& text) const override {
    std::string bytes;
    rewrite_chars(text, map_, [&](AlignedText::Rewriter& to, char32_t c, size_t length) {
      char32_t lower[2];
      const int count = to_lower(c, lower);
      if (count == 1 && lower[0] == c) return to.keep(length);
      bytes.clear();
      for (int i = 0; i < count; ++i) append_utf8(lower[i], bytes);
      to.replace(length, bytes);
    });
  }
  bool is_local() const override { return true; }
  bool keeps_spaces() const override { return true; }
  Json to_json() const override { return typed("Lowercase"); }

 private:
  AlignedText::AsciiMap map_ = ascii_map([](char32_t c) { return c >= 'A' && c <= 'Z' ? c + 32 : c; });
};

class StripAccents final : public Normalizer {
 public:
  void apply(AlignedText& text) const override {
    rewrite_chars(text, map_, [](AlignedText::Rewriter& to, char32_t c, size_t length) {
      if (!is_mark_to_strip_accents(c)) return to.keep(length);
      to.replace(length, {});
    });
  }
  bool is_local() const override { return true; }
  Json to_json() const override { return typed("StripAccents"); }

 private:
  AlignedText::AsciiMap map_ = ascii_map([](char32_t c) { return c; });
};

// What SentencePiece's "nmt" rules do: controls go, and spaces of all kinds become plain ones.
class Nmt final : public Normalizer {
 public:
  void apply(AlignedText& text) const override {
    rewrite_chars(text, map_, [](AlignedText::Rewriter& to, char32_t c, size_t length) {
      if (c == 0x8F || c == 0x9F) return to.replace(length, {});
      const bool space = c == 0x1680 || (c >= 0x200B && c <= 0x200F) || c == 0x2028 || c == 0x2029 ||
                         c == 0x2581 || c == 0xFEFF || c == 0xFFFD;
      if (!space) return to.keep(length);
      to.replace(length, " ");
    });
  }
  Json to_json() const override { return typed("Nmt"); }

 private:
  AlignedText::AsciiMap map_ = ascii_map([](char32_t c) -> char32_t {
    if (c == '\t' || c == '\n' || c == '\f' || c == '\r') return ' ';
    return (c > 0 && c < 0x20) || c == 0x7F ? kDroppedChar : c;
  });
};

// ------------------------------------------------------------------------------------------------ ends of the text

class Prepend final : public Normalizer {
 public:
  explicit Prepend(std::string text) : text_(std::move(text)) {}
  void apply(AlignedText& text) const override {
    const std::string_view source = text.text();
    if (source.empty() || text_.empty()) return;
    const size_t length = char_length(source, 0);
    AlignedText::Rewriter to(text);
    to.replace(length, text_ + std::string(source.substr(0, length)));
    to.finish();
  }
  Json to_json() const override { return typed("Prepend").set("prepend", text_); }

 private:
  std::string text_;
};

class Strip final : public Normalizer {
 public:
  Strip(bool left, bool right) : left_(left), right_(right) {}
  void apply(AlignedText& text) const override;
  Json to_json() const override { return typed("Strip").set("strip_left", left_).set("strip_right", right_); }

 private:
  bool left_;
  bool right_;
};

void Strip::apply(AlignedText& text) const {
  std::string_view rest = text.text();
  char32_t c;
  const auto strip = [&](auto&& next, auto&& remove) {
    for (int length; !rest.empty() && (length = next()) > 0 && char_class(c) == CharClass::space;) {
      remove(static_cast<size_t>(length));
    }
  };
  if (left_) {
    strip([&] { return decode_utf8(rest.data(), rest.data() + rest.size(), c); },
          [&](size_t length) { rest.remove_prefix(length); });
  }
  const size_t begin = static_cast<size_t>(rest.data() - text.text().data());
  if (right_)
    strip([&] { return decode_last_utf8(rest, c); }, [&](size_t length) { rest.remove_suffix(length); });
  if (rest.size() == text.text().size()) return;
  AlignedText::Rewriter to(text);
  to.replace(begin, {});
  to.keep(rest.size());
  to.replace(text.text().size() - begin - rest.size(), {});
  to.finish();
}

}  // namespace

// ------------------------------------------------------------------------------------------------ reading

std::shared_ptr<const Normalizer> read_normalizer(const Json& value) {
  if (value.is_null()) return nullptr;
  const std::string& type = value.at("type").as_string();
  const auto plain = [&](std::shared_ptr<const Normalizer> step) {
    check_json_keys(value, {"type"});
    return step;
  };
  if (type == "Sequence") {
    check_json_keys(value, {"type", "normalizers"});
    std::vector<std::shared_ptr<const Normalizer>> steps;
    for (const Json& step : value.at("normalizers").as_array()) {
      check_world(!step.is_null(), step.path(), ": must be a normalizer; it is null; remove it");
      steps.push_back(read_normalizer(step));
    }
    return std::make_shared<Sequence>(std::move(steps));
  }
  if (type == "NFC") return plain(std::make_shared<NormalFormStep>(NormalForm::nfc, "NFC"));
  if (type == "NFD") return plain(std::make_shared<NormalFormStep>(NormalForm::nfd, "NFD"));
  if (type == "NFKC") return plain(std::make_shared<NormalFormStep>(NormalForm::nfkc, "NFKC"));
  if (type == "NFKD") return plain(std::make_shared<NormalFormStep>(NormalForm::nfkd, "NFKD"));
  if (type == "Lowercase") return plain(std::make_shared<Lowercase>());
  if (type == "StripAccents") return plain(std::make_shared<StripAccents>());
  if (type == "Nmt") return plain(std::make_shared<Nmt>());
  if (type == "Prepend") {
    check_json_keys(value, {"type", "prepend"});
    return std::make_shared<Prepend>(value.at("prepend").as_string());
  }
  if (type == "Strip") {
    check_json_keys(value, {"type", "strip_left", "strip_right"});
    return std::make_shared<Strip>(value.at("strip_left").as_boolean(), value.at("strip_right").as_boolean());
  }
  if (type == "BertNormalizer") return read_bert_normalizer(value);
  if (type == "Replace") return read_replace(value);
  if (type == "Precompiled") return read_precompiled(value);
  fail_world(
      value.at("type").path(),
      ": must be Sequence, NFC, NFD, NFKC, NFKD, Lowercase, StripAccents, BertNormalizer, Replace, Prepend, "
      "Strip, Precompiled or Nmt; it is ",
      Json(type).dump(),
      type == "ByteLevel" ? "; as a normalizer it is not supported, as a pre-tokenizer it is"
                          : "; no other is supported");
}

}  // namespace gradus
