#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "models/files/gguf_file.hpp"
#include "models/files/tensor_source.hpp"

namespace gradus {

/// Whether a file begins as GGUF does.
bool is_gguf(std::string_view bytes);

/// Whether a path names such a file, and not a folder or a file of another format.
bool is_gguf_file(const std::string& path);

/// A whole model; one part of several is refused.
GgufFile open_gguf_model(const std::string& path);

/// The tensors of a GGUF file by their names there; see GgufFile for its metadata.
/// note: blocks that can be read become f32, plain types stay as they are.
std::unique_ptr<TensorSource> open_gguf(const std::string& path);

}  // namespace gradus
