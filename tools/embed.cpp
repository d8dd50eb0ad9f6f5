// gradus embed: every layer's vectors of texts, words or tokens, into a file.

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string_view>

#include "models/embeddings/embedding_writer.hpp"
#include "models/embeddings/nearest.hpp"
#include "models/transformer/contextual.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/sentence_folder.hpp"
#include "models/transformer/static_embedder.hpp"
#include "tensor/error.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tools/common.hpp"
#include "tools/open_model.hpp"
#include "tools/text_options.hpp"
#include "tools/training.hpp"

namespace gradus::tools {
namespace {

/// Prints how alike a word's vectors are between the texts, layer by layer: at layer_0 the same word is the same vector
/// (but for learned positions); what the layers above make of it depends on the sentence.
void compare_word(const EmbeddingSet& set, const std::string& word, std::size_t texts, bool as_json) {
  std::vector<int64_t> rows;
  for (std::size_t text = 0; text < texts; ++text) {
    int64_t found = -1;
    for (int64_t row = set.offsets[text]; row < set.offsets[text + 1] && found < 0; ++row) {
      if (set.rows[static_cast<std::size_t>(row)].token == replace_invalid_utf8(word)) found = row;
    }
    check(found >= 0, "embed: --compare needs a word of every text; text ", text, " has no '", word, "'");
    rows.push_back(found);
  }
  Json json = Json::object();
  for (std::size_t layer = 0; layer < set.layers.size(); ++layer) {
    const Tensor& vectors = set.layers[layer];
    const auto width = static_cast<std::size_t>(vectors.size(1));
    const auto vector = [&](int64_t row) {
      return std::span<const float>(vectors.data<float>() + row * vectors.size(1), width);
    };
    std::string line = set.layer_names[layer];
    line.resize(std::max<std::size_t>(line.size(), 9), ' ');
    Json pairs = Json::array();
    for (std::size_t a = 0; a < rows.size(); ++a) {
      for (std::size_t b = a + 1; b < rows.size(); ++b) {
        const double similarity = cosine(vector(rows[a]), vector(rows[b]));
        line += "  " + std::to_string(a) + "~" + std::to_string(b) + " " + fixed(similarity, 3);
        pairs.push(Json::object()
                       .set("a", static_cast<int64_t>(a))
                       .set("b", static_cast<int64_t>(b))
                       .set("cosine", similarity));
      }
    }
    json.set(set.layer_names[layer], pairs);
    if (!as_json) print_out(line + "\n");
  }
  if (as_json) print_json(json);
  flush_out();
}

/// Appends the rows of a set to those before.
void keep_rows(EmbeddingSet& all, EmbeddingSet& set) {
  all.layer_names = set.layer_names;
  const int64_t before = std::ssize(all.rows);
  if (all.layers.empty()) {
    all.layers = set.layers;
    all.offsets = set.offsets;
  } else {
    for (std::size_t l = 0; l < all.layers.size(); ++l) {
      const Tensor both[] = {all.layers[l], set.layers[l]};
      all.layers[l] = concat(both, 0);
    }
    for (std::size_t i = 1; i < set.offsets.size(); ++i) all.offsets.push_back(before + set.offsets[i]);
  }
  all.rows.insert(all.rows.end(), set.rows.begin(), set.rows.end());
}

/// An error where one of the files to write is a file that is read; of sentences, folders below hold some of them.
void check_outputs(const std::string& out, const std::string& folder, std::vector<std::string> inputs) {
  std::vector<std::string> folders = {folder};
  if (is_directory(folder) && is_sentence_folder(folder)) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(folder))
      if (entry.is_directory()) folders.push_back(entry.path().string());
  }
  for (const std::string& part : folders) {
    for (const char* name : {kConfigFile, kTokenizerFile, kStateFile}) inputs.push_back(part + "/" + name);
    if (!file_exists(weights_path(part))) continue;
    for (const std::string& file : weights_files(part)) inputs.push_back(file);
  }
  check_not_input(out, inputs);
  check_not_input(out + ".tokens.jsonl", inputs);
}

