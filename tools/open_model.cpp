#include "tools/open_model.hpp"

#include "tokenizer/pipeline.hpp"

namespace gradus::tools {

void add_tokenizer_option(Args& args, std::string& tokenizer_file) {
  args.text("--tokenizer", tokenizer_file, "a tokenizer's file, instead of the model's own");
}

void ParseSpecialOption::add(Args& args) {
  args.choice("--parse-special", choice, {"auto", "on", "off"},
              "whether a text like <|endoftext|> or [MASK] is the special token; auto: as in the libraries, "
              "on, but for "
              "models trained here");
}

LanguageModel open_model(const std::string& folder, const CommonOptions& common, bool needs_tokenizer,
                         const std::string& tokenizer_file) {
  LanguageModel loaded = load_language_model(folder, needs_tokenizer, tokenizer_file);
  if (common.quiet) return loaded;
  if (!loaded.note.empty()) say("note   " + loaded.note);
  if (!loaded.has_tokenizer) return loaded;
  const TokenizerParts& parts = loaded.tokenizer.parts();
  std::string asked;
  if (parts.truncation) asked = "to cut texts to " + std::to_string(parts.truncation->max_length) + " tokens";
  if (parts.padding) asked += asked.empty() ? "to pad texts" : " and to pad them";
  if (!asked.empty()) say("note   tokenizer.json asks " + asked + ", which is not done where a model runs");
  return loaded;
}

}  // namespace gradus::tools
