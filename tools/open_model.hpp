#pragma once

#include <string>

#include "models/transformer/files.hpp"
#include "tools/common.hpp"

namespace gradus::tools {

/// A folder's model and tokenizer, for the verbs that run models; says what somebody should know of them.
LanguageModel open_model(const std::string& folder, const CommonOptions& common, bool needs_tokenizer = true);

}  // namespace gradus::tools
