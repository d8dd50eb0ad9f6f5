#pragma once

#include <string>
#include <string_view>

namespace gradus {

/// A text from a file as an error shows it: in quotes, at most 60 bytes of it, bytes that are not UTF-8 and control
/// characters as \xNN.
std::string shown_text(std::string_view text);

/// Whether bytes are UTF-8.
bool all_utf8(std::string_view bytes);

}  // namespace gradus
