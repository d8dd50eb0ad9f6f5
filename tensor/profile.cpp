#include "tensor/profile.hpp"

#include "tensor/machine.hpp"
#include "tensor/storage.hpp"

namespace gradus {
namespace {

thread_local Profile* current = nullptr;

}  // namespace

Profile::Profile()
    : previous_(current), origin_(now_seconds()), last_(origin_), bytes_(memory_statistics().allocated) {
  current = this;
}

Profile::~Profile() { current = previous_; }

bool Profile::active() { return current != nullptr; }

void Profile::mark(const char* op, const char* phase, const Shape& shape) {
  if (current == nullptr) return;
  const double now = now_seconds();
  const uint64_t bytes = memory_statistics().allocated;
  current->events_.push_back(
      {op, phase, current->last_ - current->origin_, now - current->last_, bytes - current->bytes_, shape});
  current->last_ = now;
  current->bytes_ = bytes;
}

void Profile::skip() {
  if (current == nullptr) return;
  current->last_ = now_seconds();
  current->bytes_ = memory_statistics().allocated;
}

}  // namespace gradus
