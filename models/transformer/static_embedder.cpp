#include "models/transformer/static_embedder.hpp"

#include <algorithm>

#include "models/embeddings/text_rows.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/error.hpp"

namespace gradus {

StaticEmbedder::StaticEmbedder(const SentenceFolder& folder, const EmbedOptions& options)
    : folder_(folder), options_(options) {
  check(folder.static_model.has_value(), "embed: the folder must hold a static model; it does not");
  check(!options.logits && !options.heads && !options.maps,
        "embed: a static model has no blocks and no output layer: scores, heads and maps are not there");
  check(options.chunks.size == 0, "embed: a static model reads texts whole; leave out the parts");
  check(options.layers.empty() || (options.layers.size() == 1 && options.layers[0] == 0),
        "embed: a static model has layer_0 alone");
  check(options.truncate_width >= 0 && options.truncate_width <= sentence_width(folder),
        "embed: layers must be cut to at most their ", sentence_width(folder), " channels; ",
        options.truncate_width, " are asked for");
}

int64_t StaticEmbedder::width() const {
  if (options_.truncate_width > 0) return options_.truncate_width;
  return options_.level == Level::sentence ? sentence_width(folder_) : folder_.width;
}

EmbeddingSet StaticEmbedder::embed(std::span<const EmbedText> texts) {
  const NoGrad no_grad_here;
  const StaticModel& model = *folder_.static_model;
  EmbeddingSet set;
  set.level = options_.level;
  set.pooling = folder_.pooling.front();
  set.normalized = options_.normalize || (options_.level == Level::sentence && folder_.normalizes());
  set.layer_names = {"layer_0"};
  set.offsets.push_back(0);
  std::vector<int32_t> ids;
  std::vector<RowRange> ranges;  // of each row, the tokens
  for (const EmbedText& text : texts) {
    const int64_t number = next_text_++;
    const std::string name = text.name.empty() ? "text " + std::to_string(number) : text.name;
    check_world(!text.pair, name, ": a static model reads single texts; this is a pair");
    check_world(text.segments.empty(), name, ": a static model knows no segments; there are some");
    TokenSequence sequence;
    sequence.number = number;
    sequence.text = text.text;
    if (!text.ids.empty()) {
      for (const int32_t id : text.ids) {
        check_world(id >= 0 && id < model.tokenizer.vocab_size(), name, ": ids must be in [0, ",
                    model.tokenizer.vocab_size() - 1, "]; one is ", id);
        sequence.tokens.push_back({id, 0, 0});
      }
    } else {
      const auto behind = static_cast<int64_t>(options_.prompt.size());
      StaticTokens read;
      try {
        read = model.tokens(options_.prompt + std::string(text.text), options_.parse_special);
      } catch (const std::exception& error) {
        fail_world(name, ": ", error.what());
      }
      check(!read.truncated || options_.truncate, "embed: a text must be no longer than the model reads; ",
            name, " has ", read.total, " tokens; split it, or have it cut off there (truncate)");
      set.truncated += read.truncated;
      for (TokenSpan& span : read.spans) {
        span.begin = std::max<int64_t>(0, span.begin - behind);
        span.end = std::max<int64_t>(0, span.end - behind);
        sequence.tokens.push_back(span);
      }
    }
    const auto base = std::ssize(ids);
    for (const TokenSpan& token : sequence.tokens) ids.push_back(token.id);
    TextRows rows = lay_out_rows(sequence, options_.level, &model.tokenizer);
    for (const RowRange& range : rows.tokens) ranges.push_back({base + range.begin, base + range.end});
    std::move(rows.rows.begin(), rows.rows.end(), std::back_inserter(set.rows));
    set.offsets.push_back(std::ssize(set.rows));
    set.map_offsets.push_back(0);
    set.dropped_words += rows.dropped_words;
    set.tokens += std::ssize(sequence.tokens);
  }
  const Tensor rows = model.rows(ids);
  Tensor layer;
  if (options_.level == Level::sentence) {
    layer = sentence_vectors(folder_, rows, ranges, true);
  } else if (ranges.empty()) {
    layer = Tensor::zeros({0, folder_.width});
  } else {
    layer = pool_rows(rows, ranges, options_.level == Level::word ? options_.pooling : Pooling::last);
  }
  if (options_.truncate_width > 0) layer = slice(layer, 1, 0, options_.truncate_width).clone();
  if (options_.normalize && layer.size(0) > 0) layer = normalize_rows(layer);
  set.layers = {layer};
  return set;
}

}  // namespace gradus
