#pragma once

#include <cstdint>
#include <vector>

#include "tensor/shape.hpp"

/// Where the time and memory of a computation go, op by op.

namespace gradus {

/// What one op took: the time and the memory since the event before it on its thread.
struct ProfileEvent {
  const char* op = "";
  const char* phase = "";  ///< "forward", "backward" or "step"
  double begin = 0;        ///< seconds since the profile began
  double seconds = 0;
  uint64_t bytes = 0;  ///< allocated by the process, freed again or not
  Shape shape;         ///< of the op's result; empty outside ops
};

/// While it lives, the ops of this thread leave an event each. Looking changes no result.
/// note: an op has no beginning of its own: it takes what has passed since the event before, so that the events of a
///       step add up to the step. What an op is composed of appears under its parts' names.
///       Ops that are not recorded leave no event, and the next event takes their time too: whatever runs under NoGrad,
///       so an evaluation and what a backward calls, and ops with a gradient that none of their inputs needs.
///       Profiles end in the reverse order of their beginnings, on the thread that began them.
class Profile {
 public:
  Profile();
  ~Profile();
  Profile(const Profile&) = delete;
  Profile& operator=(const Profile&) = delete;

  /// Whether this thread is being profiled; where it is not, asking is all that an op pays.
  static bool active();
  /// Ends an event here. The texts are kept as pointers: they must outlive the profile.
  static void mark(const char* op, const char* phase, const Shape& shape = {});
  /// Leaves what has passed since the last event to nobody, for instance an evaluation between two steps.
  static void skip();

  const std::vector<ProfileEvent>& events() const { return events_; }

 private:
  Profile* previous_;
  double origin_;
  double last_;
  uint64_t bytes_;
  std::vector<ProfileEvent> events_;
};

}  // namespace gradus
