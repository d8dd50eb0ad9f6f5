#pragma once

#include <cstdint>

namespace gradus {

inline constexpr uint8_t kScriptCommon = 0;
inline constexpr uint8_t kScriptInherited = 1;

/// The script of a character as SentencePiece tells scripts apart when it decides what one piece may hold.
/// note: Unicode 15.0, but Hiragana, Katakana and U+30FC count as Han, and what is not assigned as Common.
///       SentencePiece's own table is older: they differ where Unicode has since added characters, and in
///       U+0589, U+061C, U+0953, U+0954.
uint8_t piece_script(char32_t c);

}  // namespace gradus
