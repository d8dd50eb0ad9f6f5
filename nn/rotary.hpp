#pragma once

#include <cstdint>
#include <vector>

namespace gradus {

/// How the angles of rotary positions are changed so that a model reads texts longer than those it was first trained on.
enum class RopeScalingKind {
  none,
  linear,  ///< all angles divided by the factor: positions in between
  llama3,  ///< those of waves longer than a text, and no others
  yarn,    ///< the same by another rule, and all comparisons of queries and keys made larger
};

/// The numbers of a scaling, named as in the config.json of the Hugging Face library.
struct RopeScaling {
  RopeScalingKind kind = RopeScalingKind::none;
  double factor = 1;
  int64_t original_positions = 0;  ///< llama3, yarn: the longest text of the first training
  double low_freq_factor =
      1;  ///< llama3: waves longer than original_positions / low_freq_factor are slowed down …
  double high_freq_factor =
      4;                  ///< … and those shorter than original_positions / high_freq_factor are left alone
  double beta_fast = 32;  ///< yarn: waves that turn so often in original_positions are left alone …
  double beta_slow = 1;   ///< … and those that turn less than so often are slowed down
  bool truncate = true;   ///< yarn: the bounds are rounded outwards to whole channels
  double attention_factor = 0;  ///< yarn: of queries and of keys; 0: m(1), or m(mscale) / m(mscale_all_dim)
  double mscale = 0;            ///< yarn, see attention_factor; 0: not given
  double mscale_all_dim = 0;

  bool operator==(const RopeScaling&) const = default;
};

/// An error naming the number that cannot be.
void check_rope_scaling(const RopeScaling& scaling);

/// f_i = base^(-2i/R), i < R/2, changed by the scaling. With b the f_i, s the factor, P original_positions:
/// linear:  f = b/s
/// llama3:  f = b/s where 2π/b > P/low, b where 2π/b < P/high, else t b + (1-t) b/s,  t = (P b/2π - low) / (high - low)
/// yarn:    f = r b/s + (1-r) b,  r = clamp((i - l) / (h - l), 0, 1),  l, h = d(beta_fast), d(beta_slow) within [0, R-1],
///          d(n) = R ln(P/(2π n)) / (2 ln base)
/// ref: Chen et al., Extending context window via positional interpolation (2023), linear; the Llama 3 models' reference
/// code, llama3; Peng et al., YaRN (2023), section 3.2
std::vector<double> rotary_frequencies(int64_t rotated, double base, const RopeScaling& scaling);

/// What the rotated channels of queries and of keys are multiplied by: yarn's attention_factor, where it is 0
/// m(k) = 0.1 k ln s + 1 of s > 1; all others: 1.
/// ref: Peng et al., YaRN (2023), section 3.4
double rotary_amplitude(const RopeScaling& scaling);

}  // namespace gradus
