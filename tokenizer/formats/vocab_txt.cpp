#include "tokenizer/formats/vocab_txt.hpp"

#include <algorithm>
#include <cstdint>

#include "tensor/error.hpp"
#include "tokenizer/lookup/token_table.hpp"
#include "tokenizer/text/lines.hpp"
#include "tokenizer/text/strings.hpp"
#include "tokenizer/text/unicode.hpp"

namespace gradus {

std::vector<std::string> read_vocab_txt(std::string_view text, const std::string& source) {
  std::vector<std::string> tokens;
  TokenTable places(static_cast<size_t>(std::count(text.begin(), text.end(), '\n')) + 1);
  for (LineReader lines(text); lines.next();) {
    const std::string_view token = lines.line();
    if (token.empty() && lines.is_last()) break;
    check_world(!token.empty(), source, ": line ", lines.number(),
                ": a token must not be empty; this line is; its number is an id, so put a token there");
    check_world(all_utf8(token), source, ": line ", lines.number(),
                ": a token must be UTF-8; this one is not");
    const auto number = static_cast<int32_t>(lines.number());
    const int32_t first = places.insert(token, number);
    check_world(first == number, source, ": line ", number, ": each token may stand once; ",
                shown_text(token), " is also in line ", first, "; change one");
    tokens.emplace_back(token);
  }
  check_world(!tokens.empty(), source, ": a vocabulary must have tokens, one a line; there are none");
  return tokens;
}

std::string write_vocab_txt(const std::vector<std::string>& tokens) {
  std::string text;
  for (size_t id = 0; id < tokens.size(); ++id) {
    const std::string& token = tokens[id];
    check(!token.empty() && token.find('\n') == std::string::npos && token.back() != '\r',
          "write_vocab_txt: a token must fit in one line of its own; token ", id, " does not");
    text += token + '\n';
  }
  check(without_mark(text).size() == text.size(),
        "write_vocab_txt: the first token must not begin with U+FEFF, which a reader takes for a byte-order "
        "mark; it does");
  return text;
}

}  // namespace gradus
