#pragma once

#include <string>

#include "models/transformer/export.hpp"

/// What the files of one export share; for them alone.

namespace gradus::detail {

ExportReport export_folder(const LanguageModel& loaded, const std::string& folder,
                           const ExportOptions& options);
ExportReport export_gguf(const LanguageModel& loaded, const std::string& path, const ExportOptions& options);

/// Where a model's licence and card stand: its folder, or that of its file.
std::string folder_beside(const std::string& model);
/// The last part of a model's path: "bert-base".
std::string model_name(const std::string& model);
/// Whether a file beside a model goes wherever the model goes.
bool is_licence(const std::string& name);

/// An error naming the tensor and the element, unless all values are within the range of the type.
void check_range(const NamedTensor& named, ExportType type);

/// Fills in the differences in ids, hidden states and logits between a model and what was written of it; an error where
/// ids differ, or weights by more than rounding to the type.
void compare_exported(const LanguageModel& from, const LanguageModel& to, ExportType type,
                      ExportReport& report);

}  // namespace gradus::detail
