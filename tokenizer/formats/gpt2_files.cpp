#include "tokenizer/formats/gpt2_files.hpp"

#include <algorithm>

#include "tensor/error.hpp"
#include "tensor/io/json.hpp"
#include "tokenizer/lookup/token_table.hpp"
#include "tokenizer/text/json_fields.hpp"
#include "tokenizer/text/lines.hpp"
#include "tokenizer/text/strings.hpp"

namespace gradus {

Gpt2Files read_gpt2_files(std::string_view vocab, const std::string& vocab_source, std::string_view merges,
                          const std::string& merges_source) {
  const Json list = Json::parse(vocab, vocab_source);
  check_world(!list.as_object().empty(), vocab_source, ": a vocabulary must have tokens; there are none");
  Gpt2Files files{read_json_vocabulary(list), {}};
  TokenTable known(files.tokens.size());
  known.insert_all(files.tokens, [](size_t) { return true; });
  TokenTable seen(static_cast<size_t>(std::count(merges.begin(), merges.end(), '\n')) + 1);
  for (LineReader lines(merges); lines.next();) {
    const std::string_view line = lines.line();
    if (line.starts_with("#version") || (line.empty() && lines.is_last())) continue;
    const size_t space = line.find(' ');
    check_world(space != 0 && space != std::string_view::npos && space + 1 < line.size() &&
                    line.find(' ', space + 1) == std::string_view::npos,
                merges_source, ": line ", lines.number(),
                ": a merge must be two tokens with one space between; this line is ", shown_text(line));
    const auto number = static_cast<int32_t>(lines.number());
    const int32_t first = seen.insert(line, number);
    check_world(first == number, merges_source, ": line ", number, ": a merge may stand in the file once; ",
                shown_text(line), " is line ", first, " too; remove one");
    const std::string left(line.substr(0, space));
    const std::string right(line.substr(space + 1));
    for (const std::string& token : {left, right, left + right}) {
      check_world(known.find(token) >= 0, merges_source, ": line ", number,
                  ": a merge must join two tokens into a token; ", shown_text(token), " is none of ",
                  vocab_source, "; the two files must belong together");
    }
    files.merges.emplace_back(left, right);
  }
  return files;
}

std::string write_vocab_json(const std::vector<std::string>& tokens) {
  return json_vocabulary(tokens).dump();
}

std::string write_merges_txt(const std::vector<std::pair<std::string, std::string>>& merges) {
  std::string text = "#version: 0.2\n";
  for (size_t i = 0; i < merges.size(); ++i) {
    const auto& [left, right] = merges[i];
    const auto fits = [](const std::string& token) {
      return !token.empty() && token.find_first_of(" \n") == std::string::npos;
    };
    check(fits(left) && fits(right) && right.back() != '\r' && !left.starts_with("#version"),
          "write_merges_txt: tokens must have no space and no line break; merge ", i, " joins ",
          shown_text(left), " and ", shown_text(right), "; write a tokenizer.json instead");
    text += left + ' ' + right + '\n';
  }
  return text;
}

}  // namespace gradus
