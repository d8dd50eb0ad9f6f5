#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "models/embeddings/pooling.hpp"
#include "models/transformer/static_model.hpp"
#include "nn/linear.hpp"
#include "tensor/io/json.hpp"
#include "tokenizer/tokenizer.hpp"

namespace gradus {

/// y = act(x · weightᵀ + bias), behind pooling.
struct DenseLayer {
  Linear linear;
  Tensor (*activation)(const Tensor&) = nullptr;  ///< nullptr: none
};

/// What a folder says of how a text becomes one vector: one of the sentence-transformers library, or of a static model.
/// note: plain values, so that a caller can put others in their place.
struct SentenceFolder {
  std::string model_folder;  ///< with the tokenizer and the model; the folder itself, or one below
  std::optional<StaticModel> static_model;  ///< in the place of a transformer
  int64_t max_tokens = 0;   ///< of a text, special ones among them; 0: the folder says nothing
  bool lower_case = false;  ///< whether texts are put in lower case first, see lower_cased()
  std::vector<Pooling> pooling = {Pooling::mean};  ///< side by side where there are several
  bool include_prompt = true;  ///< whether the tokens of a prompt are pooled, too; see pooled_range()
  int64_t width = 0;           ///< of the rows that are pooled
  /// Behind pooling, in this order: a dense layer, or nothing: normalised to length 1.
  std::vector<std::optional<DenseLayer>> steps;
  std::vector<std::pair<std::string, std::string>> prompts;  ///< name, and what goes before each text
  std::string default_prompt;  ///< the name of the one that is taken where nobody says; "": none
  std::string similarity;      ///< "cosine", "dot", "euclidean", "manhattan"; "": the folder says nothing
  int64_t truncate_dim = 0;    ///< values of the sentence vector that are kept; 0: all

  /// Whether it normalises somewhere behind pooling.
  bool normalizes() const;
  /// What goes before each text by a prompt's name; an error lists the names.
  const std::string& prompt(std::string_view name) const;
};

/// Whether a folder has a modules.json, or is one of model2vec; or a GGUF file says how it pools.
bool is_sentence_folder(const std::string& folder);

/// Reads modules.json and the files of the modules, but not those of a transformer; or a folder of model2vec; or the
/// pooling of a GGUF file.
/// note: both generations of files are read: max_seq_length of sentence_bert_config.json (or of one of its older names) and,
///       where it has none, model_max_length of tokenizer_config.json, where the library keeps it since version 5.4.
/// note: a module or key that is not known is an error with its place; passed over is only what concerns training, other
///       kinds of input or other programs. That the transformer's rows are `width` wide, the caller checks: check_width().
/// ref: sentence-transformers 2.0 to 6.2
SentenceFolder read_sentence_folder(const std::string& folder);

/// What is read, as the library writes it: the config.json of the modules Pooling and Dense, and
/// config_sentence_transformers.json.
Json pooling_to_json(const SentenceFolder& folder);
Json dense_to_json(const DenseLayer& layer);
Json prompts_to_json(const SentenceFolder& folder);
/// The columns of the vectors of the last layer.
int64_t sentence_width(const SentenceFolder& folder);
/// An error naming both unless the model's rows are as wide as the folder says.
void check_width(const SentenceFolder& folder, int64_t n_embd);

/// How many tokens of a text that begins with a prompt are the prompt's, as the library counts: `prompt_ids` are those of
/// the prompt alone with all that the tokenizer adds, but for a special token at their end.
int64_t prompt_length(std::span<const int32_t> prompt_ids, const Tokenizer& tokenizer);
/// The rows of a text that are pooled: all, or those behind its prompt where the folder leaves prompts out.
RowRange pooled_range(const SentenceFolder& folder, const RowRange& text, int64_t prompt_length);

/// The tokenizer with texts put in lower case before all else; itself where its normalizer does so.
Tokenizer lower_cased(const Tokenizer& tokenizer);

/// The sentence vectors of texts from the rows that a layer gives their tokens: pooled; those of the last layer then go
/// through the steps and are cut to truncate_dim; those of others are normalised where the folder normalises.
/// shape: rows (N,C) f32 -> (texts, width of the result).
/// note: a text without a token is an error, but with a static model a row of zeros, as in the libraries.
/// note: a vector's bits depend on its own text's rows alone.
Tensor sentence_vectors(const SentenceFolder& folder, const Tensor& rows, std::span<const RowRange> texts,
                        bool last_layer);

}  // namespace gradus
