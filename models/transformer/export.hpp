#pragma once

#include <string>
#include <vector>

#include "models/transformer/files.hpp"

namespace gradus {

struct ExportOptions {
  DType dtype = DType::f32;  ///< of the weights in the file: f32, f16 or bf16, rounded to nearest even
};

/// How far what was written is from what it was made of, read back.
struct ExportReport {
  int64_t texts = 0;        ///< whose ids are equal
  double hidden_state = 0;  ///< largest difference in the last layer, as a fraction of its root mean square
  double logits = 0;        ///< and in the logits; 0 where the model has none
  std::vector<std::string> files;
  std::vector<std::string> notes;  ///< what somebody should know of them
};

/// Writes a model as a folder that the Hugging Face library opens: config.json, model.safetensors, tokenizer.json,
/// tokenizer_config.json, and a README.md that names `base_model`; LICENSE and NOTICE files beside the original are copied.
/// note: the folder must be new or empty. A model that the library has no class for is refused, naming what it cannot say.
/// note: the folder is read back before it is done: other ids, or numbers further off than rounding to the type explains, are
///       an error, and nothing is left.
/// note: where texts do not begin and end with the special tokens that the tokenizer adds, the one that is written adds none.
ExportReport export_to_hugging_face(const LanguageModel& loaded, const std::string& folder,
                                    const ExportOptions& options);

}  // namespace gradus
