// gradus vectors trim, merge, reduce, align: tables of vectors made into others.

#include <algorithm>

#include "models/embeddings/dictionary.hpp"
#include "models/embeddings/transform.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tokenizer/text/lines.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/source_options.hpp"
#include "tools/vectors.hpp"

namespace gradus::tools {
namespace {

constexpr const char* kOutHelp =
    "file to write: .vec or .txt (text, with and without a line of sizes), .bin (word2vec's), .npy (names in "
    "FILE.npy.names) or .safetensors";

void check_out(const std::string& out, const SourceArguments& given, std::vector<std::string> inputs) {
  check(!out.empty(), "-o FILE must be given");
  for (const std::string& file : {given.names, given.text, given.tokenizer}) inputs.push_back(file);
  check_vectors_out(out, inputs);
}

void write(const std::string& out, const Vectors& vectors, const CommonOptions& common,
           Json about = Json::object()) {
  save_vectors(out, vectors, {}, stop_where_interrupted);
  const int64_t width = vectors.layers[0].size(1);
  if (common.json)
    print_json(about.set("file", replace_invalid_utf8(out)).set("rows", vectors.rows()).set("width", width));
  if (!common.quiet) {
    say("wrote  " + out + ": " + std::to_string(vectors.rows()) + " vectors of " + std::to_string(width) +
        " numbers, " + bytes_text(static_cast<double>(file_bytes(out))) +
        (out.ends_with(".npy") ? ", and " + out + ".names" : ""));
  }
}

/// Some rows of a layer, in this order.
class Picked {
 public:
  explicit Picked(int64_t width) : width_(width) { result_.layer_names = {"vectors"}; }
  void add(std::string_view name, std::span<const float> values, std::optional<int64_t> count) {
    result_.names.add(name);
    values_.insert(values_.end(), values.begin(), values.end());
    if (count) result_.counts.push_back(*count);
  }
  Vectors finish() {
    if (std::ssize(result_.counts) != result_.rows()) result_.counts.clear();
    result_.layers = {Tensor::from(std::span<const float>(values_), {result_.rows(), width_})};
    return std::move(result_);
  }