/// SIZE or SIZE:OVERLAP.
Chunks parse_chunks(const std::string& text) {
  if (text.empty()) return {};
  Chunks chunks;
  const char* const end = text.data() + text.size();
  std::from_chars_result read = std::from_chars(text.data(), end, chunks.size);
  if (read.ec == std::errc() && read.ptr < end && *read.ptr == ':')
    read = std::from_chars(read.ptr + 1, end, chunks.overlap);
  check(read.ec == std::errc() && read.ptr == end && chunks.size >= 1 && chunks.overlap >= 0 &&
            chunks.overlap < chunks.size,
        "--chunk must be SIZE or SIZE:OVERLAP, tokens of a part and of those that two share, fewer than "
        "SIZE; it is '",
        text, "'");
  return chunks;
}

struct EmbedArguments {
  std::string folder, input, out, compare, prompt, prompt_name, chunk, tokenizer;
  std::vector<std::string> texts;
  std::string layers = "all", level = "sentence", pooling = "mean", type = "f32";
  bool pair = false;
  EmbedOptions options;
  ParseSpecialOption parse_special;
  WeightsOption weights;
  TextFileOptions files;
  CommonOptions common;
};

void bind(Args& args, EmbedArguments& a) {
  args.positional("DIR", a.folder, "the model's folder, or its .gguf or llama2.c file");
  args.positionals("TEXT", a.texts, "texts", false);
  args.text("--input", a.input,
            "instead of TEXT: a file with a text a line, a folder of them, or - for standard input; of a "
            ".jsonl a line "
            "has text (and pair), or ids (and segments), which are read as they are");
  args.flag("--pair", a.pair,
            "read two texts together: TEXT by twos, or of a line those before and after a tab");
  args.path(
      "-o,--out", a.out,
      "file to write, .npz or .safetensors, or a new folder of .npy files, DIR/; FILE.tokens.jsonl, or "
      "DIR/tokens.jsonl, says what each row is; without it, a row is a line of JSON on standard output");
  args.text("--layers", a.layers, "all, final, or numbers with commas; -1 is the last block's output");
  args.choice("--level", a.level, {"sentence", "word", "token"}, "what a row stands for");
  args.text("--compare", a.compare,
            "instead of rows: print the cosines of this word's vectors between the texts, by layer");
  args.choice(
      "--pooling", a.pooling,
      {"mean", "cls", "max", "last", "lasttoken", "mean_sqrt_len_tokens", "weightedmean"},
      "how the tokens of a sentence or word become one vector; of sentences, a model may say it itself");
  args.text("--prompt", a.prompt, "put before each text; its tokens are rows without bytes", Empty::allowed);
  args.text("--prompt-name", a.prompt_name, "the same, one of the prompts that the folder has by name");
  args.heading("Beside the layers");
  args.flag("--logits", a.options.logits, "the scores that the output layer gives each token");
  args.flag("--heads", a.options.heads, "of each block among --layers, what its heads found");
  args.flag("--attention-maps", a.options.maps,
            "and the weights that they gave, flat, text after text (H,T,T)");
  args.heading("Numbers");
  args.flag("--normalize", a.options.normalize, "bring each row of the layers to length 1");
  args.integer("--truncate-dim", a.options.truncate_width,
               "cut the layers to their first N channels; 0: not");
  args.choice("--output-dtype", a.type, {"f32", "f16", "int8", "binary"},
              "type of the layers: int8 has a scale for each row, binary a bit for each number");
  args.heading("Long texts");
  args.flag("--truncate", a.options.truncate,
            "cut texts that are longer than the model can read; else they are errors");
  args.text("--chunk", a.chunk,
            "SIZE or SIZE:OVERLAP: read texts in parts of so many tokens, each a text of its own");
  args.integer("--batch-tokens", a.options.batch_tokens,
               "most tokens read at once; changes memory and speed, and no bit");
  a.parse_special.add(args);
  add_tokenizer_option(args, a.tokenizer);
  a.weights.add(args);
  a.files.add(args);
  a.common.add(args);
}

