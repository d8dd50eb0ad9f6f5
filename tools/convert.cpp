// gradus convert: a tokenizer in another format, or a model in the layout of another program.

#include "models/transformer/export.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/sentence_folder.hpp"
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

int convert_model(const std::string& path, std::string out, const std::string& to, const std::string& dtype,
                  const std::string& tokenizer, const CommonOptions& common) {
  ExportOptions options{.format = parse_export_format(to), .type = parse_export_type(dtype)};
  options.on_progress = [] {
    if (interrupted()) throw Interrupted{};
  };
  const bool is_file = options.format == ExportFormat::gguf;
  check(!is_file || out.ends_with(".gguf"), "convert: with --to gguf the name must end in .gguf; it is '",
        out, "'");
  check(is_file || options.type != ExportType::q8_0,
        "convert: --dtype q8_0 is blocks of GGUF files; give --to gguf, or another type");
  while (out.size() > 1 && out.ends_with('/')) out.pop_back();
  std::optional<SentenceFolder> sentences;
  std::string model = path;
  if (is_sentence_folder(path)) {
    sentences = read_sentence_folder(path);
    check(!sentences->static_model, "convert: ", path,
          " is a static model, a table of vectors; there is no transformer to write");
    model = sentences->model_folder;
    options.sentences = &*sentences;
    options.home = path;
  }
  std::vector<std::string> inputs = {model + "/" + kConfigFile, model + "/" + kTokenizerFile};
  if (!tokenizer.empty()) inputs.push_back(tokenizer);
  if (file_exists(weights_path(model))) {
    for (const std::string& file : weights_files(model)) inputs.push_back(file);
  }
  check_not_input(out, inputs);
  const LanguageModel loaded = open_model(model, common, !tokenizer.empty(), tokenizer);
  if (sentences) check_width(*sentences, loaded.model.config().n_embd);
  const ExportReport report = export_model(loaded, out, options);
  if (common.json) {
    Json names = Json::array();
    for (const std::string& file : report.files) names.push(file);
    Json json = Json::object();
    json.set(is_file ? "file" : "folder", replace_invalid_utf8(out));
    json.set("files", names).set("texts", report.texts);
    Json notes = Json::array();
    for (const std::string& note : report.notes) notes.push(replace_invalid_utf8(note));
    json.set("hidden_state_difference", report.hidden_state);
    json.set("logits_difference", report.logits ? Json(*report.logits) : Json()).set("notes", notes);
    print_json(json);
  }
  if (common.quiet) return 0;
  std::string files;
  for (const std::string& file : report.files) files += (files.empty() ? "" : ", ") + file;
  say("wrote  " + out + ": " + (is_file ? bytes_text(static_cast<double>(file_bytes(out))) : files));
  say("check  read back: " +
      (report.texts > 0 ? "the ids of " + std::to_string(report.texts) + " texts are equal; "
                        : std::string("there is no tokenizer; ")) +
      "of the last layer " + fraction_text(report.hidden_state) +
      (report.logits ? " and of the logits " + fraction_text(*report.logits) : "") +
      " of the root mean square apart at most");
  for (const std::string& note : report.notes) say("note   " + note);
  return 0;
}

}  // namespace

int run_convert(const Arguments& arguments) {
  std::string path;
  std::string out;
  std::string to = "tokenizer", dtype = "f32", tokenizer_file;
  CommonOptions common;
  Args args(
      "convert",
      "Writes a tokenizer in another format: tokenizer.json, a SentencePiece model (.model), tiktoken ranks "
      "(.tiktoken), vocab.txt, or vocab.json with merges.txt; or, with --to, a model as a folder of the "
      "Hugging Face library or of sentence-transformers, or as a GGUF file. The result is read back, and "
      "unless it gives the same ids on texts that are hard to encode, and of a model the same numbers but "
      "for "
      "the rounding of --dtype, nothing is written.");
  args.positional("DIR|FILE", path,
                  "a model's folder, its .gguf or llama2.c file, or a tokenizer's file; its contents say "
                  "which kind it is");
  args.path("-o,--out", out,
            "file to write, whose name says which kind; with --to a new folder, or NAME.gguf");
  args.choice("--to", to, {"tokenizer", "hf", "gguf", "sentence-transformers"},
              "what to write: the tokenizer, a folder of the Hugging Face library (hf) or of "
              "sentence-transformers, or a file of llama.cpp (gguf)");
  args.choice("--dtype", dtype, {"f32", "f16", "bf16", "q8_0"},
              "type of the weights; q8_0, of GGUF files alone, is blocks of 32 that share a scale");
  add_tokenizer_option(args, tokenizer_file);
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  check(!out.empty(), "convert: -o FILE must be given");
  args.no_effect({{to == "tokenizer", {"--dtype", "--tokenizer"}, "without --to"}});
  if (to != "tokenizer") {
    watch_interrupts();
    return convert_model(path, out, to, dtype, tokenizer_file, common);
  }
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
