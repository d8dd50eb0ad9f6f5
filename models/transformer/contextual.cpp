#include "models/transformer/contextual.hpp"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <utility>

#include "models/embeddings/text_rows.hpp"
#include "models/transformer/files.hpp"
#include "models/transformer/sentence_folder.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/error.hpp"
#include "tensor/parallel.hpp"

namespace gradus {
namespace {

// The text's own tokens; an error begins with its name.
Encoding encoding_of(const Tokenizer& tokenizer, const EmbedText& text, std::string_view bytes,
                     const EncodeOptions& options, const std::string& name) {
  try {
    return tokenizer.encode_full(bytes, text.pair, options);
  } catch (const std::exception& error) {
    fail_world(name, ": ", error.what());
  }
}

// Tokens that go through the model at once, for each thread: the rows of more would leave the second-level cache between a
// layer and the next. MiniLM, one thread: 3 % faster than 4096 at once.
constexpr int64_t kTokensOfThread = 1024;

// Rows of x, one for each range, where rows [at, at + ranges) of `to` are.
void put_rows(const Tensor& to, int64_t at, const Tensor& rows) {
  if (rows.size(0) > 0) slice(to, 0, at, at + rows.size(0)).copy_from(rows);
}

}  // namespace

void read_as_model_says(EmbedOptions& options, LanguageModel& loaded, const SentenceFolder* sentences) {
  options.add_special = loaded.add_special;
  options.parse_special = loaded.parse_special;
  if (sentences == nullptr) return;
  const Config& config = loaded.model.config();
  check_width(*sentences, config.n_embd);
  options.include_prompt = sentences->include_prompt;
  if (sentences->lower_case && loaded.has_tokenizer) loaded.tokenizer = lower_cased(loaded.tokenizer);
  if (sentences->max_tokens > 0) options.max_tokens = std::min(sentences->max_tokens, config.block_size);
}

TextEmbedder::TextEmbedder(const Transformer& model, const Tokenizer* tokenizer, const EmbedOptions& options)
    : model_(model), tokenizer_(tokenizer), options_(options), layers_(options.layers) {
  const Config& config = model.config();
  check(config.dtype == DType::f32, "embed: the model must compute in f32; it computes in ",
        dtype_name(config.dtype));
  if (tokenizer) {
    check(has_vocabulary(*tokenizer, config),
          "embed: the tokenizer must have the model's vocabulary; it has ", tokenizer->vocab_size(),
          " tokens, the model ", config.vocab_size);
  }
  check(options.batch_tokens >= 1, "embed: a batch must have at least 1 token; it has ",
        options.batch_tokens);
  check(options.chunks.size >= 0 && options.chunks.overlap >= 0 &&
            (options.chunks.size == 0 ? options.chunks.overlap == 0
                                      : options.chunks.overlap < options.chunks.size),
        "embed: parts must be longer than what two share; they have ", options.chunks.size,
        " tokens and share ", options.chunks.overlap);
  check(!options.logits || config.head != HeadKind::none,
        "embed: the model must have an output layer to give scores for tokens; it has none");
  check(options.max_tokens >= 0 && options.max_tokens <= config.block_size,
        "embed: a text must be read in at most the model's ", config.block_size, " positions; ",
        options.max_tokens, " are asked for");
  if (layers_.empty()) layers_ = parse_layers("all", config);
  computed_ = layers_;
  if (options.logits && computed_.back() != config.last_layer()) computed_.push_back(config.last_layer());
  for (const int64_t layer : layers_) {
    layer_names_.push_back(layer_name(layer, config.n_layer));
    const bool whole = is_sentence() && layer == config.last_layer();
    widths_.push_back(whole ? sentence_width(*options_.sentences) : pooled_width());
    if (layer >= 1 && layer <= config.n_layer) blocks_.push_back(layer);
  }
  check(!blocks_.empty() || !(options.heads || options.maps),
        "embed: attention is of a block; of the layers asked for, none leaves one; name one from 1 to ",
        config.n_layer);

  const int64_t narrowest = *std::min_element(widths_.begin(), widths_.end());
  check(options.truncate_width >= 0 && options.truncate_width <= narrowest,
        "embed: layers must be cut to at most their ", narrowest, " channels; ", options.truncate_width,
        " are asked for");

  limit_ = options.max_tokens > 0 ? options.max_tokens : config.block_size;
  limit_name_ = limit_ < config.block_size ? "max_seq_length" : "block_size";
  if (tokenizer) {
    const AddedAround added = options.add_special ? tokenizer->added_around() : AddedAround{};
    const auto beside = static_cast<int64_t>(added.before.size() + added.after.size());
    if (!options.prompt.empty() && !options.include_prompt) {
      const std::vector<int32_t> ids = tokenizer->encode(
          options.prompt,
          {.special_tokens = options.parse_special, .add_special = options.add_special, .whole = true});
      prompt_tokens_ = prompt_length(ids, *tokenizer);
    }
    check(limit_ > beside, "embed: ", limit_name_,
          " must leave room beside the tokens that the tokenizer adds; it is ", limit_);
    check(options.chunks.size + beside <= limit_, "embed: a part must fit in the ", limit_,
          " tokens that the model reads at once; it has ", options.chunks.size, " and the ", beside,
          " that are added");
  }
}

bool TextEmbedder::is_sentence() const { return options_.sentences && options_.level == Level::sentence; }

int64_t TextEmbedder::pooled_width() const {
  const int64_t ways = is_sentence() ? std::ssize(options_.sentences->pooling) : 1;
  return model_.config().n_embd * ways;
}

int64_t TextEmbedder::width() const {
  return options_.truncate_width > 0 ? options_.truncate_width : widths_.back();
}

std::string TextEmbedder::name_of(const EmbedText& text, int64_t number) const {
  return text.name.empty() ? "text " + std::to_string(number) : text.name;
}

TokenSequence TextEmbedder::sequence_of_ids(const EmbedText& text, int64_t number) const {
  const Config& config = model_.config();
  const std::string name = name_of(text, number);
  check(options_.level != Level::word, "embed: words are found in texts; ", name,
        " has ids; ask for tokens or sentences");
  check_world(std::ssize(text.ids) <= limit_, name, ": a text must have at most ", limit_, " tokens; it has ",
              text.ids.size(), " ids, which are not cut");
  check_world(text.segments.empty() || text.segments.size() == text.ids.size(), name,
              ": there must be a segment for each of ", text.ids.size(), " ids; there are ",
              text.segments.size());
  check_world(text.segments.empty() || config.n_segment > 0, name,
              ": segments must not be given to a model without segment embeddings; they are");
  TokenSequence sequence;
  sequence.number = number;
  sequence.segments = text.segments;
  for (size_t i = 0; i < text.ids.size(); ++i) {
    const int32_t id = text.ids[i];
    check_world(id >= 0 && id < config.vocab_size, name, ": ids must be in [0, ", config.vocab_size - 1,
                "]; number ", i, " is ", id);
    const int32_t segment = text.segments.empty() ? 0 : text.segments[i];
    check_world(segment >= 0 && (text.segments.empty() || segment < config.n_segment), name,
                ": segments must be in [0, ", config.n_segment - 1, "]; number ", i, " is ", segment);
    sequence.tokens.push_back({id, 0, 0});
  }
  return sequence;
}

TokenSequence TextEmbedder::sequence_of_pair(const EmbedText& text, int64_t number,
                                             int64_t& truncated) const {
  const std::string name = name_of(text, number);
  check_world(options_.chunks.size == 0, name,
              ": a pair cannot be read in parts; leave out the pair, or the parts");
  check_world(options_.prompt.empty(), name, ": a prompt stands before single texts; this is a pair");
  EncodeOptions options{
      .special_tokens = options_.parse_special, .add_special = options_.add_special, .whole = true};
  Encoding found = encoding_of(*tokenizer_, text, text.text, options, name);
  if (std::ssize(found.ids) > limit_) {
    check(options_.truncate, "embed: a text must have at most ", limit_, " tokens; ", name, " has ",
          found.ids.size(), "; split it, or have it cut off there (truncate)");
    options.max_length = limit_;
    found = encoding_of(*tokenizer_, text, text.text, options, name);
    ++truncated;
  }
  TokenSequence sequence;
  sequence.number = number;
  sequence.text = text.text;
  sequence.pair_text = *text.pair;
  for (size_t i = 0; i < found.ids.size(); ++i) {
    const bool of_text = found.sequence[i] >= 0 && found.special[i] == 0;
    sequence.tokens.push_back(of_text ? TokenSpan{found.ids[i], found.offsets[i].begin, found.offsets[i].end}
                                      : TokenSpan{found.ids[i], 0, 0});
    sequence.texts.push_back(of_text ? found.sequence[i] : int8_t{-1});
    sequence.segments.push_back(found.type_ids[i]);
  }
  const Config& config = model_.config();
  if (config.n_segment == 0) sequence.segments.clear();
  for (const int32_t segment : sequence.segments) {
    check_world(segment < config.n_segment, name, ": the tokenizer calls a segment ", segment,
                ", but the model knows ", config.n_segment);
  }
  return sequence;
}

// A text comes to one sequence, or to its parts.
void TextEmbedder::add_sequences(const EmbedText& text, int64_t number, std::vector<TokenSequence>& sequences,
                                 int64_t& truncated) const {
  const std::string name = name_of(text, number);
  if (!text.ids.empty()) {
    sequences.push_back(sequence_of_ids(text, number));
    return;
  }
  check(tokenizer_, "embed: a text needs the model's tokenizer; there is none; give ids instead of ", name);
  if (text.pair) {
    sequences.push_back(sequence_of_pair(text, number, truncated));
    return;
  }
  const AddedAround added = options_.add_special ? tokenizer_->added_around() : AddedAround{};
  const std::string joined =
      options_.prompt.empty() ? std::string() : options_.prompt + std::string(text.text);
  const Encoding found = encoding_of(*tokenizer_, text, options_.prompt.empty() ? text.text : joined,
                                     {.special_tokens = options_.parse_special, .whole = true}, name);
  // Where the text's own tokens begin, behind those of the prompt; one that holds bytes of both is the text's.
  const auto behind = static_cast<int64_t>(options_.prompt.size());
  size_t first = 0;
  while (first < found.ids.size() && behind > 0 && found.offsets[first].end <= behind) ++first;
  const auto own = std::ssize(found.ids) - static_cast<int64_t>(first);
  const auto beside = static_cast<int64_t>(added.before.size() + first + added.after.size());
  check(own + beside >= 1, "embed: a text must have at least one token; ", name, " has none; leave it out");
  const int64_t room = limit_ - beside;
  int64_t size = own, step = own;
  if (options_.chunks.size > 0) {
    size = options_.chunks.size;
    step = size - options_.chunks.overlap;
    check_world(size <= room, name, ": a part must fit in the ", limit_,
                " tokens that the model reads at once; it has ", size, " and ", beside, " beside them");
  } else if (own > room) {
    check(options_.truncate, "embed: a text must have at most ", limit_name_, " tokens; ", name, " has ",
          own + beside, ", ", limit_name_, " is ", limit_, "; split it, or have it cut off there (truncate)");
    check_world(room >= 1, name, ": the prompt must leave room for a token of the text; it takes ", beside,
                " of ", limit_);
    size = room;
    ++truncated;
  }
  for (int64_t begin = 0, chunk = 0;; begin += step, ++chunk) {
    TokenSequence sequence;
    sequence.number = number;
    sequence.text = text.text;
    if (options_.chunks.size > 0) sequence.chunk = chunk;
    for (const int32_t id : added.before) sequence.tokens.push_back({id, 0, 0});
    for (size_t i = 0; i < first; ++i) sequence.tokens.push_back({found.ids[i], 0, 0});
    sequence.prompt = prompt_tokens_;
    const int64_t end = std::min(begin + size, own);
    for (int64_t i = begin; i < end; ++i) {
      const TextRange& range = found.offsets[first + static_cast<size_t>(i)];
      sequence.tokens.push_back({found.ids[first + static_cast<size_t>(i)],
                                 std::max<int64_t>(0, range.begin - behind), range.end - behind});
    }
    const int64_t after = static_cast<int64_t>(text.text.size());
    for (const int32_t id : added.after) sequence.tokens.push_back({id, after, after});
    sequences.push_back(std::move(sequence));
    if (end == own || options_.chunks.size == 0) return;
  }
}

// The layers of some sequences in one forward pass.
void TextEmbedder::read(std::span<const TokenSequence* const> batch, std::span<const EmbedText> texts,
                        int64_t first_text, std::vector<Tensor>& states, AttentionRecord& record) const {
  const NoGrad no_grad_here;
  std::vector<int32_t> ids, segments;
  std::vector<int64_t> lengths;
  const bool told =
      std::any_of(batch.begin(), batch.end(), [](const auto* s) { return !s->segments.empty(); });
  for (const TokenSequence* sequence : batch) {
    for (const TokenSpan& token : sequence->tokens) ids.push_back(token.id);
    if (told) {
      segments.insert(segments.end(), sequence->segments.begin(), sequence->segments.end());
      segments.resize(ids.size(), 0);
    }
    lengths.push_back(std::ssize(sequence->tokens));
  }
  Context context = Context::of_lengths(lengths);
  const auto rows = std::ssize(ids);
  if (told) context.segments = Tensor::from(segments, {rows});
  record.heads = options_.heads;
  record.maps = options_.maps;
  if (record.heads || record.maps) context.record = &record;
  states = model_.hidden_states(Tensor::from(ids, {rows}), context, computed_);

  const int64_t width = model_.config().n_embd;
  for (size_t l = 0; l < states.size(); ++l) {
    // Before they are pooled: the largest of some numbers hides what is none.
    const int64_t bad = first_non_finite(states[l]);
    if (bad < 0) continue;
    size_t at = 0;
    for (int64_t left = bad / width; left >= lengths[at]; ++at) left -= lengths[at];
    const int64_t number = batch[at]->number;
    fail_world("embed: vectors must be finite; at ", layer_name(computed_[l], model_.config().n_layer),
               " that of ", name_of(texts[static_cast<size_t>(number - first_text)], number),
               " is not; the model's weights are damaged, or its training diverged");
  }
}

EmbeddingSet TextEmbedder::embed(std::span<const EmbedText> texts, const ProgressFn& progress) {
  const Config& config = model_.config();
  EmbeddingSet set;
  set.level = options_.level;
  set.pooling = options_.pooling;
  if (is_sentence()) set.poolings = names_of(options_.sentences->pooling);
  set.normalized = options_.normalize || (is_sentence() && options_.sentences->normalizes());
  set.offsets.push_back(0);
  set.layer_names = layer_names_;

  // All rows are laid out before the model runs: a bad text shows before the work, and the arrays are made once.
  const int64_t first_text = next_text_;
  std::vector<TokenSequence> sequences;
  for (size_t i = 0; i < texts.size(); ++i)
    add_sequences(texts[i], first_text + static_cast<int64_t>(i), sequences, set.truncated);
  next_text_ += std::ssize(texts);
  const int32_t unknown = tokenizer_ ? tokenizer_->unknown_id().value_or(-1) : -1;
  std::vector<RowRange> ranges;  // of each row, counted in its own sequence
  for (const TokenSequence& sequence : sequences) {
    TextRows rows = lay_out_rows(sequence, options_.level, tokenizer_);
    set.dropped_words += rows.dropped_words;
    set.tokens += std::ssize(sequence.tokens);
    for (const TokenSpan& token : sequence.tokens) set.unknown += token.id == unknown;
    std::move(rows.rows.begin(), rows.rows.end(), std::back_inserter(set.rows));
    ranges.insert(ranges.end(), rows.tokens.begin(), rows.tokens.end());
    set.offsets.push_back(std::ssize(set.rows));
    const auto length = std::ssize(sequence.tokens);
    set.map_offsets.push_back(set.map_offsets.back() + (options_.maps ? config.n_head * length * length : 0));
  }
  const auto rows = std::ssize(set.rows);
  const auto array = [&](int64_t columns) { return Tensor::empty({rows, columns}); };
  for (const int64_t columns : widths_) set.layers.push_back(array(columns));
  if (options_.logits) set.others.push_back({"logits", array(config.vocab_size)});
  for (const int64_t block : blocks_) {
    const std::string number = std::to_string(block);
    if (options_.heads)
      set.others.push_back({"heads_" + number, array(config.n_head * config.channels_per_head())});
    if (options_.maps) set.maps.push_back({"attention_" + number, Tensor::empty({set.map_offsets.back()})});
  }

  // Sequences of like length go together; each row has its place already.
  std::vector<size_t> order(sequences.size());
  std::iota(order.begin(), order.end(), size_t{0});
  const auto length_of = [&](size_t i) { return std::ssize(sequences[i].tokens); };
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return length_of(a) > length_of(b); });
  const int64_t most_tokens = std::min(options_.batch_tokens, kTokensOfThread * thread_count());
  for (size_t begin = 0, end = 0; begin < order.size(); begin = end) {
    int64_t tokens = 0;
    while (end < order.size() && (end == begin || tokens + length_of(order[end]) <= most_tokens))
      tokens += length_of(order[end++]);
    std::vector<const TokenSequence*> batch;
    std::vector<RowRange> of_batch;  // of each row of the batch, the tokens
    std::vector<int64_t> first_row;  // in the batch, of each sequence
    int64_t base = 0;                // the sequence's first token in the batch
    for (size_t k = begin; k < end; ++k) {
      const size_t i = order[k];
      batch.push_back(&sequences[i]);
      first_row.push_back(std::ssize(of_batch));
      for (int64_t r = set.offsets[i]; r < set.offsets[i + 1]; ++r) {
        const RowRange& range = ranges[static_cast<size_t>(r)];
        of_batch.push_back({base + range.begin, base + range.end, range.skipped});
      }
      base += length_of(i);
    }
    first_row.push_back(std::ssize(of_batch));
    std::vector<Tensor> states;
    AttentionRecord record;
    read(batch, texts, first_text, states, record);

    const auto put = [&](const Tensor& to, const Tensor& pooled) {
      for (size_t k = begin; k < end; ++k) {
        const size_t j = k - begin;
        put_rows(to, set.offsets[order[k]], slice(pooled, 0, first_row[j], first_row[j + 1]));
      }
    };
    const auto place = [&](const Tensor& to, const Tensor& of_tokens) {
      // A token is a range of one row, of which the last is that row itself.
      const Pooling pooling = is_pooled(options_.level) ? options_.pooling : Pooling::last;
      if (!of_batch.empty()) put(to, pool_rows(of_tokens, of_batch, pooling));
    };
    for (size_t l = 0; l < layers_.size(); ++l) {
      if (!is_sentence()) {
        place(set.layers[l], states[l]);
      } else if (!of_batch.empty()) {
        const NoGrad no_grad_here;
        const bool last = layers_[l] == config.last_layer();
        put(set.layers[l], sentence_vectors(*options_.sentences, states[l], of_batch, last));
      }
    }
    size_t other = 0, map = 0;
    if (options_.logits) {
      const NoGrad no_grad_here;
      place(set.others[other++].values, model_.logits(states.back()));
    }
    for (const int64_t block : blocks_) {
      const auto b = static_cast<size_t>(block - 1);
      if (options_.heads) place(set.others[other++].values, record.head[b]);
      if (!options_.maps) continue;
      const float* from = record.map[b].data<float>();
      float* to = set.maps[map++].values.mutable_data<float>();
      for (size_t k = begin; k < end; ++k) {
        const int64_t size = set.map_offsets[order[k] + 1] - set.map_offsets[order[k]];
        std::copy_n(from, size, to + set.map_offsets[order[k]]);
        from += size;
      }
    }
    if (progress) progress(static_cast<int64_t>(end * texts.size() / order.size()), std::ssize(texts));
  }
  for (Tensor& layer : set.layers) {
    if (options_.truncate_width > 0) layer = slice(layer, 1, 0, options_.truncate_width).clone();
    if (options_.normalize && layer.size(0) > 0) layer = normalize_rows(layer);
  }
  return set;
}

EmbeddingSet embed_texts(const Transformer& model, const Tokenizer& tokenizer,
                         std::span<const EmbedText> texts, const EmbedOptions& options,
                         const ProgressFn& progress) {
  return TextEmbedder(model, &tokenizer, options).embed(texts, progress);
}

EmbeddingSet embed_texts(const Transformer& model, const Tokenizer& tokenizer,
                         std::span<const std::string_view> texts, const EmbedOptions& options,
                         const ProgressFn& progress) {
  const std::vector<EmbedText> list(texts.begin(), texts.end());
  return embed_texts(model, tokenizer, std::span(list), options, progress);
}

}  // namespace gradus
