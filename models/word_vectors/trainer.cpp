#include "models/word_vectors/trainer.hpp"

#include <charconv>

#include "tensor/error.hpp"

namespace gradus {

const std::string& text_of(const Metadata& metadata, const std::string& key, const std::string& path) {
  const auto found = metadata.find(key);
  check_world(found != metadata.end(), path, ": the metadata must have '", key, "'; it has not");
  return found->second;
}

int64_t integer_of(const Metadata& metadata, const std::string& key, const std::string& path) {
  const std::string& text = text_of(metadata, key, path);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  check_world(error == std::errc() && end == text.data() + text.size(), path, ": the metadata's '", key,
              "' must be a number; it is '", text.substr(0, 60), "'");
  return value;
}

}  // namespace gradus
