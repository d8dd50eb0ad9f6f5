#pragma once

#include "tensor/io/json.hpp"
#include "tokenizer/pipeline.hpp"

namespace gradus {

/// Reads a tokenizer.json of the Hugging Face library (version 1.0).
/// note: a component, version or setting that is not known here and would change ids, text or offsets is an error that
///       names its place in the file; nothing is approximated.
TokenizerParts read_tokenizer_json(const Json& file);

/// The same as a file, its members in the order in which that library writes them.
Json write_tokenizer_json(const TokenizerParts& parts);

}  // namespace gradus
