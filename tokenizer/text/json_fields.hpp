#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/io/json.hpp"

namespace gradus {

/// What the readers of a tokenizer.json share: nothing unknown passes, and errors begin with the place.

/// A value as an error shows it: short, however long it is.
std::string shown_json(const Json& value);

/// Throws `PATH: must be WHAT; it is VALUE; no other is supported`.
[[noreturn]] void refuse_json(const Json& at, const std::string& must);

/// An error where an object has a key that is not listed: it could change a result.
void check_json_keys(const Json& object, std::initializer_list<std::string_view> known);

/// A member that is there and not null, else nullptr.
const Json* find_value(const Json& object, std::string_view key);

/// A boolean member that may be missing, which means `otherwise`.
bool boolean_or(const Json& object, std::string_view key, bool otherwise);

/// An integer from `least` to `most`.
int64_t integer_within(const Json& value, int64_t least, int64_t most);

/// A string of exactly one character.
const std::string& one_character(const Json& value);

/// What is to be found in a text: {"String": TEXT} or {"Regex": TEXT}.
struct JsonPattern {
  std::string text;
  bool is_regex;
  std::string where;  // the place of the text in its file
};
JsonPattern read_pattern(const Json& value);

/// Ids may have gaps, as those of some real vocabularies do, but a stray one must not fill the memory: all are below this.
constexpr int64_t id_limit(size_t tokens) { return 4 * static_cast<int64_t>(tokens) + 1'000'000; }

/// The tokens of a vocabulary `{"token": id, …}` by id, "" where an id has none; an empty token is an error unless there is
/// a place to put its id.
/// note: an id twice, a negative one, and one that is not below id_limit() are errors.
std::vector<std::string> read_json_vocabulary(const Json& vocabulary,
                                              std::optional<int32_t>* empty_id = nullptr);

/// The same as an object; ids without a token are left out, but for that of the empty token where there is one.
Json json_vocabulary(const std::vector<std::string>& tokens, std::optional<int32_t> empty_id = std::nullopt);

/// A byte that no token of a byte-level vocabulary stands for; nothing where all 256 have one.
std::optional<char> missing_byte(const std::vector<std::string>& tokens);

/// An error unless the tokens of a byte-level vocabulary have all 256 bytes among them.
void check_all_bytes(const std::vector<std::string>& tokens, const Json& vocabulary);

}  // namespace gradus
