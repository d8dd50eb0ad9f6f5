#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace gradus {

/// The 256 bytes in the order of their ids in a byte-level vocabulary: first those whose Latin-1 character prints
/// (0x21 to 0x7E, 0xA1 to 0xAC, 0xAE to 0xFF), then the rest, each group ascending.
const std::array<uint8_t, 256>& byte_order();

/// Bytes written in the alphabet of byte-level vocabularies, one printing character a byte: " king" is "Ġking".
/// y = a printing byte stands for itself (as Latin-1); the k-th of the rest is U+0100 + k.
/// ref: Radford et al. 2019 (bytes_to_unicode of its encoder.py)
std::string bytes_to_text(std::string_view bytes);

/// The inverse of bytes_to_text; nothing where a character is outside the alphabet or the text is not UTF-8.
std::optional<std::string> text_to_bytes(std::string_view text);

/// A byte as errors show it: "0x0A".
std::string hex_byte(char byte);

/// What vocabularies of characters call a byte, which spells what has no token: "<0x0A>".
std::string byte_token(int byte);
/// The byte that is called so, in capital or small digits; nothing for any other text.
std::optional<char> byte_of_token(std::string_view token);
/// Whether a text is what byte_token() gives for some byte.
bool is_byte_token(std::string_view text);

}  // namespace gradus
