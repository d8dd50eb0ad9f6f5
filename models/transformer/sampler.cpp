#include "models/transformer/sampler.hpp"

#include <algorithm>
#include <limits>

#include "tensor/error.hpp"
#include "tensor/math.hpp"

namespace gradus {
namespace {

bool better(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
}

std::vector<Candidate> all_candidates(std::span<const float> logits) {
  check(!logits.empty(), "sampler: there must be a logit for at least one token; there is none");
  std::vector<Candidate> all(logits.size());
  for (size_t i = 0; i < logits.size(); ++i) {
    check_world(logits[i] == logits[i] && logits[i] < std::numeric_limits<float>::infinity(),
                "sampler: logits must be numbers; that of token ", i, " is ", logits[i],
                "; the model's weights are damaged or its training has diverged");
    all[i] = {static_cast<int32_t>(i), static_cast<double>(logits[i]), 0};
  }
  return all;
}

void drop_impossible(std::vector<Candidate>& all, const Possible& possible) {
  if (possible.empty()) return;
  check(possible.size() == all.size(), "sampler: what is possible must be told of ", all.size(),
        " ids; it is of ", possible.size());
  std::erase_if(all, [&](const Candidate& c) { return !possible[static_cast<size_t>(c.id)]; });
  check(!all.empty(), "sampler: some id must be possible; none is");
}

void keep_best(std::vector<Candidate>& all, size_t k) {
  k = std::min(k, all.size());
  std::partial_sort(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(k), all.end(), better);
  all.resize(k);
}

// Probabilities of sorted candidates at a temperature.
void set_probabilities(std::vector<Candidate>& sorted, double temperature) {
  const double best = sorted.front().logit;
  check_world(best > -std::numeric_limits<double>::infinity(),
              "sampler: some token must be possible; all logits are "
              "minus infinity");
  double sum = 0;
  for (Candidate& c : sorted) {
    c.probability = math::exp((c.logit - best) / temperature);
    sum += c.probability;
  }
  for (Candidate& c : sorted) c.probability /= sum;
}

// ln Σ exp(logits), relative to their largest.
struct LogSum {
  double largest;
  double sum;
};
LogSum log_sum(std::span<const Candidate> all) {
  LogSum total{all.front().logit, 0};
  for (const Candidate& c : all) total.largest = std::max(total.largest, c.logit);
  for (const Candidate& c : all) total.sum += math::exp(c.logit - total.largest);
  return total;
}

}  // namespace

void SamplerOptions::validate() const {
  check(temperature >= 0 && temperature <= 1e6, "sampler: temp must be in [0, 1e6]; it is ", temperature);
  check(top_k >= 0, "sampler: top-k must be at least 0 (0: all); it is ", top_k);
  check(top_p > 0 && top_p <= 1, "sampler: top-p must be in (0, 1]; it is ", top_p);
  check(min_p >= 0 && min_p <= 1, "sampler: min-p must be in [0, 1]; it is ", min_p);
  check(repeat_penalty > 0 && repeat_penalty <= 1e6,
        "sampler: repeat-penalty must be in (0, 1e6] (1: none); it is ", repeat_penalty);
  check(repeat_last >= 0, "sampler: repeat-last must be at least 0; it is ", repeat_last);
}

std::vector<Candidate> top_candidates(std::span<const float> logits, int64_t k, const Possible& possible) {
  check(k >= 1, "sampler: at least 1 candidate must be asked for; it is ", k);
  std::vector<Candidate> all = all_candidates(logits);
  const LogSum total = log_sum(all);
  drop_impossible(all, possible);
  keep_best(all, static_cast<size_t>(k));
  for (Candidate& c : all) c.probability = math::exp(c.logit - total.largest) / total.sum;
  return all;
}

double probability_of(std::span<const float> logits, int32_t id) {
  const std::vector<Candidate> all = all_candidates(logits);
  check(id >= 0 && static_cast<size_t>(id) < all.size(), "sampler: an id must be in [0, ", all.size() - 1,
        "]; it is ", id);
  const LogSum total = log_sum(all);
  return math::exp(all[static_cast<size_t>(id)].logit - total.largest) / total.sum;
}

std::vector<Candidate> candidates(std::span<const float> logits, std::span<const int32_t> recent,
                                  const SamplerOptions& options, const Possible& possible) {
  options.validate();
  std::vector<Candidate> left = all_candidates(logits);

  if (options.repeat_penalty != 1.0) {
    const size_t count = std::min(recent.size(), static_cast<size_t>(options.repeat_last));
    std::vector<int32_t> seen(recent.end() - static_cast<std::ptrdiff_t>(count), recent.end());
    std::sort(seen.begin(), seen.end());
    seen.erase(std::unique(seen.begin(), seen.end()), seen.end());  // once each, however often it occurred
    for (const int32_t id : seen) {
      check(id >= 0 && static_cast<size_t>(id) < left.size(), "sampler: recent ids must be in [0, ",
            left.size() - 1, "]; one is ", id);
      double& logit = left[static_cast<size_t>(id)].logit;
      logit = logit > 0 ? logit / options.repeat_penalty : logit * options.repeat_penalty;
    }
  }

  drop_impossible(left, possible);
  if (options.temperature == 0) {
    left = {*std::min_element(left.begin(), left.end(), better)};
    set_probabilities(left, 1.0);
    return left;
  }
  keep_best(left, options.top_k > 0 ? static_cast<size_t>(options.top_k) : left.size());
  if (options.top_p < 1) {
    set_probabilities(left, 1.0);
    double sum = 0;
    size_t kept = 0;
    while (kept < left.size() && sum < options.top_p) sum += left[kept++].probability;
    left.resize(kept);
  }
  if (options.min_p > 0) {
    // exp(logit - best) is the probability relative to the best one's.
    const double best = left.front().logit;
    while (left.size() > 1 && math::exp(left.back().logit - best) < options.min_p) left.pop_back();
  }
  set_probabilities(left, options.temperature);
  return left;
}

int32_t draw(std::span<const Candidate> candidates, double u) {
  check(!candidates.empty() && u >= 0 && u < 1, "draw: there must be candidates, and u must be in [0, 1); ",
        candidates.size(), " candidates, u ", u);
  double sum = 0;
  for (const Candidate& c : candidates) {
    sum += c.probability;
    if (u < sum) return c.id;
  }
  // The sum may miss 1 by a rounding; the best candidate always has a probability above zero.
  return candidates.front().id;
}

}  // namespace gradus
