#pragma once

#include <cstdint>

namespace gradus {

/// The value of an f16 by its bits, exactly; the bits of a NaN stay as they are.
float float_from_half(uint16_t half);

}  // namespace gradus
