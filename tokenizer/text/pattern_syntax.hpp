#pragma once

#include <string>
#include <string_view>

namespace gradus {

/// A regular expression of a tokenizer.json, which the Hugging Face library gives to Oniguruma, as PCRE2 has to see it
/// (with UTF, UCP and MULTILINE) so that it means the same.
/// note: the two differ in `\w`, `\s`, `\b`, `\h`, `\v`, scripts, intervals followed by `+` or `?`, `(?m)`, nested and
///       intersected classes; what cannot be said in PCRE2, or is not known to mean the same, is an error
///       (std::runtime_error) that begins with `where` and names it.
std::string to_pcre2(std::string_view regex, const std::string& where);

}  // namespace gradus
