#pragma once

#include <algorithm>
#include <array>
#include <string>

#include "tensor/io/json.hpp"
#include "tokenizer/text/json_fields.hpp"

namespace gradus {

/// What a Metaspace says, as a pre-tokenizer and as a decoder.
struct MetaspaceFields {
  enum class Prepend : size_t {
    always,
    first,
    never
  };  // where one more is put before a word: `first` of the text
  static constexpr std::array<const char*, 3> kPrependNames = {"always", "first", "never"};

  std::string replacement;  // of a space: one character
  Prepend prepend;
  bool split;  // whether words are cut before it

  const char* prepend_name() const { return kPrependNames[static_cast<size_t>(prepend)]; }
};

/// note: files older than `prepend_scheme` have only `add_prefix_space`; newer ones repeat in it what the scheme says.
inline MetaspaceFields read_metaspace(const Json& value) {
  check_json_keys(value, {"type", "replacement", "add_prefix_space", "prepend_scheme", "split", "str_rep"});
  const auto flag = [&](std::string_view key) {
    const Json* given = find_value(value, key);
    return given == nullptr || given->as_boolean();
  };
  const bool adds = flag("add_prefix_space");
  using Prepend = MetaspaceFields::Prepend;
  Prepend prepend = adds ? Prepend::always : Prepend::never;
  if (const Json* given = value.find("prepend_scheme")) {
    const auto& names = MetaspaceFields::kPrependNames;
    const auto* name = std::find(names.begin(), names.end(), given->as_string());
    if (name == names.end()) refuse_json(*given, "\"first\", \"never\" or \"always\"");
    prepend = static_cast<Prepend>(name - names.begin());
    if (!adds && prepend != Prepend::never) refuse_json(*given, "\"never\" where add_prefix_space is false");
  }
  return {one_character(value.at("replacement")), prepend, flag("split")};
}

}  // namespace gradus
