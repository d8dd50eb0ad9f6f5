#include "tokenizer/text/byte_alphabet.hpp"

#include <charconv>
#include <cstdio>

#include "tokenizer/text/unicode.hpp"

namespace gradus {
namespace {

bool prints(int byte) { return (byte >= 0x21 && byte <= 0x7E) || (byte >= 0xA1 && byte != 0xAD); }

struct Alphabet {
  std::array<uint8_t, 256> order{};
  std::array<char32_t, 256> symbols{};  // by byte
  std::array<int, 512> bytes{};         // by symbol, -1 outside the alphabet

  Alphabet() {
    bytes.fill(-1);
    size_t next = 0;
    for (const bool printing : {true, false}) {
      char32_t shifted = 0x100;
      for (int byte = 0; byte < 256; ++byte) {
        if (prints(byte) != printing) continue;
        const char32_t symbol = printing ? static_cast<char32_t>(byte) : shifted++;
        order[next++] = static_cast<uint8_t>(byte);
        symbols[static_cast<size_t>(byte)] = symbol;
        bytes[symbol] = byte;
      }
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet instance;
  return instance;
}

}  // namespace

const std::array<uint8_t, 256>& byte_order() { return alphabet().order; }

std::string bytes_to_text(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) append_utf8(alphabet().symbols[static_cast<unsigned char>(byte)], text);
  return text;
}

std::optional<std::string> text_to_bytes(std::string_view text) {
  std::string bytes;
  const char* const end = text.data() + text.size();
  for (const char* at = text.data(); at < end;) {
    char32_t c = 0;
    const int length = decode_utf8(at, end, c);
    if (length == 0 || c >= alphabet().bytes.size() || alphabet().bytes[c] < 0) return std::nullopt;
    bytes.push_back(static_cast<char>(alphabet().bytes[c]));
    at += length;
  }
  return bytes;
}

std::string hex_byte(char byte) {
  char text[8];
  std::snprintf(text, sizeof text, "0x%02X", static_cast<unsigned>(static_cast<unsigned char>(byte)));
  return text;
}

std::string byte_token(int byte) { return "<" + hex_byte(static_cast<char>(byte)) + ">"; }

std::optional<char> byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token.back() != '>') return std::nullopt;
  unsigned value = 0;
  const auto [end, error] = std::from_chars(token.data() + 3, token.data() + 5, value, 16);
  if (error != std::errc() || end != token.data() + 5) return std::nullopt;
  return static_cast<char>(value);
}

bool is_byte_token(std::string_view text) {
  const std::optional<char> byte = byte_of_token(text);
  return byte && byte_token(*byte) == text;
}

}  // namespace gradus
