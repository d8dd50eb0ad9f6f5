#include "tokenizer/stages/normalizer_steps.hpp"

// The Hugging Face library carries tables of Unicode 8 (BertNormalizer) and 9 (normal forms, StripAccents). What a
// character is does not change later, with the exceptions below; but a newer character means nothing to the library, so
// these ranges hold the newer characters that would matter.

namespace gradus {

namespace {

// All marks newer than Unicode 9, and none that was a mark before.
constexpr CharRange kMarksSince9[] = {
    {0x07FD, 0x07FD},   {0x0898, 0x08D3},   {0x09FE, 0x09FE},   {0x0AFA, 0x0AFF},   {0x0B55, 0x0B55},
    {0x0C04, 0x0C3C},   {0x0CF3, 0x0D00},   {0x0D3B, 0x0D3C},   {0x0D81, 0x0D81},   {0x0EBA, 0x0EBA},
    {0x0ECE, 0x0ECE},   {0x1715, 0x1715},   {0x180F, 0x180F},   {0x1ABF, 0x1ACE},   {0x1CF7, 0x1CF7},
    {0x1DF6, 0x1DFA},   {0xA82C, 0xA82C},   {0xA8FF, 0xA8FF},   {0x10D24, 0x10F85}, {0x11070, 0x11074},
    {0x110C2, 0x110C2}, {0x11145, 0x11146}, {0x111C9, 0x111C9}, {0x111CE, 0x111CF}, {0x11241, 0x11241},
    {0x1133B, 0x1133B}, {0x1145E, 0x1145E}, {0x1182C, 0x11A99}, {0x11D31, 0x11F42}, {0x13440, 0x13455},
    {0x16F4F, 0x16F4F}, {0x16F7F, 0x16F87}, {0x16FE4, 0x16FF1}, {0x1CF00, 0x1CF46}, {0x1E08F, 0x1E4EF}};
// The nonspacing marks that Unicode 9 brought, or made of other characters.
constexpr CharRange kNonspacingOf9[] = {
    {0x08D4, 0x08E1},   {0x1885, 0x1886},   {0x1DFB, 0x1DFB},   {0xA8C5, 0xA8C5},   {0xA9BD, 0xA9BD},
    {0x1123E, 0x1123E}, {0x11438, 0x11446}, {0x11C30, 0x11CB6}, {0x1E000, 0x1E02A}, {0x1E944, 0x1E94A}};

// Characters that have a decomposition and are newer than Unicode 9.
constexpr CharRange kComposedSince9[] = {{0x32FF, 0x32FF},   {0xA7F2, 0xA7F4},   {0xAB69, 0xAB69},
                                         {0x10781, 0x107BA}, {0x11938, 0x11938}, {0x1E030, 0x1E06D},
                                         {0x1F16C, 0x1F16C}, {0x1FBF0, 0x1FBF9}};

}  // namespace

bool is_newer_than_unicode_9(char32_t c) {
  return c >= kMarksSince9[0].first && (in_ranges(kMarksSince9, c) || in_ranges(kComposedSince9, c));
}

bool is_mark_to_strip_accents(char32_t c) {
  const bool was_one = c == 0x1CF2 || c == 0x1CF3;
  return was_one || (char_class(c) == CharClass::mark && !in_ranges(kMarksSince9, c));
}

bool is_nonspacing_mark_to_bert(char32_t c, Category kind) {
  const bool was_one = c == 0x1734;
  return was_one || (kind == Category::Mn && !in_ranges(kMarksSince9, c) && !in_ranges(kNonspacingOf9, c));
}

}  // namespace gradus
