#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace gradus {

/// The tokens by id: the bytes each one stands for, and the text that names it in a tokenizer.json.
class Vocabulary {
 public:
  /// The i-th of each is token i. note: texts must differ from each other; whoever reads a file checks that first.
  Vocabulary(std::vector<std::string> bytes, std::vector<std::string> texts);
  Vocabulary(const Vocabulary&) = delete;  // the index points into the texts
  Vocabulary& operator=(const Vocabulary&) = delete;
  Vocabulary(Vocabulary&&) = default;
  Vocabulary& operator=(Vocabulary&&) = default;

  int64_t size() const { return static_cast<int64_t>(texts_.size()); }
  const std::string& bytes(int32_t id) const { return bytes_[static_cast<size_t>(id)]; }
  const std::string& text(int32_t id) const { return texts_[static_cast<size_t>(id)]; }
  std::optional<int32_t> find(std::string_view text) const;

 private:
  std::vector<std::string> bytes_;
  std::vector<std::string> texts_;
  std::unordered_map<std::string_view, int32_t> ids_;
};

}  // namespace gradus
