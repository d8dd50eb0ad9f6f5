#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "models/files/gguf_writer.hpp"
#include "models/transformer/export.hpp"

/// What the files of one export share; for them alone.

namespace gradus::detail {

ExportReport export_folder(const LanguageModel& loaded, const std::string& folder,
                           const ExportOptions& options);
ExportReport export_gguf(const LanguageModel& loaded, const std::string& path, const ExportOptions& options);

inline constexpr const char* kCardFile = "README.md";
inline constexpr const char* kTokenizerConfigFile = "tokenizer_config.json";

/// What a model's makers say of it beside its numbers, where other programs have words for it.
struct ModelAbout {
  /// `license`, `license_name` and `license_link`, as a card of the Hugging Face hub calls them, that are said.
  std::vector<std::pair<std::string, std::string>> licence;
  bool licence_unread = false;  ///< the card has one of them as a list, or in another way that is not read
  /// The ids of the tokens that are said to begin texts, to pad them, and so on: bos, unk, sep, pad, cls, mask.
  std::map<std::string, int64_t> roles;
  std::string padding_side;  ///< of texts in a batch, left or right; "": nobody says
};
/// From the card in `home`, the folder's tokenizer_config.json and config.json, or a GGUF file's keys.
ModelAbout model_about(const LanguageModel& loaded, const std::string& home);
/// The card that stands beside the original, or a short one, with the model it is made of and the licence in front. What a run's
/// card says of the run's folder stays behind.
std::string model_card(const std::string& home, const ModelAbout& about);
void write_licence(GgufFields& fields, const ModelAbout& about);

/// Where a model's licence and card stand: its folder, or that of its file.
std::string folder_beside(const std::string& model);
/// The last part of a model's path: "bert-base".
std::string model_name(const std::string& model);
/// Said where a model's tokenizer adds special tokens that it was not trained with.
inline constexpr const char* kAddsNone =
    "the model was trained without the special tokens that its tokenizer adds; the tokenizer that is written "
    "adds none";
/// Whether a file beside a model goes wherever the model goes.
bool is_licence(const std::string& name);

/// An error naming the tensor and the element, unless all values are within the range of the type.
void check_range(const NamedTensor& named, ExportType type);

/// Fills in the differences in ids, hidden states and logits between a model and what was written of it; an error where
/// ids differ, or weights by more than rounding to the type.
void compare_exported(const LanguageModel& from, const LanguageModel& to, ExportType type,
                      ExportReport& report);

}  // namespace gradus::detail
