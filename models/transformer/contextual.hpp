#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "models/embeddings/embedding_set.hpp"
#include "models/transformer/transformer.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

struct AttentionRecord;
struct TokenSequence;

/// What is read by itself, from position 0: a text, two that belong together, or their ids.
struct EmbedText {
  EmbedText() = default;
  EmbedText(std::string_view given) : text(given) {}

  std::string_view text;
  std::optional<std::string_view> pair;
  std::vector<int32_t> ids;       ///< instead of a text: read as they are, nothing added or cut
  std::vector<int32_t> segments;  ///< of the ids; empty: all 0
  std::string name;               ///< what errors call it; where empty, "text 0" and so on
};

/// A long text is read in parts of `size` of its tokens, of which each has the last `overlap` of the part before; the tokens
/// that the tokenizer adds, and a prompt, come on top of each.
struct Chunks {
  int64_t size = 0;  ///< 0: texts are read whole
  int64_t overlap = 0;
};

struct SentenceFolder;

struct EmbedOptions {
  std::vector<int64_t> layers = {};  ///< as hidden_states() takes them: ascending; empty: all
  Level level = Level::token;
  Pooling pooling = Pooling::mean;  ///< of a word's or sentence's tokens; token level has none
  /// How a text becomes one vector at sentence level, instead of `pooling`; it must live as long as what is made with the
  /// options. Of the last layer all that the folder says is done, others are pooled and normalised as it says.
  const SentenceFolder* sentences = nullptr;
  /// Whether the special tokens that the tokenizer adds stand around each text. At token level they are rows with start =
  /// end and word -1, of words they are no part, in a sentence's vector they count.
  bool add_special = false;
  /// Whether the text of a special token, such as `[MASK]`, is that token, as in the libraries; see EncodeOptions.
  bool parse_special = false;
  /// Put before each text, in one piece with it. Its tokens are rows with start = end = 0 and word -1.
  std::string prompt = {};
  /// Whether the tokens up to the prompt's end count in pooling; see prompt_length() for which these are.
  bool include_prompt = true;
  int64_t max_tokens = 0;  ///< of a text, those added included; 0: as many as the model has positions
  /// Whether a text of more tokens is cut to its first ones, and counted; else it is an error.
  bool truncate = false;
  Chunks chunks = {};
  int64_t truncate_width = 0;  ///< layers are cut to their first channels; 0: they are not
  bool normalize = false;      ///< each row of the layers is brought to length 1, after that
  bool logits = false;         ///< scores of the tokens, pooled like a layer
  bool heads = false;          ///< what the heads of the blocks wanted found, pooled like a layer
  bool maps = false;           ///< and the weights that they gave
  /// The most tokens read at once, at least one text: bounds the memory and changes no bit. No more than 1024 for each
  /// thread are taken, which fit the caches.
  int64_t batch_tokens = 4096;
};

struct LanguageModel;

/// Sets what the model and, where there is one, its folder of sentences say of how texts are read: special tokens, letters' case,
/// what counts of a prompt, the longest text. An error unless the folder's vectors are as wide as the model's.
void read_as_model_says(EmbedOptions& options, LanguageModel& loaded, const SentenceFolder* sentences);

/// Makes vectors of texts with a model: of each token, or of each word or text by pooling. A row's bits depend on its own
/// text alone, not on its neighbours in the list or the batch.
/// note: model and tokenizer must outlive it. `tokenizer` may be nullptr where only ids are given.
/// note: a text without a token, those added included, one of more than max_tokens, and one whose vectors are not finite are errors that name it.
///       What a tokenizer.json says of truncation and padding is not obeyed.
/// note: the blocks above the last layer wanted do not run, and no other layer is held.
class TextEmbedder {
 public:
  TextEmbedder(const Transformer& model, const Tokenizer* tokenizer, const EmbedOptions& options);

  /// The names of the layers, and of the arrays beside them, that embed() gives.
  const std::vector<std::string>& layer_names() const { return layer_names_; }
  /// The columns of the last of them.
  int64_t width() const;

  /// The rows of some texts, numbered on from those of the calls before; `progress` counts the texts of this call.
  EmbeddingSet embed(std::span<const EmbedText> texts, const ProgressFn& progress = {});

 private:
  struct Batch;
  bool is_sentence() const;
  int64_t pooled_width() const;
  std::string name_of(const EmbedText& text, int64_t number) const;
  void add_sequences(const EmbedText& text, int64_t number, std::vector<TokenSequence>& sequences,
                     int64_t& truncated) const;
  TokenSequence sequence_of_ids(const EmbedText& text, int64_t number) const;
  TokenSequence sequence_of_pair(const EmbedText& text, int64_t number, int64_t& truncated) const;
  void read(std::span<const TokenSequence* const> batch, std::span<const EmbedText> texts, int64_t first_text,
            std::vector<Tensor>& states, AttentionRecord& record) const;

  const Transformer& model_;
  const Tokenizer* tokenizer_;
  EmbedOptions options_;
  std::vector<int64_t> layers_;    // that are given
  std::vector<int64_t> computed_;  // these, and the last where scores are asked for
  std::vector<int64_t> blocks_;    // of which maps and heads are given, from 1
  std::vector<std::string> layer_names_;
  std::vector<int64_t> widths_;  // of the layers
  int64_t limit_ = 0;
  const char* limit_name_ = "";  // which of the two it is
  int64_t prompt_tokens_ = 0;    // that do not count in pooling
  int64_t next_text_ = 0;
};

/// All at once: the rows of TextEmbedder::embed().
EmbeddingSet embed_texts(const Transformer& model, const Tokenizer& tokenizer,
                         std::span<const EmbedText> texts, const EmbedOptions& options,
                         const ProgressFn& progress = {});
EmbeddingSet embed_texts(const Transformer& model, const Tokenizer& tokenizer,
                         std::span<const std::string_view> texts, const EmbedOptions& options,
                         const ProgressFn& progress = {});

}  // namespace gradus
