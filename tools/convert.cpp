// gradus convert: a tokenizer in another format, or a model in the layout of another program.

#include "models/transformer/export.hpp"
#include "models/transformer/files.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/formats/save.hpp"
#include "tokenizer/pipeline.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/open_model.hpp"
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

// Of a difference that is a fraction: "0" or "2.1e-03".
std::string fraction_text(double value) {
  char text[32];
  std::snprintf(text, sizeof text, value == 0 ? "0" : "%.1e", value);
  return text;
}

int convert_model(const std::string& path, std::string out, const std::string& dtype,
                  const CommonOptions& common) {
  while (out.size() > 1 && out.ends_with('/')) out.pop_back();
  const LanguageModel loaded = open_model(path, common, false);
  const DType type = dtype == "f16" ? DType::f16 : dtype == "bf16" ? DType::bf16 : DType::f32;
  const ExportReport report = export_to_hugging_face(loaded, out, {.dtype = type});
  check_unchanged(loaded);
  if (common.json) {
    Json names = Json::array();
    for (const std::string& file : report.files) names.push(file);
    Json json = Json::object();
    json.set("folder", replace_invalid_utf8(out)).set("files", names).set("texts", report.texts);
    json.set("hidden_state_difference", report.hidden_state).set("logits_difference", report.logits);
    print_json(json);
  }
  if (common.quiet) return 0;
  std::string files;
  for (const std::string& file : report.files) files += (files.empty() ? "" : ", ") + file;
  say("wrote  " + out + ": " + files);
  say("check  read back: the ids of " + std::to_string(report.texts) +
      " texts are equal; of the last layer " + fraction_text(report.hidden_state) + " and of the logits " +
      fraction_text(report.logits) + " of the root mean square apart at most");
  for (const std::string& note : report.notes) say("note   " + note);
  return 0;
}

}  // namespace

int run_convert(const Arguments& arguments) {
  std::string path;
  std::string out;
  std::string to = "tokenizer", dtype = "f32";
  CommonOptions common;
  Args args(
      "convert",
      "Writes a tokenizer in another format: tokenizer.json, a SentencePiece model (.model), tiktoken ranks "
      "(.tiktoken), vocab.txt, or vocab.json with merges.txt; or, with --to, a model as a folder of the "
      "Hugging Face "
      "library. The result is read back, and unless it gives the same ids on texts that are hard to encode, "
      "and of "
      "a model the same numbers but for the rounding of --dtype, nothing is written.");
  args.positional("DIR|FILE", path,
                  "a model's folder, or a tokenizer's file; its contents say which kind it is");
  args.path("-o,--out", out, "file to write, whose name says which kind; with --to a new folder");
  args.choice("--to", to, {"tokenizer", "hf"},
              "what to write: the tokenizer, or a folder of the Hugging Face library");
  args.choice("--dtype", dtype, {"f32", "f16", "bf16"}, "type of the weights");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  check(!out.empty(), "convert: -o FILE must be given");
  args.no_effect({{to == "tokenizer", {"--dtype"}, "without --to hf"}});
  if (to == "hf") return convert_model(path, out, dtype, common);
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
  const Tokenizer tokenizer = open_tokenizer(path);
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
    const std::string lost = left_out(tokenizer, open_tokenizer(out));
    if (!lost.empty()) say("note   this format does not say " + lost);
  }
  return 0;
}

}  // namespace gradus::tools
