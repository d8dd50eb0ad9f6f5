#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gradus {

/// How the next token is chosen from the scores; names and order of the steps are llama.cpp's.
/// note: the defaults are llama.cpp's too.
struct SamplerOptions {
  double temperature = 0.8;     ///< below 1 bolder, above 1 more varied; 0 always takes the best
  int64_t top_k = 40;           ///< keep the k best; 0: all
  double top_p = 0.95;          ///< keep the best until their probabilities reach p; 1: all
  double min_p = 0.05;          ///< drop what has less than p times the probability of the best; 0: none
  double repeat_penalty = 1.0;  ///< make tokens among the last `repeat_last` less likely; 1: no
  int64_t repeat_last = 64;

  /// An error naming the option and its range.
  void validate() const;
};

/// A token that may come next.
struct Candidate {
  int32_t id = 0;
  double logit = 0;
  double probability = 0;
};

/// Which ids may be shown and drawn; an empty list allows all. A vocabulary that was padded to a round size has ids that
/// no token belongs to.
using Possible = std::vector<bool>;

/// What the model itself says: the k most probable tokens, best first, of equals the lower id first.
/// y = softmax(logits), over all V, impossible ids included
std::vector<Candidate> top_candidates(std::span<const float> logits, int64_t k,
                                      const Possible& possible = {});
/// The same probability for one token.
double probability_of(std::span<const float> logits, int32_t id);

/// The tokens that remain after the options, best first, of equals the lower id first, with the probabilities that they
/// are drawn with. `recent` are the tokens so far, the newest last.
/// y = repeat penalty, top-k, top-p, min-p, softmax(logits / temperature), in this order
/// note: a penalised logit is divided by the penalty where positive, else multiplied.   ref: Keskar et al., CTRL (2019)
/// ref: Fan et al. (2018) for top-k; Holtzman et al. (2020) for top-p
std::vector<Candidate> candidates(std::span<const float> logits, std::span<const int32_t> recent,
                                  const SamplerOptions& options, const Possible& possible = {});

/// The candidate at `u` in [0, 1) of the cumulated probabilities.
int32_t draw(std::span<const Candidate> candidates, double u);

}  // namespace gradus
