#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

namespace gradus {

/// SHA-256 of bytes that come in pieces.
/// ref: FIPS 180-4
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;

  Sha256& update(const void* data, std::size_t bytes);
  Sha256& update(std::string_view text) { return update(text.data(), text.size()); }
  /// The hash of everything so far, in 64 hexadecimal digits; more may follow.
  std::string hex() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

std::string sha256_hex(std::string_view bytes);
std::string sha256_file(const std::string& path);

}  // namespace gradus
