#include "tokenizer/lookup/char_table.hpp"

#include <map>

#include "tokenizer/text/unicode.hpp"

namespace gradus::detail {
namespace {

// Characters that became punctuation after the version of Unicode (8.0) that the Hugging Face library's table of
// punctuation was made from; measured with its release 0.22.2.
constexpr CharRange kLaterPunctuation[] = {
    {0x61D, 0x61D},     {0x9FD, 0x9FD},     {0xA76, 0xA76},     {0xC77, 0xC77},     {0xC84, 0xC84},
    {0x1B7D, 0x1B7E},   {0x2E43, 0x2E4F},   {0x2E52, 0x2E5D},   {0x10EAD, 0x10EAD}, {0x10F55, 0x10F59},
    {0x10F86, 0x10F89}, {0x1144B, 0x1144F}, {0x1145A, 0x1145B}, {0x1145D, 0x1145D}, {0x11660, 0x1166C},
    {0x116B9, 0x116B9}, {0x1183B, 0x1183B}, {0x11944, 0x11946}, {0x119E2, 0x119E2}, {0x11A3F, 0x11A46},
    {0x11A9A, 0x11A9C}, {0x11A9E, 0x11AA2}, {0x11B00, 0x11B09}, {0x11C41, 0x11C45}, {0x11C70, 0x11C71},
    {0x11EF7, 0x11EF8}, {0x11F43, 0x11F4F}, {0x11FFF, 0x11FFF}, {0x12FF1, 0x12FF2}, {0x16E97, 0x16E9A},
    {0x16FE2, 0x16FE2}, {0x1E95E, 0x1E95F},
};

// Alphabetic, and neither letters nor numbers: letters in circles and squares.
constexpr CharRange kWordSymbols[] = {
    {0x24B6, 0x24E9}, {0x1F130, 0x1F149}, {0x1F150, 0x1F169}, {0x1F170, 0x1F189}};

CharKind kind_of(char32_t c) {
  if (c < 128) return kAsciiKinds[c];
  if (c == 0x166D) return CharKind::punctuation;        // a symbol to later versions
  if (c == 0x111C9) return CharKind::punctuation_mark;  // a mark to later versions
  if (c == 0x200C || c == 0x200D) return CharKind::joiner;
  if (c == 0x85) return CharKind::space;  // a control
  switch (category(c)) {
    case Category::Lu:
    case Category::Lt: return CharKind::upper;
    case Category::Ll: return CharKind::lower;
    case Category::Lm:
    case Category::Lo: return CharKind::caseless;
    case Category::Mn:
    case Category::Mc:
    case Category::Me: return CharKind::mark;
    case Category::Nd: return CharKind::digit;
    case Category::Nl: return CharKind::letter_number;
    case Category::No: return CharKind::number;
    case Category::Pc: return CharKind::connector;
    case Category::Pd:
    case Category::Ps:
    case Category::Pe:
    case Category::Pi:
    case Category::Pf:
    case Category::Po: return in_ranges(kLaterPunctuation, c) ? CharKind::other : CharKind::punctuation;
    case Category::So: return in_ranges(kWordSymbols, c) ? CharKind::word_symbol : CharKind::other;
    case Category::Zs:
    case Category::Zl:
    case Category::Zp: return CharKind::space;
    case Category::Sm:
    case Category::Sc:
    case Category::Sk:
    case Category::Cc:
    case Category::Cf:
    case Category::Cs:
    case Category::Co:
    case Category::Cn: break;
  }
  return CharKind::other;
}

// Of the planes 4 to 13 and 15 to 16 nothing is assigned but private use: other.
bool is_empty_plane(char32_t c) { return c >= 0x40000 && c >> 16 != 0xE; }

}  // namespace

CharTable::CharTable() {
  std::array<CharKind, 64> block;
  block.fill(CharKind::other);
  std::map<std::array<CharKind, 64>, uint16_t> known = {{block, 0}};
  blocks_.push_back(block);
  index_.fill(0);
  for (char32_t first = 0; first < kCodePoints; first += 64) {
    if (is_empty_plane(first)) continue;
    for (char32_t i = 0; i < 64; ++i) block[i] = kind_of(first + i);
    const auto [place, is_new] = known.emplace(block, static_cast<uint16_t>(blocks_.size()));
    if (is_new) blocks_.push_back(block);
    index_[first / 64] = place->second;
  }
}

}  // namespace gradus::detail
