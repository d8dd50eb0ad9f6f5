#include "tools/text_options.hpp"

#include <algorithm>

#include "tensor/error.hpp"
#include "tensor/io/file.hpp"
#include "tools/common.hpp"

namespace gradus::tools {

void TextFileOptions::add(Args& args) {
  args.heading("Texts");
  args.text("--text-key", key, "the member of a .jsonl line that holds its text");
  args.flag("--force-text", force,
            "take files as they are that look like no text: .gz, .zst, .zip, or with a zero byte");
}

void TextFileOptions::check_effect(const Args& args, const std::vector<std::string>& files) const {
  const bool any = std::any_of(files.begin(), files.end(),
                               [](const std::string& file) { return file.ends_with(".jsonl"); });
  args.no_effect({{!any, {"--text-key"}, "where no .jsonl is read"}});
}

TextOptions TextFileOptions::options(bool by_lines) const {
  return {.by_lines = by_lines, .key = key, .force = force, .on_interrupt = stop_where_interrupted};
}

void check_lines(const std::string& input, bool by_lines) {
  check(!by_lines || !input.ends_with(".jsonl"), input,
        ": a .jsonl file holds one text a line already; leave out --lines");
}

void check_not_input(const std::string& out, const std::vector<std::string>& inputs) {
  for (const std::string& input : inputs) {
    check(!same_file(out, input), "-o ", out, " must not name a file that is read; it is ",
          out == input ? "one" : input + " by another name", "; choose another");
  }
}

}  // namespace gradus::tools
