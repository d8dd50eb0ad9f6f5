#include "models/embeddings/embedding_set.hpp"

#include "tensor/error.hpp"

namespace gradus {
std::string_view name_of(Level level) {
  switch (level) {
    case Level::sentence: return "sentence";
    case Level::word: return "word";
    case Level::token: return "token";
  }
  return "?";
}

bool is_pooled(Level level) {
  switch (level) {
    case Level::sentence:
    case Level::word: return true;
    case Level::token: return false;
  }
  return false;
}

Level parse_level(std::string_view name) {
  for (const Level level : {Level::sentence, Level::word, Level::token}) {
    if (name_of(level) == name) return level;
  }
  fail("level: must be one of sentence, word, token; it is '", name, "'");
}

}  // namespace gradus
