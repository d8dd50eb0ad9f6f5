#pragma once

#include <cstdint>

namespace gradus {

/// The value of an f16 by its bits, exactly; the bits of a NaN stay as they are.
float float_from_half(uint16_t half);

/// The bits of the f16 nearest to a value, ties to even; beyond the largest, infinity.
uint16_t half_from_float(float value);

}  // namespace gradus