/// The rows of a set as lines of JSON: what each stands for, and its numbers in each array.
void print_rows(const EmbeddingSet& set) {
  std::vector<std::pair<std::string, Tensor>> arrays;
  for (std::size_t l = 0; l < set.layers.size(); ++l)
    arrays.emplace_back(set.layer_names[l], set.layers[l].to_contiguous());
  for (const EmbeddingArray& other : set.others)
    arrays.emplace_back(other.name, other.values.to_contiguous());
  std::string lines;
  for (std::size_t r = 0; r < set.rows.size(); ++r) {
    Json line = row_to_json(set.rows[r], set.level);
    for (const auto& [name, values] : arrays) {
      Json numbers = Json::array();
      const float* row = values.data<float>() + static_cast<int64_t>(r) * values.size(1);
      for (int64_t c = 0; c < values.size(1); ++c) numbers.push(shortest_decimal(row[c]));
      line.set(name, numbers);
    }
    lines += line.dump() + "\n";
  }
  print_out(lines);
}

/// Hands texts on in lists of a bounded size.
class Windows {
 public:
  using Take = std::function<void(const std::vector<EmbedText>&)>;
  Windows(int64_t batch_tokens, Take take)
      : bytes_(4 * static_cast<std::size_t>(batch_tokens)), take_(std::move(take)) {}

  void add(EmbedText text) {
    waiting_ += text.text.size() + text.pair.value_or("").size() + 4 * text.ids.size();
    texts_.push_back(std::move(text));
    if (waiting_ >= bytes_ || texts_.size() >= kMost) flush();
  }
  void flush() {
    if (!texts_.empty()) take_(texts_);
    texts_.clear();
    waiting_ = 0;
  }

 private:
  static constexpr std::size_t kMost = 1024;
  std::size_t bytes_, waiting_ = 0;
  Take take_;
  std::vector<EmbedText> texts_;
};

/// The texts of the command line, or of --input, window after window.
void for_windows(const EmbedArguments& a, TextReader* reader, const Windows::Take& take) {
  Windows windows(a.options.batch_tokens, take);
  for (std::size_t i = 0; i < a.texts.size(); ++i) {
    EmbedText text{std::string_view(a.texts[i])};
    if (a.pair) text.pair = a.texts[++i];
    windows.add(std::move(text));
  }
  windows.flush();
  if (!reader) return;
  const EmbedOptions& o = a.options;
  bool told = a.common.quiet || (o.chunks.size == 0 && o.prompt.empty() && !o.truncate);
  reader->for_batches(1024, [&](const std::vector<TextItem>& items) {
    for (const TextItem& item : items) {
      check(!item.text.empty() || !item.ids.empty(), item.where(), ": a line must hold a text; it is empty");
      if (!item.ids.empty() && !told) {
        say("note   lines of ids are read as they are: no prompt is put before them, and they are not cut");
        told = true;
      }
      EmbedText text(item.text);
      text.pair = item.pair;
      text.ids = item.ids;
      text.segments = item.segments;
      text.name = item.where();
      windows.add(std::move(text));
    }
    windows.flush();  // the items live no longer
  });
}

/// What a folder of sentence-transformers or of a static model says, with the choices of the command line in its place.
std::optional<SentenceFolder> folder_of_sentences(const Args& args, EmbedArguments& a) {
  check(a.prompt_name.empty() || !args.given("--prompt"), "embed: give --prompt or --prompt-name, not both");
  a.options.prompt = a.prompt;
  if (!is_sentence_folder(a.folder)) {
    check(a.prompt_name.empty(), "embed: --prompt-name is one of a sentence-transformers folder's prompts; ",
          a.folder, " is no such folder; give --prompt");
    return std::nullopt;
  }
  SentenceFolder folder = read_sentence_folder(a.folder);
  if (args.given("--pooling") && a.options.level == Level::sentence) {
    const std::string declared = names_of(folder.pooling);
    folder.pooling = {a.options.pooling};
    if (!a.common.quiet && declared != a.pooling)
      say("note   the model pools by " + declared + "; --pooling " + a.pooling + " was asked for");
  }
  if (!args.given("--prompt")) {
    const std::string& name = a.prompt_name.empty() ? folder.default_prompt : a.prompt_name;
    if (!name.empty()) a.options.prompt = folder.prompt(name);
    if (a.prompt_name.empty() && !name.empty() && !a.common.quiet)
      say("note   each text begins with the folder's prompt \"" + name + "\"; --prompt '' leaves it out");
  }
  return folder;
}

}  // namespace

