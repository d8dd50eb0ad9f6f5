#pragma once

#include <string>
#include <string_view>

namespace gradus {

/// A text from a file as an error shows it: in quotes, at most 60 bytes of it, bytes that are not UTF-8 and control
/// characters as \xNN.
std::string shown_text(std::string_view text);

/// A text with every `from`, which must not be empty, as `to`.
std::string replace_all(std::string_view text, std::string_view from, std::string_view to);

/// How many bytes have to be inserted, deleted or replaced to make one text the other.
/// ref: Levenshtein 1966
size_t edit_distance(std::string_view a, std::string_view b);

}  // namespace gradus
