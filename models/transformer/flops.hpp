#pragma once

#include <cstdint>

#include "models/transformer/config.hpp"

/// What a model computes, counted in floating-point operations: a multiply-add is 2, recomputation never counts.

namespace gradus {

/// Operations of reading one text of `tokens` tokens, of its `scored` last tokens with the scores of what might follow:
/// 2 for each matrix weight and token, 2·L·H·D·T² for causal attention, twice that in both directions, less with windows.
/// ref: Kaplan et al. (2020), section 2.1; attention at half of T·T, as it is causal
double forward_flops(const Config& config, int64_t tokens, int64_t scored);

/// Operations of training on one token of a whole context, three times those of reading it: 6 for each matrix weight (a
/// tied output layer once, no position table) and 6·L·H·D·T for causal attention, twice that in both directions.
double training_flops_per_token(const Config& config);

}  // namespace gradus
