#include "tokenizer/training/piece_rules.hpp"

#include <algorithm>

#include "tensor/error.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tokenizer/training/unicode_script.hpp"

namespace gradus {
namespace {

constexpr uint8_t kAnyScript = 255;

bool is_decimal(char32_t c) { return (c >= U'0' && c <= U'9') || (c >= 0xFF10 && c <= 0xFF19); }

}  // namespace

bool is_reserved_char(char32_t c) { return c == 0 || c == U'\t' || c == U' ' || c == 0x2585; }

PieceChecker::PieceChecker(std::span<const char32_t> alphabet, const PieceRules& rules) : rules_(rules) {
  check(rules.max_length >= 1 && rules.max_length <= 512,
        "piece rules: max_length must be 1 to 512 characters; it is ", rules.max_length);
  traits_.reserve(alphabet.size() + 1);
  traits_.push_back({kAnyScript, false, false, true});
  for (const char32_t c : alphabet) {
    const bool digit = is_decimal(c);
    const bool any = c == kSpaceMark || (digit && !rules.split_by_number);
    traits_.push_back({any ? kAnyScript : piece_script(c), c == kSpaceMark, digit, is_reserved_char(c)});
  }
  for (const std::string& text : rules.excluded) {
    std::vector<int32_t> codes;
    char32_t c = 0;
    int length = 0;
    for (size_t at = 0; at < text.size(); at += static_cast<size_t>(length)) {
      length = decode_utf8(text.data() + at, text.data() + text.size(), c);
      const auto found = std::lower_bound(alphabet.begin(), alphabet.end(), c);
      if (length == 0 || found == alphabet.end() || *found != c) break;
      codes.push_back(static_cast<int32_t>(found - alphabet.begin()) + 1);
      if (at + static_cast<size_t>(length) == text.size()) excluded_.push_back(codes);
    }
  }
}

bool PieceChecker::valid(std::span<const int32_t> codes) const {
  const size_t length = codes.size();
  if (length == 0 || length > static_cast<size_t>(rules_.max_length)) return false;
  const auto is_space = [this](int32_t code) { return traits_[static_cast<size_t>(code)].space; };
  const bool spaces_anywhere =
      rules_.whitespace_only_pieces && std::all_of(codes.begin(), codes.end(), is_space);
  uint8_t script_before = kAnyScript;
  for (size_t at = 0; at < length; ++at) {
    const Traits& traits = traits_[static_cast<size_t>(codes[at])];
    if (traits.reserved) return false;
    if (traits.space) {
      // Where spaces are split off, one stands at the beginning only; else it may also be inside, never at the end.
      const bool last = at + 1 == length;
      if (!spaces_anywhere && at > 0 && (rules_.split_by_whitespace || last)) return false;
      continue;
    }
    if (traits.digit && rules_.split_digits && length > 1) return false;
    const uint8_t script = traits.script == kScriptInherited ? script_before : traits.script;
    if (rules_.split_by_unicode_script && script != kAnyScript && script_before != kAnyScript &&
        script != script_before) {
      return false;
    }
    script_before = script;
  }
  return std::none_of(excluded_.begin(), excluded_.end(), [&](const std::vector<int32_t>& text) {
    return std::equal(text.begin(), text.end(), codes.begin(), codes.end());
  });
}

bool PieceChecker::cuts(int32_t left, int32_t right) const {
  const Traits& l = traits_[static_cast<size_t>(left)];
  const Traits& r = traits_[static_cast<size_t>(right)];
  if (l.reserved || r.reserved) return true;
  if (rules_.split_digits && (l.digit || r.digit)) return true;
  if (rules_.split_by_whitespace && r.space) return !(rules_.whitespace_only_pieces && l.space);
  const auto definite = [](const Traits& t) {
    return t.script != kAnyScript && t.script != kScriptInherited;
  };
  return rules_.split_by_unicode_script && definite(l) && definite(r) && l.script != r.script;
}

}  // namespace gradus
