#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "models/files/tensor_source.hpp"

namespace gradus {

/// What a file of llama2.c, version 0, says before its weights: seven numbers of 32 bits, and no word of what they are.
/// ref: karpathy/llama2.c, export.py (legacy_export) and run.c
struct Llama2cHeader {
  int64_t n_embd, n_ffn, n_layer, n_head, n_kv_head, vocab_size, block_size;
  bool tied;  ///< vocab_size stands there as a negative number where it is not
};

/// Whether a file begins as one does: with numbers that sizes can be, or as the versions 1 and 2, which are refused.
bool is_llama2c(std::string_view bytes);
/// Whether a path names such a file, and not a folder or a file of another format.
bool is_llama2c_file(const std::string& path);

/// An error unless the sizes fit together and the file has exactly the weights that follow from them.
Llama2cHeader read_llama2c_header(const std::string& path);

/// The weights, f32 and mapped, under the names that a Llama has in GGUF files, whose layout theirs is: channels that turn
/// together stand next to each other.
/// note: the tables of angles, which no program reads any more, are passed over.
std::unique_ptr<TensorSource> open_llama2c(const std::string& path);

}  // namespace gradus
