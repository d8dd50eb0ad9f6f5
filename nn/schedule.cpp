#include "nn/schedule.hpp"

#include <array>
#include <cmath>
#include <utility>

#include "tensor/error.hpp"
#include "tensor/math.hpp"

namespace gradus {
namespace {

using Kind = Schedule::Kind;

constexpr std::array<std::pair<std::string_view, Kind>, 4> kNames = {
    {{"constant", Kind::constant}, {"linear", Kind::linear}, {"cosine", Kind::cosine}, {"wsd", Kind::wsd}}};
constexpr double kPi = 0x1.921fb54442d18p+1;

/// How far a step is on the way from `begin` to `end`.
double fraction(int64_t step, int64_t begin, int64_t end) {
  return static_cast<double>(step - begin) / static_cast<double>(end - begin);
}

}  // namespace

double learning_rate(const Schedule& schedule, int64_t step) {
  check(step >= 0, "learning_rate: the step must not be negative; it is ", step, "; count from 0");
  check_schedule(schedule);
  const double rate = schedule.learning_rate;
  const double lowest = schedule.min_learning_rate;
  if (step < schedule.warmup) {
    return rate * static_cast<double>(step + 1) / static_cast<double>(schedule.warmup + 1);
  }
  if (schedule.kind == Kind::constant) return rate;
  if (step >= schedule.steps) return lowest;
  switch (schedule.kind) {
    case Kind::constant: return rate;
    case Kind::linear: return rate + (lowest - rate) * fraction(step, schedule.warmup, schedule.steps);
    case Kind::cosine: {
      const double turn = kPi * fraction(step, schedule.warmup, schedule.steps);
      return lowest + (rate - lowest) * (0.5 * (1.0 + math::cos(turn)));
    }
    case Kind::wsd: {
      const int64_t decay_begin = schedule.steps - schedule.decay;
      return step < decay_begin ? rate : rate + (lowest - rate) * fraction(step, decay_begin, schedule.steps);
    }
  }
  fail("learning_rate: the schedule must be one of this library's; it is number ",
       static_cast<int>(schedule.kind));
}

void check_schedule(const Schedule& schedule) {
  check(std::isfinite(schedule.learning_rate) && schedule.learning_rate >= 0 &&
            schedule.min_learning_rate >= 0 &&
            (schedule.kind == Kind::constant || schedule.min_learning_rate <= schedule.learning_rate),
        "schedule: rates must not be negative and the lowest not above the highest; learning rate ",
        schedule.learning_rate, ", lowest ", schedule.min_learning_rate,
        "; lower the one or raise the other");
  check(schedule.warmup >= 0 && schedule.steps >= 0 && schedule.decay >= 0,
        "schedule: warm-up, steps and decay must not be negative; they are ", schedule.warmup, ", ",
        schedule.steps, " and ", schedule.decay, "; count steps");
  check(schedule.kind != Kind::wsd || schedule.warmup + schedule.decay <= schedule.steps,
        "schedule: warm-up and decay must fit into the steps; they are ", schedule.warmup, " and ",
        schedule.decay, " of ", schedule.steps, "; shorten one of them");
}

Kind schedule_kind(std::string_view name) {
  for (const auto& [known, kind] : kNames) {
    if (known == name) return kind;
  }
  fail("schedule: the kind must be constant, linear, cosine or wsd; it is \"", name,
       "\"; choose one of them");
}

std::string_view schedule_name(Kind kind) {
  for (const auto& [name, known] : kNames) {
    if (known == kind) return name;
  }
  fail("schedule: the kind must be one of four; it is number ", static_cast<int>(kind),
       "; use Schedule::Kind");
}

}  // namespace gradus
