// gradus convert: a tokenizer in another format, or a model in the layout of another program.

#include <algorithm>
#include <bit>

#include "models/embeddings/formats/vector_file.hpp"
#include "models/transformer/export.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/sentence_folder.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/formats/detect.hpp"
#include "tokenizer/formats/save.hpp"
#include "tokenizer/pipeline.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/open_model.hpp"
#include "tools/source_options.hpp"
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

/// Whether a path holds vectors, a file of them or what embed wrote.
bool are_vectors(const std::string& path) {
  if (is_directory(path)) return file_exists(path + "/meta.json") && !file_exists(path + "/" + kConfigFile);
  return detect_vectors_at(path).has_value();
}

bool holds_tokenizer(const std::string& path) {
  try {
    detect_tokenizer(path);
    return true;
  } catch (const std::exception&) {
    return false;
  }
}

/// Whether a name is one of vectors alone.
bool is_vector_name(const std::string& out) {
  for (const char* ending : {".vec", ".bin", ".npy", ".safetensors"}) {
    if (out.ends_with(ending)) return true;
  }
  return false;
}

/// Whether two tables hold the same bits, of the layer `chosen` or of all; a NaN is any other.
bool same_numbers(const Vectors& written, const Vectors& from, const std::string& chosen) {
  for (std::size_t l = 0; l < written.layers.size(); ++l) {
    const std::vector<float> a = written.layers[l].to_vector<float>();
    const std::vector<float> b = from.layer(chosen.empty() ? from.layer_names[l] : chosen).to_vector<float>();
    const bool same = std::equal(a.begin(), a.end(), b.begin(), b.end(), [](float x, float y) {
      return std::bit_cast<uint32_t>(x) == std::bit_cast<uint32_t>(y) || (x != x && y != y);
    });
    if (!same) return false;
  }
  return true;
}

int convert_vectors(const std::string& path, const std::string& out, const std::string& layer,
                    const VectorReadOptions& options, const CommonOptions& common) {
  check_vectors_out(out, {path, options.names_file});
  const Vectors vectors = load_vectors(path, options);
  const std::string chosen =
      layer.empty() && out.ends_with(".safetensors") ? "" : choose_layer(vectors, layer);
  stop_where_interrupted();
  save_vectors(out, vectors, chosen, stop_where_interrupted);
  const Vectors again = load_vectors(out, {.on_interrupt = stop_where_interrupted});
  check_world(again.names == vectors.names && same_numbers(again, vectors, chosen), out,
              ": read back, it must hold the same names and numbers; it does not; is the disk in order?");
  if (common.json)
    print_json(Json::object()
                   .set("file", replace_invalid_utf8(out))
                   .set("rows", vectors.rows())
                   .set("width", vectors.layers[0].size(1)));
  if (common.quiet) return 0;
  for (const std::string& note : vectors.notes) say("note   " + note);
  say("wrote  " + out + ": " + std::to_string(vectors.rows()) + " vectors of " +
      std::to_string(vectors.layers[0].size(1)) + " numbers, " +
      bytes_text(static_cast<double>(file_bytes(out))));
  if (vectors.unseen)
    say("note   the pieces of words are left out: words that were never seen have no vectors there");
  return 0;
}

}  // namespace

int run_convert(const Arguments& arguments) {
  std::string path;
  std::string out;
  std::string to = "tokenizer", dtype = "f32", tokenizer_file, layer, names, encoding_errors = "keep";
  CommonOptions common;
  Args args(
      "convert",
      "Writes word vectors in another format: .vec, .txt, .bin (word2vec's), .npy or .safetensors; a "
      "tokenizer: tokenizer.json, a SentencePiece model (.model), tiktoken ranks "
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
  args.heading("Word vectors");
  args.text("--layer", layer, "of several layers, the one to write; .safetensors holds all of them");
  args.text("--names", names, "of arrays: a file with a row's name a line");
  args.choice("--encoding-errors", encoding_errors, {"keep", "strict"},
              "names that are not UTF-8: kept and counted, or refused");
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  check(!out.empty(), "convert: -o FILE must be given");
  const bool vectors =
      to == "tokenizer" &&
      (are_vectors(path) || (is_vector_name(out) && (is_stream(path) || !holds_tokenizer(path))));
  args.no_effect({{to == "tokenizer", {"--dtype", "--tokenizer"}, "without --to"},
                  {!vectors, {"--layer", "--names", "--encoding-errors"}, "but with files of vectors"}});
  if (vectors) {
    watch_interrupts();
    return convert_vectors(path, out, layer,
                           {.names_file = names,
                            .strict_encoding = encoding_errors == "strict",
                            .on_interrupt = stop_where_interrupted},
                           common);
  }
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
    Json list = Json::array();
    for (const std::string& file : files) list.push(replace_invalid_utf8(file));
    print_json(Json::object().set("files", list).set("kind", tokenizer.kind()));
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
