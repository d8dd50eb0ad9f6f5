#include "nn/rotary.hpp"

#include <algorithm>
#include <cmath>

#include "tensor/error.hpp"
#include "tensor/math.hpp"
#include "tensor/ops.hpp"

namespace gradus {
namespace {

constexpr double kTurn = 6.283185307179586;  // 2π

double llama3_frequency(double frequency, const RopeScaling& s) {
  const auto positions = static_cast<double>(s.original_positions);
  const double turns = positions * frequency / kTurn;
  if (turns < s.low_freq_factor) return frequency / s.factor;
  if (turns > s.high_freq_factor) return frequency;
  const double smooth = (turns - s.low_freq_factor) / (s.high_freq_factor - s.low_freq_factor);
  return (1 - smooth) * frequency / s.factor + smooth * frequency;
}

// The channel whose wave turns so often in the positions of the first training.
double channel_of_turns(double turns, int64_t rotated, double base, const RopeScaling& s) {
  const double wave = static_cast<double>(s.original_positions) / (turns * kTurn);
  return static_cast<double>(rotated) * math::log(wave) / (2 * math::log(base));
}

void scale_yarn(std::vector<double>& frequencies, int64_t rotated, double base, const RopeScaling& s) {
  double low = channel_of_turns(s.beta_fast, rotated, base, s);
  double high = channel_of_turns(s.beta_slow, rotated, base, s);
  if (s.truncate) {
    low = std::floor(low);
    high = std::ceil(high);
  }
  low = std::max(low, 0.0);
  high = std::min(high, static_cast<double>(rotated - 1));
  if (low == high) high += 0.001;
  for (std::size_t i = 0; i < frequencies.size(); ++i) {
    const double slowed = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    frequencies[i] = slowed * frequencies[i] / s.factor + (1 - slowed) * frequencies[i];
  }
}

double yarn_growth(double factor, double weight) {
  return factor <= 1 ? 1.0 : 0.1 * weight * math::log(factor) + 1.0;
}

}  // namespace

void check_rope_scaling(const RopeScaling& s) {
  const auto positive = [](const char* name, double value) {
    check(value > 0 && value < 1e9, "rope_scaling: ", name, " must be positive and below 1e9; it is ", value);
  };
  if (s.kind == RopeScalingKind::none) return;
  positive("factor", s.factor);
  if (s.kind == RopeScalingKind::linear) return;
  positive("original_positions", static_cast<double>(s.original_positions));
  positive("low_freq_factor", s.low_freq_factor);
  check(s.high_freq_factor > s.low_freq_factor,
        "rope_scaling: high_freq_factor must be above low_freq_factor, ", s.low_freq_factor, "; it is ",
        s.high_freq_factor);
  positive("beta_fast", s.beta_fast);
  positive("beta_slow", s.beta_slow);
  for (const double weight : {s.attention_factor, s.mscale, s.mscale_all_dim}) {
    check(weight >= 0 && weight < 1e9,
          "rope_scaling: attention_factor, mscale and mscale_all_dim must be in [0, 1e9); one is ", weight);
  }
}

std::vector<double> rotary_frequencies(int64_t rotated, double base, const RopeScaling& scaling) {
  check_rope_scaling(scaling);
  std::vector<double> frequencies = rotary_frequencies(rotated, base);
  switch (scaling.kind) {
    case RopeScalingKind::none: break;
    case RopeScalingKind::linear:
      for (double& frequency : frequencies) frequency /= scaling.factor;
      break;
    case RopeScalingKind::llama3:
      for (double& frequency : frequencies) frequency = llama3_frequency(frequency, scaling);
      break;
    case RopeScalingKind::yarn: scale_yarn(frequencies, rotated, base, scaling); break;
  }
  return frequencies;
}

double rotary_amplitude(const RopeScaling& s) {
  if (s.kind != RopeScalingKind::yarn) return 1;
  if (s.attention_factor > 0) return s.attention_factor;
  if (s.mscale > 0 && s.mscale_all_dim > 0)
    return yarn_growth(s.factor, s.mscale) / yarn_growth(s.factor, s.mscale_all_dim);
  return yarn_growth(s.factor, 1);
}

}  // namespace gradus
