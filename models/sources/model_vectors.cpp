#include "models/sources/model_vectors.hpp"

#include <algorithm>
#include <optional>
#include <span>

#include "models/transformer/contextual.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/sentence_folder.hpp"
#include "models/transformer/static_embedder.hpp"
#include "models/transformer/word_contexts.hpp"
#include "tensor/error.hpp"
#include "tensor/ops.hpp"

namespace gradus {
namespace {

constexpr int64_t kTextsAtOnce = 1024;

void tell(const SourceEvents& events, const std::string& note) {
  if (events.on_note) events.on_note(note);
}

double rate_of(int64_t part, int64_t all) {
  return static_cast<double>(part) / static_cast<double>(std::max<int64_t>(all, 1));
}

// A row a text, its name the text itself; `embed` makes the rows of some of them.
template <class Embed>
Vectors rows_of_texts(std::span<const std::string_view> texts, std::span<const std::string> names,
                      const SourceEvents& events, const Embed& embed) {
  Vectors vectors;
  std::vector<std::vector<Tensor>> layers;  // of each layer, part after part
  int64_t tokens = 0, unknown = 0, truncated = 0;
  for (std::size_t first = 0; first < texts.size(); first += kTextsAtOnce) {
    std::vector<EmbedText> some;
    for (std::size_t i = first; i < std::min(texts.size(), first + kTextsAtOnce); ++i) {
      some.emplace_back(texts[i]);
      if (i < names.size()) some.back().name = names[i];
      vectors.names.add(texts[i]);
    }
    const EmbeddingSet set = embed(some);
    tokens += set.tokens;
    unknown += set.unknown;
    truncated += set.truncated;
    layers.resize(set.layers.size());
    for (std::size_t l = 0; l < layers.size(); ++l) layers[l].push_back(set.layers[l]);
    vectors.layer_names = set.layer_names;
    if (events.on_progress) events.on_progress(vectors.rows(), std::ssize(texts));
  }
  for (const std::vector<Tensor>& parts : layers) vectors.layers.push_back(concat(parts, 0));
  vectors.unknown_rate = rate_of(unknown, tokens);
  if (truncated > 0) {
    vectors.notes.push_back(std::to_string(truncated) + " of " + std::to_string(texts.size()) +
                            " texts were cut to what the model can read");
  }
  return vectors;
}

Vectors static_vectors(const SentenceFolder& folder, const SourceOptions& options, const Corpus& corpus,
                       const SourceEvents& events) {
  check(options.layers.empty() || options.layers == "all" || options.layers == "0" || options.layers == "-1",
        "vectors: a static model has layer_0 alone; --layer asks for '", options.layers, "'");
  EmbedOptions reading{.level = options.level,
                       .parse_special = true,
                       .include_prompt = folder.include_prompt,
                       .truncate = options.truncate};
  if (options.level == Level::sentence) {
    if (!folder.default_prompt.empty()) reading.prompt = folder.prompt(folder.default_prompt);
    StaticEmbedder embedder(folder, reading);
    return rows_of_texts(corpus.training, corpus.names, events,
                         [&](const auto& texts) { return embedder.embed(texts); });
  }
  // A word has the same vector wherever it stands.
  StaticEmbedder embedder(folder, reading);
  Vectors vectors;
  std::vector<Tensor> rows;
  int64_t dropped = 0;
  for (const auto& [word, count] : frequent_words(corpus.training, WordTableOptions{}.min_count)) {
    const EmbedText text(word);
    const EmbeddingSet set = embedder.embed(std::span(&text, 1));
    if (set.rows.empty()) {
      ++dropped;
      continue;
    }
    vectors.names.add(word);
    vectors.counts.push_back(count);
    rows.push_back(slice(set.layers[0], 0, 0, 1));
  }
  vectors.layer_names = {"layer_0"};
  vectors.layers = {rows.empty() ? Tensor::zeros({0, embedder.width()}) : concat(rows, 0)};
  if (dropped > 0)
    vectors.notes.push_back(std::to_string(dropped) +
                            " frequent words have no row: no token stands for them");
  return vectors;
}

}  // namespace

Vectors vectors_of_model(const std::string& path, const SourceOptions& options, const Corpus& corpus,
                         const SourceEvents& events) {
  std::optional<SentenceFolder> sentences;
  std::string model_folder = path;
  if (is_sentence_folder(path)) {
    sentences = read_sentence_folder(path);
    model_folder = sentences->model_folder;
    if (sentences->static_model) {
      check(options.tokenizer_file.empty(),
            "vectors: a static model is a table and its own tokenizer; leave out --tokenizer");
      return static_vectors(*sentences, options, corpus, events);
    }
  }
  LanguageModel loaded = load_language_model(model_folder, true, options.tokenizer_file);
  if (!loaded.note.empty()) tell(events, loaded.note);
  const Config& config = loaded.model.config();
  const std::vector<int64_t> layers = parse_layers(options.layers.empty() ? "-1" : options.layers, config);
  Vectors vectors;
  if (options.level == Level::word) {
    // First, as it names the document of what cannot be read.
    vectors = make_word_table(loaded.model, loaded.tokenizer, corpus.training,
                              {.layers = layers, .add_special = loaded.add_special, .names = corpus.names},
                              events.on_progress);
    int64_t unknown = 0, tokens = 0;
    for (std::size_t i = 0; loaded.tokenizer.unknown_id() && i < corpus.training.size(); ++i) {
      const std::vector<int32_t> ids = loaded.tokenizer.encode(corpus.training[i]);
      unknown += count_unknown(loaded.tokenizer, ids);
      tokens += std::ssize(ids);
    }
    vectors.unknown_rate = rate_of(unknown, tokens);
  } else {
    EmbedOptions reading{.layers = layers, .level = Level::sentence, .truncate = options.truncate};
    if (sentences) {
      reading.sentences = &*sentences;
      if (!sentences->default_prompt.empty()) reading.prompt = sentences->prompt(sentences->default_prompt);
    }
    read_as_model_says(reading, loaded, sentences ? &*sentences : nullptr);
    TextEmbedder embedder(loaded.model, &loaded.tokenizer, reading);
    vectors = rows_of_texts(corpus.training, corpus.names, events,
                            [&](const std::vector<EmbedText>& texts) { return embedder.embed(texts); });
  }
  check_unchanged(loaded);
  return vectors;
}

}  // namespace gradus
