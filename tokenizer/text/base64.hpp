#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace gradus {

/// Bytes as base64 with padding, without line breaks.
/// ref: RFC 4648, section 4
std::string base64_encode(std::string_view bytes);

/// The inverse of base64_encode; nothing where the text is anything that base64_encode would not write.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace gradus
