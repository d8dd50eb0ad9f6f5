#pragma once

#include <string>
#include <vector>

#include "models/training/texts.hpp"
#include "tensor/error.hpp"
#include "tools/args.hpp"

namespace gradus::tools {

/// The options of all verbs that read texts from files.
struct TextFileOptions {
  std::string key = "text";
  bool force = false;

  void add(Args& args);
  /// An error where --text-key is given and none of the files read is a .jsonl.
  void check_effect(const Args& args, const std::vector<std::string>& files) const;
  /// For a TextReader; waiting for standard input ends where interrupted().
  TextOptions options(bool by_lines = false) const;
};

/// What `--input` and TEXT take, for their helps.
inline constexpr const char* kTextPaths =
    "files, folders of them, or - for standard input; of a .jsonl each line is a text";

/// An error where --lines is given for a .jsonl, whose lines are texts in any case.
void check_lines(const std::string& input, bool by_lines);

/// What `work` gives of a text; an error of it begins with the file and line where the text was found.
template <class Work>
auto naming(const TextItem& item, const Work& work) {
  try {
    return work();
  } catch (const std::exception& error) {
    if (item.file == nullptr) throw;
    fail_world(item.where(), ": ", error.what());
  }
}

/// An error where a file to write is one of those that are read: by whatever name, it would be replaced by the output.
void check_not_input(const std::string& out, const std::vector<std::string>& inputs);

}  // namespace gradus::tools
