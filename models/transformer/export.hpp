#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "models/transformer/files.hpp"

namespace gradus {

struct SentenceFolder;

/// What a model is written as.
enum class ExportFormat {
  hugging_face,           ///< a folder of the Hugging Face library
  gguf,                   ///< one file of llama.cpp
  sentence_transformers,  ///< a folder of the sentence-transformers library
};

/// What weights are rounded to: to nearest even, or in blocks of 32 (q8_0, of GGUF alone), see quantise().
enum class ExportType { f32, f16, bf16, q8_0 };

/// By the names of the command line; an error lists the possible ones.
ExportFormat parse_export_format(std::string_view name);
ExportType parse_export_type(std::string_view name);

struct ExportOptions {
  ExportFormat format = ExportFormat::hugging_face;
  ExportType type = ExportType::f32;
  /// What the model's folder says of how a text becomes one vector; null: nothing.
  const SentenceFolder* sentences = nullptr;
  /// Where the card and the licences stand, and what the model is called after; "": the model's own folder or file.
  std::string home = {};
  std::function<void()> on_progress = {};  ///< called now and then; may throw to stop, and nothing is left
};

/// How far what was written is from what it was made of, read back.
struct ExportReport {
  int64_t texts = 0;        ///< whose ids are equal
  double hidden_state = 0;  ///< largest difference in the last layer, as a fraction of its root mean square
  std::optional<double> logits;  ///< and in the logits, where both have them
  std::vector<std::string> files;
  std::vector<std::string> notes;  ///< what somebody should know of them
};

/// Writes a model for other programs, and reads it back before it is done.
/// hugging_face: config.json, model.safetensors, tokenizer.json, tokenizer_config.json, and a README.md that names
///       `base_model` and the licence; LICENSE and NOTICE files and the template for chats beside the original are copied.
///       What the original's tokens are for (bos, pad and others) is said again.
/// sentence_transformers: the same, and the modules behind it: the pooling of `sentences`, or the mean.
/// gguf: one file: sizes, tensors, the tokenizer and the card's licence under llama.cpp's names; vectors and norms stay f32.
/// note: a folder must be new or empty; a file is replaced whole. A model that the format has no words for is refused, naming
///       what it cannot say.
/// note: other ids, another configuration, or a weight further off than rounding to the type explains are an error, and
///       nothing is left.
/// note: where texts do not begin and end with the special tokens that the tokenizer adds, the one that is written adds none.
ExportReport export_model(const LanguageModel& loaded, const std::string& out, const ExportOptions& options);

}  // namespace gradus
