#pragma once

#include <cstdint>
#include <string_view>

/// Learning-rate schedules.

namespace gradus {

/// How the learning rate runs over the steps of a training: a linear warm-up, then one of four shapes.
struct Schedule {
  enum class Kind { constant, linear, cosine, wsd };

  Kind kind = Kind::cosine;
  double learning_rate = 1e-3;      ///< after the warm-up
  double min_learning_rate = 1e-4;  ///< at the end; unused by constant
  int64_t warmup = 100;             ///< steps of the warm-up
  int64_t steps = 2000;             ///< the step from which on the rate is min_learning_rate
  int64_t decay = 0;                ///< wsd: steps of the final decay
};

/// The learning rate of a step, which counts from 0.
///
///   warm-up   y = rate (step + 1) / (warmup + 1)                       for step < warmup, after which for step < steps
///   constant  y = rate, at any later step too
///   linear    y = rate + (min - rate) r                                r = (step - warmup) / (steps - warmup)
///   cosine    y = min + (rate - min) (1 + cos(π r)) / 2                the same r
///   wsd       y = rate, then rate + (min - rate) s                     s = (step - (steps - decay)) / decay
///
/// ref: nanoGPT's get_lr() for the warm-up and cosine; Loshchilov and Hutter, SGDR (2017), equation 5; Hu et al., MiniCPM
///      (2024), section 4 for wsd (warm-up, stable, decay)
/// note: MiniCPM decays exponentially, here it is linear.
double learning_rate(const Schedule& schedule, int64_t step);

/// An error naming what is wrong with a schedule, if anything is.
void check_schedule(const Schedule& schedule);

/// The kind of a name ("constant", "linear", "cosine", "wsd"); an error lists them.
Schedule::Kind schedule_kind(std::string_view name);
std::string_view schedule_name(Schedule::Kind kind);

}  // namespace gradus
