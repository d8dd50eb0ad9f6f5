#include "tokenizer/text/json_fields.hpp"

#include <algorithm>
#include <array>

#include "tensor/error.hpp"
#include "tokenizer/text/byte_alphabet.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {

std::string shown_json(const Json& value) {
  constexpr size_t kLongest = 60;
  std::string text = value.dump();
  if (text.size() <= kLongest) return text;
  text.resize(kLongest);
  text.resize(text.size() - static_cast<size_t>(incomplete_utf8_tail(text)));
  return text + "...";
}

void refuse_json(const Json& at, const std::string& must) {
  fail_world(at.path(), ": must be ", must, "; it is ", shown_json(at), "; no other is supported");
}

void check_json_keys(const Json& object, std::initializer_list<std::string_view> known) {
  for (const auto& [key, value] : object.as_object()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    fail_world(value.path(),
               ": must be a key with a known meaning; this one is not and could change the result; "
               "remove it if it says nothing");
  }
}

const Json* find_value(const Json& object, std::string_view key) {
  const Json* value = object.find(key);
  return value == nullptr || value->is_null() ? nullptr : value;
}

bool boolean_or(const Json& object, std::string_view key, bool otherwise) {
  const Json* value = object.find(key);
  return value == nullptr ? otherwise : value->as_boolean();
}

int64_t integer_within(const Json& value, int64_t least, int64_t most) {
  const int64_t number = value.as_integer();
  check_world(number >= least && number <= most, value.path(), ": must be from ", least, " to ", most,
              "; it is ", number);
  return number;
}

const std::string& one_character(const Json& value) {
  if (!single_char(value.as_string())) refuse_json(value, "one character");
  return value.as_string();
}

JsonPattern read_pattern(const Json& value) {
  check_json_keys(value, {"String", "Regex"});
  check_world(value.as_object().size() == 1, value.path(), ": must hold either String or Regex; it holds ",
              value.as_object().size(), " of them; keep one");
  const auto& [kind, text] = value.as_object()[0];
  return {text.as_string(), kind == "Regex", text.path()};
}

std::vector<std::string> read_json_vocabulary(const Json& vocabulary, std::optional<int32_t>* empty_id) {
  const Json::Object& entries = vocabulary.as_object();
  const int64_t most = id_limit(entries.size());
  int64_t count = 0;
  for (const auto& [token, id] : entries) {
    const int64_t value = id.as_integer();
    if (value < 0 || value >= most) {
      fail_world(id.path(), ": an id must be from 0 to ", most - 1, " in a vocabulary of ", entries.size(),
                 " tokens; it is ", value, "; number the tokens again");
    }
    if (token.empty() && empty_id == nullptr)
      fail_world(id.path(), ": a token must not be empty; this one is; remove it");
    if (token.empty()) *empty_id = static_cast<int32_t>(value);
    count = std::max(count, value + 1);
  }
  std::vector<std::string> tokens(static_cast<size_t>(count));
  for (const auto& [token, id] : entries) {
    const int64_t value = id.as_integer();
    std::string& place = tokens[static_cast<size_t>(value)];
    if (!place.empty() || (empty_id != nullptr && *empty_id == value && !token.empty())) {
      fail_world(id.path(), ": each token must have an id of its own; ", value, " is also that of ",
                 shown_json(Json(place)), "; number the tokens again");
    }
    place = token;
  }
  return tokens;
}

Json json_vocabulary(const std::vector<std::string>& tokens, std::optional<int32_t> empty_id) {
  Json::Object entries;
  entries.reserve(tokens.size());
  for (size_t id = 0; id < tokens.size(); ++id) {
    if (!tokens[id].empty() || static_cast<int32_t>(id) == empty_id)
      entries.emplace_back(tokens[id], Json(static_cast<int64_t>(id)));
  }
  return Json::object(std::move(entries));
}

std::optional<char> missing_byte(const std::vector<std::string>& tokens) {
  std::array<bool, 256> found{};
  for (const std::string& token : tokens) {
    if (token.empty() || token.size() > 2) continue;
    const std::optional<std::string> bytes = text_to_bytes(token);
    if (bytes && bytes->size() == 1) found[static_cast<unsigned char>((*bytes)[0])] = true;
  }
  const auto missing = std::find(found.begin(), found.end(), false);
  return missing == found.end() ? std::nullopt : std::optional(static_cast<char>(missing - found.begin()));
}

void check_all_bytes(const std::vector<std::string>& tokens, const Json& vocabulary) {
  const std::optional<char> byte = missing_byte(tokens);
  if (!byte) return;
  const std::string written = bytes_to_text(std::string(1, *byte));
  fail_world(vocabulary.path(), ": must hold all 256 bytes, so that any text can be encoded; ",
             hex_byte(*byte), ", written ", Json(written).dump(), ", is missing; add it");
}

}  // namespace gradus
