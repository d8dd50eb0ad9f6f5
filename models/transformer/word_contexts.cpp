#include "models/transformer/word_contexts.hpp"

#include <algorithm>
#include <cstring>
#include <unordered_map>

#include "models/embeddings/text_rows.hpp"
#include "models/transformer/files.hpp"
#include "tensor/autodiff.hpp"
#include "tensor/parallel.hpp"
#include "tokenizer/text/words.hpp"

namespace gradus {
namespace {

struct Span {
  int64_t begin;
  int64_t end;
};

// The given layers of several token sequences in one forward pass.
std::vector<Tensor> read_together(const Transformer& model,
                                  std::span<const std::span<const int32_t>> sequences,
                                  std::span<const int64_t> layers) {
  const NoGrad no_grad_here;
  std::vector<int32_t> ids;
  std::vector<int64_t> lengths;
  for (const std::span<const int32_t> sequence : sequences) {
    ids.insert(ids.end(), sequence.begin(), sequence.end());
    lengths.push_back(static_cast<int64_t>(sequence.size()));
  }
  const auto rows = static_cast<int64_t>(ids.size());
  return model.hidden_states(Tensor::from(ids, {rows}), Context::of_lengths(lengths), layers);
}

// Groups of neighbouring sequences with at most `budget` tokens, or of one.
std::vector<Span> batches(std::span<const std::span<const int32_t>> sequences, int64_t budget) {
  std::vector<Span> groups;
  int64_t tokens = 0;
  for (int64_t i = 0; i < static_cast<int64_t>(sequences.size()); ++i) {
    const auto length = static_cast<int64_t>(sequences[static_cast<size_t>(i)].size());
    if (groups.empty() || tokens + length > budget) {
      groups.push_back({i, i});
      tokens = 0;
    }
    groups.back().end = i + 1;
    tokens += length;
  }
  return groups;
}

void check_model(const Transformer& model, const Tokenizer& tokenizer, int64_t batch_tokens) {
  const Config& config = model.config();
  check(config.dtype == DType::f32, "embed: the model must compute in f32; it computes in ",
        dtype_name(config.dtype));
  check(has_vocabulary(tokenizer, config), "embed: the tokenizer must have the model's vocabulary; it has ",
        tokenizer.vocab_size(), " tokens, the model ", config.vocab_size);
  check(batch_tokens >= 1, "embed: a batch must have at least 1 token; it has ", batch_tokens);
}

// The tokens of a text, all of them; an error begins with the text's name.
std::vector<TokenSpan> spans_of(const Tokenizer& tokenizer, std::string_view text, const std::string& name) {
  try {
    return tokenizer.encode_spans(text, {.whole = true});
  } catch (const std::exception& error) {
    fail_world(name, ": ", error.what());
  }
}

// Puts the tokens that the tokenizer adds around those of a text.
void surround(std::vector<TokenSpan>& spans, const AddedAround& added, std::string_view text) {
  const auto end = static_cast<int64_t>(text.size());
  std::vector<TokenSpan> all;
  all.reserve(spans.size() + added.before.size() + added.after.size());
  for (const int32_t id : added.before) all.push_back({id, 0, 0});
  all.insert(all.end(), spans.begin(), spans.end());
  for (const int32_t id : added.after) all.push_back({id, end, end});
  spans = std::move(all);
}

std::vector<int32_t> ids_of(std::span<const TokenSpan> spans) {
  std::vector<int32_t> ids;
  ids.reserve(spans.size());
  for (const TokenSpan& span : spans) ids.push_back(span.id);
  return ids;
}

// A token whose vector counts, with this weight, for a word.
struct Share {
  int64_t token;  // in its document
  int64_t word;   // row of the table
  double weight;  // 1 / tokens of the occurrence
};

struct Document {
  std::vector<int32_t> ids;
  std::vector<Share> shares;  // by ascending token
};

// A window of a document that some word needs.
struct Window {
  const Document* document;
  int64_t begin;
  int64_t end;
};

std::string_view bytes_of(std::string_view text, const WordSpan& word) {
  return text.substr(static_cast<size_t>(word.begin), static_cast<size_t>(word.end - word.begin));
}

}  // namespace

std::vector<std::pair<std::string_view, int64_t>> frequent_words(std::span<const std::string_view> documents,
                                                                 int64_t min_count) {
  std::unordered_map<std::string_view, int64_t> counts;
  for (const std::string_view text : documents) {
    for (const WordSpan& word : find_words(text)) ++counts[bytes_of(text, word)];
  }
  std::vector<std::pair<std::string_view, int64_t>> chosen;
  for (const auto& entry : counts) {
    if (entry.second >= min_count) chosen.push_back(entry);
  }
  std::sort(chosen.begin(), chosen.end(), [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  return chosen;
}

Vectors make_word_table(const Transformer& model, const Tokenizer& tokenizer,
                        std::span<const std::string_view> documents, const WordTableOptions& options,
                        const ProgressFn& progress) {
  check_model(model, tokenizer, options.batch_tokens);
  check(options.min_count >= 1 && options.occurrences >= 1,
        "word table: min_count and occurrences must be at least 1; they are ", options.min_count, " and ",
        options.occurrences);
  const int64_t block_size = model.config().block_size;
  const std::vector<std::pair<std::string_view, int64_t>> words_of_table =
      frequent_words(documents, options.min_count);

  // Which occurrences count, and in which windows they stand.
  std::unordered_map<std::string_view, int64_t> row_of;
  for (size_t w = 0; w < words_of_table.size(); ++w)
    row_of.emplace(words_of_table[w].first, static_cast<int64_t>(w));
  std::vector<int64_t> used(words_of_table.size(), 0);
  std::vector<Document> read(documents.size());
  std::vector<Window> windows;
  const std::vector<int32_t> before =
      options.add_special ? tokenizer.added_around().before : std::vector<int32_t>{};
  for (size_t d = 0; d < documents.size(); ++d) {
    std::vector<TokenSpan> spans =
        spans_of(tokenizer, documents[d],
                 d < options.names.size() ? options.names[d] : "document " + std::to_string(d));
    surround(spans, {before, {}}, documents[d]);
    const std::vector<WordSpan> words = find_words(documents[d]);
    const std::vector<RowRange> ranges = align_words(words, spans);
    Document& document = read[d];
    document.ids = ids_of(spans);
    const auto tokens = static_cast<int64_t>(spans.size());
    for (size_t i = 0; i < words.size(); ++i) {
      const auto found = row_of.find(bytes_of(documents[d], words[i]));
      if (found == row_of.end() || used[static_cast<size_t>(found->second)] == options.occurrences) continue;
      if (ranges[i].begin == ranges[i].end) continue;
      ++used[static_cast<size_t>(found->second)];
      const double weight = 1.0 / static_cast<double>(ranges[i].end - ranges[i].begin);
      for (int64_t t = ranges[i].begin; t < ranges[i].end; ++t) {
        document.shares.push_back({t, found->second, weight});
        const int64_t begin = t / block_size * block_size;
        if (windows.empty() || windows.back().document != &document || windows.back().begin < begin) {
          windows.push_back({&document, begin, std::min(begin + block_size, tokens)});
        }
      }
    }
  }

  const int64_t width = model.config().n_embd;
  const auto rows = std::ssize(words_of_table);
  std::vector<int64_t> layers = options.layers;
  if (layers.empty()) layers = parse_layers("all", model.config());
  std::vector<std::vector<double>> sums(layers.size(),
                                        std::vector<double>(static_cast<size_t>(rows * width), 0.0));
  std::vector<std::span<const int32_t>> sequences;
  for (const Window& window : windows) {
    sequences.push_back(
        std::span(window.document->ids)
            .subspan(static_cast<size_t>(window.begin), static_cast<size_t>(window.end - window.begin)));
  }
  for (const Span group : batches(sequences, options.batch_tokens)) {
    const auto first = static_cast<size_t>(group.begin);
    const auto count = static_cast<size_t>(group.end - group.begin);
    const std::vector<Tensor> states =
        read_together(model, std::span(sequences).subspan(first, count), layers);
    // Layer by layer on its own, each in the order of the text.
    parallel_for(static_cast<int64_t>(layers.size()), [&](int64_t l) {
      const float* state = states[static_cast<size_t>(l)].data<float>();
      double* sum = sums[static_cast<size_t>(l)].data();
      for (size_t i = first; i < first + count; ++i) {
        const Window& window = windows[i];
        const std::vector<Share>& shares = window.document->shares;
        auto share = std::lower_bound(shares.begin(), shares.end(), window.begin,
                                      [](const Share& s, int64_t begin) { return s.token < begin; });
        for (; share != shares.end() && share->token < window.end; ++share) {
          const float* x = state + (share->token - window.begin) * width;
          double* y = sum + share->word * width;
          for (int64_t c = 0; c < width; ++c) y[c] += share->weight * static_cast<double>(x[c]);
        }
        state += (window.end - window.begin) * width;
      }
    });
    if (progress) progress(group.end, static_cast<int64_t>(windows.size()));
  }

  // Words that no token stands for have no vector, and no row.
  Vectors table;
  std::vector<int64_t> kept;
  for (int64_t w = 0; w < rows; ++w) {
    if (used[static_cast<size_t>(w)] == 0) continue;
    kept.push_back(w);
    table.names.add(words_of_table[static_cast<size_t>(w)].first);
    table.counts.push_back(words_of_table[static_cast<size_t>(w)].second);
  }
  for (size_t l = 0; l < layers.size(); ++l) {
    table.layer_names.push_back(layer_name(layers[l], model.config().n_layer));
    Tensor layer = Tensor::empty({std::ssize(kept), width});
    float* y = layer.mutable_data<float>();
    for (const int64_t w : kept) {
      const double* sum = sums[l].data() + w * width;
      for (int64_t c = 0; c < width; ++c)
        *y++ = static_cast<float>(sum[c] / static_cast<double>(used[static_cast<size_t>(w)]));
    }
    const int64_t bad = first_non_finite(layer);
    check_world(bad < 0, "word table: vectors must be finite; at ", table.layer_names.back(), " that of '",
                bad < 0 ? std::string_view() : table.names[bad / width],
                "' is not; the model's weights are damaged, or its training diverged");
    table.layers.push_back(layer);
  }
  if (const int64_t dropped = rows - std::ssize(kept); dropped > 0) {
    table.notes.push_back(std::to_string(dropped) +
                          " frequent words have no row: no token stands for them, as of characters that the "
                          "tokenizer leaves out");
  }
  return table;
}

}  // namespace gradus
