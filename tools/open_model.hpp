#pragma once

#include <string>

#include "models/transformer/files.hpp"
#include "tools/common.hpp"

namespace gradus::tools {

/// Adds --tokenizer FILE to the options of a verb that runs a model.
void add_tokenizer_option(Args& args, std::string& tokenizer_file);

/// --parse-special, for verbs that give a model a text to read.
struct ParseSpecialOption {
  std::string choice = "auto";
  void add(Args& args);
  bool value(bool from_elsewhere) const { return choice == "auto" ? from_elsewhere : choice == "on"; }
};

/// A folder's model and tokenizer, for the verbs that run models; says what somebody should know of them.
LanguageModel open_model(const std::string& folder, const CommonOptions& common, bool needs_tokenizer = true,
                         const std::string& tokenizer_file = {});

}  // namespace gradus::tools
