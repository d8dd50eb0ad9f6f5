#include "tensor/io/detail/checksum.hpp"

#include <zlib.h>

namespace gradus::detail {

uint32_t crc32(const void* data, std::size_t bytes, uint32_t before) {
  if (bytes == 0) return before;
  return static_cast<uint32_t>(::crc32_z(before, static_cast<const Bytef*>(data), bytes));
}

}  // namespace gradus::detail