 private:
  int64_t width_;
  Vectors result_;
  std::vector<float> values_;
};

std::optional<int64_t> count_of(const Vectors& vectors, int64_t row) {
  return vectors.counts.empty() ? std::nullopt : std::optional(vectors.counts[static_cast<std::size_t>(row)]);
}

/// A layer of a source.
struct Layer {
  Vectors vectors;
  Tensor rows;
  int64_t width() const { return rows.size(1); }
  std::span<const float> row(int64_t r) const {
    return {rows.data<float>() + r * width(), static_cast<std::size_t>(width())};
  }
};

Layer open_layer(const Args& args, const SourceArguments& given, const std::string& source) {
  Layer layer{given.open(args, source), {}};
  layer.rows = layer.vectors.layer(choose_layer(layer.vectors, given.layer)).to_contiguous();
  return layer;
}

}  // namespace

int run_vectors_trim(const Arguments& arguments) {
  std::string source, out, words;
  int64_t top = 0;
  SourceArguments given;
  Args args("vectors trim",
            "Writes the first rows of a source, the frequent words in most files, or those of a list.");
  args.positional("SOURCE", source, kSourceHelp);
  args.path("-o,--out", out, kOutHelp);
  args.integer("--top", top, "the first N rows");
  args.text("--words", words, "instead: a file with a name a line; those without a row are counted");
  given.add(args);
  if (!args.parse(arguments)) return 0;
  given.common.apply();
  watch_interrupts();
  check((top != 0) != !words.empty(), "vectors trim: give --top N or --words FILE");
  check(top >= 0, "--top must be at least 1; it is ", top);
  check_out(out, given, {source, words});
  const Layer layer = open_layer(args, given, source);
  Picked picked(layer.width());
  int64_t missing = 0;
  const auto add = [&](int64_t row) {
    picked.add(layer.vectors.names[row], layer.row(row), count_of(layer.vectors, row));
  };
  if (words.empty()) {
    for (int64_t row = 0; row < std::min(top, layer.vectors.rows()); ++row) add(row);
  } else {
    const std::string text = read_file(words, stop_where_interrupted);
    Names seen;
    for (LineReader lines(text); lines.next();) {
      const std::string word(lines.line());
      if (word.empty() || seen.find(word)) continue;
      seen.add(word);
      const auto row = layer.vectors.names.find(word);
      if (row) {
        add(*row);
      } else if (layer.vectors.unseen && !layer.vectors.unseen(word).empty()) {
        picked.add(word, layer.vectors.unseen(word), std::nullopt);
      } else {
        ++missing;
      }
    }
  }
  const Vectors result = picked.finish();
  check_world(result.rows() > 0, source,
              words.empty() ? ": must have a row; it has none"
                            : ": must have a row of a word of " + words + "; it has none");
  write(out, result, given.common, Json::object().set("missing", missing));
  if (missing > 0 && !given.common.quiet)
    say("note   " + std::to_string(missing) + " words of " + words + " have no row");
  return 0;
}

int run_vectors_merge(const Arguments& arguments) {
  std::string first, second, out;
  bool concat = false;
  SourceArguments given;
  Args args("vectors merge",
            "Writes the rows of two sources: all of the first, and of the second those whose names are new; "
            "or with --concat "
            "of the names that both have, both vectors one behind the other.");
  args.positional("SOURCE", first, kSourceHelp);
  args.positional("SOURCE2", second, "another");
  args.path("-o,--out", out, kOutHelp);
  args.flag("--concat", concat, "of names that both have, both vectors as one");
  given.add(args);
  if (!args.parse(arguments)) return 0;
  given.common.apply();
  watch_interrupts();
  check_out(out, given, {first, second});
  const Layer a = open_layer(args, given, first), b = open_layer(args, given, second);
  check(concat || a.width() == b.width(), "vectors merge: both must be as wide as each other; they are ",
        a.width(), " and ", b.width(), " wide; give --concat, or reduce one of them");
  Picked picked(concat ? a.width() + b.width() : a.width());
  for (int64_t row = 0; row < a.vectors.rows(); ++row) {
    const std::string_view name = a.vectors.names[row];
    if (!concat) {
      picked.add(name, a.row(row), std::nullopt);
      continue;
    }
    const auto other = b.vectors.names.find(name);
    if (!other || a.vectors.names.find(name) != row) continue;
    std::vector<float> both(a.row(row).begin(), a.row(row).end());
    both.insert(both.end(), b.row(*other).begin(), b.row(*other).end());
    picked.add(name, both, std::nullopt);
  }
  for (int64_t row = 0; row < b.vectors.rows() && !concat; ++row) {
    const std::string_view name = b.vectors.names[row];
    if (!a.vectors.names.find(name)) picked.add(name, b.row(row), std::nullopt);
  }
  const Vectors result = picked.finish();
  check_world(result.rows() > 0, "vectors merge: there must be a name that both have; there is none");
  write(out, result, given.common);
  if (concat && !given.common.quiet) {
    const int64_t alone = a.vectors.rows() + b.vectors.rows() - 2 * result.rows();
    if (alone > 0)
      say("note   " + std::to_string(alone) + " rows of names that one of them alone has are left out");
  }
  return 0;
}

int run_vectors_reduce(const Arguments& arguments) {
  std::string source, out, method = "pca";
  int64_t to = 0;
  SourceArguments given;
  Args args("vectors reduce",
            "Writes rows with fewer numbers: pca, onto the directions in which they vary most; abtt, without "
            "their mean and "
            "the strongest of these directions, which all words share; truncate, the first numbers of each.");
  args.positional("SOURCE", source, kSourceHelp);
  args.path("-o,--out", out, kOutHelp);
  args.integer("--to", to, "numbers in a row of the result");
  args.choice("--method", method, {"pca", "abtt", "truncate"}, "how they are found");
  given.add(args);
  if (!args.parse(arguments)) return 0;
  given.common.apply();
  watch_interrupts();
  check(args.given("--to"), "vectors reduce: --to N must be given");
  check_out(out, given, {source});
  Layer layer = open_layer(args, given, source);
  Vectors result;
  result.layer_names = {"vectors"};
  result.layers = {reduce_rows(layer.rows, to, parse_reduction(method))};
  result.names = std::move(layer.vectors.names);
  result.counts = std::move(layer.vectors.counts);
  write(out, result, given.common, Json::object().set("method", method));
  return 0;
}

int run_vectors_align(const Arguments& arguments) {
  std::string source, target, out, dictionary, test;
  int64_t restrict = 0;
  SourceArguments given;
  Args args("vectors align",
            "Writes the first source turned into the space of the second: by the rotation that brings the "
            "pairs of a "
            "dictionary nearest together (orthogonal Procrustes).");
  args.positional("SOURCE", source, kSourceHelp);
  args.positional("TARGET", target, "the source whose space it is turned into");
  args.path("-o,--out", out, kOutHelp);
  args.text("--dictionary", dictionary,
            "pairs to turn by: a word of each source a line, a tab or a space between");
  args.text("--test", test, "other pairs, on which to say how many words find their translation");
  args.integer("--restrict", restrict, "for that, only the first N rows of each count; 0: all");
  given.add(args);
  if (!args.parse(arguments)) return 0;
  given.common.apply();
  watch_interrupts();
  check(!dictionary.empty(), "vectors align: --dictionary FILE must be given");
  check(restrict >= 0, "--restrict must be at least 0; it is ", restrict);
  check_out(out, given, {source, target, dictionary, test});
  const Dictionary pairs = read_dictionary(read_file(dictionary, stop_where_interrupted), dictionary);
  const Dictionary held_out =
      test.empty() ? pairs : read_dictionary(read_file(test, stop_where_interrupted), test);
  Layer from = open_layer(args, given, source);
  const Layer to = open_layer(args, given, target);
  check(from.width() == to.width(), "vectors align: both must be as wide as each other; they are ",
        from.width(), " and ", to.width(), " wide; reduce one of them");
  const DictionaryRows rows = find_pairs(pairs, {from.vectors.names, from.rows}, {to.vectors.names, to.rows});
  check_world(!rows.source.empty(), dictionary,
              ": must hold a pair of words that both sources have; it has none");
  Picked x(from.width()), y(to.width());
  for (std::size_t i = 0; i < rows.source.size(); ++i) {
    x.add("", from.row(rows.source[i]), std::nullopt);
    y.add("", to.row(rows.target[i]), std::nullopt);
  }
  Vectors result;
  result.layer_names = {"vectors"};
  result.layers = {transform_rows(from.rows, procrustes(x.finish().layers[0], y.finish().layers[0]))};
  result.names = from.vectors.names;
  result.counts = from.vectors.counts;
  const DictionaryScore score =
      judge_dictionary(held_out, {result.names, result.layers[0]}, {to.vectors.names, to.rows}, restrict,
                       stop_where_interrupted);
  write(out, result, given.common,
        Json::object()
            .set("pairs", static_cast<int64_t>(rows.source.size()))
            .set("p_at_1", score.covered > 0 ? Json(score.p_at_1()) : Json())
            .set("p_at_1_csls", score.covered > 0 ? Json(score.p_at_1_csls()) : Json())
            .set("covered", score.covered));
  if (!given.common.quiet) {
    const auto share = [&](double part) {
      return score.covered > 0 ? fixed(100 * part, 1) + " %" : std::string("-");
    };
    say("pairs  " + std::to_string(rows.source.size()) + " of " + std::to_string(pairs.size()) +
        " have both words; of " + std::to_string(score.covered) + " words of " +
        (test.empty() ? dictionary + ", which it was turned by" : test) +
        " the nearest row is a translation for " + share(score.p_at_1()) + ", by CSLS " +
        share(score.p_at_1_csls()));
  }
  return 0;
}

}  // namespace gradus::tools
