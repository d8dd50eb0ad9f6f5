// gradus tokenizer show: how a tokenizer cuts a text.

#include "tokenizer/tokenizer.hpp"
#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tools/common.hpp"

namespace gradus::tools {

int run_tokenizer(const Arguments& arguments) {
  const bool help = !arguments.empty() && (arguments[0] == "--help" || arguments[0] == "-h");
  if (arguments.empty() || (arguments[0] != "show" && !help)) {
    throw UsageError(arguments.empty()
                         ? "tokenizer: an action must follow; there is one: show"
                         : "tokenizer: '" + arguments[0] + "' is not an action; there is one: show");
  }
  std::string path;
  std::string text;
  CommonOptions common;
  Args args(
      "tokenizer show",
      "Shows the tokens of a text: their ids, their bytes in the text, and how the vocabulary writes them.");
  args.positional("DIR|FILE", path, "a run folder or a tokenizer.json");
  args.positional("TEXT", text, "the text");
  common.add(args);
  if (!args.parse(help ? arguments : Arguments(arguments.begin() + 1, arguments.end()))) return 0;
  common.apply();
  const Tokenizer tokenizer = Tokenizer::load(is_directory(path) ? path + "/" + kTokenizerFile : path);
  const std::vector<Piece> pieces = tokenizer.encode_pieces(text);
  if (common.json) {
    Json ids = Json::array();
    Json names = Json::array();
    Json offsets = Json::array();
    for (const Piece& piece : pieces) {
      ids.push(int64_t{piece.id});
      names.push(tokenizer.token_text(piece.id));
      offsets.push(Json::array({piece.start, piece.end}));
    }
    print_json(Json::object().set("ids", ids).set("pieces", names).set("offsets", offsets));
    return 0;
  }
  for (const Piece& piece : pieces) {
    std::string id = std::to_string(piece.id);
    std::string range = std::to_string(piece.start) + "-" + std::to_string(piece.end);
    id.insert(0, id.size() < 7 ? 7 - id.size() : 0, ' ');
    range.resize(std::max<std::size_t>(range.size(), 11), ' ');
    print_out(id + "  " + range + "  " + tokenizer.token_text(piece.id) + "\n");
  }
  flush_out();
  if (!common.quiet) {
    say(std::to_string(pieces.size()) + " tokens for " + std::to_string(text.size()) + " bytes, tokenizer " +
        tokenizer.kind());
  }
  return 0;
}

}  // namespace gradus::tools
