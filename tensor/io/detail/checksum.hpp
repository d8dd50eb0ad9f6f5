#pragma once

#include <cstddef>
#include <cstdint>

namespace gradus::detail {

/// The CRC-32 of zip and gzip; `before` is that of the bytes in front, so that pieces can follow one another.
/// note: finds accidents, not attacks; for those see tensor/io/hash.hpp.
uint32_t crc32(const void* data, std::size_t bytes, uint32_t before = 0);

}  // namespace gradus::detail
