// gradus polysemy: one word in many sentences, layer by layer.

#include <algorithm>
#include <charconv>
#include <map>
#include <optional>

#include "models/embeddings/cluster.hpp"
#include "models/embeddings/senses.hpp"
#include "models/transformer/contextual.hpp"
#include "models/transformer/sentence_folder.hpp"
#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tensor/random.hpp"
#include "tokenizer/text/lines.hpp"
#include "tokenizer/text/strings.hpp"
#include "tokenizer/text/unicode.hpp"
#include "tokenizer/text/words.hpp"
#include "tools/open_model.hpp"
#include "tools/training.hpp"

namespace gradus::tools {
namespace {

// A sentence, and where the word stands in it.
struct Use {
  std::string text;
  int64_t line = 0;
  std::string sense;  // "": nobody says
  int64_t begin = 0, end = 0;
};

// Where the field with this number stands among those that spaces part.
bool find_field(std::string_view text, int64_t number, int64_t& begin, int64_t& end) {
  std::size_t at = 0;
  for (int64_t i = 0;; ++i) {
    while (at < text.size() && text[at] == ' ') ++at;
    if (at == text.size()) return false;
    const std::size_t stop = std::min(text.find(' ', at), text.size());
    if (i == number) {
      begin = static_cast<int64_t>(at);
      end = static_cast<int64_t>(stop);
      return true;
    }
    at = stop;
  }
}

struct Input {
  std::vector<Use> uses;
  int64_t without = 0;
};

// Lines of sense, index and sentence with tabs between, or of a text alone, of which each place of the word counts.
Input read_uses(const std::string& path, const std::string& word) {
  const std::string text = path == "-" ? read_descriptor(0, "standard input", stop_where_interrupted)
                                       : read_file(path, stop_where_interrupted);
  Input input;
  for (LineReader lines(text); lines.next();) {
    const std::string line(lines.line());
    const int64_t number = lines.number();
    if (line.empty()) continue;
    const std::size_t first = line.find('\t');
    if (first == std::string::npos) {
      bool found = false;
      for (const WordSpan& span : find_words(line)) {
        if (line.compare(static_cast<std::size_t>(span.begin),
                         static_cast<std::size_t>(span.end - span.begin), word) != 0)
          continue;
        input.uses.push_back({line, number, "", span.begin, span.end});
        found = true;
      }
      input.without += found ? 0 : 1;
      continue;
    }
    const std::size_t second = line.find('\t', first + 1);
    int64_t index = -1;
    const auto read = second == std::string::npos
                          ? std::from_chars_result{line.data(), std::errc::invalid_argument}
                          : std::from_chars(line.data() + first + 1, line.data() + second, index);
    check_world(read.ec == std::errc() && read.ptr == line.data() + second && index >= 0, path, ":", number,
                ": a line must be a text, or a sense, the word's place among those that spaces part, from 0, "
                "and a sentence, with "
                "tabs between; it is ",
                shown_text(line));
    Use use{line.substr(second + 1), number, line.substr(0, first)};
    check_world(find_field(use.text, index, use.begin, use.end), path, ":", number,
                ": the sentence has no word number ", index);
    input.uses.push_back(std::move(use));
  }
  check_world(!input.uses.empty(), path, ": must hold the word '", word, "'; it does not");
  return input;
}

}  // namespace

int run_polysemy(const Arguments& arguments) {
  std::string folder, word, input_path, layers = "all", tokenizer;
  int64_t k = 0;
  bool truncate = false;
  WeightsOption weights;
  CommonOptions common;
  Args args("polysemy",
            "Says, layer by layer, how the vectors of one word fall apart by its senses: cosines within and "
            "between them, how "
            "alike the word is to itself beyond what all words are, silhouette, and how often the nearest "
            "other occurrence has "
            "the same sense.");
  args.positional("DIR", folder, "the model's folder, or its .gguf or llama2.c file");
  args.positional("WORD", word,
                  "the word; of lines that say where it stands, it is a name for what is printed");
  args.text("--input", input_path,
            "a text a line; or a sense, the word's place among those that spaces part (from 0), and a "
            "sentence, with tabs "
            "between; - for standard input");
  args.text("--layers", layers, "all, final, or numbers with commas; -1 is the last block's output");
  args.integer(
      "-k,--groups", k,
      "of texts without senses: how many groups to take for them; 0: as many as have the largest silhouette");
  args.flag("--truncate", truncate,
            "cut texts that are longer than the model can read; occurrences behind that are left out");
  add_tokenizer_option(args, tokenizer);
  weights.add(args);
  common.add(args);
  if (!args.parse(arguments)) return 0;
  common.apply();
  watch_interrupts();
  check(!input_path.empty(), "polysemy: --input FILE must be given");
  check(k >= 0, "-k must be at least 0; it is ", k);
  const Input input = read_uses(input_path, word);
  const bool told = !input.uses.front().sense.empty();
  for (const Use& use : input.uses)
    check_world(use.sense.empty() != told, input_path, ":", use.line,
                ": all lines must say a sense, or none");
  args.no_effect({{told, {"--groups"}, "where the lines say the senses"}});

  std::optional<SentenceFolder> sentences;
  if (is_sentence_folder(folder)) sentences = read_sentence_folder(folder);
  check(!sentences || !sentences->static_model,
        "polysemy: a static model has one vector for a word, whatever stands around it");
  LanguageModel loaded = open_model(sentences ? sentences->model_folder : folder, common, true, tokenizer);
  loaded.model.pack(weights.value());
  const Config& config = loaded.model.config();
  EmbedOptions options{.layers = parse_layers(layers, config), .level = Level::token, .truncate = truncate};
  read_as_model_says(options, loaded, sentences ? &*sentences : nullptr);
  if (sentences && !sentences->default_prompt.empty()) {
    options.prompt = sentences->prompt(sentences->default_prompt);
    if (!common.quiet)
      say("note   each text begins with the folder's prompt \"" + sentences->default_prompt + "\"");
  }
  TextEmbedder embedder(loaded.model, &loaded.tokenizer, options);

  // Of each use the mean of its tokens, and of each text one other token, for what all have in common.
  constexpr std::size_t kTexts = 256;
  constexpr int64_t kOthers = 1000;
  const std::size_t layer_count = embedder.layer_names().size();
  const int64_t width = config.n_embd;
  std::vector<std::vector<float>> found(layer_count), others(layer_count);
  std::vector<int64_t> kept;
  const Random random(1, stream_of("polysemy.others"));
  int64_t cut_off = 0, other_count = 0;
  for (std::size_t first = 0; first < input.uses.size(); first += kTexts) {
    std::vector<EmbedText> texts;
    for (std::size_t i = first; i < std::min(input.uses.size(), first + kTexts); ++i) {
      texts.emplace_back(input.uses[i].text);
      texts.back().name = input_path + ":" + std::to_string(input.uses[i].line);
    }
    const EmbeddingSet set = embedder.embed(texts, [&](int64_t done, int64_t) {
      stop_where_interrupted();
      if (!common.quiet) status("polysemy  " + std::to_string(static_cast<int64_t>(first) + done) + " texts");
    });
    for (std::size_t t = 0; t < texts.size(); ++t) {
      const Use& use = input.uses[first + t];
      std::vector<int64_t> own, rest;
      for (int64_t r = set.offsets[t]; r < set.offsets[t + 1]; ++r) {
        const RowInfo& row = set.rows[static_cast<std::size_t>(r)];
        if (row.start < use.end && row.end > use.begin && row.start < row.end) {
          own.push_back(r);
        } else if (row.word >= 0) {
          rest.push_back(r);
        }
      }
      if (own.empty()) {
        ++cut_off;
        continue;
      }
      kept.push_back(static_cast<int64_t>(first + t));
      const bool take_other = !rest.empty() && other_count < kOthers;
      const int64_t other = take_other ? rest[random.below(first + t, rest.size())] : 0;
      other_count += take_other ? 1 : 0;
      for (std::size_t l = 0; l < layer_count; ++l) {
        const float* layer = set.layers[l].data<float>();
        for (int64_t c = 0; c < width; ++c) {
          double sum = 0;
          for (const int64_t r : own) sum += static_cast<double>(layer[r * width + c]);
          found[l].push_back(static_cast<float>(sum / static_cast<double>(own.size())));
        }
        if (take_other) others[l].insert(others[l].end(), layer + other * width, layer + (other + 1) * width);
      }
    }
  }
  check_unchanged(loaded);
  const auto uses = std::ssize(kept);
  check_world(uses >= 2, input_path, ": '", word,
              "' must stand in two places or more that the model reads; it stands in ", uses);
  const auto rows = [&](const std::vector<float>& values) {
    return Tensor::from(std::span<const float>(values), {std::ssize(values) / width, width});
  };

  std::vector<int64_t> senses;
  std::vector<std::string> names;
  if (told) {
    std::map<std::string, int64_t> number_of;
    for (const int64_t i : kept) {
      const std::string& sense = input.uses[static_cast<std::size_t>(i)].sense;
      const auto [place, is_new] = number_of.emplace(sense, std::ssize(names));
      if (is_new) names.push_back(sense);
      senses.push_back(place->second);
    }
  } else {
    // At the last layer, where senses are furthest apart.
    const Tensor last = rows(found.back());
    const Clustering groups = k > 0 ? cluster_rows(last, {.k = k}) : cluster_rows_auto(last, {});
    senses = groups.of;
    for (int64_t g = 0; g < groups.centers.size(0); ++g) names.push_back("group " + std::to_string(g));
  }
  const bool parted = names.size() > 1;  // one sense alone has no other to be held against
  std::string text = word + "  " + std::to_string(uses) + " occurrences, " + std::to_string(names.size()) +
                     (told ? (parted ? " senses" : " sense")
                           : (parted ? " groups, taken for senses" : " group, taken for a sense")) +
                     "; the model sees " +
                     (config.causal ? "what stands before the word alone, not what comes after it"
                                    : "both sides of the word") +
                     "\n";
  text += "         within  between  itself  (all words)  silhouette  nearest has the sense\n";
  Json list = Json::array();
  for (std::size_t l = 0; l < layer_count; ++l) {
    const SenseFigures figures = judge_senses(rows(found[l]), senses, rows(others[l]));
    std::string name = embedder.layer_names()[l];
    const auto number = [](double value) { return value == value ? Json(value) : Json(); };
    list.push(Json::object()
                  .set("layer", name)
                  .set("within", number(figures.within))
                  .set("between", number(figures.between))
                  .set("self_similarity", figures.self_similarity)
                  .set("anisotropy", figures.anisotropy)
                  .set("self_similarity_corrected", figures.self_similarity - figures.anisotropy)
                  .set("silhouette", number(figures.silhouette))
                  .set("nearest_accuracy", figures.nearest_accuracy)
                  .set("most_frequent", figures.most_frequent));
    name.resize(std::max<std::size_t>(name.size(), 9), ' ');
    const auto shown = [](double value) { return value == value ? fixed(value, 3) : std::string("-    "); };
    text += name + shown(figures.within) + "   " + shown(figures.between) + "    " +
            fixed(figures.self_similarity, 3) + "   " + fixed(figures.anisotropy, 3) + "        " +
            shown(figures.silhouette) + "       " + fixed(100 * figures.nearest_accuracy, 1) +
            " % (the most frequent one alone " + fixed(100 * figures.most_frequent, 1) + " %)\n";
  }
  if (common.json) {
    Json senses_json = Json::array();
    for (std::size_t s = 0; s < names.size(); ++s)
      senses_json.push(Json::object()
                           .set("name", replace_invalid_utf8(names[s]))
                           .set("occurrences", static_cast<int64_t>(std::count(senses.begin(), senses.end(),
                                                                               static_cast<int64_t>(s)))));
    print_json(Json::object()
                   .set("word", replace_invalid_utf8(word))
                   .set("occurrences", static_cast<int64_t>(uses))
                   .set("sees_right_context", !config.causal)
                   .set("senses", senses_json)
                   .set("layers", list));
  } else {
    print_out(text);
  }
  flush_out();
  if (common.quiet) return 0;
  if (cut_off > 0)
    say("note   " + std::to_string(cut_off) +
        " occurrences left out: no token that was read stands for them");
  if (input.without > 0)
    say("note   " + std::to_string(input.without) + " texts without the word passed over");
  return 0;
}

}  // namespace gradus::tools
