#pragma once

#include <string>

#include "tensor/io/json.hpp"

namespace gradus::tools {

/// What `info` says of something, as an object and as lines.
struct Description {
  Json json = Json::object();
  std::string text;
  bool damaged = false;  ///< what is there was told, but something is missing or wrong
};

/// Of a file of word vectors: how many rows, how wide, the first names.
Description describe_vectors(const std::string& path);
/// Of the folder of a training of word vectors: its method, where it stands, and the vectors that it has written.
Description describe_word_vectors(const std::string& folder);

}  // namespace gradus::tools
