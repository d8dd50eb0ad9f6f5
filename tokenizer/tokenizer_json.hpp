#pragma once

#include <memory>

#include "tensor/io/json.hpp"
#include "tokenizer/model.hpp"

namespace gradus {

/// Reads what to_json of any kind of tokenizer writes, and the GPT-2 tokenizer.json of the Hugging Face library.
/// note: a component, version or setting that is not known here and would change ids, text or offsets is an error that
///       names its place in the file; nothing is approximated.
std::shared_ptr<const TokenizerModel> read_tokenizer_json(const Json& file);

}  // namespace gradus
