#include "tools/source_options.hpp"

#include <algorithm>
#include <cmath>
#include <set>

#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/training.hpp"

namespace gradus::tools {

void SourceArguments::add(Args& args) {
  args.heading("Vectors");
  args.text(
      "--layer", layer,
      "a number (-1 is the last block's output), final, or a name; else the last block's output, or the "
      "only one there is");
  args.text("--names", names, "of arrays: a file with a row's name a line");
  args.choice("--encoding-errors", encoding_errors, {"keep", "strict"},
              "names that are not UTF-8: kept and counted, or refused");
  args.heading("Vectors of a model");
  args.text("--text", text,
            "what to make the vectors of: a file, a folder of them, or - for standard input; of a .jsonl "
            "each line is a "
            "document; a run's own text where it is left out");
  args.choice(
      "--level", level, {"word", "sentence"},
      "a row is a frequent word, the mean over its first 100 occurrences, or a line of the text; where "
      "all rows are named, without --text the names themselves");
  args.flag("--truncate", truncate,
            "with --level sentence: cut texts that are longer than the model can read; else they are errors");
  args.text("--tokenizer", tokenizer, "a tokenizer's file, instead of the model's own");
  files.add(args);
  common.add(args);
}

Vectors SourceArguments::open(const Args& args, const std::string& source,
                              std::span<const std::string> asked) const {
  const bool is_model = kind_of_source(source) == SourceKind::model;
  args.no_effect(
      {{!is_model,
        {"--text", "--level", "--truncate", "--tokenizer", "--text-key", "--force-text"},
        "with a file of vectors, which are made already"},
       {is_model, {"--names", "--encoding-errors"}, "with a model"},
       {is_model && level == "word", {"--truncate"}, "with --level word, which reads any text in parts"},
       {is_model && text.empty() && level == "word", {"--tokenizer"}, "without --text"},
       {is_model && text.empty(), {"--text-key", "--force-text"}, "without --text"}});
  check(layer != "all" && layer.find(',') == std::string::npos, "--layer must name one layer; it is '", layer,
        "'");
  SourceOptions options;
  options.files = {.names_file = names,
                   .strict_encoding = encoding_errors == "strict",
                   .on_interrupt = stop_where_interrupted};
  if (!text.empty()) options.texts = {text};
  options.reading = files.options();
  options.level = parse_level(level);
  options.truncate = truncate;
  options.layers = layer;
  if (is_model && text.empty() && options.level == Level::sentence) {
    const std::set<std::string> different(asked.begin(), asked.end());
    options.sentences.assign(different.begin(), different.end());
  }
  options.tokenizer_file = tokenizer;
  SourceEvents events;
  events.on_progress = [this](int64_t done, int64_t total) {
    if (interrupted()) throw Interrupted{};
    if (!common.quiet) status("vectors  " + std::to_string(done) + "/" + std::to_string(total));
  };
  if (!common.quiet) events.on_note = [](const std::string& note) { say("note   " + note); };
  Vectors vectors = open_source(source, options, events);
  if (vectors.unknown_rate > 0)
    warn_of_unknown(vectors.unknown_rate, text.empty() ? "the training text" : text);
  return vectors;
}

Rows::Rows(Vectors vectors, const std::string& layer)
    : vectors_(std::move(vectors)),
      layer_(choose_layer(vectors_, layer)),
      table_(vectors_.layer(layer_).to_contiguous()) {}

void check_finite(std::string_view name, std::span<const float> values) {
  check(std::all_of(values.begin(), values.end(), [](float x) { return std::isfinite(x); }),
        "vectors: a vector must be finite to be compared; that of '", name,
        "' holds a NaN or an infinity; leave the name out");
}

std::span<const float> Rows::row(int64_t r) const {
  return {table_.data<float>() + r * width(), static_cast<std::size_t>(width())};
}

bool Rows::knows(const std::string& name) const {
  return names().find(name) || (vectors_.unseen && !vectors_.unseen(name).empty());
}

std::vector<float> Rows::vector(const std::string& name) const {
  if (const auto found = names().find(name)) {
    const std::span<const float> values = row(*found);
    return {values.begin(), values.end()};
  }
  if (vectors_.unseen) {
    std::vector<float> made = vectors_.unseen(name);
    if (!made.empty()) return made;
  }
  static_cast<void>(vectors_.row(name));  // the error
  return {};
}

Tensor Rows::vectors(std::span<const std::string> names) const {
  Tensor all = Tensor::empty({std::ssize(names), width()});
  float* y = all.mutable_data<float>();
  for (const std::string& name : names) {
    const std::vector<float> values = vector(name);
    check_finite(name, values);
    y = std::copy(values.begin(), values.end(), y);
  }
  return all;
}

void check_vectors_out(const std::string& out, const std::vector<std::string>& inputs) {
  const bool names_beside = format_of_vectors(out) == VectorFormat::npy;
  check_not_input(out, inputs);
  if (names_beside) {
    std::vector<std::string> all = inputs;
    // What stands beside an input is read with it.
    for (const std::string& input : inputs) all.push_back(input + ".names");
    check_not_input(out + ".names", all);
    // It goes where nobody has named it: it may only replace the one of a pair.
    check(!file_exists(out + ".names") || file_exists(out), "vectors: ", out,
          ".names would be replaced, which is not the one of ", out,
          ", as that is not there; choose another name, or move it away");
  }
  check_can_write(out);
}

void set_new(Json& json, const std::string& name, const Json& value) {
  const std::string key = replace_invalid_utf8(name);
  check_world(key == name || json.find(key) == nullptr,
              "vectors: JSON holds UTF-8 alone, in which two of the names are the same, '", key,
              "'; ask for them one by one, or leave out --json");
  json.set(key, value);
}

void set_agreement(Json& json, const Agreement& agrees) {
  json.set("purity", agrees.purity).set("v_measure", agrees.v_measure).set("ari", agrees.ari);
  json.set("homogeneity", agrees.homogeneity).set("completeness", agrees.completeness);
}

std::string agreement_text(const Agreement& agrees) {
  return "purity " + fixed(agrees.purity, 4) + ", V-measure " + fixed(agrees.v_measure, 4) + ", ARI " +
         fixed(agrees.ari, 4);
}

void tell_skipped(int64_t skipped, const CommonOptions& common) {
  if (skipped == 0 || common.quiet) return;
  say("note   " + std::to_string(skipped) +
      (skipped == 1 ? " row holds a NaN or an infinity, and is nobody's neighbour"
                    : " rows hold a NaN or an infinity, and are nobody's neighbours"));
}

}  // namespace gradus::tools
