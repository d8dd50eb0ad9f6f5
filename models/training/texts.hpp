#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "tensor/io/file.hpp"

namespace gradus {

/// One text, perhaps the first of a pair, or the ids in its place; and where it was found.
struct TextItem {
  std::string_view text;
  std::optional<std::string_view> pair = std::nullopt;
  std::vector<int32_t> ids = {}, segments = {};
  const std::string* file = nullptr;
  int64_t line = 0;  ///< from 1; 0 where the text is the whole file

  /// "book.txt", or "lines.jsonl:12".
  std::string where() const;
};

struct TextOptions {
  /// Each line of a file is a text; else the whole file is one. A .jsonl holds a text a line either way.
  bool by_lines = false;
  /// Whether a .jsonl file holds its texts as JSON; else it is read like any other.
  bool json_lines = true;
  /// The member of a .jsonl line that holds its text.
  std::string key = "text";
  /// Whether an object may have `ids`, and `segments`, instead of a text.
  bool ids = false;
  /// Whether a line of other files holds two texts, with a tab between.
  bool pairs = false;
  /// Whether files are taken as they are that look like no text: compressed ones, by their names, and those with a zero
  /// byte among the first 65536.
  bool force = false;
  /// Called now and then while standard input or a pipe is waited for; it may throw.
  std::function<void()> on_interrupt = {};
};

/// An error where a file is probably no text: compressed, by its name, or with a zero byte among the first 65536 of these.
void check_is_text(const std::string& file, std::string_view contents);

/// The texts of files, as every verb reads them.
///
/// A path is a file, a folder (the files in it and in the folders below, by name), or "-" for standard input; pipes are
/// read once. A file NAME.jsonl holds one JSON string, or object with `key` (and "pair"), a line.
/// note: of a folder, what is hidden (its name begins with a point: so also what version control keeps) and empty files
///       are passed over and counted; a byte-order mark is passed over where lines are texts.
/// note: an error names the file, and the line or the byte.
class TextReader {
 public:
  TextReader(const std::vector<std::string>& paths, TextOptions options);

  /// The files that the paths come to, in order; "standard input" for "-".
  const std::vector<std::string>& files() const { return files_; }
  /// "2 hidden, 1 empty files passed over", or "".
  std::string passed_over() const;

  /// Calls `take` with some texts after the other, in order, at most `most` at once; they are valid during the call.
  void for_batches(std::size_t most, const std::function<void(const std::vector<TextItem>&)>& take);
  /// All texts, valid as long as this reader.
  std::vector<TextItem> all();
  /// What has been read so far that nobody can read again, from standard input and pipes: by index into files().
  const std::vector<std::pair<std::size_t, std::string_view>>& streams() const { return streams_; }

 private:
  struct Contents {
    std::unique_ptr<MappedFile> mapped;
    std::string read;
    std::string_view text() const { return mapped ? mapped->text() : std::string_view(read); }
  };
  void list(const std::string& path);
  bool is_json_lines(const std::string& path) const;
  bool is_read_once(std::size_t file) const;
  Contents open(std::size_t file) const;
  void read_lines(const std::string& file, std::string_view contents, std::size_t most,
                  std::deque<std::string>& decoded,
                  const std::function<void(std::vector<TextItem>&, std::size_t read)>& take) const;
  void read_json(TextItem& item, std::deque<std::string>& decoded) const;

  TextOptions options_;
  std::vector<std::string> paths_;  // "-" for standard input
  std::vector<std::string> files_;
  int64_t hidden_ = 0;
  int64_t empty_ = 0;
  int64_t others_ = 0;  // pipes, devices, sockets
  std::deque<Contents> kept_;
  std::deque<std::string> decoded_;  // what a JSON string says is not how it is written
  std::vector<std::pair<std::size_t, std::string_view>> streams_;
};

}  // namespace gradus
