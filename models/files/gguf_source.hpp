#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "models/files/tensor_source.hpp"

namespace gradus {

/// Whether a file begins as GGUF does.
bool is_gguf(std::string_view bytes);

/// The tensors of a GGUF file by their names there; see GgufFile for its metadata.
/// note: blocks that can be read become f32, plain types stay as they are. One part of a model in several is refused.
std::unique_ptr<TensorSource> open_gguf(const std::string& path);

}  // namespace gradus
