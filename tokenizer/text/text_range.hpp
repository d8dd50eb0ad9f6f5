#pragma once

#include <cstdint>

namespace gradus {

/// Bytes begin … end-1 of a text.
struct TextRange {
  int64_t begin;
  int64_t end;
  bool operator==(const TextRange&) const = default;
};

}  // namespace gradus
