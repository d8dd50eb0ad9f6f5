#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/io/file.hpp"

namespace gradus::tools {

/// A text to encode, perhaps one of a pair. note: views into the input or into `owned`.
struct TextItem {
  std::string_view text;
  std::optional<std::string_view> pair;
};

/// The texts of a file: of NAME.jsonl one JSON string, or object with "text" (and "pair"), a line; of any other file its
/// whole contents, or with `by_lines` each line. "-" is standard input.
class TextInput {
 public:
  TextInput(const std::string& path, bool by_lines);

  /// Calls `take` with some texts after the other, in order, at most `most` at once; an error names the line.
  void for_batches(size_t most, const std::function<void(const std::vector<TextItem>&)>& take) const;
  const std::string& name() const { return name_; }
  /// Whether a line holds a JSON string or object; contents() is then not a text.
  bool json_lines() const { return json_lines_; }
  std::string_view contents() const { return file_ == nullptr ? std::string_view(typed_) : file_->text(); }

 private:
  std::string name_;
  bool json_lines_;
  bool by_lines_;
  std::unique_ptr<MappedFile> file_;
  std::string typed_;  // from standard input
};

}  // namespace gradus::tools
