#pragma once

#include <vector>

#include "models/transformer/config.hpp"
#include "models/transformer/weights.hpp"

namespace gradus {

/// GPT-2: layer norms, learned positions, GELU (tanh form), biases everywhere, tied output.
/// ref: Radford et al., Language models are unsupervised multitask learners (2019)
Config gpt_config();

/// Where the tensors of a `GPT2LMHeadModel` belong: `transformer.h.0.attn.c_attn.weight` is blocks.0.attention.qkv.
/// note: its matrices stand transposed, inputs first.
std::vector<FileWeight> gpt_weights(const Config& config);

}  // namespace gradus
