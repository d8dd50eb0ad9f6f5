#include "tensor/io/hash.hpp"

#include <sha2.h>

#include <cstdint>

#include "tensor/io/file.hpp"

namespace gradus {

struct Sha256::State {
  SHA2_CTX context;
};

Sha256::Sha256() : state_(std::make_unique<State>()) { SHA256Init(&state_->context); }
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

Sha256& Sha256::update(const void* data, std::size_t bytes) {
  if (bytes > 0) SHA256Update(&state_->context, static_cast<const uint8_t*>(data), bytes);
  return *this;
}

std::string Sha256::hex() const {
  SHA2_CTX context = state_->context;
  uint8_t digest[SHA256_DIGEST_LENGTH];
  SHA256Final(digest, &context);
  std::string text;
  for (uint8_t byte : digest) {
    constexpr char digits[] = "0123456789abcdef";
    text += digits[byte >> 4];
    text += digits[byte & 15];
  }
  return text;
}

std::string sha256_hex(std::string_view bytes) { return Sha256().update(bytes).hex(); }

std::string sha256_file(const std::string& path) {
  // In pieces: a map of a large file would count as memory of ours.
  Sha256 hash;
  read_pieces(path, [&](std::string_view piece) { hash.update(piece.data(), piece.size()); });
  return hash.hex();
}

}  // namespace gradus