int run_embed(const Arguments& arguments) {
  EmbedArguments a;
  Args args("embed", "Writes what a model's layers make of texts: a vector for each text, word or token.");
  bind(args, a);
  if (!args.parse(arguments)) return 0;
  a.common.apply();
  watch_interrupts();
  const bool compares = !a.compare.empty(), writes = !a.out.empty(), prints = !compares && !writes;
  check(!compares || !writes, "embed: --compare prints cosines; leave out -o");
  check(!compares || a.level == "word" || !args.given("--level"),
        "embed: --compare works on words; leave out --level");
  check(!a.options.truncate || a.chunk.empty(),
        "embed: a text is cut off or read in parts; give --truncate or --chunk");
  a.options.chunks = parse_chunks(a.chunk);
  if (writes) EmbeddingWriter::check_path(a.out);
  const char* const printed =
      "on standard output, which has the layers and what stands beside them as numbers";
  args.no_effect({{a.level == "token" && !compares,
                   {"--pooling"},
                   "with --level token, where every token is a row of its own"},
                  {compares,
                   {"--logits", "--heads", "--attention-maps", "--normalize", "--output-dtype"},
                   "with --compare"},
                  {prints, {"--output-dtype", "--attention-maps"}, printed, "give -o"}});
  check(a.texts.empty() || a.input.empty(), "embed: give texts or --input, not both");
  check(!a.pair || a.input.empty() || !a.input.ends_with(".jsonl"),
        "embed: an object of a .jsonl has its pair by name; leave out --pair");
  check(!a.pair || a.texts.size() % 2 == 0, "embed: --pair reads texts by twos; there are ", a.texts.size());
  std::vector<std::string> inputs;
  std::optional<TextReader> reader;
  if (!a.input.empty()) {
    TextOptions reading = a.files.options(true);
    reading.ids = true;
    reading.pairs = a.pair;
    reader.emplace(std::vector<std::string>{a.input}, reading);
    inputs = reader->files();
    a.files.check_effect(args, reader->files());
    if (!a.common.quiet && !reader->passed_over().empty()) say("note   " + reader->passed_over());
  } else {
    args.no_effect({{true, {"--text-key", "--force-text"}, "without --input"}});
    check(!a.texts.empty(), "embed: at least one text must be given");
  }
  if (!a.tokenizer.empty()) inputs.push_back(a.tokenizer);
  if (writes) check_outputs(a.out, a.folder, std::move(inputs));

  const auto may_hold_ids = [](const std::string& file) { return file.ends_with(".jsonl"); };
  const bool needs_tokenizer =
      !reader || !std::all_of(reader->files().begin(), reader->files().end(), may_hold_ids);
  a.options.level = compares ? Level::word : parse_level(a.level);
  a.options.pooling = parse_pooling(a.pooling);
  std::optional<SentenceFolder> sentences = folder_of_sentences(args, a);
  if (sentences) a.options.sentences = &*sentences;
  const bool is_static = sentences && sentences->static_model;
  args.no_effect({{is_static,
                   {"--weights", "--tokenizer", "--batch-tokens"},
                   "with a static model, which is a table and its own tokenizer"}});
  const std::string model_folder = sentences ? sentences->model_folder : a.folder;
  std::optional<LanguageModel> loaded;
  std::optional<TextEmbedder> contextual;
  std::optional<StaticEmbedder> fixed;
  if (is_static) {
    check(a.layers == "all" || a.layers == "0" || a.layers == "-1",
          "embed: a static model has layer_0 alone");
    a.options.parse_special = a.parse_special.value(true);
    a.options.include_prompt = sentences->include_prompt;
    fixed.emplace(*sentences, a.options);
  } else {
    loaded.emplace(open_model(model_folder, a.common, needs_tokenizer, a.tokenizer));
    a.options.layers = parse_layers(a.layers, loaded->model.config());
    read_as_model_says(a.options, *loaded, sentences ? &*sentences : nullptr);
    a.options.parse_special = a.parse_special.value(loaded->parse_special);
    loaded->model.pack(a.weights.value());
    contextual.emplace(loaded->model, loaded->has_tokenizer ? &loaded->tokenizer : nullptr, a.options);
  }
  const std::vector<std::string> layers =
      is_static ? std::vector<std::string>{"layer_0"} : contextual->layer_names();
  const int64_t width = is_static ? fixed->width() : contextual->width();
  const int64_t limit = is_static                  ? sentences->static_model->max_tokens
                        : a.options.max_tokens > 0 ? a.options.max_tokens
                                                   : loaded->model.config().block_size;

  std::optional<EmbeddingWriter> writer;
  if (writes) writer.emplace(a.out, parse_vector_type(a.type));
  EmbeddingSet total;  // its counters; with --compare all rows
  int64_t texts = 0, rows = 0;
  for_windows(a, reader ? &*reader : nullptr, [&](const std::vector<EmbedText>& window) {
    const auto tell = [&](int64_t done, int64_t) {
      if (interrupted()) throw Interrupted{};
      if (!a.common.quiet) status("embed  " + std::to_string(texts + done) + " texts");
    };
    EmbeddingSet set = is_static ? fixed->embed(window) : contextual->embed(window, tell);
    if (is_static) tell(std::ssize(window), 0);
    texts += std::ssize(window);
    rows += std::ssize(set.rows);
    if (writer) writer->append(set);
    if (prints) print_rows(set);
    if (compares) keep_rows(total, set);
    total.tokens += set.tokens;
    total.unknown += set.unknown;
    total.truncated += set.truncated;
    total.dropped_words += set.dropped_words;
  });
  check(texts > 0, "embed: at least one text must be given; there is none in ", a.input);
  warn_of_unknown(
      static_cast<double>(total.unknown) / static_cast<double>(std::max<int64_t>(total.tokens, 1)),
      a.input.empty() ? "the texts" : a.input);
  if (compares) {
    check(texts > 1,
          "embed: --compare needs two texts or more, between which the word is compared; one was given");
    compare_word(total, a.compare, static_cast<std::size_t>(texts), a.common.json);
    return 0;
  }
  if (prints) flush_out();
  if (loaded) check_unchanged(*loaded);
  if (writer) writer->finish({{"model_sha256", model_sha256(model_folder)}});
  if (a.common.json && writer) {
    Json names = Json::array();
    for (const std::string& name : layers) names.push(name);
    Json json = Json::object();
    json.set("file", replace_invalid_utf8(a.out)).set("texts", texts);
    json.set("rows", rows).set("width", width).set("layers", names);
    json.set("truncated", total.truncated).set("dropped_words", total.dropped_words);
    print_json(json);
  }
  if (a.common.quiet) return 0;
  if (writer) {
    say("wrote  " + a.out + ": " + std::to_string(rows) + " rows of " + std::to_string(width) + " from " +
        std::to_string(layers.size()) + " layers; rows are described in " + a.out +
        (a.out.ends_with('/') ? "tokens.jsonl" : ".tokens.jsonl"));
  }
  if (total.truncated > 0) {
    say("note   " + std::to_string(total.truncated) + " of " + std::to_string(texts) +
        " texts were cut to the model's " + std::to_string(limit) + " tokens");
  }
  if (total.dropped_words > 0) {
    say("note   " + std::to_string(total.dropped_words) +
        " words have no row: no token stands for them, as of characters that the tokenizer leaves out");
  }
  return 0;
}

}  // namespace gradus::tools
