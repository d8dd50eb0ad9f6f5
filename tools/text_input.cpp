#include "tools/text_input.hpp"

#include <unistd.h>

#include <deque>

#include "tensor/error.hpp"
#include "tensor/io/json.hpp"
#include "tools/common.hpp"

namespace gradus::tools {

TextInput::TextInput(const std::string& path, bool by_lines)
    : name_(path == "-" ? "standard input" : path),
      json_lines_(path.ends_with(".jsonl")),
      by_lines_(by_lines) {
  check(!(json_lines_ && by_lines), path, ": a .jsonl file holds one text a line already; leave out --lines");
  if (path != "-") {
    file_ = std::make_unique<MappedFile>(path);
    return;
  }
  typed_ = read_stream(STDIN_FILENO, name_);
}

void TextInput::for_batches(size_t most,
                            const std::function<void(const std::vector<TextItem>&)>& take) const {
  const std::string_view all = contents();
  std::vector<TextItem> items;
  if (!json_lines_ && !by_lines_) {
    take({{all, std::nullopt}});
    return;
  }
  std::deque<std::string> owned;  // what a JSON string says is not how it is written
  const auto keep = [&](const Json& value) -> std::string_view {
    return owned.emplace_back(value.as_string());
  };
  size_t line_number = 0;
  for (size_t begin = 0; begin < all.size();) {
    const size_t end = std::min(all.find('\n', begin), all.size());
    std::string_view line = all.substr(begin, end - begin);
    if (line.ends_with('\r')) line.remove_suffix(1);
    begin = end + 1;
    ++line_number;
    if (!json_lines_) {
      items.push_back({line, std::nullopt});
    } else {
      const std::string where = name_ + ":" + std::to_string(line_number);
      check_world(!line.empty(), where, ": a line must hold a JSON string or object; it is empty; remove it");
      const Json value = Json::parse(line, where);
      check_world(value.kind() == Json::Kind::string || value.kind() == Json::Kind::object, where,
                  ": a line must hold a JSON string or object; it is ", value.dump().substr(0, 40));
      if (value.kind() == Json::Kind::string) {
        items.push_back({keep(value), std::nullopt});
      } else {
        const Json* pair = value.find("pair");
        const std::string_view text = keep(value.at("text"));
        items.push_back({text, pair == nullptr ? std::nullopt : std::optional(keep(*pair))});
      }
    }
    if (items.size() == most) {
      take(items);
      items.clear();
      owned.clear();
    }
  }
  if (!items.empty()) take(items);
}

}  // namespace gradus::tools
