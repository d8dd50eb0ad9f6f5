#include "models/training/texts.hpp"

#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <limits>
#include <utility>

#include "tensor/error.hpp"
#include "tensor/io/json.hpp"
#include "tokenizer/text/lines.hpp"

namespace gradus {
namespace {

namespace fs = std::filesystem;

/// Why a file is probably no text; "" where nothing speaks against it.
std::string why_no_text(const std::string& file, std::string_view contents) {
  for (const char* ending : {".gz", ".zst", ".zip", ".xz", ".bz2"}) {
    if (file.ends_with(ending)) return std::string("its name ends in ") + ending + "; unpack it";
  }
  constexpr std::size_t kLooked = 65536;
  const std::size_t zero = contents.substr(0, kLooked).find('\0');
  if (zero == contents.npos) return {};
  return detail::join("byte ", zero, " is zero, as in binary files and in UTF-16; convert it to UTF-8");
}

}  // namespace

void check_is_text(const std::string& file, std::string_view contents) {
  const std::string why = why_no_text(file, contents);
  check_world(why.empty(), file, ": must be text; ", why, ", or take it as it is with TextOptions::force");
}

std::string TextItem::where() const {
  return (file == nullptr ? "text" : *file) + (line > 0 ? ":" + std::to_string(line) : "");
}

TextReader::TextReader(const std::vector<std::string>& paths, TextOptions options)
    : options_(std::move(options)) {
  check(!paths.empty(), "texts: at least one file must be given; none is");
  for (const std::string& path : paths) list(path);
  const auto typed = std::count(paths_.begin(), paths_.end(), "-");
  check(typed <= 1, "texts: standard input can be read once; - is given ", typed, " times");
}

void TextReader::list(const std::string& path) {
  if (path == "-" || !is_directory(path)) {
    paths_.push_back(path);
    files_.emplace_back(path == "-" ? "standard input" : path);
    return;
  }
  std::vector<std::string> found;
  for (auto at = fs::recursive_directory_iterator(path); at != fs::recursive_directory_iterator(); ++at) {
    if (at->path().filename().native().starts_with('.')) {
      ++hidden_;
      at.disable_recursion_pending();
    } else if (at->is_regular_file()) {
      if (at->file_size() == 0) {
        ++empty_;
      } else {
        found.push_back(at->path().string());
      }
    } else if (!at->is_directory()) {
      ++others_;
    }
  }
  const std::string besides = passed_over();
  check_world(!found.empty(), path, ": the folder must hold text files; it holds none",
              besides.empty() ? "" : " (" + besides + ")");
  std::sort(found.begin(), found.end());
  for (std::vector<std::string>* list : {&paths_, &files_})
    list->insert(list->end(), found.begin(), found.end());
}

bool TextReader::is_json_lines(const std::string& path) const {
  return options_.json_lines && path.ends_with(".jsonl");
}

bool TextReader::is_read_once(std::size_t file) const {
  return paths_[file] == "-" || is_stream(paths_[file]);
}

std::string TextReader::passed_over() const {
  std::string text;
  for (const auto& [count, what] :
       {std::pair(hidden_, " hidden"), {empty_, " empty"}, {others_, " of no text"}}) {
    if (count > 0) text += (text.empty() ? "" : ", ") + std::to_string(count) + what;
  }
  if (text.empty()) return text;
  return text + (hidden_ + empty_ + others_ == 1 ? " file passed over" : " files passed over");
}

TextReader::Contents TextReader::open(std::size_t index) const {
  const std::string& file = files_[index];
  Contents contents;
  if (paths_[index] == "-") {
    contents.read = read_descriptor(STDIN_FILENO, file, options_.on_interrupt);
  } else if (is_read_once(index)) {
    contents.read = read_file(file, options_.on_interrupt);
  } else {
    contents.mapped = std::make_unique<MappedFile>(file);
  }
  if (!options_.force) check_is_text(file, contents.text());
  return contents;
}

// Reads the JSON of a line, which is item.text.
void TextReader::read_json(TextItem& item, std::deque<std::string>& decoded) const {
  check_world(!item.text.empty(), item.where(),
              ": a line must hold a JSON string or object; it is empty; remove it");
  const Json value = Json::parse(item.text, item.where());
  const bool object = value.kind() == Json::Kind::object;
  check_world(object || value.kind() == Json::Kind::string, item.where(),
              ": a line must hold a JSON string or object; it is ", value.dump().substr(0, 40));
  const Json* found = object ? value.find(options_.key) : &value;
  const Json* ids = object && options_.ids ? value.find("ids") : nullptr;
  if (ids) {
    check_world(!found && !value.find("pair"), item.where(),
                ": a line must hold a text or ids; this one has both; remove one of them");
    const auto read = [](const Json& list, std::vector<int32_t>& numbers) {
      for (const Json& number : list.as_array()) {
        const int64_t id = number.as_integer();
        check_world(id >= 0 && id <= std::numeric_limits<int32_t>::max(), number.path(),
                    ": must be a number from 0; it is ", id);
        numbers.push_back(static_cast<int32_t>(id));
      }
    };
    read(*ids, item.ids);
    check_world(!item.ids.empty(), item.where(), ": there must be ids; the list is empty");
    if (const Json* segments = value.find("segments")) read(*segments, item.segments);
    item.text = {};
    return;
  }
  check_world(found != nullptr, item.where(), ": the object must have the key \"", options_.key,
              "\"; it has none; name another with TextOptions::key");
  item.text = decoded.emplace_back(found->as_string());
  if (const Json* pair = object ? value.find("pair") : nullptr)
    item.pair = decoded.emplace_back(pair->as_string());
}

void TextReader::read_lines(const std::string& file, std::string_view contents, std::size_t most,
                            std::deque<std::string>& decoded,
                            const std::function<void(std::vector<TextItem>&, std::size_t)>& take) const {
  const bool json = is_json_lines(file);
  std::vector<TextItem> items;
  std::size_t read = 0;
  for (LineReader lines(contents); lines.next();) {
    const std::string_view line = lines.line();
    read = static_cast<std::size_t>(line.data() + line.size() - contents.data());
    TextItem item{.text = line, .file = &file, .line = lines.number()};
    if (json) {
      read_json(item, decoded);
    } else if (options_.pairs) {
      const std::size_t tab = line.find('\t');
      check_world(tab != line.npos && line.find('\t', tab + 1) == line.npos, item.where(),
                  ": a line must hold two texts with a tab between; it has ",
                  tab == line.npos ? "no tab" : "more than one");
      item.text = line.substr(0, tab);
      item.pair = line.substr(tab + 1);
    }
    items.push_back(item);
    if (items.size() == most) {
      take(items, read);
      items.clear();
    }
  }
  if (!items.empty()) take(items, read);
}

void TextReader::for_batches(std::size_t most,
                             const std::function<void(const std::vector<TextItem>&)>& take) {
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const std::string& file = files_[i];
    Contents opened = open(i);
    const bool once = is_read_once(i);
    if (once) streams_.emplace_back(i, kept_.emplace_back(std::move(opened)).text());
    const Contents& contents = once ? kept_.back() : opened;
    if (!options_.by_lines && !is_json_lines(file)) {
      take({TextItem{.text = contents.text(), .file = &file}});
      continue;
    }
    std::deque<std::string> decoded;
    read_lines(file, contents.text(), most, decoded, [&](std::vector<TextItem>& items, std::size_t read) {
      take(items);
      decoded.clear();
      // What was read is not needed again: a long file does not fill the memory.
      if (contents.mapped) contents.mapped->forget(read);
    });
  }
}

std::vector<TextItem> TextReader::all() {
  std::vector<TextItem> result;
  for (std::size_t i = 0; i < files_.size(); ++i) {
    const std::string& file = files_[i];
    const std::string_view contents = kept_.emplace_back(open(i)).text();
    if (is_read_once(i)) streams_.emplace_back(i, contents);
    if (!options_.by_lines && !is_json_lines(file)) {
      result.push_back({.text = contents, .file = &file});
      continue;
    }
    read_lines(file, contents, 4096, decoded_, [&](std::vector<TextItem>& items, std::size_t) {
      result.insert(result.end(), items.begin(), items.end());
    });
  }
  return result;
}

}  // namespace gradus
