#include "tokenizer/stages/sentencepiece_normalizer.hpp"

#include <algorithm>
#include <utility>

#include "tensor/error.hpp"
#include "tokenizer/stages/presets.hpp"
#include "tokenizer/text/base64.hpp"
#include "tokenizer/text/space_mark.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {

namespace {

// Writes the rewritten text. A character stands for all up to where the next one begins, so each waits for the next;
// spaces wait too, as those at the end are dropped.
class Output {
 public:
  Output(AlignedText& text, std::string_view space) : space_(space), to_(text) {}

  void add_space(size_t at) { spaces_.push_back(static_cast<uint32_t>(at)); }

  // What stands for the text from `at` to the next one's place; `with` has no space.
  void add(std::string_view with, size_t at) {
    const auto place = static_cast<uint32_t>(at);
    for (size_t i = 0; i < with.size();) {
      size_t next = i + 1;
      while (next < with.size() && is_continuation(with[next])) ++next;
      const std::string_view character = with.substr(i, next - i);
      i = next;
      if (character == space_) {
        add_space(at);
        continue;
      }
      release(place);
      waiting_ = character;
      waiting_place_ = place;
    }
  }

  // ASCII of the source that stays as it is.
  void copy(std::string_view source, size_t begin, size_t end) {
    release(static_cast<uint32_t>(begin));
    if (to_.read() < begin) to_.replace(begin - to_.read(), {});
    to_.keep(end - 1 - begin);
    waiting_ = source.substr(end - 1, 1);
    waiting_place_ = static_cast<uint32_t>(end - 1);
  }

  void finish(std::string_view source, bool trim) {
    const auto end = static_cast<uint32_t>(source.size());
    if (trim) {
      const uint32_t stop = spaces_.empty() ? end : spaces_[0];
      spaces_.clear();
      release(stop);
    } else {
      release(end);
    }
    to_.replace(end - to_.read(), {});
    to_.finish();
  }

 private:
  // Writes what waits; the next character begins at `next`.
  void release(uint32_t next) {
    if (!waiting_.empty()) {
      to_.write(waiting_, {waiting_place_, spaces_.empty() ? next : spaces_[0]});
      waiting_ = {};
    }
    for (size_t i = 0; i < spaces_.size(); ++i) {
      to_.write(space_, {spaces_[i], i + 1 < spaces_.size() ? spaces_[i + 1] : next});
    }
    spaces_.clear();
  }

  std::string_view space_;
  AlignedText::Rewriter to_;
  std::string_view waiting_;
  uint32_t waiting_place_ = 0;
  std::vector<uint32_t> spaces_;
};

}  // namespace

SentencePieceNormalizer::SentencePieceNormalizer(Settings settings, const std::string& where)
    : settings_(std::move(settings)),
      symbols_(std::vector<std::string_view>(settings_.user_defined_symbols.begin(),
                                             settings_.user_defined_symbols.end())) {
  if (!settings_.precompiled_charsmap.empty()) charsmap_.emplace(settings_.precompiled_charsmap, where);
  for (unsigned char byte = 0; byte < 0x80; ++byte) {
    Trie::Node node = Trie::kRoot;
    stays_[byte] = !symbols_.step(node, byte) && (!charsmap_ || charsmap_->is_plain(static_cast<char>(byte)));
  }
}

// What the text from `at` on begins with, after the rules.
SentencePieceNormalizer::Prefix SentencePieceNormalizer::prefix(const AlignedText& text, size_t at) const {
  const std::string_view rest = text.text().substr(at);
  if (const size_t length = symbols_.longest(Trie::kRoot, rest).length)
    return {length, rest.substr(0, length)};
  if (charsmap_) {
    if (const Charsmap::Rule rule = charsmap_->longest(rest); rule.length > 0)
      return {rule.length, rule.with};
  }
  char32_t c;
  const auto length = static_cast<size_t>(decode_utf8(rest.data(), rest.data() + rest.size(), c));
  check_world(length > 0, "SentencePiece: the text must be UTF-8; byte ",
              text.offset() + static_cast<int64_t>(at), " is not (it is ",
              static_cast<int>(static_cast<unsigned char>(rest[0])), "); convert the text");
  return {length, rest.substr(0, length)};
}

void SentencePieceNormalizer::apply(AlignedText& text) const {
  const std::string_view source = text.text();
  size_t at = 0;
  if (settings_.remove_extra_whitespaces) {
    while (at < source.size()) {
      const Prefix next = prefix(text, at);
      if (next.with != " ") break;
      at += next.length;
    }
  }
  Output output(text, settings_.escape_whitespaces ? kSpaceText : std::string_view(" "));
  if (at == source.size()) return output.finish(source, true);
  if (settings_.add_dummy_prefix) output.add_space(at);
  const auto stays = [&](size_t i) { return stays_[static_cast<unsigned char>(source[i])]; };
  const auto is_ascii = [&](size_t i) { return static_cast<unsigned char>(source[i]) < 0x80; };
  bool after_space = settings_.remove_extra_whitespaces;
  while (at < source.size()) {
    // Characters that stay are copied many at a time; a rule may join the last one to what is behind it.
    size_t end = at;
    while (end < source.size() && stays(end) && source[end] != ' ') ++end;
    if (charsmap_ && end > at && end < source.size() && !is_ascii(end)) --end;
    if (end > at) {
      output.copy(source, at, end);
      after_space = false;
      at = end;
      continue;
    }
    if (source[at] == ' ' && stays(at) && (!charsmap_ || at + 1 == source.size() || is_ascii(at + 1))) {
      if (!after_space) output.add_space(at);
      after_space = settings_.remove_extra_whitespaces;
      ++at;
      continue;
    }
    const Prefix next = prefix(text, at);
    std::string_view with = next.with;
    while (after_space && !with.empty() && with[0] == ' ') with.remove_prefix(1);
    if (!with.empty()) {
      after_space = settings_.remove_extra_whitespaces && with.back() == ' ';
      for (size_t i = 0; i < with.size();) {
        const size_t stop = std::min(with.find(' ', i), with.size());
        output.add(with.substr(i, stop - i), at);
        if (stop < with.size()) output.add_space(at);
        i = stop + 1;
      }
    }
    at += next.length;
  }
  output.finish(source, settings_.remove_extra_whitespaces);
}

Json SentencePieceNormalizer::to_json() const {
  Json steps = Json::array();
  const auto replace = [&](const char* kind, const std::string& pattern, const std::string& content) {
    steps.push(replace_json(kind, pattern, content));
  };
  if (charsmap_) {
    steps.push(
        Json::object({{"type", "Precompiled"}, {"precompiled_charsmap", base64_encode(charsmap_->bytes())}}));
  }
  // Not a Strip, which takes any white space. At the end U+2581 goes too, whoever wrote it.
  const std::string space = settings_.escape_whitespaces ? "\u2581" : " ";
  const auto prepend = [&] {
    if (settings_.add_dummy_prefix) steps.push(Json::object({{"type", "Prepend"}, {"prepend", space}}));
  };
  if (settings_.remove_extra_whitespaces) {
    replace("Regex", R"(\A +)", "");
    replace("Regex", " {2,}", " ");
    if (settings_.escape_whitespaces) replace("String", " ", space);
    replace("Regex", space + R"(+\z)", "");
    prepend();
  } else {
    prepend();
    if (settings_.escape_whitespaces) replace("String", " ", space);
  }
  return Json::object({{"type", "Sequence"}, {"normalizers", steps}});
}

}  // namespace gradus
