#pragma once

#include <vector>

#include "models/transformer/config.hpp"
#include "models/transformer/weights.hpp"

namespace gradus {

/// Llama: RMS norms, rotary positions, SwiGLU, no biases, tied output.
/// ref: Touvron et al., LLaMA: open and efficient foundation language models (2023)
/// note: tied, unlike the large models of the family: in a small model the table would be most of the parameters.
Config llama_config();

/// Where the tensors of a `LlamaForCausalLM` belong: `model.layers.0.self_attn.q_proj.weight` is the first rows of
/// blocks.0.attention.qkv.
std::vector<FileWeight> llama_weights(const Config& config);

}  // namespace gradus
