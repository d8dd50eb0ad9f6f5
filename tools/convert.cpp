// gradus convert: a tokenizer in another format.

#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/formats/save.hpp"
#include "tokenizer/pipeline.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/text_options.hpp"
#include "tools/tokenizer.hpp"

namespace gradus::tools {
namespace {

/// What a tokenizer does with texts and the file that was made of it does not say, or "". The ids of ordinary text are
/// the same.
std::string left_out(const Tokenizer& from, const Tokenizer& to) {
  std::string text;
  const auto add = [&](bool differs, const char* what) {
    if (differs) text += (text.empty() ? "" : ", ") + std::string(what);
  };
  const AddedAround ours = from.added_around();
  const AddedAround theirs = to.added_around();
  add(ours.before != theirs.before || ours.after != theirs.after, "which special tokens stand around a text");
  add(from.parts().truncation && !to.parts().truncation, "that texts are cut");
  add(from.parts().padding && !to.parts().padding, "that texts are padded");
  return text;
}

}  // namespace

int run_convert(const Arguments& arguments) {
  std::string path;
  std::string out;
  CommonOptions common;
  Args args(
      "convert",
      "Writes a tokenizer in another format: tokenizer.json, a SentencePiece model (.model), tiktoken ranks "
      "(.tiktoken), vocab.txt, or vocab.json with merges.txt. The result is read back, and unless it gives "
      "the same ids on texts that are hard to encode, nothing is written.");
  args.positional("DIR|FILE", path, "a run folder or a tokenizer's file; its contents say which kind it is");
  args.path("-o,--out", out, "file to write; its name says which kind");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  check(!out.empty(), "convert: -o FILE must be given");
  const TokenizerFormat format = format_of_name(out);
  const std::vector<std::string> inputs = {path, path + "/" + kTokenizerFile};
  check_not_input(out, inputs);
  if (format == TokenizerFormat::vocab_json) {
    // The second file goes where nobody has named it: it may only replace the one of a pair.
    const std::string merges = merges_beside(out);
    check_not_input(merges, inputs);
    check(!file_exists(merges) || is_directory(merges) || file_exists(out), "convert: ", merges,
          " would be replaced, which is not the one of ", out,
          ", as that is not there; choose another folder, or move it away");
  }
  const Tokenizer tokenizer = load_tokenizer_at(path);
  const std::vector<std::string> files = save_tokenizer_as(tokenizer, out, format);
  if (common.json) {
    Json names = Json::array();
    for (const std::string& file : files) names.push(replace_invalid_utf8(file));
    print_json(Json::object().set("files", names).set("kind", tokenizer.kind()));
  }
  if (!common.quiet) {
    for (const std::string& file : files) {
      say("wrote  " + file + ": " + bytes_text(static_cast<double>(file_bytes(file))) + ", tokenizer " +
          tokenizer.kind());
    }
    const std::string lost = left_out(tokenizer, load_tokenizer_at(out));
    if (!lost.empty()) say("note   this format does not say " + lost);
  }
  return 0;
}

}  // namespace gradus::tools
