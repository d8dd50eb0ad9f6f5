#include "tokenizer/formats/gpt2_files.hpp"

#include <algorithm>

#include "tensor/error.hpp"
#include "tensor/io/json.hpp"
#include "tokenizer/formats/first_places.hpp"
#include "tokenizer/formats/lines.hpp"
#include "tokenizer/text/json_parts.hpp"
#include "tokenizer/text/shown_text.hpp"

namespace gradus {

std::vector<std::string> read_vocab_json(std::string_view text, const std::string& source) {
  const Json vocab = Json::parse(text, source);
  check_world(!vocab.as_object().empty(), source, ": a vocabulary must have tokens; there are none");
  return read_json_vocabulary(vocab);
}

Gpt2Files read_gpt2_files(std::string_view vocab, const std::string& vocab_source, std::string_view merges,
                          const std::string& merges_source) {
  Gpt2Files files{read_vocab_json(vocab, vocab_source), {}};
  FirstPlaces known(files.tokens.size());
  for (const std::string& token : files.tokens) known.add(token, 0);
  FirstPlaces seen(static_cast<size_t>(std::count(merges.begin(), merges.end(), '\n')) + 1);
  for (LineReader lines(merges); lines.next();) {
    const std::string_view line = lines.line();
    if (line.starts_with("#version") || (line.empty() && lines.is_last())) continue;
    const size_t space = line.find(' ');
    check_world(space != 0 && space != std::string_view::npos && space + 1 < line.size() &&
                    line.find(' ', space + 1) == std::string_view::npos,
                merges_source, ": line ", lines.number(),
                ": a merge must be two tokens with one space between; this line is ", shown_text(line));
    const int64_t first = seen.add(line, lines.number());
    check_world(first < 0, merges_source, ": line ", lines.number(), ": a merge may stand in the file once; ",
                shown_text(line), " is line ", first, " too; remove one");
    const std::string left(line.substr(0, space));
    const std::string right(line.substr(space + 1));
    for (const std::string& token : {left, right, left + right}) {
      check_world(known.contains(token), merges_source, ": line ", lines.number(),
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
