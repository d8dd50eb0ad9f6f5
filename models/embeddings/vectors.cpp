#include "models/embeddings/vectors.hpp"

#include <algorithm>
#include <charconv>

#include "tensor/error.hpp"

namespace gradus {
namespace {

constexpr std::string_view kNumbered = "layer_";

// k of "layer_k", or -1.
int64_t number_of(std::string_view name) {
  if (!name.starts_with(kNumbered)) return -1;
  int64_t number = -1;
  const char* const end = name.data() + name.size();
  const auto read = std::from_chars(name.data() + kNumbered.size(), end, number);
  return read.ec == std::errc() && read.ptr == end && number >= 0 ? number : -1;
}

[[noreturn]] void fail_layer(const Vectors& vectors, std::string_view choice) {
  std::string names;
  for (const std::string& name : vectors.layer_names) names += (names.empty() ? "" : ", ") + name;
  check(!choice.empty(), "vectors: one of several layers must be chosen; give --layer with one of ", names);
  fail("vectors: the layer must be one of ", names, "; it is '", choice, "'");
}

}  // namespace

int64_t Vectors::row(std::string_view name) const {
  if (const auto found = names.find(name)) return *found;
  std::string hint;
  for (const std::string_view close : names.closest(name))
    hint += (hint.empty() ? "; did you mean " : ", ") + std::string(close);
  fail("vectors: a name must be one of the ", rows(), " there are; '", name, "' is not",
       hint.empty() ? "" : hint + "?");
}

const Tensor& Vectors::layer(std::string_view name) const {
  for (std::size_t l = 0; l < layer_names.size(); ++l) {
    if (layer_names[l] == name) return layers[l];
  }
  fail_layer(*this, name);
}

std::string choose_layer(const Vectors& vectors, std::string_view choice) {
  const std::vector<std::string>& names = vectors.layer_names;
  if (std::find(names.begin(), names.end(), choice) != names.end()) return std::string(choice);
  if (names.size() == 1 && (choice.empty() || choice == "-1")) return names[0];
  int64_t last = -1;
  for (const std::string& name : names) last = std::max(last, number_of(name));
  int64_t number = -1;
  if (!choice.empty()) {
    const char* const end = choice.data() + choice.size();
    const auto read = std::from_chars(choice.data(), end, number);
    if (read.ec != std::errc() || read.ptr != end) fail_layer(vectors, choice);
  }
  if (number < 0) number += last + 1;
  const std::string name = std::string(kNumbered) + std::to_string(number);
  if (number < 0 || std::find(names.begin(), names.end(), name) == names.end()) fail_layer(vectors, choice);
  return name;
}

}  // namespace gradus
